"""The contract of a streaming block: frozen weights plus a typed state that is passed in.

Four laws hold for every block, and are property tests: chunked input gives the offline
output; output already given never changes when more input comes; a state from `start`
equals a fresh one; sessions in one batch equal the same sessions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

InputT = TypeVar("InputT", contravariant=True)
OutputT = TypeVar("OutputT")
StreamState = TypeVar("StreamState")


class StreamingBlock(Protocol[InputT, StreamState, OutputT]):
    """Weights shared by all sessions; one `StreamState` per session.

    A state is an immutable value: `step` returns the next one and leaves the old one usable.
    """

    def start(self, *, seed: int = 0) -> StreamState:
        """Returns the state of a stream that has seen nothing."""
        ...

    def step(
        self, states: Sequence[StreamState], inputs: Sequence[InputT]
    ) -> tuple[list[StreamState], list[list[OutputT]]]:
        """Feeds one input to each session of a batch; returns new states and what came out."""
        ...

    def finish(self, state: StreamState) -> list[OutputT]:
        """Returns the outputs that still waited for lookahead, as if silence followed."""
        ...
