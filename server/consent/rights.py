"""By what right a picture is used, in the words of whoever brings it.

Pure: it decides what a statement may be and whether one is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from server.protocol import ProtocolError
from streaming_model.errors import VivantError

Right = Literal["own-picture", "permission-of-the-person", "public-domain", "generated-face"]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
NOT_STATED: Final = "not-stated"
Demand = Literal["required", "asked"]
LONGEST_NOTE: Final = 300  # characters
_WORDS: Final = ", ".join(RIGHTS[:-1]) + f" or {RIGHTS[-1]}"
NOTICE: Final = (
    f"Nothing was said of the right to use this picture: send 'rights' with it, one of {_WORDS}."
)


class RightsMissingError(VivantError):
    """A picture came without a statement where one is asked for."""

    code = "rights_missing"


@dataclass(frozen=True, slots=True)
class Statement:
    """What was said of a picture.

    Attributes:
        right: one of `RIGHTS`, or `not-stated`.
        note: a few words more.
    """

    right: str = NOT_STATED
    note: str = ""

    @property
    def is_given(self) -> bool:
        """Whether anything was said."""
        return self.right != NOT_STATED


def read_statement(right: str | None, note: str | None, *, demand: Demand) -> Statement:
    """Returns what was said, as it may be said.

    Raises:
        RightsMissingError: nothing was said, and it is required.
        ProtocolError: `bad_request`, there is no such right or the note cannot be kept.
    """
    note = (note or "").strip()
    if len(note) > LONGEST_NOTE or not note.isprintable():
        sentence = f"A note on rights is one line of at most {LONGEST_NOTE} characters."
        raise ProtocolError("bad_request", sentence)
    if not right:
        if demand == "required":
            raise RightsMissingError(
                f"Say by what right this picture is used: 'rights' is one of {_WORDS}."
            )
        return Statement(note=note)
    if right not in RIGHTS:
        raise ProtocolError("bad_request", f"'rights' is one of {_WORDS}, not {right[:40]!r}.")
    return Statement(right, note)
