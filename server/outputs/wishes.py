"""What a session's outputs were asked for, as it is kept for whoever goes on with them elsewhere.

An address holds its stream key: who reads these may push in the owner's name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FilmFormat = Literal["mp4", "webm"]


class PushWish(BaseModel):
    """A stream that is pushed.

    Attributes:
        id: the output's.
        url: where to, with its secrets.
        bearer: the token that a WHIP endpoint wants.
        bitrate: bits a second; None for the viewers'.
        is_anywhere: whether it may go beyond the public internet.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    url: str = Field(repr=False)
    bearer: str | None = Field(default=None, repr=False)
    bitrate: int | None = None
    is_anywhere: bool = False


class FilmWish(BaseModel):
    """A recording.

    Attributes:
        id: the recording's.
        is_transparent: whether what is behind the person is left out.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    format: FilmFormat
    is_transparent: bool = False
