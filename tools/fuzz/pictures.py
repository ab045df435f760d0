"""Harness of uploaded pictures: portraits, backgrounds, their parts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms

from streaming_model.crop import Crop
from streaming_model.portrait.image import FORMATS, crop_image, load_image, upright_size
from tools.fuzz.containers import mutate_file
from tools.fuzz.harness import MEBIBYTE, Harness

_SIDES: Final = (37, 26)
_MODES: Final = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
_LARGE: Final = 4096  # pixels of a side, beyond which a part is not taken too


def seeds() -> list[bytes]:
    """Returns a small picture of every format and mode that can be written."""
    made = [content for name in FORMATS for mode in _MODES if (content := _saved(name, mode))]
    picture = _picture("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, options in (
        ("JPEG", {"exif": exif, "icc_profile": profile, "progressive": True}),
        ("PNG", {"exif": exif, "icc_profile": profile}),
        ("WEBP", {"exif": exif, "icc_profile": profile, "lossless": True}),
        ("TIFF", {"compression": "tiff_lzw", "exif": exif}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "jpeg"}),
    ):
        if content := _saved(name, "RGB", **options):
            made.append(content)
    others = [picture.rotate(90 * turn) for turn in range(1, 4)]
    for name in ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"):
        if content := _saved(name, "RGB", save_all=True, append_images=others):
            made.append(content)
    return made


def take(data: bytes) -> None:
    """Reads a picture as an upload is read: its size, all of it, a part of it."""
    width, height = upright_size(data)
    picture = load_image(data)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert max(picture.shape[:2]) <= 2048
    if max(width, height) < _LARGE:
        part = crop_image(data, Crop(0, 0, max(width // 2, 1), max(height // 2, 1)))
        assert part.startswith(b"\x89PNG")


def _picture(mode: str) -> Image.Image:
    width, height = _SIDES
    ramp = np.arange(width * height * 3, dtype=np.uint32).reshape(height, width, 3)
    picture = Image.fromarray((ramp * 7 % 256).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray((ramp[:, :, 0] * 61 % 65536).astype(np.uint16))
    if mode == "PA":
        return picture.convert("RGBA").convert("PA")
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
        )
        assert converted is not None
        return converted
    return picture.convert(mode)


def _saved(name: str, mode: str, **options: Any) -> bytes | None:  # noqa: ANN401 - Pillow's
    """Returns a picture file; None where the format has no such pictures."""
    Image.init()
    if name not in Image.SAVE:
        return None
    made = io.BytesIO()
    try:
        _picture(mode).save(made, name, **options)
    except (OSError, ValueError, KeyError):
        return None
    return made.getvalue()


def _many() -> Sequence[bytes]:
    return seeds()


PICTURE: Final = Harness(take, _many, mutate_file, memory=512 * MEBIBYTE)
