"""How the page keeps sound and picture in step, with receivers that play as they are told.

The receivers are a model: what comes is played after what it takes to be right, or after what it is
made to wait if that is longer; a picture gets there by 100 ms a second, sound by 50. Real ones are
in `test_page_sync` and measured by `benchmarks.realtime`.
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
_PLAY = """async ({ takes, tells, rounds, lead }) => {
  const { Alignment } = await import("/alignment.js");
  const begun = 1e12; // sender's milliseconds when it begins
  let now = performance.timeOrigin;
  // 32 bits of RTP time are full after twenty seconds
  const rtpOf = (instant) => Math.round((instant - begun - 20_000) * 90 + 2 ** 32) % 2 ** 32;
  class Receiver {
    jitterBufferTarget = null;
    count = 0;
    sum = 0;
    constructor(takes, pace, drawn) {
      this.takes = this.now = takes;
      this.pace = pace;
      this.drawn = drawn;
    }
    step() {
      const wanted = Math.max(this.takes, this.jitterBufferTarget ?? 0);
      const isOver = this.now - wanted > 1000; // a stall, all at once
      this.now += Math.min(Math.max(wanted - this.now, isOver ? -Infinity : -this.pace), this.pace);
      this.count += 10;
      this.sum += 10 * (wanted - this.drawn) / 1000;
    }
    async getStats() {
      return new Map([["x", {
        type: "inbound-rtp",
        timestamp: now,
        jitterBufferEmittedCount: this.count,
        jitterBufferTargetDelay: this.sum,
        estimatedPlayoutTimestamp: tells ? this.played : undefined,
      }]]);
    }
    get played() {
      return begun + now - performance.timeOrigin - this.now;
    }
    getSynchronizationSources() {
      return [{ timestamp: now - 15, rtpTimestamp: rtpOf(this.played - 15) }];
    }
  }
  const sound = new Receiver(takes[0][0], 25, 0);
  const picture = new Receiver(takes[0][1], 50, 12);
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
      late: sound.now - picture.now,
      sound: sound.now,
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
        *takes: tuple[float, float], tells: bool = True, rounds: int = 60, lead: float | None = None
    ) -> Any:  # noqa: ANN401
        """`lead` is how much later than told a picture is drawn, beyond what is usual, in ms."""
        choice = {"takes": takes, "tells": tells, "rounds": rounds, "lead": lead}
        return page.evaluate(_PLAY, choice)

    return play


def test_the_track_that_is_ahead_waits(played: Played) -> None:
    late_sound, late_picture = played((90, 20))[0], played((20, 150))[0]
    for found in (late_sound, late_picture):
        assert abs(found["late"]) <= CLOSE
    assert late_sound["targets"][0] is None, "the sound is behind: it must not wait"
    assert late_picture["targets"][1] is None


def test_what_waits_without_need_is_let_go(played: Played) -> None:
    before, after, turned = played((90, 20), (40, 20), (40, 130))
    assert before["targets"][1] > 60
    assert after["targets"][1] < 45
    assert after["sound"] == 40, "the sound waits for the waiting picture"
    assert turned["targets"][1] is None
    for found in (before, after, turned):
        assert abs(found["late"]) <= CLOSE


def test_two_hundred_milliseconds_are_made_up_for_in_fifteen_seconds(played: Played) -> None:
    assert abs(played((220, 20), rounds=30)[0]["late"]) <= CLOSE


def test_seconds_that_were_seen_once_are_not_waited_for(played: Played) -> None:
    stall, calm = (20, 20_000), (20, 120)
    assert abs(played(stall, calm, rounds=30)[-1]["late"]) <= CLOSE


def test_nothing_waits_longer_than_it_may(played: Played) -> None:
    found = played((2000, 20))[0]
    assert found["targets"] == [None, 300]


@pytest.mark.parametrize("lead", [-18, 0, 18])
def test_what_is_drawn_counts_as_much_as_what_is_told(played: Played, lead: int) -> None:
    early_picture, late_picture = played((20, 90), (90, 20), rounds=30, lead=lead)
    for found in (early_picture, late_picture):
        assert abs(found["late"] - lead / 2) <= CLOSE


def test_what_is_drawn_does_not_count_where_a_clock_has_leapt(played: Played) -> None:
    assert abs(played((20, 90), rounds=30, lead=400)[0]["late"]) <= CLOSE


def test_a_browser_that_does_not_tell_is_left_alone(played: Played) -> None:
    assert played((90, 20), tells=False)[0]["targets"] == [None, None]
