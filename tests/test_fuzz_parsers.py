"""Every parser of what comes from outside, with damaged inputs: a result or its own sentence.

The harnesses are those of `python -m tools.fuzz`, which goes on for as long as it is let.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.fuzz import descriptions, service
from tools.fuzz.harness import Harness, feed
from tools.fuzz.registry import HARNESSES, find

# Those that build a film, a server or a connection for each input get fewer of them.
_SLOW = {"film": 3, "film-webm": 3, "still": 3, "speech": 10, "offer": 10, "sdp-answer": 10}
_EXAMPLES = 40


@pytest.fixture(scope="module", autouse=True)
def loops() -> Iterator[None]:
    """Ends the event loops that harnesses keep from input to input."""
    yield
    service.end()
    descriptions.end()


@pytest.mark.parametrize("name", HARNESSES)
def test_a_damaged_input_gives_a_result_or_a_sentence(name: str) -> None:
    harness, seeds = _known(name)

    @settings(
        max_examples=_SLOW.get(name, _EXAMPLES),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(range(len(seeds))), st.integers(0, 2**32), st.integers(1, 3))
    def check(number: int, seed: int, times: int) -> None:
        random = Random(seed)
        data = seeds[number]
        for _ in range(times):
            data = harness.mutate(data, random)
        feed(harness, data[: harness.longest])

    check()


@pytest.mark.parametrize("name", HARNESSES)
def test_a_seed_is_taken(name: str) -> None:
    harness, seeds = _known(name)
    assert any(feed(harness, seed).accepted for seed in seeds)


@pytest.mark.parametrize("name", HARNESSES)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(data=st.binary(max_size=200))
def test_bytes_of_no_format_give_a_result_or_a_sentence(name: str, data: bytes) -> None:
    feed(_known(name)[0], data)


@cache
def _known(name: str) -> tuple[Harness, Sequence[bytes]]:
    """Returns a harness and its seeds; time is for `tools.fuzz`, where nothing else runs."""
    harness = find(name)
    return replace(harness, seconds=10 * harness.seconds), harness.seeds()
