"""The puppet's loops: a voice and a face in, pictures and the voice that fits them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.channel import Channel, Overflow
from server.clock import Clock, MonotonicClock
from server.puppet.live_link import FacePacket
from server.puppet.ports import CameraPort, MicrophonePort, SpeakerPort
from server.puppet.sync import Meeting
from streaming_model.errors import VivantError
from streaming_model.media import VideoFrame
from vivant_client import Frame, Session

_SECOND = 1_000_000_000  # ns
_TAIL = 1.0  # seconds after the last word of a file
_FACES = 8  # that wait to be sent
_STEADY = 60  # faces before the neutral is taken, a second
_SMOOTHING = 0.3  # a phone's depth camera trembles little
_LOOK_AGAIN = _SECOND // 100


@dataclass(frozen=True, slots=True)
class Puppet:
    """What plays together.

    Attributes:
        session: where the portrait is.
        microphone: the voice; None for a face alone.
        camera: where pictures go; None for nowhere.
        speaker: where the voice goes; None for nowhere.
        faces: what a phone sees; None for no phone.
        lips_by_voice: whether the mouth follows the voice and not the face.
        clock: what time it is.
        meeting: when sound meets its picture.
    """

    session: Session
    microphone: MicrophonePort | None = None
    camera: CameraPort | None = None
    speaker: SpeakerPort | None = None
    faces: Channel[FacePacket] | None = None
    lips_by_voice: bool = True
    clock: Clock = field(default_factory=MonotonicClock)
    meeting: Meeting = field(default_factory=Meeting)

    async def play(self, seconds: float | None = None) -> None:
        """Plays until the microphone's file or the session ends, or for so many seconds.

        Raises:
            PuppetError: a device is lost.
            ClientError: the session ended or cannot be reached.
        """
        failure: VivantError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                loops = [group.create_task(self._watch())]
                if self.speaker is not None:
                    loops.append(group.create_task(self._sound(self.speaker)))
                if self.faces is not None:
                    loops.append(group.create_task(self._follow(self.faces)))
                await self._until_over(seconds)
                for loop in loops:
                    loop.cancel()
        except* VivantError as errors:
            failure = _first(errors)
        if failure is not None:
            raise failure

    async def _until_over(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                if self.microphone is None:
                    await asyncio.Event().wait()
                else:
                    await self._speak(self.microphone)
                    await asyncio.sleep(_TAIL)
        except TimeoutError:
            return

    async def _speak(self, microphone: MicrophonePort) -> None:
        await self.session.microphone("puppet")
        async for piece in microphone.pieces():
            await self.session.push_voice(piece, rate=microphone.rate)

    async def _watch(self) -> None:
        async for frame in self.session.frames():
            self.meeting.show(frame.media_time, self.clock.now())
            if self.camera is not None:
                self.camera.show(VideoFrame(frame.media_time, opaque(frame)))

    async def _sound(self, speaker: SpeakerPort) -> None:
        early = int(speaker.latency * _SECOND)
        async for sound in self.session.sounds():
            while (instant := self.meeting.instant(sound.media_time)) is None:
                await self.clock.sleep_until(self.clock.now() + _LOOK_AGAIN)
            await self.clock.sleep_until(instant - early)
            speaker.play(np.asarray(sound.samples, np.float32), sound.media_time)

    async def _follow(self, faces: Channel[FacePacket]) -> None:
        await self.session.send(
            "motion.configure",
            parts={"mouth": "off" if self.lips_by_voice else "replace"},
            smoothing=_SMOOTHING,
        )
        count = 0
        async for face in faces:
            await self.session.motion(face.coefficients, mode="replace", t=face.milliseconds)
            count += 1
            if count == _STEADY:
                await self.session.send("motion.calibrate")


def opaque(frame: Frame) -> NDArray[np.uint8]:
    """Returns [size, size, 3] RGB: a camera shows no matte, so that black is behind the person."""
    image = frame.image
    if image.shape[0] != 2 * image.shape[1]:
        return image
    rgba = frame.rgba
    shares = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(np.round(rgba[..., :3] * shares), np.uint8)


def face_channel() -> tuple[Channel[FacePacket], Callable[[FacePacket], None]]:
    """Returns a channel of faces, and what puts them in: those without a face are left out."""
    faces: Channel[FacePacket] = Channel(_FACES, Overflow.DROP_OLDEST)

    def take(packet: FacePacket) -> None:
        if packet.coefficients:
            faces.offer(packet)

    return faces, take


def _first(errors: BaseExceptionGroup[VivantError]) -> VivantError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
