"""The page's microphone group: which device, whether it works, what to do when it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live][data-picture=live]"
# Real devices of Chromium's, in a page that notes what it asked for and can lose them.
WATCHED = """
  window.asked = [];
  window.tracks = [];
  const media = navigator.mediaDevices;
  if (media) {
    const open = media.getUserMedia.bind(media);
    media.getUserMedia = async (wanted) => {
      window.asked.push(wanted);
      const stream = await open(wanted);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
    const enumerate = media.enumerateDevices.bind(media);
    window.gone = [];
    media.enumerateDevices = async () =>
      (await enumerate()).filter(({ label }) => !window.gone.includes(label));
    window.lose = (label) => {
      window.gone.push(label);
      media.dispatchEvent(new Event("devicechange"));
      for (const track of window.tracks.filter((track) => track.label === label)) {
        track.stop();
        track.dispatchEvent(new Event("ended"));
      }
    };
  }
"""


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, "about:blank")
    page.add_init_script(WATCHED)
    open_panel(page, fake_server.address)
    return page


def open_panel(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(LIVE)
    page.click("#microphone-panel summary")
    page.wait_for_selector("#microphone-test")


def test_the_microphone_is_tried_out_before_anybody_hears_it(
    page: Page, photograph: Photograph
) -> None:
    page.click("#microphone-test")
    page.wait_for_selector("body[data-microphone=test]")
    level = "parseFloat(document.querySelector('#meter-level').style.getPropertyValue('--level'))"
    page.wait_for_function(f"{level} > 0.3")  # Chromium's fake microphone beeps
    assert page.locator("#meter").is_visible()
    page.wait_for_selector("#microphone-verdict[data-judgement=clipping]")  # at full scale
    assert "Too loud" in page.inner_text("#microphone-verdict")
    photograph(page, "microphone-test")
    assert page.get_attribute("#microphone", "aria-pressed") == "false"
    page.click("#microphone-test")
    page.wait_for_selector("body[data-microphone=off]")
    assert page.evaluate("window.tracks.every(({ readyState }) => readyState === 'ended')")
    assert page.inner_text("#microphone-test") == "Test the microphone"


def test_a_test_becomes_the_voice_without_asking_again(page: Page) -> None:
    page.click("#microphone-test")
    page.wait_for_selector("body[data-microphone=test]")
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    assert len(page.evaluate("window.asked")) == 1
    assert not page.locator("#microphone-test").is_visible()
    page.wait_for_selector("#microphone-verdict[data-judgement=clipping]")


def test_the_chosen_microphone_is_used_and_remembered(
    page: Page, fake_server: ServerProcess
) -> None:
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.select_option("#microphone-device", label="Fake Audio Input 2")
    page.wait_for_function("window.tracks.at(-1).label === 'Fake Audio Input 2'")
    page.wait_for_function("window.tracks[0].readyState === 'ended'")
    open_panel(page, fake_server.address)
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    assert page.evaluate("window.tracks.map(({ label }) => label)") == ["Fake Audio Input 2"]
    shown = "document.querySelector('#microphone-device').selectedOptions[0].label"
    assert page.evaluate(shown) == "Fake Audio Input 2"


def test_a_microphone_with_a_new_id_is_found_by_its_name(
    page: Page, fake_server: ServerProcess
) -> None:
    kept = """localStorage.setItem("vivant.microphone",
      JSON.stringify({ id: "of-another-time", label: "Fake Audio Input 1" }))"""
    page.evaluate(kept)
    open_panel(page, fake_server.address)
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    assert page.evaluate("window.tracks.at(-1).label") == "Fake Audio Input 1"
    assert "not connected" not in page.inner_text("#notices")


def test_a_microphone_that_is_gone_gives_way_to_the_systems_own(
    page: Page, fake_server: ServerProcess
) -> None:
    kept = """localStorage.setItem("vivant.microphone",
      JSON.stringify({ id: "sold", label: "Golden Ear" }))"""
    page.evaluate(kept)
    open_panel(page, fake_server.address)
    assert "Golden Ear (not connected)" in page.inner_text("#microphone-device")
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.wait_for_selector("text=“Golden Ear” is not connected")


def test_when_it_is_unplugged_another_goes_on(page: Page) -> None:
    page.select_option("#microphone-device", label="Fake Audio Input 2")
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.evaluate("window.lose('Fake Audio Input 2')")
    page.wait_for_selector("text=“Fake Audio Input 2” went away")
    assert page.get_attribute("#microphone", "aria-pressed") == "true"
    assert page.evaluate("window.tracks.at(-1).readyState") == "live"
    assert "Fake Audio Input 2 (not connected)" in page.inner_text("#microphone-device")


def test_when_the_only_one_is_unplugged_the_page_says_so_and_typing_works(page: Page) -> None:
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.evaluate(
        """() => {
          const none = async () => { throw new DOMException("", "NotFoundError"); };
          navigator.mediaDevices.getUserMedia = none;
          window.lose(window.tracks[0].label);
        }"""
    )
    page.wait_for_selector("#microphone-fault:not(:empty)")
    fault = page.inner_text("#microphone-fault")
    assert "went away" in fault
    assert "Connect one" in fault
    assert page.get_attribute("#microphone", "aria-pressed") == "false"
    page.fill("#text", "Typed instead.")
    page.press("#text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")


def test_a_panel_that_does_not_arrive_says_so_and_can_be_had_again(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank", expected=("Failed to load",))
    page.route("**/microphone_panel.html", lambda route: route.abort(), times=1)
    page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    page.click("#microphone-more")
    page.wait_for_selector("text=The list of devices did not arrive.")
    page.click("#microphone-more")
    page.wait_for_selector("#microphone-test")


def test_echo_and_noise_are_taken_out_unless_told_otherwise(page: Page) -> None:
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.uncheck("#microphone-clean")
    page.wait_for_function("window.tracks.length === 2")
    settings = page.evaluate("window.tracks.map((track) => track.getSettings())")
    assert [each["echoCancellation"] for each in settings] == [True, False]
    assert [each["noiseSuppression"] for each in settings] == [True, False]
    assert page.evaluate("localStorage.getItem('vivant.processing')") == "off"


def test_the_loudspeaker_can_be_chosen(page: Page, fake_server: ServerProcess) -> None:
    page.select_option("#speaker-device", label="Fake Audio Output 2")
    page.wait_for_function("document.querySelector('#video').sinkId !== ''")
    chosen = page.evaluate("document.querySelector('#video').sinkId")
    page.goto(fake_server.address)
    page.wait_for_function("id => document.querySelector('#video').sinkId === id", arg=chosen)


JUDGE = """async (parts) => {
  const { Verdict } = await import("/verdict.js");
  const verdict = new Verdict();
  const judgements = [];
  let now = 1000;
  for (const [amplitude, seconds] of parts) {
    const wave = Float32Array.from({ length: 8192 }, (_, index) =>
      Math.max(-1, Math.min(1, amplitude * Math.sin(index / 7))));
    let judgement = "";
    for (let step = 0; step < 10 * seconds; step += 1) judgement = verdict.hear(wave, (now += 100));
    judgements.push(judgement);
  }
  return judgements;
}"""


def test_the_level_is_judged(page: Page) -> None:
    cases: dict[tuple[tuple[float, int], ...], list[str]] = {  # (amplitude, seconds)
        ((0.0, 1), (0.0, 4)): ["waiting", "silent"],
        ((0.003, 4),): ["quiet"],
        ((0.1, 1), (0.0, 5)): ["good", "pause"],
        ((1.5, 1), (0.1, 1), (0.1, 3)): ["clipping", "clipping", "good"],
        ((0.9, 1),): ["good"],
    }
    for parts, judgements in cases.items():
        assert page.evaluate(JUDGE, parts) == judgements
