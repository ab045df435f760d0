"""A session's pictures and sound as two tracks of a room, fed as they leave the session.

The session keeps the pace, so nothing waits here longer than it takes to hand it on: LiveKit's
sources have no queue of their own. LiveKit's library encodes them, on its own threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from server.channel import Channel, Overflow
from server.ingest import SOUND_RATE
from server.livekit.contract import AUDIO_TRACK, VIDEO_TRACK
from server.livekit.frames import audio_frame, video_frame

Cue = Callable[[], None]

_PIECE: Final = SOUND_RATE // 100  # samples: what a source without a queue takes
_SOUNDS: Final = 50  # packets, a second, after which sound is left out


class _Sound(NamedTuple):
    samples: NDArray[np.float32]
    cues: tuple[Cue, ...]


class Stage:
    """What a room sees and hears.

    Args:
        size: side of the pictures, in pixels.
        fps: pictures a second.
        bitrate: bits a second of the video.
        worker: converts pictures.
    """

    def __init__(self, *, size: int, fps: int, bitrate: int, worker: Executor) -> None:
        self._bitrate, self._fps = bitrate, fps
        self._worker = worker
        self._voice = rtc.AudioSource(SOUND_RATE, 1, queue_size_ms=0)
        self._face = rtc.VideoSource(size, size)
        self._sounds: Channel[_Sound] = Channel(_SOUNDS, Overflow.REFUSE)
        self._pictures: Channel[NDArray[np.uint8]] = Channel(1, Overflow.DROP_OLDEST)
        self._cues: list[Cue] = []
        self._has_picture = asyncio.Event()

    def see(self, image: NDArray[np.uint8], media_time: int) -> None:
        """Takes a picture, [s, s, 3] or [s, s, 4]; one that still waits gives way."""
        del media_time
        self._pictures.offer(image)

    def hear(self, sound: NDArray[np.float32], media_time: int) -> None:
        """Takes 20 ms of sound."""
        del media_time
        if self._sounds.offer(_Sound(sound, tuple(self._cues))):
            self._cues.clear()

    def cue(self, cue: Cue) -> None:
        """Calls `cue` once the next sound that is taken has been sent."""
        self._cues.append(cue)

    async def run(self) -> None:
        """Sends until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._speak())
            group.create_task(self._show())

    async def publish(self, participant: rtc.LocalParticipant, *, patience: float) -> None:
        """Publishes both once there is a picture: the voice first, the face when it can be heard.

        An agent begins to speak when it sees the face, so whoever is there should hear the voice by
        then; where nobody is there yet, it waits `patience` seconds at most.

        Raises:
            PublishTrackError: the room does not want them.
        """
        await self._has_picture.wait()
        voice = rtc.LocalAudioTrack.create_audio_track(AUDIO_TRACK, self._voice)
        heard = await participant.publish_track(
            voice, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )
        try:
            async with asyncio.timeout(patience):
                await heard.wait_for_subscription()
        except TimeoutError:
            pass  # an empty room
        face = rtc.LocalVideoTrack.create_video_track(VIDEO_TRACK, self._face)
        encoding = rtc.VideoEncoding(max_bitrate=self._bitrate, max_framerate=self._fps)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_encoding=encoding,
            simulcast=False,  # each further size would cost as much again
        )
        await participant.publish_track(face, options)

    async def close(self) -> None:
        """Lets go of LiveKit's sources."""
        await self._voice.aclose()
        await self._face.aclose()

    async def _speak(self) -> None:
        async for sound in self._sounds:
            for start in range(0, len(sound.samples), _PIECE):
                await self._voice.capture_frame(audio_frame(sound.samples[start : start + _PIECE]))
            for cue in sound.cues:
                cue()

    async def _show(self) -> None:
        loop = asyncio.get_running_loop()
        async for image in self._pictures:
            await loop.run_in_executor(self._worker, _capture, self._face, image)
            self._has_picture.set()


def _capture(face: rtc.VideoSource, image: NDArray[np.uint8]) -> None:
    face.capture_frame(video_frame(image))
