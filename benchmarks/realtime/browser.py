"""Headless Chromium as a viewer: its own estimate of the offset, and flashes against clicks.

The page is the shipped one; `meter.js` watches it from outside, and at the same time a local
clip of its own, whose offset is nothing but the measuring path's and is taken out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.chromium import CHROMIUM_FLAGS, REMEMBER_PEERS, SOUND_ALLOWED
from benchmarks.realtime.figures import pair_offsets
from benchmarks.realtime.machine import stolen_seconds, stolen_share
from benchmarks.realtime.relay import Relay, without_candidates
from benchmarks.realtime.servers import MeasuringError
from benchmarks.realtime.sounds import GAPS

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

METER = Path(__file__).with_name("meter.js")
_WARM = 6.0  # seconds; a clip that begins takes processor from what is measured
_PATH_SPREAD = 15.0  # ms, standard deviation within a clip; a browser with enough processor: 5
_FLAGS = (*CHROMIUM_FLAGS, SOUND_ALLOWED)
_ESTIMATE = """async () => {
  const playout = {};
  for (const entry of (await peers.at(-1).getStats()).values()) {
    if (entry.type === "inbound-rtp") playout[entry.kind] = entry.estimatedPlayoutTimestamp;
  }
  return playout.audio && playout.video ? playout.video - playout.audio : null;
}"""


@dataclass(slots=True)
class Offsets:
    """How far sound and picture are apart; positive: the sound is late. Milliseconds.

    Attributes:
        estimated: the browser's `estimatedPlayoutTimestamp`, picture's less sound's, each second.
        flashes: when each was seen, by the browser's clock.
        clicks: when each was heard.
        paths: from flash to click in the local clips, as measured; one array a clip.
        stolen: the share of the processors that the machine's host gave to others meanwhile.
    """

    estimated: list[float] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    paths: list[NDArray[np.float64]] = field(default_factory=list)
    stolen: float = 0.0

    def seen(self, path: MeasuringPath) -> NDArray[np.float64]:
        """Returns from each flash to its click, less what the measuring path adds."""
        return pair_offsets(self.flashes, self.clicks, path=path.value)

    @property
    def path_spread(self) -> float:
        """The standard deviation within one local clip, the median of all of them."""
        return float(np.median([path.std() for path in self.paths])) if self.paths else 0.0

    @property
    def is_sound(self) -> bool:
        """Whether the browser had the processor to time its own clips, by which it is judged."""
        return self.path_spread < _PATH_SPREAD


@dataclass(frozen=True, slots=True)
class MeasuringPath:
    """What the measuring path adds to every click, by the local clips of a whole run.

    A clip of its own shows what the browser does to any: what was handed over at one instant is
    seen on the screen some 25 ms after it is heard. It is one path in all windows.

    Attributes:
        value: the median of the clips' medians, ms.
        error: its standard error, by the clips' spread, ms.
        clips: how many there were.
    """

    value: float
    error: float
    clips: int

    @classmethod
    def of(cls, windows: Iterable[Offsets]) -> MeasuringPath:
        """Returns the path of these windows; 0 where they have no clip."""
        medians = [np.median(path) for window in windows for path in window.paths]
        if not medians:
            return cls(0.0, 0.0, 0)
        error = float(np.std(medians)) / len(medians) ** 0.5
        return cls(float(np.median(medians)), error, len(medians))


class Watcher:
    """One open page.

    Attributes:
        session_id: the session that it watches.
    """

    def __init__(self, page: Page, session_id: str) -> None:
        self.session_id = session_id
        self._page = page

    async def watch(self, seconds: int, report: Callable[[float], None]) -> Offsets:
        """Watches for a while, beside a local clip.

        Raises:
            MeasuringError: fewer than five flashes met their clicks.
        """
        found = Offsets()
        await self._begin()
        before = stolen_seconds()
        for second in range(seconds):
            await asyncio.sleep(1)
            estimate = await self._page.evaluate(_ESTIMATE)
            if estimate is not None:
                found.estimated.append(float(estimate))
            report((second + 1) / seconds)
        taken = await self._page.evaluate("sync.take()")
        await self._page.evaluate("sync.end()")
        path = pair_offsets(taken["path"]["flashes"], taken["path"]["clicks"])
        if len(path):
            found.paths.append(path)
        found.flashes += taken["live"]["flashes"]
        found.clicks += taken["live"]["clicks"]
        found.stolen = stolen_share(before, stolen_seconds())
        seen, own = len(found.seen(MeasuringPath.of([found]))), sum(map(len, found.paths))
        if min(seen, own) < 5:
            raise MeasuringError(
                f"Only {seen} flashes met their clicks in {seconds} s, and {own} of the local "
                "clips': the browser gets too little processor."
            )
        return found

    async def _begin(self) -> None:
        """Begins to watch, and to play a local clip."""
        await self._page.evaluate(METER.read_text())
        await self._page.evaluate("gaps => sync.start(gaps)", list(GAPS))
        await asyncio.sleep(_WARM)
        await self._page.evaluate("void sync.take()")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """Runs Chromium; yields Playwright's browser.

    Raises:
        MeasuringError: it, or Playwright, is not installed.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise MeasuringError("Chromium is not installed (apt-get install chromium).")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise MeasuringError("Playwright is not installed (pip install playwright).") from None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            headless=True,
            ignore_default_args=["--mute-audio"],
            args=list(_FLAGS),
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def watching(
    browser: Any,  # noqa: ANN401 - Playwright's
    address: str,
    relay: Relay | None = None,
) -> AsyncIterator[Watcher]:
    """Opens the page of a server, through a relay if there is one; yields it once it is live.

    Raises:
        MeasuringError: no picture came.
    """
    from playwright.async_api import TimeoutError as NoPictureError

    context = await browser.new_context(bypass_csp=True)
    page = await context.new_page()
    await page.add_init_script(REMEMBER_PEERS)
    if relay is not None:
        await page.route("**/offer", _relayed(relay))
    try:
        async with page.expect_response("**/v1/sessions") as opened:
            await page.goto(address)
        session = await (await opened.value).json()
        await page.wait_for_selector("body[data-picture=live]", timeout=40_000)
        yield Watcher(page, str(session["session_id"]))
    except NoPictureError as error:
        raise MeasuringError(f"The page showed no picture: {str(error)[:200]}") from None
    finally:
        await page.goto("about:blank")
        await context.close()


def _relayed(relay: Relay) -> Callable[[Route], Any]:
    """Returns a handler that lets the viewer and the server know only the relay."""

    async def carry(route: Route) -> None:
        offer = json.loads(route.request.post_data or "{}")
        offer["sdp"] = without_candidates(offer["sdp"])
        response = await route.fetch(post_data=json.dumps(offer))
        answer = await response.json()
        if response.ok:
            answer["sdp"] = await relay.carry(answer["sdp"])
        await route.fulfill(response=response, json=answer)

    return carry
