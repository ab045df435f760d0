"""Harnesses of session descriptions: offers, answers, fragments, candidates."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import cache
from typing import Final

from aiortc import RTCConfiguration, RTCPeerConnection

from server.clock import MonotonicClock
from server.encoder import VideoCodec
from server.pipecat.routes import _candidate
from server.protocol import ProtocolError
from server.sender_reports import NtpClock
from server.webrtc import MAX_SDP, Peer
from server.whip.fragment import parse_fragment
from tools.fuzz.harness import Harness
from tools.fuzz.mutate import lines_with

_WORDS: Final = (
    *("v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9"),
    *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=text 0 RTP/AVP 0", "a=mid:0"),
    *(
        "a=group:BUNDLE 0 1 2",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:98 VP9/90000",
        "a=fmtp:98 profile-id=2",
    ),
    *("a=rtpmap:111 opus/48000/2", "a=fmtp:97 apt=96", "a=ssrc-group:FID 1 2", "a=ssrc:1 cname:a"),
    *("a=setup:actpass", "a=fingerprint:sha-256 AA:BB", "a=fingerprint:md5 00", "a=ice-lite"),
    *(
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=end-of-candidates",
        "c=IN IP4 0.0.0.0",
    ),
    *(
        "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host",
        "a=candidate:1 1 tcp 1 ::1 9 typ srflx",
    ),
    *(
        "a=candidate:1 1 udp 1 a.local 5 typ host",
        "a=sctp-port:5000",
        "a=max-message-size:0",
        "b=AS:1",
    ),
    *("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:x y", "a=rtcp:9 IN IP4 0.0.0.0"),
    *(
        "a=sendrecv",
        "a=recvonly",
        "a=inactive",
        "a=rtcp-mux",
        "a=msid:- x",
        "a=rtcp-fb:* nack",
        "a=",
    ),
)
mutate_sdp: Final = lines_with(_WORDS)


@cache
def loop() -> asyncio.Runner:
    """Returns what runs the coroutines of this process's harnesses."""
    return asyncio.Runner()


def end() -> None:
    """Ends that; nothing may be given to these harnesses any more."""
    loop().close()


def take_offer(data: bytes) -> None:
    """Answers a viewer's offer, and ends the connection."""
    loop().run(_accept(data.decode("utf-8", "replace")))


def take_answer(data: bytes) -> None:
    """Takes the answer of a WHIP endpoint to our offer."""
    loop().run(_take(data.decode("utf-8", "replace")))


def take_fragment(data: bytes) -> None:
    """Reads a fragment that trickles in, and as a restart of ICE."""
    fragment = parse_fragment(data.decode("utf-8", "replace"))
    fragment.description()


def take_candidate(data: bytes) -> None:
    """Reads one ICE candidate."""
    _candidate(data.decode("utf-8", "replace"))


def _peer() -> Peer:
    return Peer(
        codecs=(VideoCodec.VP8, VideoCodec.H264),
        ice_servers=(),
        bitrate=1_000_000,
        clock=MonotonicClock(),
        want_keyframe=lambda _: None,
    )


async def _accept(offer: str) -> None:
    peer = _peer()
    try:
        answer = await peer.accept(
            offer, instant_of=lambda time: time, ntp=NtpClock(MonotonicClock())
        )
        assert answer.startswith("v=0")
        assert len(answer) < 10 * MAX_SDP
    finally:
        await peer.close()
        await _settle()


async def _take(answer: str) -> None:
    peer = _peer()
    try:
        await peer.offer()
        await peer.take_answer(answer, instant_of=int, ntp=NtpClock(MonotonicClock()))
    finally:
        await peer.close()
        await _settle()


async def _settle() -> None:
    """Lets what ends end, and ends what would go on."""
    for _ in range(5):
        await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    for task in others:
        with contextlib.suppress(BaseException):
            await task


def offers() -> Sequence[bytes]:
    """Returns offers such as viewers make, and one such as a browser makes."""
    return [loop().run(_offer()), _BROWSER.replace("\n", "\r\n").encode()]


async def _offer() -> bytes:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("events")
    connection.addTransceiver("video", "recvonly")
    connection.addTransceiver("audio", "sendrecv")
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    await connection.close()
    return sdp.encode()


async def _answer() -> bytes:
    peer, connection = _peer(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    from aiortc import RTCSessionDescription

    await connection.setRemoteDescription(RTCSessionDescription(await peer.offer(), "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    sdp: str = connection.localDescription.sdp
    await connection.close()
    await peer.close()
    return sdp.encode()


_FINGERPRINT: Final = ":".join(["AB"] * 32)
_BROWSER: Final = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 103 104
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle
a=fingerprint:sha-256 {_FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:99 VP9/90000
a=fmtp:99 profile-id=2
a=rtpmap:103 H264/90000
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=fingerprint:sha-256 {_FINGERPRINT}
a=setup:actpass
a=mid:1
a=sendrecv
a=msid:- 5f0a
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6
a=candidate:842163049 1 udp 1677729535 127.0.0.1 9 typ srflx raddr 0.0.0.0 rport 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=fingerprint:sha-256 {_FINGERPRINT}
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""
_FRAGMENT: Final = b"""a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=video 9 UDP/TLS/RTP/SAVPF 0
a=mid:0
a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host generation 0 ufrag EsAw
a=end-of-candidates
"""
_CANDIDATE: Final = b"candidate:842163049 1 udp 1677729535 127.0.0.1 46154 typ host"
_REFUSED: Final = (ProtocolError,)
OFFER: Final = Harness(take_offer, offers, mutate_sdp, _REFUSED, longest=60_000)
ANSWER: Final = Harness(
    take_answer, lambda: [loop().run(_answer())], mutate_sdp, _REFUSED, longest=60_000
)
FRAGMENT: Final = Harness(take_fragment, lambda: [_FRAGMENT], mutate_sdp, _REFUSED, longest=60_000)
CANDIDATE: Final = Harness(
    take_candidate, lambda: [_CANDIDATE], mutate_sdp, _REFUSED, longest=2_000
)
