"""How costs grow: with sessions, pixels, pictures a second, length of sound, and viewers.

Each law is a power fitted to measured points. Growth that is not faster than linear has an
exponent of 1 or less; what does not depend on the cause has 0.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.live import TEXT, processor_seconds
from benchmarks.marks import PAYLOAD
from benchmarks.overall.line import BITRATE, voice_like
from benchmarks.overall.results import Law
from benchmarks.realtime.servers import shipped
from benchmarks.realtime.tap import WireViewer
from server.encoder import VideoCodec, VideoEncoder
from server.marks.marker import Marker
from server.marks.options import MarkOptions
from server.voice.catalog import FAST_VOICE
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import load_motion_generator
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer

PART: Final = "scaling"
LINEAR: Final = 1.0  # exponent
FLAT: Final = 0.2  # exponent of what does not depend on the number of viewers, at most
VIEWERS: Final = (1, 2, 4, 8)
_SECONDS: Final = 2  # of sound for a point
_PICTURES: Final = 10  # of each session for a point
_WATCH: Final = 6.0  # seconds for which threads are watched
_SETTLE: Final = 3.0
_TEXTS: Final = 6  # that wait to be said meanwhile

Report = Callable[[str, float], None]
Work = Callable[[], object]


class Growth(NamedTuple):
    """A cost to be measured at several values of its cause.

    Attributes:
        cost: what is measured, as the report calls it; the unit is ms.
        cause: what it grows with.
        values: of the cause.
        work: returns what is to be timed at a value.
    """

    cost: str
    cause: str
    values: Sequence[int]
    work: Callable[[int], Work]


def law(
    cost: str,
    grows_with: str,
    points: Sequence[tuple[float, float]],
    *,
    most: float | None = LINEAR,
) -> Law:
    """Returns the power that fits points best, with its standard error.

    Raises:
        ValueError: there are fewer than three points, or one is not greater than 0.
    """
    if len(points) < 3 or min(min(point) for point in points) <= 0:
        raise ValueError(f"a power is fitted to three points above 0 or more, not to {points}")
    causes, costs = np.log(np.array(points)).T
    exponent, start = np.polyfit(causes, costs, 1)
    residuals = costs - (start + exponent * causes)
    variance = float((residuals**2).sum()) / (len(points) - 2)
    error = float(np.sqrt(variance / ((causes - causes.mean()) ** 2).sum()))
    return Law(PART, cost, grows_with, tuple(points), float(exponent), error, most)


def measure(report: Report, *, repeats: int = 3) -> list[Law]:
    """Returns the laws of what one process computes, a thread's milliseconds."""
    cv2.setNumThreads(1)
    laws = []
    for index, growth in enumerate(GROWTHS):
        report(f"{growth.cost}, {growth.cause}", index / len(GROWTHS))
        points = []
        for value in growth.values:
            work = growth.work(value)
            work()  # caches fill
            cause = float(value * value) if growth.cause == "pixels" else float(value)
            points.append((cause, _middle(work, repeats)))
        laws.append(law(f"{growth.cost}, ms", growth.cause, points))
    return laws


def _middle(work: Work, repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        before = time.thread_time()
        work()
        spent.append(1000 * (time.thread_time() - before))
    return statistics.median(spent)


def _motion(sessions: int, seconds: int) -> Work:
    generator = load_motion_generator(chunk_frames=2)
    sound = voice_like(seconds)
    block = 2 * SAMPLES_PER_MOTION_FRAME

    def generate() -> None:
        states = [generator.start(seed=seed) for seed in range(sessions)]
        for start in range(0, len(sound) - block + 1, block):
            chunk = AudioChunk(start, sound[start : start + block])
            states, _ = generator.step(states, [chunk] * sessions)

    return generate


def _pictures(sessions: int = 1, *, size: int = 512) -> Work:
    """Returns drawing, marking and coding some pictures of each session, in turns."""
    renderer = Renderer(make_portrait(BUILTIN_PORTRAIT), size=size)
    shown = [_Shown(renderer, seed) for seed in range(sessions)]

    def show() -> None:
        for _ in range(_PICTURES):
            for session in shown:
                session.show()

    return show


class _Shown:
    """The pictures of one session that speaks."""

    def __init__(self, renderer: Renderer, seed: int) -> None:
        self._renderer = renderer
        self._marker = Marker(MarkOptions(), PAYLOAD)
        size = renderer.size
        self._encoder = VideoEncoder(VideoCodec.VP8, size=size, fps=25, bitrate=BITRATE)
        self._rows = _spoken(seed)
        self._count = 0

    def show(self) -> None:
        marked = self._marker.mark(self._renderer.render(next(self._rows)))
        start = self._count * SAMPLES_PER_MOTION_FRAME
        self._encoder.encode(marked, start, is_keyframe=False)
        self._count += 1


def _spoken(seed: int) -> Iterator[NDArray[np.float32]]:
    """Yields the motion of speech, again and again."""
    generator = load_motion_generator()
    _, (chunks,) = generator.step([generator.start(seed=seed)], [AudioChunk(0, voice_like(4))])
    rows = [row for chunk in chunks for row in chunk.motion][10:]
    while True:
        yield from rows


def _film(fps: int) -> Work:
    """Returns a second of pictures at a rate, from the sound on."""
    avatar = Avatar.from_image(BUILTIN_PORTRAIT, fps=fps)
    sound = voice_like(1)
    return lambda: list(avatar.stream([AudioChunk(0, sound)]))


GROWTHS: Final = (
    Growth("motion for 2 s", "sessions", (1, 2, 4, 8), lambda count: _motion(count, _SECONDS)),
    Growth("pictures drawn, marked and coded", "sessions", (1, 2, 4, 8), _pictures),
    Growth(
        "pictures drawn, marked and coded",
        "pixels",
        (256, 384, 512, 768, 1024),
        lambda size: _pictures(size=size),
    ),
    Growth("a second, from sound to pictures", "pictures a second", (10, 25, 30, 50, 60), _film),
    Growth("motion", "seconds of sound", (5, 10, 20, 40, 80), lambda length: _motion(1, length)),
)


async def watched(report: Report, *, viewers: Sequence[int] = VIEWERS) -> list[Law]:
    """Returns how the server's threads grow with the viewers of one session that speaks."""
    shares: list[Mapping[str, float]] = []
    async with shipped("--voice", FAST_VOICE, "--core-share", "1") as server:
        session_id = await server.open_session()
        joined: list[WireViewer] = []
        for count in viewers:
            report(f"{count} viewers of one session", len(shares) / len(viewers))
            while len(joined) < count:
                joined.append(WireViewer(server.client, session_id))
                await joined[-1].connect()
            await joined[0].until(lambda _: joined[0].channel.readyState == "open", seconds=20)
            for _ in range(_TEXTS if count == viewers[0] else 0):
                joined[0].send(type="speak", text=TEXT)
            await asyncio.sleep(_SETTLE)
            before = processor_seconds(server.pid)
            await asyncio.sleep(_WATCH)
            shares.append(
                {
                    name: 100 * (spent - before.get(name, 0.0)) / _WATCH
                    for name, spent in processor_seconds(server.pid).items()
                }
            )
        for viewer in joined:
            await viewer.close()
    return viewer_laws(viewers, shares)


def viewer_laws(viewers: Sequence[int], shares: Sequence[Mapping[str, float]]) -> list[Law]:
    """Returns the laws of what threads take, in percent of a core by the thread's name.

    The first thread runs the event loop, which sends; the others make what is sent.
    """
    making = [sum(share[name] for name in MAKERS) for share in shares]
    sending = [
        sum(spent for name, spent in share.items() if name not in (*MAKERS, *VOICES))
        for share in shares
    ]
    return [
        law("motion, drawing, coding, % of a core", "viewers", _points(viewers, making), most=FLAT),
        law("event loop and sending, % of a core", "viewers", _points(viewers, sending)),
    ]


def _points(causes: Sequence[int], costs: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(cause), cost) for cause, cost in zip(causes, costs, strict=True)]


MAKERS: Final = ("inference", "pictures")  # threads of the server
VOICES: Final = ("speech", "urgent speech")
