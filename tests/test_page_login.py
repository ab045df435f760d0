"""The page of a server that takes keys: it asks for one, and keeps it where no script reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from server.access.keys import KeyFile
from tests.conftest import FAKE, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LIVE = "body[data-phase=live][data-picture=live]"
REFUSED = "the server responded with a status of 401"


class Keyed:
    """A server that takes keys, and one of them."""

    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.key = self.file.add("visitor")
        self.server = ServerProcess(
            FAKE, "--require-key", "--keys-file", str(self.file.path), folder=folder
        )
        self.address = self.server.address

    @contextmanager
    def open(self) -> Iterator[dict[str, str]]:
        """Opens a session as a program does, to be watched by others."""
        bearer, path = {"Authorization": f"Bearer {self.key}"}, f"{self.address}/v1/sessions"
        answer = httpx.post(path, headers=bearer, json={}, timeout=30)
        opened: dict[str, str] = answer.raise_for_status().json()
        assert answer.status_code == 201, "there is room"
        yield opened
        httpx.delete(f"{path}/{opened['session_id']}", headers=bearer, timeout=30)

    def watcher(self, opened: dict[str, str]) -> str:
        answer = httpx.post(
            f"{self.address}/v1/sessions/{opened['session_id']}/tokens",
            headers={"Authorization": f"Bearer {opened['token']}"},
            json={"scopes": ["watch"]},
        )
        return str(answer.raise_for_status().json()["token"])


@pytest.fixture(scope="module")
def keyed(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    del chromium
    made = Keyed(tmp_path_factory.mktemp("keyed"))
    yield made
    made.server.stop()


def enter(page: Page, key: str) -> None:
    page.fill("#login-key", key)
    page.click("#login-enter")


def test_the_page_asks_for_a_key_and_lives_after_it(
    launch: Callable[..., Browser],
    visit: Callable[..., Page],
    keyed: Keyed,
    photograph: Callable[..., None],
) -> None:
    page = visit(launch(SOUND_ALLOWED), keyed.address, expected=(REFUSED,))
    page.wait_for_selector("#login[open]")
    photograph(page, "login")
    enter(page, "vvt_wrong")
    page.wait_for_selector("#login-fault:not(:empty)")
    assert "not valid" in page.inner_text("#login-fault")
    page.keyboard.press("Escape")
    assert page.locator("#login[open]").count() == 1, "there is nothing behind it yet"
    enter(page, keyed.key)
    page.wait_for_selector(LIVE)
    assert page.locator("#login[open]").count() == 0
    kept = page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
    assert "vivant_login" not in kept
    assert keyed.key not in kept + page.content() + page.url
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.reload()
    page.wait_for_selector(LIVE)


def test_a_login_that_did_not_come_is_tried_again(
    launch: Callable[..., Browser], visit: Callable[..., Page], keyed: Keyed
) -> None:
    page = visit(launch(SOUND_ALLOWED), "about:blank", expected=(REFUSED, "ERR_FAILED"))
    page.route("**/login.html", lambda route: route.abort(), times=1)
    page.goto(keyed.address)
    page.wait_for_selector("#veil:not([hidden]) button:has-text('Try now')")
    page.click("#veil button")
    page.wait_for_selector("#login[open]")
    enter(page, keyed.key)
    page.wait_for_selector(LIVE)


def test_the_view_asks_for_a_token_of_its_session(
    launch: Callable[..., Browser], visit: Callable[..., Page], keyed: Keyed
) -> None:
    with keyed.open() as other:
        foreign = keyed.watcher(other)
    with keyed.open() as opened:
        address = f"{keyed.address}/view/{opened['session_id']}"
        page = visit(launch(SOUND_ALLOWED), address, expected=(REFUSED, "404"))
        page.wait_for_selector("#login[open]")
        enter(page, foreign)
        page.wait_for_selector("#login-fault:not(:empty)")
        enter(page, keyed.watcher(opened))
        page.wait_for_selector("body[data-phase=live]")
        page.reload()
        page.wait_for_selector("body[data-phase=live]")
        page.goto("about:blank")


@pytest.fixture
def opened(keyed: Keyed) -> Iterator[dict[str, str]]:
    with keyed.open() as made:
        yield made


def test_the_component_brings_the_token_that_it_is_given(
    launch: Callable[..., Browser],
    keyed: Keyed,
    opened: dict[str, str],
    visit: Callable[..., Page],
) -> None:
    page = visit(launch(SOUND_ALLOWED), f"{keyed.address}/view.css", expected=(REFUSED,))
    page.evaluate(
        """async ([address, id, token]) => {
          await import(`${address}/embed/vivant-avatar.js`);
          const avatar = Object.assign(document.createElement("vivant-avatar"), { token });
          avatar.sessionUrl = `${address}/v1/sessions/${id}`;
          document.body.append(avatar);
          await avatar.start();
          await avatar.speak("hi");
        }""",
        [keyed.address, opened["session_id"], opened["token"]],
    )
    assert page.evaluate("document.querySelector('vivant-avatar').phase") == "live"
    assert opened["token"] not in page.content()
    still = "document.querySelector('vivant-avatar').shadowRoot.querySelector('img').src"
    page.wait_for_function(f"{still}.startsWith('blob:')")
    renewed = page.evaluate(
        """async ([session_id, token]) => {
          const { renew } = await import("/renewal.js");
          const { Server } = await import("/server.js");
          const session = { session_id, token, expires_in: 0.2 };
          const isOpen = () => session.token === token;
          void renew(new Server(location.origin, token), session, isOpen);
          while (isOpen()) await new Promise((resolve) => setTimeout(resolve, 50));
          return session.token;
        }""",
        [opened["session_id"], opened["token"]],
    )
    assert renewed != opened["token"]
    bearer = {"Authorization": f"Bearer {renewed}"}
    path = f"{keyed.address}/v1/sessions/{opened['session_id']}"
    assert httpx.get(path, headers=bearer).status_code == 200
