"""How the page keeps sound and picture in step, with receivers that play as they are told.

The receivers are a model: what comes is played after what it takes to be right, or after what it is
made to wait if that is longer; a picture gets there by 100 ms a second, sound by 50. A browser that
believes the sound later than it is pushes the picture, as libwebrtc does. Real ones are in
`test_page_sync` and measured by `benchmarks.realtime`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Played = Callable[..., list[dict[str, Any]]]

CLOSE = 4  # ms
SHORTEST = (80, 92)  # ms, of sound and picture
SEEN_SHARE = 0.65
SPARE = 20  # ms that both may wait for nothing
REMEMBERED = 120  # rounds
_PLAY = """async ({ takes, tells, rounds, lead, belief }) => {
  const { Alignment } = await import("/alignment.js");
  const begun = 1e12; // sender's milliseconds when it begins
  let now = performance.timeOrigin;
  // 32 bits of RTP time are full after twenty seconds
  const rtpOf = (instant) => Math.round((instant - begun - 20_000) * 90 + 2 ** 32) % 2 ** 32;
  class Receiver {
    jitterBufferTarget = null;
    pushed = 0;
    count = 0;
    sum = 0;
    needed = 0;
    constructor(takes, pace, drawn, device) {
      this.device = device; // what a sound card keeps
      this.takes = this.now = takes;
      this.pace = pace;
      this.drawn = drawn;
    }
    step() {
      const wanted = Math.max(this.takes, this.jitterBufferTarget ?? 0, this.pushed);
      const isOver = this.now - wanted > 1000; // a stall, all at once
      this.now += Math.min(Math.max(wanted - this.now, isOver ? -Infinity : -this.pace), this.pace);
      this.count += 10;
      this.sum += 10 * (wanted - this.drawn) / 1000;
      this.needed += 10 * (this.takes - this.drawn) / 1000;
    }
    async getStats() {
      return new Map([["x", {
        type: "inbound-rtp",
        timestamp: now,
        jitterBufferEmittedCount: this.count,
        jitterBufferTargetDelay: this.sum,
        jitterBufferMinimumDelay: this.needed,
        estimatedPlayoutTimestamp: tells ? this.played : undefined,
      }]]);
    }
    get played() {
      return begun + now - performance.timeOrigin - this.now - this.device;
    }
    getSynchronizationSources() {
      return [{ timestamp: now - 15, rtpTimestamp: rtpOf(this.played - 15) }];
    }
  }
  const sound = new Receiver(takes[0][0], 25, 0, 12);
  const picture = new Receiver(takes[0][1], 50, 12, 0);
  const looks = [];
  const set = globalThis.setInterval;
  globalThis.setInterval = (look) => (looks.push(look), 1);
  const alignment = new Alignment(sound, picture);
  let drawn = () => {};
  const video = { requestVideoFrameCallback: (callback) => (drawn = callback) };
  if (lead !== null) alignment.seenIn(video);
  alignment.begin();
  globalThis.setInterval = set;
  const found = [];
  for (const [soundTakes, pictureTakes] of takes) {
    [sound.takes, picture.takes] = [soundTakes, pictureTakes];
    for (let round = 0; round < rounds; round++) {
      sound.step();
      picture.step();
      const believed = sound.now + sound.device + belief - picture.now;
      if (belief > 0 && believed >= 30) picture.pushed = picture.now + believed / 2;
      now += 500;
      for (let age = 480; age > 0; age -= 40) {
        drawn(now, {
          rtpTimestamp: rtpOf(picture.played - age - 25 - lead),
          expectedDisplayTime: now - age - performance.timeOrigin,
        });
      }
      for (const look of looks) look();
      await new Promise((resolve) => setTimeout(resolve));
    }
    found.push({
      late: sound.now + sound.device - picture.now,
      sound: Math.round(sound.now),
      picture: Math.round(picture.now),
      targets: [sound.jitterBufferTarget, picture.jitterBufferTarget],
    });
  }
  return found;
}"""


@pytest.fixture
def played(
    launch: Callable[..., Browser], visit: Callable[..., Page], fake_server: ServerProcess
) -> Played:
    """Returns a function that plays with what sound and picture take, one after the other."""
    page = visit(launch(), fake_server.address)

    def play(
        *takes: tuple[float, float],
        tells: bool = True,
        rounds: int = 60,
        lead: float | None = None,
        belief: float = 0,
    ) -> Any:  # noqa: ANN401
        """Plays.

        Args:
            takes: what sound and picture take, ms, one after the other.
            tells: whether the browser says what is played.
            rounds: looks for each.
            lead: how much later than told a picture is drawn, beyond what is usual, ms.
            belief: how much later than it is the browser believes the sound, ms.
        """
        choice = {"takes": takes, "tells": tells, "rounds": rounds, "lead": lead, "belief": belief}
        return page.evaluate(_PLAY, choice)

    return play


def test_the_track_that_is_ahead_waits(played: Played) -> None:
    late_sound, late_picture = played((130, 20))[0], played((20, 150))[0]
    for found in (late_sound, late_picture):
        assert abs(found["late"]) <= CLOSE
    assert late_sound["sound"] == 130, "the sound is behind: it must not wait"
    assert late_picture["picture"] == 150


def test_nothing_waits_less_than_a_stall_takes(played: Played) -> None:
    found = played((20, 20))[0]
    assert found["sound"] in range(SHORTEST[0], SHORTEST[0] + CLOSE)
    assert abs(found["late"]) <= CLOSE


def test_what_had_to_wait_goes_on_waiting_for_a_minute(played: Played) -> None:
    _, soon, later = played((130, 20), (40, 20), (40, 20), rounds=REMEMBERED - 20)
    assert soon["sound"] == 130, "a leap that would soon be taken back"
    assert later["sound"] <= SHORTEST[0] + SPARE, "both wait for nothing"
    for found in (soon, later):
        assert abs(found["late"]) <= CLOSE


def test_what_waits_without_need_is_let_go(played: Played) -> None:
    before, after, turned = played((130, 20), (40, 20), (40, 170), rounds=2 * REMEMBERED)
    assert before["targets"][1] > 120
    assert after["targets"][1] <= SHORTEST[1] + SPARE
    assert after["sound"] <= SHORTEST[0] + SPARE, "the sound waits for the waiting picture"
    assert turned["picture"] == 170
    for found in (before, after, turned):
        assert abs(found["late"]) <= CLOSE


def test_a_track_that_the_browser_pushes_is_not_run_after(played: Played) -> None:
    found = played((20, 20), rounds=400, belief=36)[0]
    assert found["sound"] < 110, "each move of one has the browser push the other"
    assert abs(found["late"]) <= 12


def test_two_hundred_milliseconds_are_made_up_for_in_fifteen_seconds(played: Played) -> None:
    assert abs(played((220, 20), rounds=30)[0]["late"]) <= CLOSE


def test_seconds_that_were_seen_once_are_not_waited_for(played: Played) -> None:
    stall, calm = (20, 20_000), (20, 120)
    assert abs(played(stall, calm, rounds=30)[-1]["late"]) <= CLOSE


def test_nothing_waits_longer_than_it_may(played: Played) -> None:
    found = played((2000, 20))[0]
    assert found["targets"] == [300, 300]


@pytest.mark.parametrize("lead", [-18, 0, 18])
def test_what_is_drawn_counts_for_more_than_what_is_told(played: Played, lead: int) -> None:
    early_picture, late_picture = played((20, 150), (130, 20), rounds=30, lead=lead)
    for found in (early_picture, late_picture):
        assert abs(found["late"] - SEEN_SHARE * lead) <= CLOSE


def test_what_is_drawn_does_not_count_where_a_clock_has_leapt(played: Played) -> None:
    assert abs(played((20, 150), rounds=30, lead=400)[0]["late"]) <= CLOSE


def test_where_the_browser_does_not_tell_nothing_is_moved(played: Played) -> None:
    assert played((70, 20), tells=False)[0]["targets"] == list(SHORTEST)
