"""What LiveKit Agents and an avatar's worker say to each other, as livekit-agents 1.8 says it.

The agent sends each segment of speech as a byte stream; the worker publishes a voice and a face,
and tells by remote calls when the segment began and ended to be heard. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from server.protocol import ProtocolError

AUDIO_TOPIC: Final = "lk.audio_stream"
CLEAR_BUFFER: Final = "lk.clear_buffer"
PLAYBACK_STARTED: Final = "lk.playback_started"
PLAYBACK_FINISHED: Final = "lk.playback_finished"
ON_BEHALF: Final = "lk.publish_on_behalf"
AUDIO_TRACK: Final = "avatar_audio"
VIDEO_TRACK: Final = "avatar_video"
ACCEPTED: Final = "ok"
REJECTED: Final = "reject"
_MILLISECOND: Final = 0.001


class Format(NamedTuple):
    """How a segment's bytes are to be read: PCM, 16 bit, little-endian, interleaved.

    Attributes:
        sample_rate: in Hz.
        channels: how many.
    """

    sample_rate: int
    channels: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return 2 * self.channels


class Report(NamedTuple):
    """A remote call that the agent waits for.

    Attributes:
        method: its name.
        payload: its JSON, or nothing.
        is_optional: whether an agent may not know it.
    """

    method: str
    payload: str = ""
    is_optional: bool = False


def read_format(attributes: Mapping[str, str] | None) -> Format:
    """Returns what a stream's attributes say.

    Raises:
        ProtocolError: `bad_request`, they do not say it.
    """
    given = attributes or {}
    numbers = []
    for name in ("sample_rate", "num_channels"):
        text = given.get(name, "")
        if not (text.isascii() and text.isdecimal()) or len(text) > 6:
            sentence = f"A stream's attribute {name!r} is a whole number, not {text[:20]!r}."
            raise ProtocolError("bad_request", sentence)
        numbers.append(int(text))
    return Format(*numbers)


def started() -> Report:
    """Returns the report that the first packet of a segment has left."""
    return Report(PLAYBACK_STARTED, is_optional=True)


def finished(played_ms: int, *, interrupted: bool) -> Report:
    """Returns the report that a segment is over, of which so many milliseconds have left."""
    told = {"playback_position": played_ms * _MILLISECOND, "interrupted": interrupted}
    return Report(PLAYBACK_FINISHED, json.dumps(told))
