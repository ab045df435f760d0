"""A film as an answer to `GET`, wherever it lies: all of it, or the range that is asked for.

Files are Starlette's `FileResponse`; what lies in a storage is read piece by piece, and only as
much as is asked for. Ranges are those of RFC 9110, section 14; of several, all is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from server.outputs.library import Library, Stored

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def film_response(
    request: Request,
    library: Library,
    film: Stored,
    *,
    kind: str,
    headers: Mapping[str, str],
) -> Response:
    """Returns a film as it was asked for.

    Args:
        request: with its `Range`, if any.
        library: that the film is of.
        film: what is known of it.
        kind: its media type.
        headers: that the answer has beside its own.
    """
    if film.path is not None:
        return FileResponse(film.path, media_type=kind, filename=film.name, headers=dict(headers))
    asked = find_range(request.headers.get("range", ""), film.size)
    told = dict(headers) | {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{film.name}"',
    }
    if asked is not None and asked[0] >= asked[1]:
        return Response(status_code=416, headers=told | {"Content-Range": f"bytes */{film.size}"})
    start, stop = asked or (0, film.size)
    told["Content-Length"] = str(stop - start)
    status = 200
    if asked is not None:
        status, told["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{film.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=told, media_type=kind)
    pieces = library.read(film, start, stop)
    return StreamingResponse(pieces, status, told, media_type=kind)


def find_range(header: str, size: int) -> tuple[int, int] | None:
    """Returns the first byte and the one after the last; None where all is to be sent.

    >>> find_range("bytes=5-", 8), find_range("bytes=-2", 8), find_range("bytes=0-0", 8)
    ((5, 8), (6, 8), (0, 1))

    A range that begins after the end is one of no bytes.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    first, last = match[1][:18], match[2][:18]  # more digits than any size has
    if first == "":
        return max(0, size - int(last)), size
    start = int(first)
    stop = size if last == "" else min(int(last) + 1, size)
    if last != "" and int(last) < start:
        return None  # no range at all: RFC 9110, section 14.1.1
    return start, max(start, stop) if start < size else start
