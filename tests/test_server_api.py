"""The REST face: what is told, what is kept, and what every refusal looks like."""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from server import backgrounds
from server.app import Server
from server.config import Settings
from server.converse.sphinx import is_installed
from server.portrait_pictures import MAX_UPLOAD
from server.protocol import Motion, ProtocolError
from tests.answering import answering
from tests.live_fakes import fake_parts, house


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(size=256, max_sessions=2, cache_dir=tmp_path)
    async with (
        answering(settings) as there,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(there.app), base_url="http://server"
        ) as client,
    ):
        client.server = there.server  # type: ignore[attr-defined]
        yield client


async def open_session(client: httpx.AsyncClient, **wanted: object) -> str:
    answer = await client.post("/v1/sessions", json=wanted)
    assert answer.status_code == 201
    session_id: str = answer.json()["session_id"]
    return session_id


def refusal(answer: httpx.Response) -> str:
    """Returns the code of a refusal after checking its shape."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]
    code: str = error["code"]
    return code


@pytest.mark.single_layout("a gateway is ready with its first worker: test_cluster_layout")
async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 503
    server: Server = client.server  # type: ignore[attr-defined]
    await server.warm_up()
    assert (await client.get("/readyz")).status_code == 200


async def test_the_reference_page_lists_every_call_and_loads_nothing_foreign(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs")).text
    for path in (await client.get("/openapi.json")).json()["paths"]:
        assert path in page
    assert "//" not in page


async def test_the_server_describes_itself(client: httpx.AsyncClient) -> None:
    await open_session(client)
    info = (await client.get("/v1/info")).json()
    assert info.pop("version")
    assert info.pop("emotions")[:2] == ["neutral", "happy"]
    assert "nod" in info.pop("gestures")
    assert info == {
        "fps": 25,
        "size": 256,
        "default_voice": "hum",
        "default_portrait": "mona_lisa",
        "default_background": "keep",
        "max_sessions": 2,
        "sessions": 1,
        "ice_servers": [],
        "brain": "demo",
        "transcribes": is_installed(),
    }
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Vivant"


async def test_room_is_told_with_its_reasons(client: httpx.AsyncClient) -> None:
    server: Server = client.server  # type: ignore[attr-defined]
    await server.warm_up()
    await open_session(client)
    capacity = (await client.get("/v1/capacity")).json()
    assert (capacity["sessions"], capacity["max_sessions"]) == (1, 2)
    assert capacity["room"] in (0, 1)
    assert capacity["limit"] in {"max_sessions", "cores", *capacity["session_cost"]}
    assert capacity["session_cost"]["inference"] > 0


async def test_voices_are_listed_with_their_default(client: httpx.AsyncClient) -> None:
    voices = (await client.get("/v1/voices")).json()
    assert [(voice["name"], voice["default"]) for voice in voices] == [
        ("hum", True),
        ("buzz", False),
    ]


async def test_a_full_line_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with house(tmp_path) as client:
        answers = [await client.post("/v1/sessions") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 202, 503]
        assert refusal(answers[2]) == "capacity"
        assert int(answers[2].headers["Retry-After"]) > 0
        assert (await client.get("/v1/capacity")).json()["waiting"] == 1


async def test_a_session_lives_until_it_is_deleted(client: httpx.AsyncClient) -> None:
    session_id = await open_session(client, voice="buzz", seed=7)
    path = f"/v1/sessions/{session_id}"
    session = (await client.get(path)).json()
    assert (session["state"], session["portrait"], session["voice"], session["viewers"]) == (
        "idle",
        "mona_lisa",
        "buzz",
        0,
    )
    assert set(session["metrics"]) == {
        "fps",
        "render_ms",
        "latency_ms",
        "late_frames",
        "bitrate_kbps",
    }
    changed = await client.patch(path, json={"voice": "hum"})
    assert changed.json()["voice"] == "hum"
    assert (await client.delete(path)).status_code == 204
    assert refusal(await client.get(path)) == "not_found"
    assert refusal(await client.delete(path)) == "not_found"


async def test_a_background_is_chosen_and_changed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/sessions", json={"background": "transparent"})
    opened = answer.json()
    assert (opened["background"], opened["layout"]) == ("transparent", "packed")
    other = f"/v1/sessions/{await open_session(client)}"
    path = f"/v1/sessions/{opened['session_id']}"
    changed = (await client.patch(path, json={"background": "#336699"})).json()
    assert (changed["background"], changed["layout"]) == ("#336699", "plain")
    assert (await client.patch(path, json={"voice": "buzz"})).json()["background"] == "#336699"
    portrait = {"portrait": "mona_lisa"}
    assert (await client.patch(path, json=portrait)).json()["background"] == "#336699"
    refused = await client.patch(path, json={"background": "puce", "voice": "hum"})
    assert (refused.status_code, refusal(refused)) == (422, "unknown_background")
    left = (await client.get(path)).json()
    assert (left["background"], left["voice"]) == ("#336699", "buzz")
    assert (await client.get(other)).json()["background"] == "keep"


async def test_an_uploaded_background_outlives_the_server(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    image = {"image": ("beach.png", png((20, 90, 200)), "image/png")}
    added = await client.post("/v1/backgrounds", files=image)
    assert added.status_code == 201
    name = added.json()["id"]
    assert (await client.post("/v1/backgrounds", files=image)).json()["id"] == name
    session = await client.post("/v1/sessions", json={"background": name})
    assert (session.json()["background"], session.json()["layout"]) == (name, "plain")
    settings = Settings(size=256, cache_dir=tmp_path)
    again = Server(settings, fake_parts(settings)).house.backgrounds
    backdrop = await again.find(name)
    assert backdrop.image is not None
    assert (backdrop.image == (20, 90, 200)).all()


async def test_a_background_that_is_no_picture_is_refused_and_not_kept(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    answer = await client.post("/v1/backgrounds", files={"image": ("a.png", b"letters")})
    assert (answer.status_code, refusal(answer)) == (415, "image_unreadable")
    files = {"image": ("big.png", bytes(MAX_UPLOAD + 1))}
    answer = await client.post("/v1/backgrounds", files=files)
    assert (answer.status_code, refusal(answer)) == (413, "image_too_large")
    assert not kept(tmp_path)


async def test_only_the_latest_backgrounds_are_kept(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backgrounds, "MAX_UPLOADS", 2)
    names = []
    for index in range(3):
        files = {"image": ("a.png", png((index, 0, 0)))}
        names.append((await client.post("/v1/backgrounds", files=files)).json()["id"])
        os.utime(tmp_path / "backgrounds" / names[-1], (index, index))
    assert kept(tmp_path) == set(names[1:])


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.glob("backgrounds/*")}


def png(colour: tuple[int, int, int] | str, size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


async def test_a_style_is_chosen_changed_in_part_and_told(client: httpx.AsyncClient) -> None:
    wanted = {"emotion": "happy", "intensity": 0.8, "gaze": [10, -5]}
    path = f"/v1/sessions/{await open_session(client, style=wanted)}"
    style = (await client.get(path)).json()["style"]
    assert (style["emotion"], style["intensity"], style["gaze"]) == ("happy", 0.8, [10, -5])
    assert (style["articulation"], style["glances"], style["blink_rate"]) == (1, 1, 15)
    changed = await client.patch(path, json={"style": {"gaze": "away", "glances": 0.5}})
    style = changed.json()["style"]
    assert (style["emotion"], style["gaze"], style["glances"]) == ("happy", "away", 0.5)
    other = f"/v1/sessions/{await open_session(client)}"
    assert (await client.get(other)).json()["style"]["emotion"] == "neutral"


@pytest.mark.parametrize(
    ("style", "told"),
    [
        ({"intensity": 1.5}, "intensity must be a number from 0 to 1, got 1.5"),
        ({"emotion": "bored"}, "got 'bored'"),
        ({"gaze": "left"}, "got 'left'"),
        ({"gaze": [60, 0]}, "got (60.0, 0.0)"),
        ({"glances": -1}, "glances must be a number of at least 0, got -1"),
        ({"intensity": "much"}, "not 'much'"),
    ],
)
async def test_an_impossible_style_is_refused_with_its_value_and_changes_nothing(
    client: httpx.AsyncClient, style: dict[str, object], told: str
) -> None:
    path = f"/v1/sessions/{await open_session(client)}"
    before = (await client.get(path)).json()["style"]
    answer = await client.patch(path, json={"style": style, "voice": "buzz"})
    assert (answer.status_code, refusal(answer)) == (400, "bad_request")
    assert told in answer.json()["error"]["message"]
    session = (await client.get(path)).json()
    assert (session["style"], session["voice"]) == (before, "hum")


async def test_a_gesture_says_when_it_begins_or_why_not(client: httpx.AsyncClient) -> None:
    path = f"/v1/sessions/{await open_session(client)}/gesture"
    answer = await client.post(path, json={"name": "nod", "strength": 0.5})
    assert answer.status_code == 202 and answer.json()["media_time"] >= 0
    for body, told in [
        ({"name": "dance"}, "There is no gesture 'dance'"),
        ({"name": "nod", "strength": 9}, "got 9"),
        ({"name": "nod", "mode": "mix"}, "not 'mix'"),
    ]:
        refused = await client.post(path, json=body)
        assert (refused.status_code, refusal(refused)) == (400, "bad_request")
        assert told in refused.json()["error"]["message"]


async def test_live_motion_is_taken_for_the_next_frames(client: httpx.AsyncClient) -> None:
    server: Server = client.server  # type: ignore[attr-defined]
    session = server.house.sessions.find(await open_session(client))
    session.follow(Motion(coefficients={"jawOpen": 0.5}, weight=0.5, mode="replace"))
    live = session.direction.additions.live
    assert live is not None and (len(live.times), live.weight, live.mode) == (1, 0.5, "replace")
    with pytest.raises(ProtocolError, match="There is no coefficient 'jaw'"):
        session.follow(Motion(coefficients={"jaw": 0.5}))


async def test_utterances_are_numbered(client: httpx.AsyncClient) -> None:
    path = f"/v1/sessions/{await open_session(client)}"
    assert (await client.post(f"{path}/speak", json={"text": "One."})).json() == {"utterance": 1}
    assert (await client.post(f"{path}/speak", json={"text": "Two."})).json() == {"utterance": 2}
    assert (await client.post(f"{path}/interrupt")).json() == {"utterance": 3}
    assert (await client.post(f"{path}/interrupt")).json() == {"utterance": 3}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "x" * 10_001}, 413, "text_too_long"),
        ({"text": " "}, 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({"text": ["a"]}, 400, "bad_request"),
        ({"text": "Hi", "voice": "nobody"}, 422, "unknown_voice"),
        ({"text": "Hi", "style": {"emotion": "bored"}}, 400, "bad_request"),
    ],
)
async def test_text_that_cannot_be_spoken_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    path = f"/v1/sessions/{await open_session(client)}/speak"
    answer = await client.post(path, json=body)
    assert (answer.status_code, refusal(answer)) == (status, code)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({"portrait": "nobody"}, 404, "not_found"),
        ({"voice": "nobody"}, 422, "unknown_voice"),
        ({"seed": -1}, 400, "bad_request"),
        ({"background": "puce"}, 422, "unknown_background"),
        ({"background": "/etc/hostname"}, 422, "unknown_background"),
        ({"background": "image-0123456789abcdef"}, 404, "not_found"),
        ({"colour": "red"}, 400, "bad_request"),
        ({"style": {"intensity": 2}}, 400, "bad_request"),
        ({"style": {"mood": "fine"}}, 400, "bad_request"),
    ],
)
async def test_a_session_that_cannot_be_is_refused(
    client: httpx.AsyncClient, wanted: dict[str, object], status: int, code: str
) -> None:
    answer = await client.post("/v1/sessions", json=wanted)
    assert (answer.status_code, refusal(answer)) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/sessions/none", 404),
        ("POST", "/v1/sessions/none/interrupt", 404),
        ("GET", "/v1/portraits/none/image", 404),
        ("PUT", "/v1/info", 405),
    ],
)
async def test_unknown_things_are_refused_alike(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    refusal(answer)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_broken_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    path = f"/v1/sessions/{await open_session(client)}/speak"
    headers = {"content-type": "application/json"}
    answer = await client.post(path, content=body, headers=headers)
    assert (answer.status_code, refusal(answer)) == (400, "bad_request")


async def test_an_upload_becomes_a_portrait_once(client: httpx.AsyncClient, tmp_path: Path) -> None:
    image = {"image": ("../../my face.png", b"a picture", "image/png")}
    first = await client.post("/v1/portraits", files=image)
    assert first.status_code == 201
    portrait = first.json()
    assert portrait["name"] == "my face"
    assert portrait["builtin"] is False
    assert portrait["warnings"] == ["A fake."]
    again = await client.post("/v1/portraits", files=image)
    assert again.json() == portrait
    listed = (await client.get("/v1/portraits")).json()
    assert [item["id"] for item in listed] == ["mona_lisa", portrait["id"]]
    assert len(list((tmp_path / "uploads").iterdir())) == 1
    picture = await client.get(f"/v1/portraits/{portrait['id']}/image")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"
    await open_session(client, portrait=portrait["id"])


async def test_an_upload_without_a_face_is_refused_and_not_kept(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    answer = await client.post("/v1/portraits", files={"image": ("noface.png", b"x")})
    assert (answer.status_code, refusal(answer)) == (422, "no_face")
    assert list((tmp_path / "uploads").iterdir()) == []
    assert len((await client.get("/v1/portraits")).json()) == 1


async def test_a_picture_is_looked_at_before_it_is_kept(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    files = {"image": ("face.png", png("red", (400, 300)))}
    whole = await client.post("/v1/portraits/preview", files=files)
    seen = whole.json()
    assert (whole.status_code, seen["accepted"], seen["code"]) == (200, True, "ok")
    assert (seen["width"], seen["height"], seen["crop"]) == (400, 300, None)
    assert seen["frame"] == [50, 0, 300, 300]
    assert len(seen["landmarks"]) == 478
    part = await client.post("/v1/portraits/preview", files=files, data={"crop": "20,10,100,120"})
    assert part.json()["crop"] == [20, 10, 100, 120]
    assert part.json()["frame"] == [20, 20, 100, 100]
    black = {"image": ("night.png", png("black", (400, 300)))}
    refused = (await client.post("/v1/portraits/preview", files=black)).json()
    assert (refused["accepted"], refused["code"]) == (False, "no_face")
    assert (refused["frame"], refused["landmarks"]) == (None, [])
    assert not (tmp_path / "uploads").exists()
    kept = await client.post(
        "/v1/portraits", files=files, data={"crop": "20,10,100,120", "name": "Ann"}
    )
    assert (kept.status_code, kept.json()["name"]) == (201, "Ann")


@pytest.mark.parametrize(
    ("crop", "status", "code"),
    [
        ("1,2,3", 400, "bad_request"),
        ("a,b,c,d", 400, "bad_request"),
        ("0,0,1.5,2", 400, "bad_request"),
        ("0,0,0,10", 422, "crop_outside"),
        ("-1,0,10,10", 422, "crop_outside"),
        ("0,0,401,10", 422, "crop_outside"),
        ("0,0,99999999999999999999,10", 422, "crop_outside"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/portraits/preview", "/v1/portraits"])
async def test_an_impossible_crop_is_refused(
    client: httpx.AsyncClient, path: str, crop: str, status: int, code: str
) -> None:
    files = {"image": ("face.png", png("red", (400, 300)))}
    answer = await client.post(path, files=files, data={"crop": crop})
    assert (answer.status_code, refusal(answer)) == (status, code)


async def test_a_portrait_is_renamed_and_deleted_by_calls(client: httpx.AsyncClient) -> None:
    files = {"image": ("face.png", b"a picture")}
    added = (await client.post("/v1/portraits", files=files)).json()
    path = f"/v1/portraits/{added['id']}"
    renamed = await client.patch(path, json={"name": "Ann"})
    assert (renamed.status_code, renamed.json()) == (200, {**added, "name": "Ann"})
    assert (await client.get("/v1/portraits")).json()[1]["name"] == "Ann"
    assert refusal(await client.patch(path, json={"name": ""})) == "bad_request"
    assert refusal(await client.patch(path, json={})) == "bad_request"
    assert (await client.delete(path)).status_code == 204
    for answer in (await client.delete(path), await client.patch(path, json={"name": "x"})):
        assert (answer.status_code, refusal(answer)) == (404, "not_found")
    mona = "/v1/portraits/mona_lisa"
    for answer in (await client.delete(mona), await client.patch(mona, json={"name": "Lisa"})):
        assert (answer.status_code, refusal(answer)) == (403, "forbidden")


async def test_a_session_goes_on_with_a_portrait_that_was_deleted(
    client: httpx.AsyncClient,
) -> None:
    added = await client.post("/v1/portraits", files={"image": ("ann.png", b"a picture")})
    portrait = added.json()["id"]
    session = f"/v1/sessions/{await open_session(client, portrait=portrait, mode='converse')}"
    assert (await client.delete(f"/v1/portraits/{portrait}")).status_code == 204
    changed = await client.patch(session, json={"background": "green", "voice": "buzz"})
    assert (changed.status_code, changed.json()["portrait"]) == (200, portrait)
    assert changed.json()["background"] == "green"
    said = await client.post(f"{session}/say", json={"text": "Who are you?"})
    assert said.status_code == 202
    server: Server = client.server  # type: ignore[attr-defined]
    assert server.house.sessions.find(session.split("/")[-1]).portrait_name == "ann"
    answer = await client.patch(session, json={"portrait": portrait})
    assert (answer.status_code, refusal(answer)) == (404, "not_found")
    assert (await client.patch(session, json={"portrait": "mona_lisa"})).status_code == 200


async def test_the_page_of_the_protocol_lists_every_call(client: httpx.AsyncClient) -> None:
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+ [^`?]+)", page, re.MULTILINE)
    listed = {re.sub(r"\{\w+\}", "{}", row) for row in rows}
    for path, calls in (await client.get("/openapi.json")).json()["paths"].items():
        for method in calls:
            shown = re.sub(r"\{\w+\}", "{}", path)
            assert f"{method.upper()} {shown}" in listed


async def test_an_upload_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    files = {"image": ("big.png", bytes(MAX_UPLOAD + 1))}
    answer = await client.post("/v1/portraits", files=files)
    assert (answer.status_code, refusal(answer)) == (413, "image_too_large")


async def test_an_endless_body_is_cut_off(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while sent < 10 * MAX_UPLOAD:
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.post("/v1/portraits", content=endless(), headers=headers)
    assert (answer.status_code, refusal(answer)) == (413, "image_too_large")
    assert sent <= MAX_UPLOAD + 2 * 1024 * 1024


async def test_an_upload_without_the_field_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/portraits", files={"photo": ("a.png", b"x")})
    assert (answer.status_code, refusal(answer)) == (400, "bad_request")


async def test_a_conversation_is_begun_asked_and_ended_by_calls(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/sessions", json={"mode": "converse"})
    path = f"/v1/sessions/{answer.json()['session_id']}"
    assert (await client.get(path)).json()["brain"] == "demo"
    said = await client.post(f"{path}/say", json={"text": "Who are you?"})
    assert (said.status_code, said.json()) == (202, {"turn": 1})
    history = (await client.get(f"{path}/history")).json()
    assert history[0] == {"role": "user", "turn": 1, "text": "Who are you?", "source": "text"}
    tools = [{"type": "function", "function": {"name": "look"}}]
    wanted = {"brain": "external", "prompt": "Be brief.", "fallback": "", "tools": tools}
    manner = (await client.put(f"{path}/brain", json=wanted)).json()
    assert manner == {**wanted, "model": None}
    assert (await client.put(f"{path}/brain", json={"brain": "off"})).json()[
        "prompt"
    ] == "Be brief."
    refused = await client.post(f"{path}/say", json={"text": "Hello?"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"brain": "chat"}, "no brain 'chat' here"),
        ({"brain": "clever"}, "brain"),
        ({"tools": [{"type": "hammer"}]}, "not of the type 'function'"),
        ({"tools": [{"type": "function", "function": {"name": "x" * 70_000}}]}, "at most 64,000"),
        ({"base_url": "http://elsewhere"}, "base_url"),
        ({"key": "sk-secret"}, "key"),
    ],
)
async def test_an_impossible_brain_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], words: str
) -> None:
    session_id = await open_session(client)
    answer = await client.put(f"/v1/sessions/{session_id}/brain", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert "sk-secret" not in answer.text
