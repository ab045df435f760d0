"""How the portrait looks while it is silent: it attends to who speaks, looks away to think."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from server.clock import Clock
from server.converse.attention import Attention
from server.direction import Direction
from server.protocol import Gesture, ServerEvent, State, StateUpdated, UserSpeechStarted
from streaming_model.motion.style import Activity, MotionStyle

_LOOK = 100_000_000  # ns between looks at whether it is time to nod
_CALM = 0.5  # glances of a listener, of the usual ones


class Ears(Protocol):
    """What it needs of the microphone."""

    @property
    def voiced(self) -> int:
        """How much voice was heard since the latest speech began, in 16 kHz samples."""
        ...


def posed(style: MotionStyle, state: State) -> MotionStyle:
    """Returns the style in which somebody listens or thinks who otherwise moves in `style`."""
    if state == "listening":
        return dataclasses.replace(
            style, activity=Activity.LISTEN, gaze_target="viewer", gaze=_CALM * style.gaze
        )
    if state == "thinking":
        return dataclasses.replace(style, gaze_target="away")
    return style


class Presence:
    """One session's."""

    def __init__(
        self,
        *,
        direction: Direction,
        ears: Ears,
        make: Callable[[Gesture], object],
        is_on: Callable[[], bool],
        clock: Clock,
        seed: int,
    ) -> None:
        """Takes what it needs; `make` makes a gesture at once."""
        self._direction = direction
        self._ears = ears
        self._make = make
        self._is_on = is_on
        self._clock = clock
        self._attention = Attention(seed)
        self._state: State = "idle"

    def notice(self, event: ServerEvent) -> None:
        """Follows what happens in the session."""
        if isinstance(event, StateUpdated):
            self._state = event.state
            state = event.state if self._is_on() else "idle"
            self._direction.pose = lambda style: posed(style, state)
        elif isinstance(event, UserSpeechStarted):
            self._attention.begin(self._clock.now())

    async def run(self) -> None:
        """Nods until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _LOOK)
            if self._state == "listening" and self._is_on():
                nod = self._attention.look(self._clock.now(), self._ears.voiced)
                if nod is not None:
                    self._make(nod)
