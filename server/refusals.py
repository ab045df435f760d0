"""What a refused HTTP call gets: `{"error": {"code", "message"}}`, a status, one sentence.

Every error that a route can raise passes here. It knows no route.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.guard import rule_of
from server.access.rules import MEGABYTE, PICTURE_BODY
from server.portrait_pictures import MAX_UPLOAD
from server.protocol import RETRY_AFTER, CapacityError, ProtocolError, error_body, fault
from streaming_model.errors import ImageTooLargeError, VivantError

_STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "invalid_sdp": 400,
    "not_found": 404,
    "queued": 409,
    "recording_live": 409,
    "too_many_outputs": 409,
    "forbidden": 403,
    "face_denied": 403,
    "session_gone": 410,
    "text_too_long": 413,
    "body_too_large": 413,
    "image_too_large": 413,
    "image_unreadable": 415,
    "wrong_type": 415,
    "fetch_too_large": 413,
    "not_installed": 501,
    "fetch_failed": 502,
    "livekit_refused": 502,
    "capacity": 503,
    "audit_failed": 503,
    "quota_exceeded": 429,
    "storage_failed": 503,
    "store_failed": 503,
    "worker_lost": 503,
    "deny_list_unusable": 503,
    "recording_refused": 507,
}
_UNPROCESSABLE = 422


def refuse_properly(app: FastAPI) -> None:
    """Gives the application its error handlers and a bound on request bodies."""
    app.add_exception_handler(VivantError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_middleware(_BodyLimit)


def status_of(code: str) -> int:
    """Returns the HTTP status that goes with an error's code."""
    return _STATUS.get(code, _UNPROCESSABLE)


def too_large() -> ImageTooLargeError:
    """Returns the refusal of an upload beyond the limit."""
    return ImageTooLargeError(f"The picture is larger than {MAX_UPLOAD // 2**20} MB.")


class _BodyLimit:
    """ASGI middleware: refuses a request body larger than any that can be meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0
        rule = rule_of(scope)
        most = PICTURE_BODY if rule is None else rule.largest

        async def receive_some() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise _too_long(most)
            return message

        async def send_unless_too_large(message: Message) -> None:
            if size <= most:
                await send(message)

        # FastAPI takes the error for a malformed body, so its answer is replaced.
        await self._app(scope, receive_some, send_unless_too_large)
        if size > most:
            error = _too_long(most)
            answer = JSONResponse(error_body(error.code, str(error)), _STATUS[error.code])
            await answer(scope, receive, send)


def _too_long(most: int) -> VivantError:
    if most == PICTURE_BODY:
        return too_large()
    return ProtocolError("body_too_large", f"This takes at most {most // MEGABYTE} MB.")


async def _refuse(_: Request, error: Exception) -> Response:
    code = error.code if isinstance(error, VivantError) else VivantError.code
    wait = error.retry_after if isinstance(error, CapacityError) else RETRY_AFTER
    headers = {"Retry-After": str(wait)} if code == "capacity" else None
    return JSONResponse(error_body(code, str(error)), status_of(code), headers=headers)


async def _refuse_body(_: Request, error: Exception) -> Response:
    sentence = "The request cannot be read."
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:8])
        sentence = f"In {where}: {fault(first)}."
    return JSONResponse(error_body("bad_request", sentence), 400)


async def _refuse_http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = "not_found" if status == 404 else "bad_request"
    detail = str(error.detail) if isinstance(error, HTTPException) else "The request failed."
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(error_body(code, f"{detail}."), status, headers=headers)
