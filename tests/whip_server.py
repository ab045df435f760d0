"""A WHIP endpoint for tests: aiortc behind FastAPI, counting what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from fastapi import FastAPI, Request, Response

from tests.test_server_live import contextless

TOKEN = "s3cret-token"


class WhipServer:
    """Attributes tell what came: `offers`, `pictures` as arrays, `sounds`, `deleted` sessions."""

    def __init__(self) -> None:
        self.offers: list[str] = []
        self.pictures: list[Any] = []
        self.sounds = 0
        self.deleted: list[str] = []
        self.requests: list[str] = []
        self.status = 201  # of the answer to an offer
        self.address = ""
        self._connections: list[RTCPeerConnection] = []
        self._group: asyncio.TaskGroup | None = None
        self.app = FastAPI()
        self.app.post("/whip/{stream}")(self.publish)
        self.app.post("/elsewhere/{stream}")(self.redirect)
        self.app.post("/loop/{stream}")(self.loop)
        self.app.post("/nonsense/{stream}")(self.nonsense)
        self.app.delete("/sessions/{name}")(self.delete)

    async def publish(self, request: Request, stream: str) -> Response:
        self.requests.append(stream)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response(status_code=401)
        if self.status != 201:
            return Response(status_code=self.status)
        assert request.headers["content-type"] == "application/sdp"
        offer = (await request.body()).decode()
        self.offers.append(offer)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        connection.on("track", self._take)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return Response(
            connection.localDescription.sdp,
            status_code=201,
            media_type="application/sdp",
            headers={"Location": f"/sessions/{len(self.offers)}"},
        )

    async def redirect(self, stream: str) -> Response:
        return Response(status_code=307, headers={"Location": f"/whip/{stream}"})

    async def loop(self, stream: str) -> Response:
        return Response(status_code=307, headers={"Location": f"/loop/{stream}"})

    async def nonsense(self, stream: str) -> Response:
        del stream
        return Response("v=0\r\nnonsense", status_code=201, headers={"Location": "/sessions/0"})

    async def delete(self, name: str) -> Response:
        self.deleted.append(name)
        return Response()

    async def drop(self) -> None:
        """Ends all connections, as an endpoint that is restarted does."""
        for connection in self._connections:
            await connection.close()
        self._connections.clear()

    def _take(self, track: MediaStreamTrack) -> None:
        assert self._group is not None
        self._group.create_task(self._count(track))

    async def _count(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "video":
                self.pictures.append(frame.to_ndarray(format="rgb24"))
            else:
                self.sounds += 1


@asynccontextmanager
async def whip_server() -> AsyncIterator[WhipServer]:
    server = WhipServer()
    http = uvicorn.Server(uvicorn.Config(server.app, port=0, log_level="error"))
    http.capture_signals = contextless  # type: ignore[assignment,method-assign]
    async with asyncio.TaskGroup() as group:
        server._group = group
        group.create_task(http.serve())
        while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        server.address = f"127.0.0.1:{http.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield server
        finally:
            await server.drop()
            http.should_exit = True
