"""Keys, tokens, logins and limits: who gets in, who no longer does, and what must not start."""

from __future__ import annotations

import argparse
import json
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.access.buckets import Buckets
from server.access.guard import address_of
from server.access.hosts import LocalHosts, is_local_name
from server.access.keys import KeyFile, KeyRing, KeysError
from server.access.making import require_access
from server.access.principal import SCOPES
from server.app import Server
from server.cli import main, parser
from server.config import Settings, SettingsError
from tests.access_rig import HOST, Rig, call, client_of, keyed
from tests.live_fakes import fake_parts

SECOND = 1_000_000_000  # ns
LONG = "k" * 32


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with keyed(tmp_path) as made:
        yield made


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_server_for_others_needs_a_key_or_the_operator_s_word(tmp_path: Path, host: str) -> None:
    file = tmp_path / "keys.json"

    def settings(**more: object) -> Settings:
        return Settings(host=host, keys_file=file, **more)  # type: ignore[arg-type]

    with pytest.raises(SettingsError) as caught:
        require_access(settings())
    assert host in str(caught.value)
    assert "vivant keys add" in str(caught.value)
    assert "--insecure" in str(caught.value)
    require_access(settings(insecure=True))
    require_access(settings(api_key=LONG))
    KeyFile(file).add("web")
    require_access(settings())


def test_it_says_so_in_one_sentence_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIVANT_API_KEY", raising=False)
    arguments = ["serve", "--host", "0.0.0.0", "--keys-file", str(tmp_path / "none")]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "0.0.0.0" in told
    assert main([*arguments, "--insecure", "--require-key"]) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_on_loopback_nobody_logs_in(tmp_path: Path, host: str) -> None:
    file = tmp_path / "keys.json"
    require_access(Settings(host=host, keys_file=file))
    with pytest.raises(SettingsError):
        require_access(Settings(host=host, keys_file=file, require_key=True))


async def test_a_page_that_rebinds_its_name_does_not_get_in(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path)
    server = Server(settings, fake_parts(settings))
    assert isinstance(server.served, LocalHosts)
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "", "192.0.2.1"):
        for method, path in (("GET", "/v1/info"), ("POST", "/v1/sessions"), ("WS", "/v1/realtime")):
            answer = await call(server.served, method, path, headers={"host": host})
            assert answer.status == 403, (host, path)
            assert json.loads(answer.body)["error"]["code"] == "forbidden"
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "a.localhost"):
        answer = await call(server.served, "GET", "/v1/info", headers={"host": host})
        assert answer.status == 200, host
    for insecure in (True, False):
        other = Settings(size=256, cache_dir=tmp_path, insecure=insecure, require_key=not insecure,
                         api_key=LONG)  # fmt: skip
        made = Server(other, fake_parts(other))
        assert made.served is made.app, "who wants strangers, or asks them for a key"


def test_what_is_a_name_of_this_machine() -> None:
    assert is_local_name("localhost.")
    for name in ("", "localhosts", "127.0.0.1.example.org", "0.0.0.0", "::"):
        assert not is_local_name(name)


def test_a_key_is_kept_as_its_hash_for_its_owner_alone(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "new" / "keys.json", now=lambda: 1_000.0)
    key = file.add("web", ("watch", "speak"), lifetime=60)
    assert len(key.split("_", 2)[2]) >= 43, "256 bits"
    text = file.path.read_text()
    assert key not in text
    assert key.split("_", 2)[2] not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    (stored,) = file.read()
    assert (stored.name, stored.scopes, stored.expires) == ("web", ("watch", "speak"), 1_060.0)
    ring = KeyRing(file, now=lambda: 1_059.0)
    holder = ring.find(key)
    assert holder is not None
    assert (holder.name, sorted(holder.scopes)) == ("web", ["speak", "watch"])
    assert KeyRing(file, now=lambda: 1_060.0).find(key) is None


def test_keys_come_and_go_while_the_server_runs(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    ring = KeyRing(file)
    assert not ring
    first = file.add("first")
    assert ring.find(first)
    second = file.add("second")
    assert ring.find(first)
    assert ring.find(second)
    stored = file.revoke("first")
    assert ring.find(first) is None
    assert not ring.is_active(stored.id)
    assert ring.find(second)
    file.path.write_text("no keys")
    assert ring.find(second) is None, "a broken file holds none"
    file.path.unlink()
    assert not ring


def test_a_file_that_others_may_write_holds_no_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key = file.add("web")
    file.path.chmod(0o622)
    assert KeyRing(file).find(key) is None
    assert "chmod 600" in caplog.text
    with pytest.raises(KeysError, match="chmod 600"):
        file.add("other")


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 41, "-x", "a\n"])
def test_a_name_for_logs_holds_nothing_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="letters"):
        KeyFile(tmp_path / "keys.json").add(name)


def test_the_command_makes_lists_and_revokes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ["--keys-file", str(tmp_path / "keys.json")]
    assert main(["keys", "add", "phone", "--scopes", "watch,speak", "--expires", "30d", *file]) == 0
    key = capsys.readouterr().out.strip()
    assert KeyRing(KeyFile(tmp_path / "keys.json")).find(key)
    assert main(["keys", "list", *file]) == 0
    listed = capsys.readouterr().out
    assert "phone" in listed
    assert "watch,speak" in listed
    assert key.split("_", 2)[2] not in listed
    for wrong in (["add", "phone"], ["add", "x", "--scopes", "fly"], ["revoke", "nobody"],
                  ["add", "x", "--expires", "soon"], ["add", "x", "--scopes", ","]):  # fmt: skip
        assert main(["keys", *wrong, *file]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["keys", "revoke", "phone", *file]) == 0
    assert KeyRing(KeyFile(tmp_path / "keys.json")).find(key) is None


async def test_a_revoked_key_takes_its_tokens_along(rig: Rig) -> None:
    token = rig.token(rig.mine)
    assert (await rig.call("GET", f"/v1/sessions/{rig.mine}", token)).status == 200
    rig.file.revoke("web")
    assert (await rig.call("GET", f"/v1/sessions/{rig.mine}", token)).status == 401
    assert (await rig.call("GET", f"/v1/sessions/{rig.mine}", rig.key)).status == 401


async def test_the_key_of_the_environment_needs_no_file(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path, host="0.0.0.0", api_key=LONG,
                        keys_file=tmp_path / "none", rate_limit=0)  # fmt: skip
    app = Server(settings, fake_parts(settings)).app
    assert (await call(app, "GET", "/v1/info", LONG)).status == 200
    assert (await call(app, "GET", "/v1/info", "k" * 31)).status == 401
    answer = await call(app, "GET", "/v1/login", LONG)
    assert json.loads(answer.body)["name"] == "environment"
    with pytest.raises(SettingsError, match="at least 32"):
        Settings.load(argparse.Namespace(), {"VIVANT_API_KEY": "short"})


async def test_a_token_is_made_narrower_and_never_wider(rig: Rig) -> None:
    path = f"/v1/sessions/{rig.mine}/tokens"

    async def made(credential: str, **wanted: object) -> tuple[int, dict[str, object]]:
        answer = await rig.call("POST", path, credential, body=json.dumps(wanted).encode())
        return answer.status, json.loads(answer.body)

    status, told = await made(rig.key, scopes=["watch"], seconds=60)
    assert (status, told["scopes"], told["expires_in"]) == (201, ["watch"], 60)
    watcher = str(told["token"])
    assert (await rig.call("GET", f"/v1/sessions/{rig.mine}", watcher)).status == 200
    assert (await made(watcher))[0] == 403
    status, told = await made(rig.token(rig.mine))
    assert told["scopes"] == ["watch", "speak", "control"]
    assert told["expires_in"] == 3600
    assert (await made(str(told["token"]), scopes=["metrics"]))[0] == 403
    assert (await made(rig.key, scopes=["fly"]))[0] == 400
    assert (await made(rig.key, scopes=[]))[0] == 400
    assert (await made(rig.key, seconds=86_401))[0] == 400
    gone = await rig.call("POST", "/v1/sessions/gone/tokens", rig.key)
    assert gone.status == 404


async def test_a_login_is_a_cookie_that_no_script_and_no_other_site_has(rig: Rig) -> None:
    async with client_of(rig) as browser:
        assert (await browser.post("/v1/login")).status_code == 401
        bearer = {"Authorization": f"Bearer {rig.key}"}
        answer = await browser.post("/v1/login", headers=bearer)
        assert answer.json()["name"] == "web"
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        assert rig.key not in cookie
        assert (await browser.get("/v1/info")).status_code == 200
        own = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
        assert (await browser.post("/v1/sessions", headers=own)).status_code == 201
        for foreign in (
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = await browser.get("/v1/info", headers=foreign)
            assert answer.status_code == 401, foreign
        await browser.delete("/v1/login")
        assert (await browser.get("/v1/info")).status_code == 401


async def test_a_login_ends_with_its_key_and_is_no_bearer_token(rig: Rig) -> None:
    async with client_of(rig) as browser:
        await browser.post("/v1/login", headers={"Authorization": f"Bearer {rig.key}"})
        kept = browser.cookies["vivant_login"]
        assert (await rig.call("GET", "/v1/info", kept)).status == 401
        rig.file.revoke("web")
        assert (await browser.get("/v1/info")).status_code == 401


async def test_a_view_s_cookie_opens_that_session_alone(rig: Rig) -> None:
    async with client_of(rig) as browser:
        token = rig.token(rig.mine, "watch")
        answer = await browser.post("/v1/login", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["session_id"] == rig.mine
        assert (await browser.get(f"/v1/sessions/{rig.mine}")).status_code == 200
        assert (await browser.get(f"/v1/sessions/{rig.other}")).status_code == 404
        assert (await browser.post(f"/v1/sessions/{rig.mine}/interrupt")).status_code == 403


async def test_the_cookie_is_kept_for_encrypted_connections_where_there_is_one(rig: Rig) -> None:
    transport = httpx.ASGITransport(rig.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://server") as browser:
        bearer = {"Authorization": f"Bearer {rig.key}"}
        answer = await browser.post("/v1/login", headers=bearer)
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("prefix", ["vivant-token.", "openai-insecure-api-key."])
async def test_a_browser_s_websocket_brings_a_token_as_a_subprotocol(rig: Rig, prefix: str) -> None:
    def offered(token: str) -> dict[str, str]:
        return {"sec-websocket-protocol": f"vivant, {prefix}{token}"}

    path = f"/v1/sessions/{rig.mine}/events"
    assert (await rig.call("WS", path, headers=offered(rig.token(rig.mine, "watch")))).status == 101
    assert (await rig.call("WS", path, headers=offered(rig.token(rig.other)))).status == 404
    assert (await rig.call("WS", path, headers=offered("x"))).status == 401


async def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    async with keyed(tmp_path, rate_limit=5.0) as rig:
        # Opening two sessions took all of the key's twenty.
        statuses = [(await rig.call("GET", "/v1/info", rig.key)).status for _ in range(3)]
        assert statuses[-1] == 429
        answer = await rig.call("GET", "/v1/info", rig.key)
        assert json.loads(answer.body)["error"]["code"] == "rate_limited"
        assert int(dict(answer.headers)[b"retry-after"]) >= 1
        assert (await rig.call("GET", "/healthz")).status == 200, "a probe costs nothing"


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    buckets = Buckets(rate=2.0, burst=4.0)
    assert [buckets.take("a", 1.0, now=0) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert buckets.take("b", 1.0, now=0) == 0, "another's is another"
    assert buckets.take("a", 1.0, now=SECOND // 2) == 0
    assert buckets.take("a", 1.0, now=SECOND // 2) == 0.5
    assert buckets.take("a", 100.0, now=100 * SECOND) == 0, "what no bucket holds takes it all"
    assert buckets.take("a", 1.0, now=100 * SECOND) == 0.5
    for number in range(20_000):
        buckets.take(str(number), 1.0, now=0)
    assert len(buckets) == 10_000


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("a socket", "a socket"),
    ],
)
def test_a_subscriber_has_one_bucket(host: str, bucket: str) -> None:
    assert address_of({"client": (host, 1)}) == bucket


async def test_every_answer_has_its_headers(rig: Rig) -> None:
    for path, credential in (
        ("/", None), ("/app.js", None), ("/v1/info", None), ("/v1/info", rig.key), ("/x", None),
    ):  # fmt: skip
        answer = await rig.call("GET", path, credential)
        headers = {name.decode(): text.decode() for name, text in answer.headers}
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "cross-origin-opener-policy" not in headers, "of which browsers would complain"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "require-trusted-types-for" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_body_is_no_larger_than_its_route_takes(rig: Rig) -> None:
    path = f"/v1/sessions/{rig.mine}/speak"
    large = json.dumps({"text": "x" * 3_000_000}).encode()
    answer = await rig.call("POST", path, rig.key, body=large)
    assert answer.status == 413
    assert json.loads(answer.body)["error"]["code"] == "body_too_large"
    recorded = f"/v1/sessions/{rig.mine}/script/audio"
    assert (await rig.call("PUT", recorded, rig.key, body=large)).status != 413


def test_the_commands_of_the_page_on_security_are_there() -> None:
    page = (Path(__file__).parent.parent / "docs" / "security.md").read_text(encoding="utf-8")
    commands = re.findall(r"\bvivant ((?:keys|serve)\b[^`#&\n]*)", page)
    asked = [words.split() for words in commands if not words.startswith("keys`")]
    assert len(asked) > 10
    for words in asked:
        parser().parse_args(words)


def test_scopes_are_those_of_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert all(f"| `{scope}` |" in page for scope in SCOPES)
