"""Names that are paths, links that lead out of folders, and addresses that lead inside networks."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from server.fetching import Address, Fetcher, FetchError
from server.outputs.library import Library
from server.outputs.output import TargetError
from server.outputs.reach import Reach, by_address
from server.protocol import ProtocolError
from server.uploads import UploadFolder
from tests.hardening_rig import Raw, Served, served, until
from tests.virtual_time import VirtualClock

SECRET = "the-secret-of-this-test"
UP = [
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "%252e%252e%252fsecret.txt",
    "..%5csecret.txt",
    "..\\secret.txt",
    "....//secret.txt",
    "..;/secret.txt",
    ".%00./secret.txt",
    "secret.txt%00.jpg",
    "%c0%ae%c0%ae/secret.txt",  # overlong UTF-8
    "%ef%bc%8e%ef%bc%8e/secret.txt",  # full-width dots
    "%e2%80%a4%e2%80%a4%e2%88%95secret.txt",  # one dot leader, division slash
    "file:///{folder}/secret.txt",
    "{folder}/secret.txt",
    "%2f{folder}%2fsecret.txt",
    "~/secret.txt",
    "C:%5csecret.txt",
    "secret.txt",
    "a" * 300 + "/../../secret.txt",
]
PLACES = [
    ("GET", "/{}"),
    ("GET", "/modes/{}"),
    ("GET", "/view/{}"),
    ("GET", "/face_tracker/{}"),
    ("GET", "/v1/portraits/{}/image"),
    ("DELETE", "/v1/portraits/{}"),
    ("PATCH", "/v1/portraits/{}"),
    ("GET", "/v1/recordings/{}"),
    ("GET", "/v1/recordings/{}/credentials"),
    ("DELETE", "/v1/recordings/{}"),
    ("GET", "/v1/sessions/{}"),
    ("GET", "/v1/sessions/{}/recordings"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a cache folder in a folder that holds a secret, as its neighbours do."""
    inner = tmp_path / "cache"
    for each in (inner, inner / "uploads", inner / "recordings", inner / "backgrounds"):
        each.mkdir()
        (each.parent / "secret.txt").write_text(SECRET)
    return inner


async def ask(there: Served, method: str, path: str) -> tuple[int, bytes]:
    """Returns the answer to a path as it is: clients would tidy it up."""
    raw: Raw = await there.raw()
    body = b'{"name": "x"}' if method == "PATCH" else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    await raw.send(head.encode() + body)
    told = await raw.answer()
    return int(told[9:12]), told


async def test_no_path_leads_out_of_its_folder(folder: Path) -> None:
    files = {path: path.read_bytes() for path in folder.parent.rglob("secret.txt")}
    assert len(files) > 1
    async with served(folder) as there:
        for method, place in PLACES:
            for name in UP:
                path = place.replace("{}", name.replace("{folder}", str(folder.parent)))
                status, told = await ask(there, method, path)
                assert SECRET.encode() not in told, (method, path)
                assert 400 <= status < 500 or place == "/view/{}", (method, path, status)
    assert {path: path.read_bytes() for path in files} == files, "nothing was deleted or changed"


async def test_no_name_in_a_body_leads_out_of_its_folder(folder: Path) -> None:
    names = [
        "../secret.txt", "..\\secret.txt", "/etc/passwd", str(folder.parent / "secret.txt"), "\0",
        "image-0123456789abcdef/../../secret.txt", "..", ".", "", "\uff0e\uff0e/secret.txt",
        "upload-x/../../secret.txt", "file:///etc/passwd", "http://127.0.0.1/", "x" * 5_000,
    ]  # fmt: skip
    async with served(folder) as there, there.client() as client:
        session = (await there.open())["session_id"]
        for name in names:
            for field in ("portrait", "voice", "background"):
                for method, path in (
                    ("POST", "/v1/sessions"),
                    ("PATCH", f"/v1/sessions/{session}"),
                ):
                    answer = await client.request(method, f"/v1/sessions{path}", json={field: name})
                    assert 400 <= answer.status_code < 500, (field, name, answer.text)
                    assert SECRET not in answer.text
                    assert "root:" not in answer.text
            said = {"text": "Hello.", "voice": name}
            answer = await client.post(f"/v1/sessions/{session}/speak", json=said)
            assert 400 <= answer.status_code < 500
        assert len(there.server.house.sessions) == 1


@pytest.mark.parametrize(
    "name",
    ["../../evil", "..\\evil", "/tmp/evil", "evil\0.jpg", "\uff0e\uff0e/evil", "..", "", "a" * 500],
)
async def test_an_uploaded_file_s_name_chooses_no_folder(folder: Path, name: str) -> None:
    uploads = UploadFolder(folder / "uploads")
    path = uploads.path_for("upload-0123456789abcdef", name)
    assert path.parent == folder / "uploads"
    assert len(path.name) < 100
    assert path.name.isascii()
    assert "\0" not in path.name
    uploads.write(path, b"x")
    assert [each.path for each in uploads.list()] == [path]


async def test_symbolic_links_in_the_cache_are_not_followed(folder: Path) -> None:
    """Whoever can only write there, as a container that shares the volume, reads nothing more."""
    secret = folder.parent / "secret.txt"
    film = "20260102T030405Z_abcdefghijklmnop"
    (folder / "recordings" / f"{film}.mp4").symlink_to(secret)
    (folder / "uploads" / "upload-0123456789abcdef.x.jpg").symlink_to(secret)
    (folder / "backgrounds" / "image-0123456789abcdef").symlink_to(secret)
    async with served(folder) as there, there.client() as client:
        for path in (
            f"/v1/recordings/{film}",
            f"/v1/recordings/{film}/credentials",
            "/v1/portraits/upload-0123456789abcdef/image",
        ):
            answer = await client.get(path)
            assert answer.status_code == 404, (path, answer.text[:200])
        wanted = {"background": "image-0123456789abcdef"}
        assert (await client.post("/v1/sessions", json=wanted)).status_code == 404
    assert UploadFolder(folder / "uploads").list() == []
    with pytest.raises(ProtocolError):
        Library(folder / "recordings", kept=0.0, clock=VirtualClock()).find(film)
    assert secret.read_text() == SECRET


NUMBERS = [
    "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
    "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::]/",
    "http://[64:ff9b::7f00:1]/", "http://127.0.0.1./", "http://localhost/",
    "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://0xa9fea9fe/",
]  # fmt: skip


@pytest.mark.parametrize("url", NUMBERS)
async def test_a_private_address_in_any_spelling_is_refused_by_the_system_s_own_resolver(
    url: str,
) -> None:
    fetcher = Fetcher(most=1, seconds=20)
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url)
    assert caught.value.code in ("forbidden", "fetch_failed")
    if caught.value.code == "fetch_failed":  # a resolver that takes no such spelling
        assert "is not known" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["gopher://127.0.0.1:70/_x", "file:///etc/passwd", "ftp://127.0.0.1/", "dict://127.0.0.1:11/",
     "data:text/plain,x", "jar:http://x!/", "HTTP\r\nX: y://127.0.0.1/"],
)  # fmt: skip
async def test_nothing_but_http_is_fetched(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        await Fetcher(most=1, seconds=20).fetch(url)
    assert caught.value.code == "bad_request"


TARGETS = [
    "rtmp://127.0.0.1/live/key", "rtmp://10.0.0.1:6379/x/y", "rtmps://192.168.0.1/a/b",
    "srt://169.254.169.254:80?streamid=x", "rtsp://[::1]:22/x", "whip+http://169.254.169.254/x",
    "whip+https://localhost/x", "livelink://127.0.0.1:53", "whip+http://2130706433:8080/x",
]  # fmt: skip


async def test_a_visitor_s_streams_go_to_no_private_address(folder: Path) -> None:
    async with served(folder, has_keys=True, max_outputs=len(TARGETS)) as there:
        opened = await there.open()
        path = f"/v1/sessions/{opened['session_id']}/outputs"
        visitor = {"authorization": f"Bearer {opened['token']}"}
        async with httpx.AsyncClient(base_url=f"http://{there.address}") as client:
            for url in TARGETS:
                answer = await client.post(path, json={"url": url}, headers=visitor)
                assert answer.status_code == 201, answer.text
            outputs = there.server.house.sessions.find(opened["session_id"]).outputs

            def are_refused() -> bool:
                told = [each.describe() for each in outputs.pushed]
                return all("not on the public internet" in (each["message"] or "") for each in told)

            await until(are_refused)
            told = (await client.get(path, headers=visitor)).json()
            assert {each["state"] for each in told} == {"failed"}
            assert SECRET not in json.dumps(told)


async def test_a_name_that_was_public_is_not_connected_to_as_a_private_one() -> None:
    """Whoever owns a name answers each question as he likes (DNS rebinding)."""
    answers = [["93.184.216.34"], ["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], []]

    async def changing(host: str, port: int) -> list[Address]:
        return [ip_address(each) for each in answers.pop(0)]

    reach = Reach(is_anywhere=False, resolve=changing)
    url = "srt://live.example:9000?streamid=a"
    found = await reach.find("live.example", 9000)
    assert by_address(url, found) == "srt://93.184.216.34:9000?streamid=a"
    for _ in range(3):
        with pytest.raises(TargetError) as caught:
            await reach.find("live.example", 9000)
        assert caught.value.is_final
    assert by_address("whip+http://u:p@a:1/x", ip_address("2606:4700::1")) == (
        "whip+http://u:p@[2606:4700::1]:1/x"
    )


@pytest.mark.parametrize(
    ("reach", "host", "is_free"),
    [
        (Reach(is_anywhere=True), "127.0.0.1", True),  # a key, or whoever sits here
        (Reach(is_anywhere=False), "127.0.0.1", False),
        (Reach(("127.0.0.1",), is_anywhere=False), "127.0.0.1", True),  # the operator named it
        (Reach(("*.lan", "*"), is_anywhere=False), "media.lan", True),
        (Reach(("*.lan", "*"), is_anywhere=False), "127.0.0.1", False),
    ],
)
async def test_the_operator_s_word_frees_a_host(reach: Reach, host: str, is_free: bool) -> None:
    if is_free:
        assert await reach.find(host, 1) is None
    else:
        with pytest.raises(TargetError):
            await reach.find(host, 1)


async def test_who_brings_a_key_is_trusted_and_who_holds_a_token_is_not(folder: Path) -> None:
    async with served(folder, has_keys=True) as there:
        access = there.server.house.access
        opened = await there.open()
        assert there.key is not None
        by_key = access.keys.find(there.key)
        by_token = access.tokens.read(opened["token"])
        assert by_key is not None
        assert by_token is not None
        assert access.trusts(by_key)
        assert not access.trusts(by_token)


@pytest.mark.parametrize("field", ["url", "base_url", "brain_url", "endpoint", "key", "model_url"])
async def test_no_client_names_a_brain_s_or_a_voice_s_address(folder: Path, field: str) -> None:
    async with served(folder) as there, there.client() as client:
        session = (await there.open())["session_id"]
        wanted = {"brain": "chat", field: "http://127.0.0.1:1/v1"}
        answer = await client.put(f"/v1/sessions/{session}/brain", json=wanted)
        assert answer.status_code in (400, 422), answer.text
