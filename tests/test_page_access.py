"""The page for everybody: axe-core finds no serious fault in any mode, by day and by night."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from benchmarks.chromium import FINGERS, SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LIVE = "body[data-phase=live][data-picture=live]"
# what tells that a mode's own files have come
MODES = {"present": "#script", "converse": "#panel-converse *", "puppet": "#panel-puppet *"}
SCRIPT = "[nod] Words that are understood. [nood] Words that are not. More of them."
SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
SERIOUS = ("serious", "critical")
SMALL = """[...document.querySelectorAll(
  "button, summary, select, textarea, input[type=range], a[href]:not(.skip), label:has(input)",
)].filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 43.9)
  .map((element) => element.id || element.className || element.outerHTML.slice(0, 80))"""
RUN = """async (wall) => {
  document.body.style.background = `var(${wall})`;
  return axe.run(document, { resultTypes: ["violations"] });
}"""


@pytest.fixture(scope="module")
def axe(node_modules: Path) -> str:
    """Returns the source of axe-core."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def faults(axe: str) -> Iterator[Callable[[Page, str], None]]:
    """Returns a function that notes what axe finds on a page by day and by night."""
    found: dict[str, dict[str, Any]] = {}

    def note(page: Page, state: str) -> None:
        if not page.evaluate("'axe' in window"):
            page.evaluate(axe)
        # axe cannot judge a contrast before a gradient: it gets the two colours at its ends
        for scheme, wall in itertools.product(SCHEMES, ("--wall-lit", "--wall-deep")):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            result = page.evaluate(RUN, wall)
            for violation in result["violations"]:
                if violation["impact"] in SERIOUS:
                    found[f"{state}, {scheme}, {wall}: {violation['id']}"] = {
                        "why": violation["nodes"][0]["failureSummary"],
                        "places": [node["html"][:160] for node in violation["nodes"]],
                    }

    yield note
    assert not found, json.dumps(found, indent=1)


def with_script(page: Page) -> Page:
    """Returns the page once everything of it is there, and its script has been looked at."""
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#microphone:enabled")
    page.fill("#script", SCRIPT)
    page.wait_for_selector("#script-faults button")
    return page


def test_no_mode_has_a_serious_fault(
    browser: Browser,
    visit: Callable[..., Page],
    fake_server: ServerProcess,
    faults: Callable[[Page, str], None],
) -> None:
    page = with_script(visit(browser, fake_server.address))
    for mode, sign in MODES.items():
        page.click(f"#mode-{mode}")
        page.wait_for_selector(f"{sign} >> nth=0", state="attached")
        page.wait_for_selector(f"#panel-{mode}:not([aria-busy=true])")
        page.evaluate(
            "for (const it of document.querySelectorAll('#panel details')) it.open = true"
        )
        page.wait_for_selector("#microphone-panel > :nth-child(2)")
        faults(page, mode)


def test_nothing_that_opens_has_a_serious_fault(
    browser: Browser,
    visit: Callable[..., Page],
    fake_server: ServerProcess,
    faults: Callable[[Page, str], None],
) -> None:
    page = with_script(visit(browser, fake_server.address))
    page.click("#script-play")
    page.wait_for_selector("#script-sentences [aria-current=true]")
    faults(page, "reading")
    page.click("#figures-summary")
    faults(page, "figures")
    page.keyboard.press("Escape")
    page.click("#films-summary")
    page.wait_for_selector("#films[open] > :nth-child(2)")
    faults(page, "films")
    page.keyboard.press("Escape")
    page.click("#add")
    page.wait_for_selector("#dialog[open]")
    faults(page, "dialog")


def test_no_veil_has_a_serious_fault(
    browser: Browser,
    visit: Callable[..., Page],
    fake_server: ServerProcess,
    faults: Callable[[Page, str], None],
) -> None:
    page = visit(browser, "about:blank", expected=("503",))
    refusal = {"error": {"code": "capacity", "message": "There is no place."}}
    page.route(
        "**/v1/sessions",
        lambda route: route.fulfill(status=503, json=refusal, headers={"Retry-After": "60"}),
    )
    page.goto(fake_server.address)
    page.wait_for_selector("#veil:visible")
    faults(page, "full")


def test_a_finger_finds_everything(
    launch: Callable[..., Browser], visit: Callable[..., Page], fake_server: ServerProcess
) -> None:
    phone = {"width": 390, "height": 844}
    browser = launch(SOUND_ALLOWED, FINGERS)
    page = visit(browser, fake_server.address, viewport=phone, has_touch=True, is_mobile=True)
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#microphone:enabled")
    assert page.evaluate("matchMedia('(pointer: coarse)').matches")
    small: list[str] = []
    for mode, sign in MODES.items():
        page.click(f"#mode-{mode}")
        page.wait_for_selector(f"{sign} >> nth=0", state="attached")
        page.wait_for_selector(f"#panel-{mode}:not([aria-busy=true])")
        page.evaluate("document.querySelectorAll('#panel details').forEach((it) => it.open = true)")
        page.wait_for_selector("#microphone-panel > :nth-child(2)")
        small += [f"{mode}: {name}" for name in page.evaluate(SMALL)]
        assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    assert not small, "lower than 44 px"
