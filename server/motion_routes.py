"""A session's motion as a file that grows while it is fetched: docs/protocol.md, "Motion out"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from server.motion_output import Frame, MotionOutput
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_files import live_link_header, live_link_row
from streaming_model.rig import load_rig
from streaming_model.rig.gltf import MEDIA_TYPE as HEAD_TYPE
from streaming_model.rig.gltf import head_glb

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
MotionFormat = Literal["ndjson", "csv"]
_TYPES: Final[dict[MotionFormat, str]] = {"ndjson": "application/x-ndjson", "csv": "text/csv"}
_ROW_END: Final = "\r\n"  # RFC 4180


@ROUTES.get("/v1/sessions/{session_id}/motion", response_class=StreamingResponse)
async def motion(
    request: Request,
    session_id: str,
    format: MotionFormat = "ndjson",
) -> StreamingResponse:
    """The motion from now on, 25 frames a second, until the client has enough."""
    house: House = request.app.state.house
    session = house.sessions.find(session_id)
    session.touch()
    session.line.begin()
    written = _csv if format == "csv" else _json
    head = _line(live_link_header()) if format == "csv" else ""
    return StreamingResponse(
        _lines(session.line.motion, head=head, written=written), media_type=_TYPES[format]
    )


@ROUTES.get("/v1/head.glb", response_class=Response)
async def head() -> Response:
    """A head of our own to show motion with: glTF, with ARKit's shapes as morph targets."""
    loop = asyncio.get_running_loop()
    return Response(
        await loop.run_in_executor(None, _head),
        media_type=HEAD_TYPE,
        headers={"Cache-Control": "max-age=86400"},
    )


@cache
def _head() -> bytes:
    return head_glb(load_rig())


async def _lines(
    output: MotionOutput, *, head: str, written: Callable[[Frame], str]
) -> AsyncIterator[str]:
    with output.listen() as frames:
        yield head
        async for frame in frames:
            yield written(frame)


def _json(frame: Frame) -> str:
    return frame.event().to_json() + "\n"


def _csv(frame: Frame) -> str:
    return _line(live_link_row(frame.start // SAMPLES_PER_MOTION_FRAME, frame.motion))


def _line(cells: list[str]) -> str:
    return ",".join(cells) + _ROW_END
