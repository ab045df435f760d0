"""Transport-wide congestion control for aiortc, which neither numbers packets nor hears of them.

Importing it enters the header extension and its feedback in aiortc's tables. Both senders of a
connection count with one counter. It reaches into private parts of senders and transports, and
therefore checks first that they are as in aiortc 1.16.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCRtpSender
from aiortc.codecs import CODECS, HEADER_EXTENSIONS, is_rtx
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

from server.clock import Clock
from server.congestion import Outcome
from server.transport_feedback import NUMBERS, read_feedback

_LOG = logging.getLogger(__name__)
EXTENSION = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
TRANSPORT_FEEDBACK = RTCRtcpFeedback(type="transport-cc")
_EXTENSION_ID = 4  # where we offer; answers take the other side's. aiortc's own are 1 to 3.
_MAP = "_RTCRtpSender__rtp_header_extensions_map"
_HOOKS = ("_send_rtp", "_handle_rtcp_data")  # of transports
_REMEMBERED = 4096  # packets that wait for feedback


class PacketLog:
    """The packets of one connection that left and were not heard of yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: OrderedDict[int, tuple[int, int]] = OrderedDict()  # number: (instant, bytes)
        self._next = 0
        self._unsized: int | None = None

    def number(self) -> int:
        """Returns the next packet's number; it leaves now."""
        number, self._next = self._next, (self._next + 1) % NUMBERS
        self._sent[number] = (self._clock.now(), 0)
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        self._unsized = number
        return number

    def note_size(self, size: int) -> None:
        """Takes the bytes of the packet that was numbered last; of others nothing."""
        if self._unsized is not None:
            self._sent[self._unsized] = (self._sent[self._unsized][0], size)
            self._unsized = None

    def outcomes(self, compound: bytes) -> list[Outcome]:
        """Returns what a compound RTCP packet tells of packets, in the order of sending."""
        try:
            arrivals = read_feedback(compound)
        except ValueError as error:
            _LOG.info("feedback is ignored: %s", error)
            return []
        outcomes = []
        for arrival in arrivals:
            if arrival.number in self._sent:
                sent, size = self._sent.pop(arrival.number)
                outcomes.append(Outcome(sent, arrival.instant, size))
        return sorted(outcomes, key=lambda outcome: outcome.sent)


class _NumberingMap(HeaderExtensionsMap):
    """aiortc's map of header extensions, which numbers every packet it is asked about."""

    def __init__(self, log: PacketLog) -> None:
        super().__init__()
        self._log = log

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        """Returns the packed extensions; called once whenever a packet leaves."""
        values.transport_sequence_number = self._log.number()
        return super().set(values)


def number_packets(senders: Sequence[RTCRtpSender], log: PacketLog) -> None:
    """Lets these senders number what they send; before they do."""
    for sender in senders:
        if hasattr(sender, _MAP):
            setattr(sender, _MAP, _NumberingMap(log))
        else:
            _LOG.warning("aiortc's sender has no %s: its packets are not numbered", _MAP)


def listen_to_transport(
    senders: Sequence[RTCRtpSender],
    log: PacketLog,
    *,
    on_outcomes: Callable[[Sequence[Outcome]], None],
) -> None:
    """Hands on what is told of the packets of these senders, once their transports are final."""
    for transport in {id(sender.transport): sender.transport for sender in senders}.values():
        hooked: Any = transport
        missing = [name for name in _HOOKS if not hasattr(hooked, name)]
        if missing:
            _LOG.warning("aiortc's transport has no %s: delays are not measured", missing[0])
            continue
        hooked._send_rtp = _sizing(hooked._send_rtp, log)
        hooked._handle_rtcp_data = _hearing(hooked._handle_rtcp_data, log, on_outcomes)


def _sizing(send: Any, log: PacketLog) -> Any:  # noqa: ANN401 - aiortc's own method
    async def send_sized(data: bytes) -> None:
        log.note_size(len(data))
        await send(data)

    return send_sized


def _hearing(
    handle: Any,  # noqa: ANN401 - aiortc's own method
    log: PacketLog,
    on_outcomes: Callable[[Sequence[Outcome]], None],
) -> Any:  # noqa: ANN401
    async def hear(data: bytes) -> None:
        if outcomes := log.outcomes(data):
            on_outcomes(outcomes)
        await handle(data)

    return hear


def _register() -> None:
    """Enters the extension, and the feedback for the codecs that aiortc has of its own."""
    for kind, codecs in CODECS.items():
        HEADER_EXTENSIONS[kind].append(
            RTCRtpHeaderExtensionParameters(id=_EXTENSION_ID, uri=EXTENSION)
        )
        for codec in codecs:
            if not is_rtx(codec):
                codec.rtcpFeedback.append(TRANSPORT_FEEDBACK)


_register()
