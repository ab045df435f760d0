"""What a connection carries, from what its receiver says."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bandwidth import LEAST_RATE, Bandwidth, Rung, choose_rungs

SECOND = 1_000_000_000  # ns
MOST = 1_500_000


@dataclass
class Sender:
    """Sends at a rate of its own choice and hears of it once a second."""

    bandwidth: Bandwidth
    sent: int = 0
    now: int = 0

    def send(self, rate: int) -> None:
        self.sent += rate // 8
        self.now += SECOND

    def estimate(self, rate: int) -> int:
        self.bandwidth.note_estimate(rate, sent=self.sent, now=self.now)
        return self.bandwidth.rate

    def loss(self, fraction: float) -> int:
        self.bandwidth.note_loss(fraction, sent=self.sent, now=self.now)
        return self.bandwidth.rate


def sender() -> Sender:
    fresh = Sender(Bandwidth(most=MOST))
    fresh.loss(0.0)  # the first report, when nothing was sent
    return fresh


def test_nothing_reported_allows_everything() -> None:
    assert Bandwidth(most=MOST).rate == MOST


def test_an_estimate_below_what_was_sent_is_obeyed() -> None:
    rig = sender()
    rig.send(1_400_000)
    assert 250_000 < rig.estimate(400_000) < 400_000


def test_a_face_at_rest_does_not_make_its_own_limit() -> None:
    """A receiver believes in little more than it is sent: that is not congestion."""
    rig = sender()
    rates = []
    for _ in range(5):
        rig.send(300_000)
        rates.append(rig.estimate(310_000))
    assert min(rates) >= 600_000


def test_after_congestion_the_estimate_is_followed_to_the_letter() -> None:
    rig = sender()
    rig.send(1_400_000)
    rig.estimate(400_000)
    rig.send(300_000)
    assert rig.estimate(430_000) < 350_000  # not twice what was carried
    rig.send(300_000)
    assert rig.estimate(2_000_000) == MOST
    rig.send(300_000)
    assert rig.estimate(310_000) >= 600_000  # and the limit is forgotten


def test_light_loss_changes_nothing_and_heavy_loss_cuts_once_per_half_second() -> None:
    rig = sender()
    rig.send(1_000_000)
    assert rig.loss(0.05) == MOST
    cut = rig.loss(0.4)
    assert cut == pytest.approx(0.8 * MOST, abs=2)
    assert rig.loss(0.4) == cut
    rig.send(1_000_000)
    assert rig.loss(0.4) == pytest.approx(0.64 * MOST, abs=2)


def test_without_loss_the_rate_comes_back() -> None:
    rig = sender()
    rig.send(1_000_000)
    rig.loss(1.0)
    for _ in range(12):
        rig.send(1_000_000)
        rig.loss(0.0)
    assert rig.bandwidth.rate == MOST


@given(
    st.lists(
        st.tuples(st.sampled_from("el"), st.integers(0, 10**10), st.integers(0, 3 * 10**6)),
        max_size=50,
    ),
    st.integers(1_000, 20_000_000),
)
def test_the_rate_stays_within_its_bounds(reports: list[tuple[str, int, int]], most: int) -> None:
    rig = Sender(Bandwidth(most=most))
    for kind, value, rate in reports:
        rig.send(rate)
        if kind == "e":
            rig.estimate(value)
        else:
            rig.loss(value / 10**10)
        assert min(LEAST_RATE, most) <= rig.bandwidth.rate <= most


def test_one_bad_connection_goes_to_a_rung_of_its_own_and_comes_back() -> None:
    both_high = [Rung.HIGH, Rung.HIGH]
    assert choose_rungs([1_500_000, 800_000], both_high) == both_high
    assert choose_rungs([1_500_000, 700_000], both_high) == [Rung.HIGH, Rung.LOW]
    assert choose_rungs([1_500_000, 1_100_000], [Rung.HIGH, Rung.LOW]) == [Rung.HIGH, Rung.LOW]
    assert choose_rungs([1_500_000, 1_300_000], [Rung.HIGH, Rung.LOW]) == both_high


def test_a_viewer_alone_is_on_the_high_rung() -> None:
    assert choose_rungs([LEAST_RATE], [Rung.LOW]) == [Rung.HIGH]
    assert choose_rungs([], []) == []
