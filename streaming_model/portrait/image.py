"""Reading pictures of every common kind into plain RGB.

Turned as the camera says, transparency on a plain ground, colours in sRGB, at most 2048
pixels a side. Knows nothing of faces.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from streaming_model.crop import Crop
from streaming_model.errors import ImageTooLargeError, ImageUnreadableError

MAX_PIXELS: Final = 64_000_000
MAX_SIDE: Final = 2048  # pixels
FORMATS: Final = (
    *("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB"),
    *("TIFF", "JPEG2000", "PPM", "QOI"),
)
_LIGHT_GROUND: Final = 216  # grey levels put behind transparent pictures
_DARK_GROUND: Final = 56
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_FULL_SCALES: Final = (1.0, 255.0, 1023.0, 4095.0, 65535.0, float(2**31 - 1), float(2**32 - 1))
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises on damaged files. SyntaxError is its word for a bad header; it asserts that
# a picture of colours from a palette has one.
_DECODER_ERRORS: Final = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError),
    *(MemoryError, NotImplementedError, RuntimeError, UserWarning, struct.error, zlib.error),
    AssertionError,
    Image.DecompressionBombError,
)


def load_image(source: Path | bytes | NDArray[np.generic]) -> NDArray[np.uint8]:
    """Returns the picture as [h,w,3] uint8 sRGB, its long side at most 2048 pixels.

    `source` is a file, a file's content, or an array [h,w], [h,w,3] or [h,w,4] of uint8, uint16
    or floats 0..1.

    Raises:
        ImageTooLargeError: it has more than 64 megapixels; it was not decoded.
        ImageUnreadableError: it is missing, damaged, or not a picture of a known format.
    """
    if isinstance(source, np.ndarray):
        return _load_array(source)
    if isinstance(source, bytes):
        return _load_stream(io.BytesIO(source), name="The picture")
    path = Path(source)
    if path.is_dir():
        raise ImageUnreadableError(f"{path.name} is a folder, not a picture.")
    if not path.exists():
        raise ImageUnreadableError(f"{path.name} does not exist.")
    if not path.is_file():
        raise ImageUnreadableError(f"{path.name} is not a regular file.")
    try:
        with path.open("rb") as stream:
            return _load_stream(stream, name=path.name)
    except PermissionError as error:
        raise ImageUnreadableError(f"{path.name} may not be read by this user.") from error


def load_part(data: bytes, crop: Crop) -> NDArray[np.uint8]:
    """Returns a part of a picture file's content as `load_image` does.

    Raises:
        CropError: the part does not lie in the picture.
        ImageTooLargeError: the picture has more than 64 megapixels; it was not decoded.
        ImageUnreadableError: it is damaged, or not a picture of a known format.
    """
    return _load_stream(io.BytesIO(data), name="The picture", crop=crop)


def crop_image(data: bytes, crop: Crop) -> bytes:
    """Returns a part of a picture file's content as PNG; see `load_part`."""
    part = io.BytesIO()
    Image.fromarray(load_part(data, crop)).save(part, "PNG")
    return part.getvalue()


def upright_size(data: bytes) -> tuple[int, int]:
    """Returns width and height in pixels of a picture file's content, turned upright.

    Raises:
        ImageTooLargeError: it has more than 64 megapixels.
        ImageUnreadableError: it is damaged, or not a picture of a known format.
    """
    try:
        image = _read_header(io.BytesIO(data), name="The picture")
    except _DECODER_ERRORS as error:
        raise ImageUnreadableError("The picture is damaged and cannot be read.") from error
    # Pillow's TIFF reader turns by itself and tells the turned size at once.
    is_lying = _orientation(image) >= 5 and image.format != "TIFF"
    return (image.height, image.width) if is_lying else (image.width, image.height)


def _load_array(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not is_picture or array.size == 0 or array.dtype.kind not in "uf":
        raise ImageUnreadableError(
            f"An array of shape {array.shape} and type {array.dtype} is not a picture."
        )
    height, width = array.shape[:2]
    _check_size(width, height, name="The picture")
    plane = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype != np.uint8:
        full = 1.0 if array.dtype.kind == "f" else 256.0**array.dtype.itemsize - 1
        scaled = np.nan_to_num(plane.astype(np.float32)) * (255 / full)
        plane = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return _finish(Image.fromarray(np.ascontiguousarray(plane)))


def _load_stream(stream: IO[bytes], *, name: str, crop: Crop | None = None) -> NDArray[np.uint8]:
    try:
        return _finish(_decode(_read_header(stream, name=name), crop))
    except _DECODER_ERRORS as error:
        raise ImageUnreadableError(f"{name} is damaged and cannot be read.") from error


def _read_header(stream: IO[bytes], *, name: str) -> Image.Image:
    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise ImageUnreadableError(f"{name} is empty.")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        raise ImageUnreadableError(
            f"{name} is a HEIC picture, which is not supported; save it as JPEG or PNG."
        )
    image = _open(stream, head=head)
    if image is None:
        raise ImageUnreadableError(f"{name} is not a picture of a known format.")
    _check_size(image.width, image.height, name=name)
    return image


def _open(stream: IO[bytes], *, head: bytes) -> Image.Image | None:
    """Reads the header, or returns None where no decoder knows it.

    `Image.open` would do the same, but warns of pictures over 89 megapixels through the
    process-wide filters, which cannot be silenced for one thread; ours are refused anyway.
    """
    Image.init()
    for format_name in FORMATS:
        if format_name not in Image.OPEN:  # this Pillow was built without it
            continue
        factory, accepts = Image.OPEN[format_name]
        verdict = accepts is None or accepts(head[:16])
        if not verdict or isinstance(verdict, str):  # a sentence: support was not built in
            continue
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # the decoder's way of saying that it is not its format after all
    return None


def _check_size(width: int, height: int, *, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels); "
            f"at most {MAX_PIXELS / 1e6:.0f} megapixels are read."
        )


def _decode(image: Image.Image, crop: Crop | None = None) -> Image.Image:
    """Returns the first frame, or a part, as 8 bits a channel with the camera's turn undone."""
    if crop is None:
        scale = MAX_SIDE / max(image.size)
        # A JPEG is decoded at half, a quarter or an eighth where that is large enough.
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image.draft(None, size)  # None keeps the mode
    orientation = _orientation(image)
    image.load()
    profile = image.info.get("icc_profile")
    if orientation in _TURNS and _orientation(image) == orientation:  # TIFF turns by itself
        image = image.transpose(_TURNS[orientation])
    if crop is not None:
        crop.check(image.width, image.height)
        right, bottom = crop.left + crop.width, crop.top + crop.height
        image = image.crop((crop.left, crop.top, right, bottom))
    image = _reduced(_eight_bits(image))
    if profile:
        image.info["icc_profile"] = profile
    return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _DECODER_ERRORS:  # a damaged tag is no reason to refuse the picture
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Returns a picture of mode L, RGB, RGBA, CMYK or LAB."""
    if image.mode in ("L", "RGB", "CMYK", "LAB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(np.asarray(image))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _from_deep_grey(values: NDArray[np.generic]) -> Image.Image:
    """Scales 10, 12, 16 or 32-bit grey to 8 bits: the full scale is the smallest that fits."""
    grey = np.nan_to_num(values.astype(np.float32))
    peak = float(grey.max())
    full = next((scale for scale in _FULL_SCALES if peak <= scale), peak)
    return Image.fromarray(np.clip(grey * (255 / full) + 0.5, 0, 255).astype(np.uint8))


def _reduced(image: Image.Image) -> Image.Image:
    scale = MAX_SIDE / max(image.size)
    if scale >= 1:
        return image
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _finish(image: Image.Image) -> NDArray[np.uint8]:
    """Returns an 8-bit picture as sRGB on an opaque ground."""
    profile = image.info.get("icc_profile")
    image = _reduced(image)
    if image.mode == "RGBA":
        image = _on_plain_ground(image)
    if profile or image.mode == "LAB":
        image = _to_srgb(image, profile)
    return np.array(image.convert("RGB"))


def _on_plain_ground(image: Image.Image) -> Image.Image:
    """Puts a transparent picture on light grey, or on dark grey where it is itself light."""
    alpha = np.asarray(image.getchannel("A"), np.float32)
    grey = np.asarray(image.convert("RGB").convert("L"), np.float32)
    mean = float((grey * alpha).sum() / max(alpha.sum(), 1.0))
    level = _DARK_GROUND if mean > _LIGHT_GROUND - 16 else _LIGHT_GROUND
    ground = Image.new("RGBA", image.size, (level, level, level, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts from the picture's colour profile; one that does not fit is ignored."""
    try:
        source = (
            ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if profile
            else ImageCms.createProfile("LAB")
        )
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image
    return converted or image
