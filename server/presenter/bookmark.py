"""Where the reading of a script is, as it is kept for whoever goes on with it elsewhere. Pure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from server.presenter.alignment import Place
from server.protocol import ScriptFormat, ScriptState


class Said(BaseModel):
    """A sentence that was being said, or was about to be.

    Attributes:
        number: its utterance's.
        sentence: its index in the script.
        heard: characters of it that have left.
    """

    model_config = ConfigDict(frozen=True)
    number: int
    sentence: int
    heard: int = 0


class Bookmark(BaseModel):
    """One script, and what is done with it.

    Attributes:
        source: the text; empty for a recording, whose sound is not kept.
        is_recorded: whether it is a recording.
        sentence: what is said after `said`.
        character: of that sentence, where it was stopped; in a recording, milliseconds.
        said: what was being said, in order.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    format: ScriptFormat
    is_recorded: bool
    state: ScriptState
    revision: int
    sentence: int
    character: int = 0
    said: tuple[Said, ...] = ()

    @property
    def next(self) -> Place:
        """What is said after `said`."""
        return Place(self.sentence, self.character)
