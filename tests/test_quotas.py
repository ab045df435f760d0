"""Quotas of tenants: what the file may say, and that one process holds to it as a cluster does."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from server.access.keys import KeyFile
from server.access.quotas import NOBODYS, QuotaFileError, Quotas
from server.app import Server
from server.cli import main
from server.config import Settings
from server.principal import LOCAL, Principal
from tests.live_fakes import fake_parts
from tests.virtual_time import settle

FILE = """
[default]
sessions = 2
waiting = 1

[acme]
keys = ["web", "app"]
sessions = 20
"""


def key(name: str) -> Principal:
    return Principal(name, key_id=f"id-of-{name}")


def quotas_of(folder: Path, text: str) -> Quotas:
    path = folder / "quotas.toml"
    path.write_text(text)
    return Quotas(path)


def test_a_key_is_its_tenants_or_its_own(tmp_path: Path) -> None:
    quotas = quotas_of(tmp_path, FILE)
    web, app, other = (quotas.claim(key(name)) for name in ("web", "app", "other"))
    assert web == app
    assert (web.tenant, web.title, web.sessions, web.waiting) == (
        "tenant:acme", "Tenant 'acme'", 20, None,
    )  # fmt: skip
    assert (other.tenant, other.sessions, other.waiting) == ("key:id-of-other", 2, 1)
    assert quotas.claim(LOCAL) == NOBODYS  # no key, no tenant
    assert Quotas(None).claim(key("web")) == NOBODYS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = 3", "'default' must be a table: [default]."),
        ("[default]\nminutes = 3", "[default] sets unknown minutes; valid are sessions, waiting"),
        ("[default]\nsessions = -1", "sessions must be a whole number from 0 to 1000000, not -1."),
        ("[default]\nsessions = true", "not True."),
        ("[default]\nsessions = '3'", "not '3'."),
        ("[default]\nkeys = ['a']", "[default] needs no keys: it is for all others."),
        ("[acme]\nsessions = 3", "[acme] needs keys: whose quotas are they?"),
        ("[acme]\nkeys = 'web'", "keys must be names of keys, not 'web'."),
        ("[a]\nkeys=['k']\n[b]\nkeys=['k']", "key 'k' is in [a] and in [b]: one is meant."),
        ("[", "are not TOML"),
    ],
)
def test_an_impossible_file_is_refused_in_one_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(QuotaFileError) as refusal:
        quotas_of(tmp_path, text)
    assert said in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_a_file_that_is_missing_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.toml"
    assert main(["serve", "--port", "0", "--quotas", str(missing)]) != 0
    said = f"vivant: The quotas in '{missing}' cannot be read: No such file or directory.\n"
    assert capsys.readouterr().err.endswith(said)


def test_a_change_counts_at_once_and_a_broken_one_not_at_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quotas = quotas_of(tmp_path, FILE)
    path = tmp_path / "quotas.toml"
    path.write_text(FILE.replace("20", "2000"))
    assert quotas.claim(key("web")).sessions == 2000
    path.write_text("[broken")
    os.utime(path, ns=(1, 1))
    assert quotas.claim(key("web")).sessions == 2000
    assert "Until then the quotas are as they were." in caplog.text


async def test_one_process_holds_to_quotas_and_tells_which(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    path = tmp_path / "quotas.toml"
    path.write_text("[default]\nsessions = 3\nwaiting = 1\n")
    settings = Settings(
        size=256, max_sessions=2, queue_length=9, cache_dir=tmp_path, keys_file=keys.path,
        require_key=True, quotas=path, deny_list=tmp_path / "none.json",
    )  # fmt: skip
    app = Server(settings, fake_parts(settings)).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client,
    ):
        await settle()

        async def ask(bearer: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {bearer}"}
            return await client.post("/v1/sessions", headers=headers)

        first = await ask(ann)
        assert (await ask(ann)).status_code == 201
        waiting = await ask(ann)
        assert waiting.status_code == 202
        refused = await ask(ann)
        assert refused.status_code == 429
        assert refused.json()["error"] == {
            "code": "quota_exceeded",
            "message": "Key 'ann' has 3 sessions (1 in line), of at most 3 at once: end one first.",
        }
        assert (await ask(bob)).status_code == 202  # another's quota is another's
        second = await ask(bob)
        assert second.json()["error"]["message"] == (
            "All sessions are in use, and Key 'bob' has 1 places in line, of at most 1."
        )
        for gone in (first, waiting):
            path_of = f"/v1/sessions/{gone.json()['session_id']}"
            headers = {"Authorization": f"Bearer {ann}"}
            assert (await client.delete(path_of, headers=headers)).status_code == 204
        await settle()
        assert (await ask(ann)).status_code == 202
