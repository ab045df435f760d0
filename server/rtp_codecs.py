"""VP9 and AV1 for aiortc, which negotiates and packs VP8 and H.264 only.

Importing it enters the codecs in aiortc's tables, from where they are agreed on by whoever
prefers them. aiortc's senders make their own packer; ours is handed to them before they do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any, Final

import av
from aiortc import RTCRtpSender, rtp
from aiortc.codecs import CODECS
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import convert_timebase
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters

from server.codec_contexts import VIDEO_CLOCK, VIDEO_TIME_BASE
from server.encoder import VideoCodec
from server.payloads import PICTURE_IDS, av1_payloads, vp9_payloads
from server.transport_wide import TRANSPORT_FEEDBACK

# With the unassigned ones that RFC 3551, section 3 lets be used when these run out: Chromium's AV1
# has 45. aiortc answers others with a payload type of its own choice.
_DYNAMIC = [*range(35, 64), *rtp.DYNAMIC_PAYLOAD_TYPES]
_SENDERS_PACKER = "_RTCRtpSender__encoder"  # as in aiortc 1.16
# What we send, and the only profile of it: 8 bits, 4:2:0.
_PARAMETERS: Final[Mapping[VideoCodec, Mapping[str, str]]] = {
    VideoCodec.VP9: {"profile-id": "0"},
    VideoCodec.AV1: {"level-idx": "5", "profile": "0", "tier": "0"},
}
_PROFILE: Final[Mapping[str, str]] = {"vp9": "profile-id", "av1": "profile"}


class Packer(Encoder):
    """Packs the packets of one sender; what aiortc calls an encoder."""

    def encode(self, frame: object, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Raises TypeError: tracks hand out packets."""
        raise TypeError(f"pictures are encoded before they reach the sender, not {frame!r}")


class Vp9Packer(Packer):
    """VP9, with picture ids from a random one on."""

    def __init__(self) -> None:
        self._picture_id = random.randrange(PICTURE_IDS)

    def pack(self, packet: av.Packet[Any]) -> tuple[list[bytes], int]:
        """Returns a picture's payloads and its 90 kHz time stamp."""
        payloads = vp9_payloads(
            bytes(packet), picture_id=self._picture_id, is_keyframe=packet.is_keyframe
        )
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        return payloads, _timestamp(packet)


class Av1Packer(Packer):
    """AV1."""

    def pack(self, packet: av.Packet[Any]) -> tuple[list[bytes], int]:
        """Returns a temporal unit's payloads and its 90 kHz time stamp."""
        return av1_payloads(bytes(packet), is_keyframe=packet.is_keyframe), _timestamp(packet)


def give_packer(sender: RTCRtpSender, codec: VideoCodec) -> None:
    """Lets `sender` pack a codec that aiortc cannot; before it sends.

    Raises:
        RuntimeError: aiortc keeps its packer elsewhere than in 1.16.
    """
    if codec not in _PACKERS:
        return
    if not hasattr(sender, _SENDERS_PACKER):
        raise RuntimeError(f"aiortc's sender has no {_SENDERS_PACKER}: no {codec.value}")
    setattr(sender, _SENDERS_PACKER, _PACKERS[codec]())


def without_other_profiles(offer: str) -> str:
    """Returns an SDP without the profiles of our codecs that we do not send.

    aiortc compares profiles for H.264 only, and would take the first VP9 or AV1 for ours.
    """
    sections = re.split(r"(?m)^(?=m=)", offer)
    return "".join(_without(section, _other_profiles(section)) for section in sections)


def _other_profiles(section: str) -> set[str]:
    """Returns the payload types of a media section that are profiles other than ours."""
    others = set()
    for payload_type, name in re.findall(r"(?m)^a=rtpmap:(\d+) ([^/\s]+)/", section):
        parameter = _PROFILE.get(name.lower())
        if parameter is None:
            continue
        wanted = rf"(?m)^a=fmtp:{payload_type} (?:.*;)?\s*{parameter}=(\d+)"
        profile = re.search(wanted, section)
        if profile is not None and int(profile[1]) != 0:
            others.add(payload_type)
    return others


def _without(section: str, payload_types: set[str]) -> str:
    for payload_type in payload_types:
        section = re.sub(rf"(?m)^a=(?:rtpmap|fmtp|rtcp-fb):{payload_type} .*\n?", "", section)
    return section


def _timestamp(packet: av.Packet[Any]) -> int:
    if packet.pts is None or packet.time_base is None:
        raise ValueError("a packet without a time cannot be sent")
    return convert_timebase(packet.pts, packet.time_base, VIDEO_TIME_BASE)


def _register() -> None:
    """Enters our codecs behind aiortc's own, each with its retransmissions."""
    table: Any = rtp
    table.DYNAMIC_PAYLOAD_TYPES = _DYNAMIC
    videos = CODECS["video"]
    for codec, parameters in _PARAMETERS.items():
        payload_type = 1 + max(known.payloadType or 0 for known in videos)
        videos += [
            RTCRtpCodecParameters(
                mimeType=f"video/{codec.value}",
                clockRate=VIDEO_CLOCK,
                payloadType=payload_type,
                rtcpFeedback=[
                    RTCRtcpFeedback(type="nack"),
                    RTCRtcpFeedback(type="nack", parameter="pli"),
                    RTCRtcpFeedback(type="goog-remb"),
                    TRANSPORT_FEEDBACK,
                ],
                parameters=dict(parameters),
            ),
            RTCRtpCodecParameters(
                mimeType="video/rtx",
                clockRate=VIDEO_CLOCK,
                payloadType=payload_type + 1,
                parameters={"apt": payload_type},
            ),
        ]


_PACKERS: Final[Mapping[VideoCodec, type[Packer]]] = {
    VideoCodec.VP9: Vp9Packer,
    VideoCodec.AV1: Av1Packer,
}

_register()
