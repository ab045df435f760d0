"""A bad network between two aiortc peers in one process, by a seed.

What one peer sends is dropped, delayed, reordered or squeezed through a narrow pipe before it
reaches its real socket; set up once the connection stands, taken away by `heal`.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from aiortc import RTCPeerConnection


@dataclass
class Weather:
    """What happens to packets.

    Attributes:
        loss: share that is dropped, 0..1.
        delay: seconds that every packet takes.
        jitter: seconds, at most, on top; more than the gap between packets reorders them.
        rate: bits a second that fit through; None for no limit.
        queue: seconds of packets that wait for their turn before more are dropped.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    rate: int | None = None
    queue: float = 0.3


class LossyLink:
    """One direction: everything that `connection` sends."""

    def __init__(self, connection: RTCPeerConnection, weather: Weather, *, seed: int = 0) -> None:
        self.weather = weather
        self.dropped = self.sent = 0
        self._random = random.Random(seed)
        self._free_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        hooked: Any = connection
        for transport in hooked._RTCPeerConnection__iceTransports:
            transport._send = self._bad(transport._send)

    def heal(self) -> None:
        """Makes the network good again; what is under way still arrives."""
        self.weather = Weather()

    def _bad(self, send: Any) -> Any:  # noqa: ANN401 - aiortc's own method
        async def forward(data: bytes) -> None:
            self.sent += 1
            wait = self._wait(len(data))
            if wait is None:
                self.dropped += 1
            elif wait == 0:
                await send(data)
            else:
                task = asyncio.get_running_loop().create_task(self._later(send, data, wait))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        return forward

    def _wait(self, size: int) -> float | None:
        """Returns the seconds a packet takes, or None when it is lost."""
        weather = self.weather
        if self._random.random() < weather.loss:
            return None
        wait = weather.delay + self._random.uniform(0, weather.jitter)
        if weather.rate is None:
            return wait
        now = asyncio.get_running_loop().time()
        backlog = max(0.0, self._free_at - now)
        if backlog > weather.queue:
            return None
        self._free_at = now + backlog + size * 8 / weather.rate
        return wait + self._free_at - now

    async def _later(self, send: Any, data: bytes, wait: float) -> None:  # noqa: ANN401
        await asyncio.sleep(wait)
        try:
            await send(data)
        except ConnectionError:
            self.dropped += 1  # the connection ended meanwhile
