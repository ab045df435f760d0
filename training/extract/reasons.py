"""Why a stretch of film is not used."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason, as people read it in the report and programs in the index."""

    NO_FACE = "no face"
    SEVERAL = "several faces"
    SMALL = "face too small"
    TURNED = "face turned too far"
    BLURRED = "face blurred"
    HIDDEN = "mouth hidden"
    SHORT = "too short without a cut or a gap"
    SLOW = "too few pictures a second"
    NO_SOUND = "no sound"
    SILENT = "silent"
    SHIFTED = "sound and lips out of step"
    UNRELATED = "sound does not follow the lips"
