"""Negotiation: the server's order, of what the offer contains; profiles that we do not send."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket
from aiortc.sdp import SessionDescription

from server.clock import MonotonicClock
from server.encoder import VideoCodec
from server.protocol import ProtocolError
from server.rtp_codecs import without_other_profiles
from server.sender_reports import NtpClock
from server.webrtc import Peer

VP8, H264, VP9, AV1 = VideoCodec.VP8, VideoCodec.H264, VideoCodec.VP9, VideoCodec.AV1

HEAD = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
"""
FINGERPRINT = ":".join(["AB"] * 32)
TRANSPORT = f"""c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=recvonly
a=rtcp-mux
"""
AUDIO = f"m=audio 9 UDP/TLS/RTP/SAVPF 111\n{TRANSPORT}a=mid:0\na=rtpmap:111 opus/48000/2\n"
FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
CHROMIUM = {  # payload type: (name, parameters), in Chromium's order
    96: ("VP8", None),
    103: ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    98: ("VP9", "profile-id=0"),
    100: ("VP9", "profile-id=2"),
    45: ("AV1", "level-idx=5;profile=0;tier=0"),
}


def offer(codecs: dict[int, tuple[str, str | None]]) -> str:
    lines = [
        f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(str(type) for type in codecs)}",
        *TRANSPORT.splitlines(),
        "a=mid:1",
    ]
    for payload_type, (name, parameters) in codecs.items():
        lines.append(f"a=rtpmap:{payload_type} {name}/90000")
        lines += [f"a=rtcp-fb:{payload_type} {kind}" for kind in FEEDBACK]
        if parameters is not None:
            lines.append(f"a=fmtp:{payload_type} {parameters}")
    return (HEAD + AUDIO + "\n".join(lines) + "\n").replace("\n", "\r\n")


def ignore(peer: Peer) -> None:
    del peer


async def accepted(
    sdp: str, codecs: Sequence[VideoCodec], want_keyframe: Callable[[Peer], None] = ignore
) -> tuple[SessionDescription, Peer]:
    peer = Peer(
        codecs=codecs,
        ice_servers=(),
        bitrate=1_000_000,
        clock=MonotonicClock(),
        want_keyframe=want_keyframe,
    )
    ntp = NtpClock(MonotonicClock())
    answer = await peer.accept(sdp, instant_of=lambda _: 0, ntp=ntp)
    return SessionDescription.parse(answer), peer


async def answered(sdp: str, codecs: Sequence[VideoCodec]) -> tuple[list[tuple[int, str]], Peer]:
    answer, peer = await accepted(sdp, codecs)
    await peer.close()
    (video,) = (media for media in answer.media if media.kind == "video")
    return [(codec.payloadType or 0, codec.name) for codec in video.rtp.codecs], peer


@pytest.mark.parametrize(
    ("preferred", "agreed"),
    [
        ((VP8, H264), [(96, "VP8"), (103, "H264")]),
        ((VP9, VP8), [(98, "VP9"), (96, "VP8")]),
        ((H264, VP9), [(103, "H264"), (98, "VP9")]),
        ((AV1, VP9), [(45, "AV1"), (98, "VP9")]),
    ],
)
async def test_the_servers_order_wins(
    preferred: Sequence[VideoCodec], agreed: list[tuple[int, str]]
) -> None:
    codecs, peer = await answered(offer(CHROMIUM), preferred)
    assert codecs == agreed
    assert peer.codec is preferred[0]


async def test_lost_packets_of_every_codec_can_be_sent_again() -> None:
    both = offer({45: CHROMIUM[45], 46: ("rtx", "apt=45"), 98: CHROMIUM[98], 99: ("rtx", "apt=98")})
    codecs, _ = await answered(both, (AV1, VP9))
    assert codecs == [(45, "AV1"), (46, "rtx"), (98, "VP9"), (99, "rtx")]


@pytest.mark.parametrize("codec", list(VideoCodec))
@pytest.mark.parametrize("request_format", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
async def test_a_receiver_that_lost_the_picture_is_heard_at_once(
    codec: VideoCodec, request_format: int
) -> None:
    """What follows, the next picture being complete, `test_audience` has for every codec."""
    asked: list[Peer] = []
    _, peer = await accepted(offer(CHROMIUM), (codec,), asked.append)
    (sender,) = (one for one in peer._connection.getSenders() if one.kind == "video")
    asked.clear()
    packet = RtcpPsfbPacket(fmt=request_format, ssrc=1, media_ssrc=sender._ssrc)
    await sender._handle_rtcp_packet(packet)
    assert asked == [peer]
    await peer.close()


async def test_what_the_offer_lacks_is_passed_over() -> None:
    lacking = {key: value for key, value in CHROMIUM.items() if value[0] != "VP9"}
    codecs, peer = await answered(offer(lacking), (VP9, H264))
    assert codecs == [(103, "H264")]
    assert peer.codec is H264


async def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no codec in common"):
        await answered(offer({96: ("VP8", None)}), (VP9,))


async def test_another_profile_is_not_taken_for_ours() -> None:
    ten_bits_first = {100: CHROMIUM[100], 98: CHROMIUM[98]}
    codecs, _ = await answered(offer(ten_bits_first), (VP9,))
    assert codecs == [(98, "VP9")]
    full_colour_first = {46: ("AV1", "level-idx=5;profile=1;tier=0"), 45: CHROMIUM[45]}
    codecs, _ = await answered(offer(full_colour_first), (AV1,))
    assert codecs == [(45, "AV1")]
    with pytest.raises(ProtocolError, match="no codec in common"):
        await answered(offer({100: CHROMIUM[100]}), (VP9,))


async def test_no_profile_is_profile_0() -> None:
    codecs, _ = await answered(offer({121: ("VP9", None)}), (VP9,))
    assert codecs == [(121, "VP9")]


def test_an_offer_without_other_profiles_is_left_as_it_is() -> None:
    plain = offer({key: CHROMIUM[key] for key in (96, 103, 98, 45)})
    assert without_other_profiles(plain) == plain


def test_a_profile_among_other_parameters_is_found() -> None:
    sdp = offer({100: ("VP9", "max-fr=30; max-fs=3600; profile-id=2")})
    assert not re.search(r"a=(rtpmap|fmtp|rtcp-fb):100", without_other_profiles(sdp))
