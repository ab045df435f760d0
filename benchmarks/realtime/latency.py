"""How long things take: a voice to its picture, an offer to a picture, a text to its first word.

Everything is timed on the wire: when a packet arrives at a viewer on the same machine. Which
picture belongs to a sound is told by the sender reports of both tracks. Pictures are encoded up
to 20 ms before they leave with their sound; when they were is what the session's own log says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.realtime.figures import Spread, lags, onsets
from benchmarks.realtime.results import Line, spread_lines
from benchmarks.realtime.servers import MeasuringError, ServerProcess, shipped
from benchmarks.realtime.sounds import voice_with_bursts
from benchmarks.realtime.tap import Sound, WireViewer
from benchmarks.viewer import VoiceTrack
from server.clock import wall_time
from server.pacing import NANOSECONDS_PER_SECOND
from server.voice.catalog import open_voice

Progress = Callable[[str, float], None]
BURSTS = 40
OFFERS = 10
FAST, NATURAL = "joe", "af_heart"
_TEXTS = (
    "Good morning.",
    "What a fine day it is.",
    "Tell me about the sea.",
    "Never mind the weather.",
    "Because I said so.",
    "Every child knows that.",
    "Look at the old bridge.",
    "Perhaps you are right.",
)
_LIVE, _FIRST_PICTURE, _FIRST_WORD = 200.0, 1000.0, 300.0  # ms
_LOUD = 0.4  # peak of a burst as it is spoken: it has 0.48 to 0.8, and the vowel around it 0.2
# And as it is heard: aiortc's coder makes stereo of one channel at 0.7 of its level, so that bursts
# come with 0.36 to 0.6 and the vowel with 0.15.
_HEARD_LOUD = 0.25
_AUDIBLE = 0.01
_EVERY = 0.7  # seconds from burst to burst; more than any latency that is not a failure
_LOGGED = 4.0  # seconds from look to look at the server's log, which reaches back ten
_SAME = 0.010  # seconds at most from a picture's sending to its arrival
_BEFORE = 2.0  # seconds of the vowel until the voice detector and the buffers are steady
# Seconds of silence first: the server learns in ten of them how much delay it needs.
_CALM = {"in a new session": 0.0, "after 15 s of silence": 15.0}
_MOST_WORD = 20.0  # seconds


async def measure(
    report: Progress, *, bursts: int = BURSTS, offers: int = OFFERS
) -> tuple[list[Line], dict[str, Any]]:
    """Measures; returns the lines and the details.

    Raises:
        MeasuringError: something never came.
    """
    async with shipped("--voice", FAST) as server:
        first = await _offers(server, offers, report)
        live = {
            when: await _live(server, bursts // 2, calm, report) for when, calm in _CALM.items()
        }
        words = {}
        for voice in (FAST, NATURAL):
            words[voice] = await _first_words(server, voice, report)
    engines = {voice: await asyncio.to_thread(engine_times, voice) for voice in words}
    lines = [line for when, found in live.items() for line in _live_lines(when, found)]
    spread = Spread.of(first)
    lines += spread_lines(
        "latency",
        f"offer to first picture, {spread.count} connections",
        [("p50", spread.p50, None), ("worst", spread.most, _FIRST_PICTURE)],
    )
    lines += _word_lines(words[FAST], engines[FAST], "fast voice (Piper)", _FIRST_WORD)
    lines += _word_lines(words[NATURAL], engines[NATURAL], "Kokoro", None)
    details = {"live_ms": live, "offer_ms": first, "first_word_ms": words, "engine_ms": engines}
    return lines, details


async def _offers(server: ServerProcess, count: int, report: Progress) -> list[float]:
    """Returns milliseconds from each offer to the last packet of the first picture."""
    found = []
    for index in range(count):
        session_id = await server.open_session()
        viewer = WireViewer(server.client, session_id)
        await viewer.connect()
        found.append(1000 * (await _first_picture(viewer) - viewer.offered))
        await viewer.close()
        await server.close_session(session_id)
        report("offering", (index + 1) / count)
    return found


async def _first_picture(viewer: WireViewer) -> float:
    await _until(lambda: len(viewer.frame_arrivals()) > 0, "no picture came")
    return float(viewer.frame_arrivals()[0])


class _TimedVoice(VoiceTrack):
    """A microphone that notes when it hands over its loud packets."""

    def __init__(self, sound: NDArray[np.float32]) -> None:
        super().__init__(sound)
        self.times: list[float] = []
        self.loud: list[bool] = []

    async def recv(self) -> av.AudioFrame:
        """Returns the next 20 ms when they are due."""
        frame = await super().recv()
        self.times.append(time.monotonic())
        self.loud.append(bool(np.abs(frame.to_ndarray()).max() > _LOUD * 32_768))
        return frame


async def _live(
    server: ServerProcess, bursts: int, calm: float, report: Progress
) -> dict[str, list[float]]:
    """Returns ms from each burst's packet to its sound and its whole picture, on the wire.

    And, as "encoded", to its picture's end of encoding.

    Args:
        server: which to speak to, in a new session.
        bursts: how many.
        calm: seconds of silence before the voice begins.
        report: told how far it is.
    """
    starts = [_BEFORE + index * _EVERY for index in range(bursts)]
    seconds = starts[-1] + 2 * _EVERY
    microphone = _TimedVoice(voice_with_bursts(starts, seconds=seconds))
    session_id = await server.open_session()
    viewer = WireViewer(server.client, session_id, microphone=microphone)
    await viewer.connect()
    await _until(lambda: viewer.picture.report and viewer.sound.report, "no sender report came")
    await _until(lambda: viewer.channel.readyState == "open", "no data channel opened")
    viewer.send(type="microphone", mode="puppet")
    await asyncio.sleep(calm)
    microphone.begin()
    began = time.monotonic()
    encoded: list[tuple[float, float]] = []
    while (share := (time.monotonic() - began) / seconds) < 1:
        report("speaking into the microphone", share)
        await asyncio.sleep(_LOGGED)
        encoded += await _encoded(server, session_id)
    sounds = viewer.sounds()
    await viewer.close()
    await server.close_session(session_id)
    spoken = onsets(microphone.times, microphone.loud, quiet=0.3)
    heard = [sound for sound in sounds if sound.peak > _HEARD_LOUD]
    at_sound = lags(spoken, [sound.arrival for sound in heard], most=_EVERY)
    pictures = _pictures_of_onsets(viewer, sounds)
    at_picture = lags(spoken, pictures, most=_EVERY)
    ready = [found for arrival in pictures if (found := _ready(arrival, encoded)) is not None]
    at_encoded = lags(spoken, ready, most=_EVERY)
    if min(len(at_sound), len(at_picture), len(at_encoded)) < bursts // 2:
        raise MeasuringError(
            f"Of {bursts} bursts spoken into the microphone {len(at_sound)} were heard, "
            f"{len(at_picture)} had a picture and {len(at_encoded)} one that the server knows."
        )
    own = [float(event["latency_ms"]) for event in viewer.received.of_type("metrics")]
    return {
        "sound": list(1000 * at_sound),
        "picture": list(1000 * at_picture),
        "encoded": list(1000 * at_encoded),
        "server_says": own[-5:],
    }


async def _encoded(server: ServerProcess, session_id: str) -> list[tuple[float, float]]:
    """Returns (sent, encoded) of the latest pictures by the session's log, in our seconds."""
    told = await server.get(f"/v1/sessions/{session_id}/timeline")
    wall = wall_time() / NANOSECONDS_PER_SECOND - time.monotonic()
    zero = datetime.fromisoformat(told["zero"]).timestamp() - wall
    return [
        (zero + picture["sent"]["last"] / 1000, zero + picture["encode"]["done"] / 1000)
        for picture in told["pictures"]
        if picture["encode"] and picture["encode"]["done"]
        if picture["sent"] and picture["sent"]["last"]
    ]


def _ready(arrival: float, encoded: list[tuple[float, float]]) -> float | None:
    """Returns when the picture that came at `arrival` was encoded; None if the log has none."""
    sent, done = min(encoded, key=lambda times: abs(times[0] - arrival), default=(0.0, 0.0))
    return done if abs(sent - arrival) < _SAME else None


def _pictures_of_onsets(viewer: WireViewer, sounds: list[Sound]) -> list[float]:
    times = [sound.arrival for sound in sounds]
    begun = set(onsets(times, [sound.peak > _HEARD_LOUD for sound in sounds], quiet=0.3))
    pictures = [viewer.picture_of(sound) for sound in sounds if sound.arrival in begun]
    return [arrival for arrival in pictures if arrival is not None]


async def _first_words(server: ServerProcess, voice: str, report: Progress) -> list[float]:
    """Returns ms from each request to speak to its first sound and its picture, both there."""
    session_id = await server.open_session(voice=voice)
    viewer = WireViewer(server.client, session_id)
    await viewer.connect()
    await _until(lambda: viewer.picture.report and viewer.sound.report, "no sender report came")
    await _until(lambda: viewer.channel.readyState == "open", "no data channel opened")
    viewer.send(type="speak", text="Hello.")  # the voice's own loading is not meant
    await _spoken(viewer, 1)
    found = []
    for index, text in enumerate(_TEXTS):
        await asyncio.sleep(0.4)
        viewer.clear()
        asked = time.monotonic()
        viewer.send(type="speak", text=text)
        await _spoken(viewer, index + 2)
        found.append(1000 * (_first_word(viewer) - asked))
        report(f"texts with {voice}", (index + 1) / len(_TEXTS))
    await viewer.close()
    await server.close_session(session_id)
    return found


async def _spoken(viewer: WireViewer, utterances: int) -> None:
    await _until(
        lambda: len(viewer.received.of_type("agent.speak_ended")) >= utterances,
        "nothing was said",
        _MOST_WORD,
    )


def _first_word(viewer: WireViewer) -> float:
    """Returns when the first audible packet and its picture had both arrived."""
    for sound in viewer.sounds():
        if sound.peak > _AUDIBLE:
            picture = viewer.picture_of(sound)
            if picture is not None:
                return max(sound.arrival, picture)
    raise MeasuringError("No packet of a spoken text was audible and had a picture.")


def engine_times(voice: str) -> list[float]:
    """Returns ms that a voice's engine takes by itself for the first sound of each text."""
    engine = open_voice(voice)
    engine.warm_up()
    found = []
    for text in _TEXTS:
        began = time.monotonic()
        next(iter(engine.speak(text, in_pieces=True)))
        found.append(1000 * (time.monotonic() - began))
    return found


def _live_lines(when: str, live: dict[str, list[float]]) -> list[Line]:
    picture, sound = Spread.of(live["picture"]), Spread.of(live["sound"])
    own = np.median(live["server_says"])
    note = (
        f"{picture.count} bursts; its sound leaves after {sound.p50:.0f} (p50); the server itself "
        f"says {own:.0f} (latency_ms)"
    )
    encoded = Spread.of(live["encoded"])
    return [
        *spread_lines(
            "latency",
            f"voice in to its picture encoded, {when}",
            [("p50", encoded.p50, None), ("p95", encoded.p95, _LIVE)],
            "by the session's log; it leaves with its sound, up to 20 ms later",
        ),
        *spread_lines(
            "latency",
            f"voice in to its picture at the viewer, {when}",
            [("p50", picture.p50, None), ("p95", picture.p95, None)],
            note,
        ),
    ]


def _word_lines(
    words: list[float], engine: list[float], name: str, limit: float | None
) -> list[Line]:
    spread, own = Spread.of(words), Spread.of(engine)
    note = f"the engine alone takes {own.p50:.0f} (p50), {own.p95:.0f} (p95)"
    what = f"text to first word heard and seen, {name}"
    return spread_lines(
        "latency", what, [("p50", spread.p50, None), ("p95", spread.p95, limit)], note
    )


async def _until(condition: Callable[[], object], complaint: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MeasuringError(f"Within {seconds:.0f} s {complaint}.")
        await asyncio.sleep(0.02)
