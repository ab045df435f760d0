"""The errors a user can cause, each with one clear sentence.

Knows nothing of exit codes or HTTP statuses; the command line and the server map
`code` to theirs.
"""

from __future__ import annotations


class VivantError(Exception):
    """Base of every error that a user's input or set-up can cause.

    `code` is a stable snake_case word for programs; the message is one sentence for people. What
    it quotes may be anything, so what would end the line or command a terminal is told as `\\n`.
    """

    code = "vivant_error"

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Returns a text with what nobody sees (line ends, controls, half characters) as escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


class AudioError(VivantError):
    """The audio cannot be used: not audio, empty, or of an impossible rate or shape."""

    code = "audio_unusable"


class MotionFileError(VivantError):
    """A motion file cannot be read or does not follow its format."""

    code = "motion_file_unusable"


class ModelFileError(VivantError):
    """A file that ships with the model is missing or damaged."""

    code = "model_file_missing"


class PortraitError(VivantError):
    """The picture cannot become a portrait. Subclasses say why."""

    code = "portrait_unusable"


class ImageUnreadableError(PortraitError):
    """The file is not an image, or is damaged."""

    code = "image_unreadable"


class ImageTooLargeError(PortraitError):
    """The image has more pixels than the limit (a decompression bomb)."""

    code = "image_too_large"


class CropError(PortraitError):
    """The part of the picture that was asked for does not lie in it."""

    code = "crop_outside"


class NoFaceError(PortraitError):
    """No face was found."""

    code = "no_face"


class FaceTooSmallError(PortraitError):
    """The largest face is narrower than the limit."""

    code = "face_too_small"


class FaceTurnedError(PortraitError):
    """The face is turned too far from the viewer."""

    code = "face_turned"


class MouthCoveredError(PortraitError):
    """The mouth is hidden by a hand, a mask or an object."""

    code = "mouth_covered"
