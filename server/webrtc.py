"""One viewer's WebRTC connection: offer in, answer out, packets and messages both ways.

The traps of aiortc are handled here and nowhere else. It knows nothing of sessions; what the
viewer does comes out of channels, and what the viewer gets is handed to it encoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamTrack

from server.bandwidth import Bandwidth, Rung, with_sound
from server.candidates import bounded
from server.channel import Channel, Overflow
from server.clock import Clock
from server.codec_contexts import VIDEO_CLOCK
from server.congestion import Congestion, Outcome
from server.encoder import VideoCodec
from server.feedback import listen_to_receiver
from server.ice import IceDescription, IcePath
from server.ice_servers import IceServer
from server.ingest import SOUND_RATE
from server.marks.disclosure import disclosed
from server.microphone_track import take_packets_at_once
from server.protocol import MediaOrigin, ProtocolError
from server.repeats import Answer, Repeats
from server.rtp_codecs import give_packer, without_other_profiles
from server.rtp_origin import watch_origin
from server.sender_reports import NtpClock, tie_to_media_clock
from server.tracks import PictureTrack, SoundTrack
from server.transport_wide import PacketLog, listen_to_transport, number_packets

_LOG = logging.getLogger(__name__)
EVENTS_LABEL = "events"
MAX_SDP = 128 * 1024  # characters
_KINDS = ("audio", "video")
_MAX_UNSENT = 256 * 1024  # bytes on the data channel before events are dropped
# What parsing and applying a malformed description has been seen to raise.
_BAD_SDP = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,  # "coroutine raised StopIteration"
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


class Peer:
    """One viewer.

    Attributes:
        codec: the video codec agreed on.
        bandwidth: what its connection carries.
        rung: which encoding of the pictures it gets.
        messages: JSON texts that arrived on the data channel `events`.
        microphone: the viewer's audio track, or None.
        events_open: set once the data channel can carry events.
        closed: set once the connection is over.
    """

    def __init__(
        self,
        *,
        codecs: Sequence[VideoCodec],
        ice_servers: Sequence[IceServer],
        bitrate: int,
        clock: Clock,
        want_keyframe: Callable[[Peer], None],
        label: str = EVENTS_LABEL,
        on_send: Callable[[int, bool], None] = lambda _pts, _is_over: None,
    ) -> None:
        """Takes what it needs.

        `label` is that of the data channel for events; `bitrate` is the most its video may use, in
        bits a second; `on_send` is told the 90 kHz time stamp of a picture whose first packet is
        about to be sent, and again when all have been.
        """
        self._ice_servers = tuple(ice_servers)
        self._paths: list[IcePath] = []
        # An empty list, unlike None, asks no public STUN server and so never waits for one. The
        # bundle policy stays aiortc's own: with MAX_BUNDLE an offer whose first section is not
        # ours makes it stop the one transport that all share.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=self._servers()))
        self._preferred = list(codecs)
        self._want_keyframe = want_keyframe
        self._label = label
        self._events: RTCDataChannel | None = None
        self._clock = clock
        self.codec = codecs[0]
        self.bandwidth = Bandwidth(most=bitrate)
        self._repeats = Repeats()
        self._congestion = Congestion(most=with_sound(bitrate))
        self._log = PacketLog(clock)
        self.rung = Rung.HIGH
        self.sound = SoundTrack()
        self.picture = PictureTrack(self._ask_for_keyframe, on_send)
        self.messages: Channel[str] = Channel(64, Overflow.REFUSE)
        self.microphone: MediaStreamTrack | None = None
        self.events_open = asyncio.Event()
        self.connected = asyncio.Event()
        self._named: list[RTCIceCandidate] = []
        self._offered: Mapping[int, RTCRtpSender] = {}
        self._origins: dict[int, int] = {}  # RTP time stamp of media time 0, by clock rate
        self._may_tell_origin = False
        self._is_ending = False
        self.closed = asyncio.Event()

    async def accept(self, offer: str, *, instant_of: Callable[[int], int], ntp: NtpClock) -> str:
        """Answers an SDP offer.

        Args:
            offer: the viewer's description.
            instant_of: the instant at which a media time is due to leave, for sender reports.
            ntp: converts instants for sender reports.

        Raises:
            ProtocolError: `invalid_sdp`, when it is malformed or offers nothing we can send.
        """
        if len(offer) > MAX_SDP or not offer.lstrip().startswith("v=0"):
            raise ProtocolError("invalid_sdp", "The offer is not a session description.")
        if "\nm=video" not in offer and "\nm=audio" not in offer:
            raise ProtocolError("invalid_sdp", "The offer asks for neither audio nor video.")
        self._listen()
        try:
            return await self._negotiate(offer, instant_of=instant_of, ntp=ntp)
        except _BAD_SDP as error:
            _LOG.info("offer refused: %r", error)
            await self.close()
            raise ProtocolError(
                "invalid_sdp", "The offer is malformed or has no codec in common."
            ) from error

    def send_event(self, text: str) -> None:
        """Sends one JSON text; it is lost when the channel is not open or far behind."""
        channel = self._events
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount < _MAX_UNSENT:
            channel.send(text)

    def tell_origin(self) -> None:
        """Lets the viewer know, once it is known, how its RTP time stamps tell media time."""
        self._may_tell_origin = True
        if len(self._origins) == len(_KINDS):
            origin = MediaOrigin(self._origins[VIDEO_CLOCK], self._origins[SOUND_RATE])
            self.send_event(origin.to_json())

    async def close(self) -> None:
        """Ends the connection; later calls do nothing."""
        if self._is_ending:
            return
        self._is_ending = True
        self.sound.stop()
        self.picture.stop()
        self.messages.close()
        for path in self._paths:
            await path.close()
        # A description that was half applied can leave a transceiver without a transport.
        with contextlib.suppress(AttributeError):
            await self._connection.close()
        self.closed.set()

    async def _negotiate(
        self, offer: str, *, instant_of: Callable[[int], int], ntp: NtpClock
    ) -> str:
        connection = self._connection
        senders = self._add_tracks(kinds={kind for kind in _KINDS if f"\nm={kind}" in offer})
        ours = connection.getTransceivers()
        for transceiver in ours:
            # Preferences count only when they are set before the offer is applied.
            _prefer(transceiver, self._preferred)
            if transceiver.kind == "audio":
                take_packets_at_once(transceiver.receiver)
            else:
                transceiver.direction = "sendonly"
        offer, self._named = bounded(_open_ended(offer))
        await connection.setRemoteDescription(
            RTCSessionDescription(sdp=without_other_profiles(offer), type="offer")
        )
        self.codec = _agreed_codec(connection.getTransceivers(), self.codec)
        if VIDEO_CLOCK in senders:
            give_packer(senders[VIDEO_CLOCK], self.codec)
        for transceiver in connection.getTransceivers():
            if transceiver not in ours:
                # What nobody reads would be decoded and pile up.
                transceiver.direction = "inactive"
        answer = await connection.createAnswer()
        self._prepare_ice()
        await connection.setLocalDescription(answer)
        self._tie(senders, instant_of=instant_of, ntp=ntp)
        return disclosed(connection.localDescription.sdp)

    async def offer(self) -> str:
        """Returns an offer to another server of what a viewer gets; `take_answer` follows."""
        connection = self._connection
        self._listen()
        self._offered = self._add_tracks(kinds=_KINDS)
        for transceiver in connection.getTransceivers():
            _prefer(transceiver, self._preferred)
            transceiver.direction = "sendonly"
        offer = await connection.createOffer()
        self._prepare_ice()
        await connection.setLocalDescription(offer)
        return disclosed(connection.localDescription.sdp)

    async def take_answer(
        self, answer: str, *, instant_of: Callable[[int], int], ntp: NtpClock
    ) -> None:
        """Connects to whoever answered `offer`; the arguments are those of `accept`.

        Raises:
            ProtocolError: `invalid_sdp`, when the answer is malformed or takes nothing we offered.
        """
        try:
            answer, self._named = bounded(_open_ended(answer))
            description = RTCSessionDescription(sdp=answer, type="answer")
            await self._connection.setRemoteDescription(description)
            self.codec = _agreed_codec(self._connection.getTransceivers(), self.codec)
            give_packer(self._offered[VIDEO_CLOCK], self.codec)
        except _BAD_SDP as error:
            _LOG.info("answer refused: %r", error)
            raise ProtocolError(
                "invalid_sdp", "The answer is malformed or has no codec in common."
            ) from error
        self._tie(self._offered, instant_of=instant_of, ntp=ntp)
        await self.look_up_names()

    @property
    def ice_username(self) -> str:
        """Our ICE username fragment, which names the generation of ICE (RFC 9725's ICE session)."""
        return self._paths[0].username

    async def add_candidates(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Takes more of the viewer's ICE candidates, of its newest generation."""
        for path in self._paths:
            await path.add_candidates(candidates)

    async def look_up_names(self) -> None:
        """Looks for the viewer's candidates that are names (mDNS), which may take a second."""
        await self.add_candidates(self._named)

    async def restart_ice(self, theirs: IceDescription) -> IceDescription:
        """Begins ICE anew, media going on meanwhile; returns our side of it, complete.

        `reconnect` is to follow.

        Raises:
            ProtocolError: `bad_request`, the connection is not one bundle.
        """
        if len(self._paths) != 1:
            raise ProtocolError("bad_request", "Only a bundled connection can restart ICE.")
        return await self._paths[0].restart(theirs, servers=self._servers())

    async def reconnect(self) -> None:
        """Takes the path of the last `restart_ice` once it is found."""
        for path in self._paths:
            await path.reconnect()

    def _servers(self) -> list[RTCIceServer]:
        leased = [server.leased() for server in self._ice_servers]
        return [RTCIceServer(item.urls, item.username, item.credential) for item in leased]

    def _prepare_ice(self) -> None:
        """Readies each transport before it gathers and starts."""
        hooked: Any = self._connection
        for transport in hooked._RTCPeerConnection__iceTransports:
            self._paths.append(IcePath(transport))

    def _add_tracks(self, *, kinds: Collection[str]) -> dict[int, RTCRtpSender]:
        """Adds sound, picture or both; returns their senders by clock rate.

        aiortc cannot answer an offer that lacks what was added.
        """
        senders: dict[int, RTCRtpSender] = {}
        for track, rate in ((self.sound, SOUND_RATE), (self.picture, VIDEO_CLOCK)):
            if track.kind in kinds:
                senders[rate] = self._connection.addTrack(track)
            else:
                track.stop()
        number_packets(list(senders.values()), self._log)
        return senders

    def _tie(
        self,
        senders: Mapping[int, RTCRtpSender],
        *,
        instant_of: Callable[[int], int],
        ntp: NtpClock,
    ) -> None:
        """Ties what is sent to the media clock, and listens to what the other side reports."""
        for rate, sender in senders.items():
            tie_to_media_clock(sender, instant_of=_in_rate(instant_of, rate), ntp=ntp)
            watch_origin(sender, functools.partial(self._note_origin, rate))
        listen_to_transport(list(senders.values()), self._log, on_outcomes=self._note_outcomes)
        if VIDEO_CLOCK not in senders:
            return
        listen_to_receiver(
            senders[VIDEO_CLOCK],
            on_picture_lost=self._ask_for_keyframe,
            on_estimate=self._note_estimate,
            on_loss=self._note_loss,
            may_repeat=self._may_repeat,
        )

    def _note_origin(self, rate: int, origin: int) -> None:
        self._origins[rate] = origin
        if self._may_tell_origin:
            self.tell_origin()

    def _listen(self) -> None:
        connection = self._connection
        connection.on("connectionstatechange", self._on_state)
        connection.on("datachannel", self._on_channel)
        connection.on("track", self._on_track)

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self.connected.set()
        elif state in ("failed", "closed"):
            self.closed.set()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != self._label:
            return
        self._events = channel
        channel.on("message", self._on_message)
        self.events_open.set()

    def _on_message(self, message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        self.messages.offer(text)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self.microphone is None:  # the first is our transceiver's
            self.microphone = track

    def _ask_for_keyframe(self) -> None:
        self._want_keyframe(self)

    def _may_repeat(self, sequence_number: int) -> bool:
        rate, now = self.bandwidth.rate, self._clock.now()
        answer = self._repeats.answer(sequence_number, rate=rate, now=now)
        if answer is Answer.GIVE_UP:
            self._ask_for_keyframe()
        return answer is Answer.REPEAT

    def _note_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        self._note_estimate(self._congestion.note(outcomes, now=self._clock.now()))

    def _note_estimate(self, estimate: int) -> None:
        sent, now = self.picture.bytes_sent, self._clock.now()
        self.bandwidth.note_estimate(estimate, sent=sent, now=now)

    def _note_loss(self, fraction: float) -> None:
        sent, now = self.picture.bytes_sent, self._clock.now()
        self.bandwidth.note_loss(fraction, sent=sent, now=now)


def _open_ended(offer: str) -> str:
    """Returns the offer without its ends of candidates.

    aioice gives up at once when candidates have ended and none can be resolved, as with a browser
    that hides its addresses behind mDNS names; the browser's own checks would still reach us.
    """
    return re.sub(r"(?m)^a=end-of-candidates\r?\n?", "", offer)


def _in_rate(instant_of: Callable[[int], int], rate: int) -> Callable[[int], int]:
    """Turns a function of 16 kHz media time into one of RTP time at `rate`."""
    return lambda timestamp: instant_of(timestamp * 16_000 // rate)


def _prefer(transceiver: RTCRtpTransceiver, codecs: Sequence[VideoCodec]) -> None:
    names = (
        ["audio/opus"]
        if transceiver.kind == "audio"
        else [f"video/{codec.value}" for codec in codecs] + ["video/rtx"]
    )
    capabilities = RTCRtpSender.getCapabilities(transceiver.kind).codecs
    transceiver.setCodecPreferences(
        [item for name in names for item in capabilities if item.mimeType.lower() == name.lower()]
    )


def _agreed_codec(transceivers: Sequence[RTCRtpTransceiver], default: VideoCodec) -> VideoCodec:
    for transceiver in transceivers:
        if transceiver.kind == "video" and transceiver.mid is not None:
            name = transceiver._codecs[0].name.upper()
            return VideoCodec(name)
    return default
