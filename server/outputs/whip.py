"""A stream pushed by WHIP: an offer by HTTP, an answer, and then WebRTC as to a viewer (RFC 9725).

The other side is a selective forwarding unit or a streaming site. The offer holds all its ICE
candidates; nothing is trickled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urljoin

import httpx

from server.audience import Audience
from server.clock import Clock
from server.encoder import VideoCodec
from server.ice_servers import IceServer
from server.outputs.output import Output, TargetError
from server.outputs.reach import Reach, by_address
from server.outputs.targets import Target, read_target
from server.protocol import ProtocolError, ServerEvent
from server.sender_reports import NtpClock
from server.watchers import Terms
from server.webrtc import MAX_SDP, Peer

_LOG = logging.getLogger(__name__)
PATIENCE = 10.0  # seconds for each answer by HTTP, and for ICE and DTLS
_GOODBYE = 2.0  # seconds
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 307, 308)  # all of them with the offer again: clients may not change it
_CODECS = (VideoCodec.H264, VideoCodec.VP8)  # the first is what other outputs get, too
_SDP = "application/sdp"
_PORTS: Final = {"http": 80, "https": 443}
_REASONS: Final = {
    400: "it finds the offer malformed",
    401: "it wants another token",
    403: "the token does not allow it",
    404: "it knows no such stream",
    405: "its address is not WHIP's",
    406: "it has no codec in common",
    409: "somebody streams there already",
    415: "it takes no SDP",
    422: "it does not take the offer",
    429: "it is asked too often",
    503: "it is overloaded",
}
_FINAL = (400, 401, 403, 404, 405, 406, 415, 422)
# Both log addresses, and with them stream keys.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Whip(Output):
    """A stream by WHIP."""

    def __init__(
        self,
        target: Target,
        *,
        audience: Audience,
        terms: Terms,
        bitrate: int,
        ice_servers: Sequence[IceServer],
        reach: Reach,
        instant_of: Callable[[int], int],
        ntp: NtpClock,
        clock: Clock,
        publish: Callable[[ServerEvent], None],
    ) -> None:
        """Takes what it needs; `reach` is how far it may go, redirections too."""
        super().__init__(target, clock=clock, publish=publish)
        self._audience, self._terms = audience, terms
        self._bitrate = bitrate
        self._ice_servers = ice_servers
        self._reach = reach
        self._instant_of, self._ntp = instant_of, ntp

    async def _attempt(self) -> None:
        peer = Peer(
            codecs=_CODECS,
            ice_servers=self._ice_servers,
            bitrate=self._bitrate,
            clock=self._clock,
            want_keyframe=self._audience.want_keyframe,
        )
        async with httpx.AsyncClient(timeout=PATIENCE, headers=self._authorization()) as client:
            try:
                offer = await peer.offer()
                resource, answer = await self._post(client, offer)
                try:
                    await self._stream(peer, answer)
                finally:
                    await self._delete(client, resource)
            finally:
                self._audience.remove(peer)
                await peer.close()

    async def _stream(self, peer: Peer, answer: str) -> None:
        try:
            await peer.take_answer(answer, instant_of=self._instant_of, ntp=self._ntp)
            async with asyncio.timeout(PATIENCE):
                await _first(peer.connected, peer.closed)
        except ProtocolError as error:
            raise TargetError("The target's answer is malformed.", is_final=True) from error
        except TimeoutError as error:
            raise TargetError("The target cannot be reached by UDP.") from error
        if not peer.closed.is_set():
            self._audience.add(peer, self._terms)
            self._note_live()
            await peer.closed.wait()
        raise TargetError("The target closed the connection.")

    async def _post(self, client: httpx.AsyncClient, offer: str) -> tuple[str, str]:
        """Sends the offer; returns the address of the session there, and its answer."""
        url = self.target.url.removeprefix("whip+")
        for _ in range(_MOST_REDIRECTS):
            response = await self._ask(client, url, offer)
            location = response.headers.get("location", "")
            if response.status_code in _REDIRECTS and location:
                url = self._redirected(url, location)
                continue
            if response.status_code != 201:
                raise _refusal(response.status_code)
            answer = response.text
            if not location or len(answer) > MAX_SDP or not answer.startswith("v=0"):
                raise TargetError("The target does not answer as WHIP does.", is_final=True)
            return self._redirected(url, location), answer
        raise TargetError(f"The target redirects more than {_MOST_REDIRECTS} times.", is_final=True)

    async def _ask(self, client: httpx.AsyncClient, url: str, offer: str) -> httpx.Response:
        request = await self._request(client, "POST", url, offer)
        try:
            return await client.send(request)
        except httpx.ConnectError as error:
            raise TargetError("The target refuses connections or has no such host.") from error
        except httpx.TimeoutException as error:
            raise TargetError(f"The target did not answer within {PATIENCE:g} seconds.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _LOG.info("WHIP: %s", type(error).__name__)
            raise TargetError("The target does not speak HTTP as it should.") from error

    async def _request(
        self, client: httpx.AsyncClient, method: str, url: str, offer: str | None = None
    ) -> httpx.Request:
        """Returns a request to an address that was checked, in the name of its host.

        Raises:
            TargetError: the host may not be reached.
        """
        asked = httpx.URL(url)
        port = asked.port or _PORTS.get(asked.scheme, 443)
        address = await self._reach.find(asked.host, port)
        headers = {} if offer is None else {"Content-Type": _SDP}
        if address is not None:
            headers["Host"] = asked.netloc.decode()
        return client.build_request(
            method,
            by_address(url, address),
            content=offer,
            headers=headers,
            extensions={"sni_hostname": asked.host},  # whose certificate TLS wants
        )

    def _redirected(self, url: str, location: str) -> str:
        """Returns where a redirection leads, if the token may go there.

        Raises:
            TargetError: it may not.
        """
        new = urljoin(url, location)
        try:
            target = read_target(f"whip+{new}", bearer=self.target.bearer, hosts=self._reach.hosts)
        except ProtocolError as error:
            raise TargetError(
                "The target redirects to where streams may not be pushed.", is_final=True
            ) from error
        if self.target.scheme == "whip+https" and target.scheme != "whip+https":
            raise TargetError("The target redirects to where nothing is encrypted.", is_final=True)
        return new

    async def _delete(self, client: httpx.AsyncClient, resource: str) -> None:
        """Ends the session there; one that has gone already says so and that is all right."""
        # anyio raises AttributeError where a connection is closed as soon as it is made.
        with contextlib.suppress(
            httpx.HTTPError, httpx.InvalidURL, AttributeError, TargetError, TimeoutError
        ):
            async with asyncio.timeout(_GOODBYE):
                await client.send(await self._request(client, "DELETE", resource))

    def _authorization(self) -> dict[str, str]:
        bearer = self.target.bearer
        return {} if bearer is None else {"Authorization": f"Bearer {bearer}"}


def _refusal(status: int) -> TargetError:
    reason = _REASONS.get(status)
    sentence = f"The target refuses the stream with status {status}"
    return TargetError(
        f"{sentence}: {reason}." if reason else f"{sentence}.", is_final=status in _FINAL
    )


async def _first(*events: asyncio.Event) -> None:
    """Waits until one of them is set."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
