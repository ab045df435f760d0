"""The intake of a picture: from an image file to everything the renderer needs of a face."""

from streaming_model.portrait.portrait import (
    Portrait,
    forget_other_portraits,
    forget_portrait,
    make_portrait,
)

__all__ = ["Portrait", "forget_other_portraits", "forget_portrait", "make_portrait"]
