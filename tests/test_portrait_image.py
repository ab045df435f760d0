from __future__ import annotations

import io
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import streaming_model
from streaming_model.errors import ImageTooLargeError, ImageUnreadableError
from streaming_model.portrait.image import MAX_SIDE, load_image

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.open(MONA_LISA).convert("RGB").resize((240, 300))


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:  # noqa: ANN401 (Pillow's own)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def difference(first: NDArray[np.uint8], second: Image.Image | NDArray[np.uint8]) -> float:
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    return float(np.abs(first.astype(np.float32) - np.asarray(second, np.float32)).mean())


@pytest.mark.parametrize(
    ("format_name", "options", "limit"),
    [
        ("PNG", {}, 0.0),
        ("BMP", {}, 0.0),
        ("TIFF", {}, 0.0),
        ("TIFF", {"compression": "tiff_lzw"}, 0.0),
        ("PPM", {}, 0.0),
        ("QOI", {}, 0.0),
        ("JPEG", {"quality": 95}, 3.0),
        ("JPEG", {"quality": 95, "progressive": True}, 3.0),
        ("JPEG2000", {}, 3.0),
        ("WEBP", {"quality": 95}, 3.0),
        ("AVIF", {"quality": 95}, 3.0),
        ("GIF", {}, 12.0),
    ],
)
def test_common_formats(
    picture: Image.Image, format_name: str, options: dict[str, Any], limit: float
) -> None:
    assert difference(load_image(encoded(picture, format_name, **options)), picture) <= limit


def test_file_and_content_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a portrait.jpg"
    path.write_bytes(MONA_LISA.read_bytes())
    np.testing.assert_array_equal(load_image(path), load_image(path.read_bytes()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_camera_orientation_is_undone(
    picture: Image.Image, format_name: str, orientation: int
) -> None:
    undo = {
        1: lambda array: array,
        2: lambda array: array[:, ::-1],
        3: lambda array: array[::-1, ::-1],
        4: lambda array: array[::-1],
        5: lambda array: array.transpose(1, 0, 2),
        6: lambda array: np.rot90(array, 1),
        7: lambda array: array[::-1, ::-1].transpose(1, 0, 2),
        8: lambda array: np.rot90(array, -1),
    }
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](np.asarray(picture))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(stored, format_name, exif=exif.tobytes())
    assert difference(load_image(content), picture) < 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow remarks on it
def test_damaged_exif_is_ignored(picture: Image.Image) -> None:
    content = encoded(picture, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\0")
    assert load_image(content).shape == (300, 240, 3)


def test_transparent_picture_lies_on_a_plain_ground(picture: Image.Image) -> None:
    cut_out = picture.convert("RGBA")
    alpha = Image.new("L", picture.size, 0)
    alpha.paste(255, (60, 60, 180, 240))
    cut_out.putalpha(alpha)
    loaded = load_image(encoded(cut_out, "PNG"))
    assert difference(loaded[60:240, 60:180], np.asarray(picture)[60:240, 60:180]) == 0
    assert np.ptp(loaded[:50]) == 0
    assert loaded[0, 0, 0] > 200


def test_light_drawing_on_transparency_gets_a_dark_ground() -> None:
    drawing = np.full((50, 50, 4), 255, np.uint8)
    drawing[:25, :, 3] = 0
    loaded = load_image(encoded(Image.fromarray(drawing), "PNG"))
    assert loaded[0, 0].max() < 80
    assert loaded[49, 0].min() == 255


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_transparency_of_grey_and_palette_pictures(picture: Image.Image, mode: str) -> None:
    if mode == "LA":
        image = picture.convert("LA")
        image.putalpha(0)
        content = encoded(image, "PNG")
    else:
        content = encoded(Image.new("P", (40, 40), 3), "PNG", transparency=3)
    assert np.ptp(load_image(content)) == 0


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_bilevel_and_palette(picture: Image.Image, mode: str) -> None:
    image = picture.convert(mode)
    assert difference(load_image(encoded(image, "PNG")), image.convert("RGB")) == 0


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_grey(picture: Image.Image, format_name: str, bits: int) -> None:
    grey = np.asarray(picture.convert("L")).copy()
    grey[0, 0] = 255
    deep = (grey.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    loaded = load_image(encoded(Image.fromarray(deep), format_name))
    assert difference(loaded, np.repeat(grey[:, :, None], 3, axis=2)) <= 1


def test_float_tiff(picture: Image.Image) -> None:
    grey = np.asarray(picture.convert("L"), np.float32) / 255
    loaded = load_image(encoded(Image.fromarray(grey), "TIFF"))
    assert difference(loaded, picture.convert("L").convert("RGB")) <= 1


def test_cmyk_jpeg_keeps_its_colours(picture: Image.Image) -> None:
    content = encoded(picture.convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in content  # Adobe's marker: the inks are stored inverted
    assert difference(load_image(content), picture) < 4


def test_lab_tiff(picture: Image.Image) -> None:
    lab = ImageCms.profileToProfile(
        picture,
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    assert difference(load_image(encoded(lab, "TIFF")), picture) < 4


def test_colour_profile_is_applied(picture: Image.Image) -> None:
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(load_image(encoded(picture, "PNG", icc_profile=same)), picture) <= 1
    # A profile whose first primary is blue and whose last is red.
    other = same.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    swapped = np.asarray(picture)[:, :, ::-1]
    assert difference(load_image(encoded(picture, "PNG", icc_profile=other)), swapped) < 6


def test_damaged_colour_profile_is_ignored(picture: Image.Image) -> None:
    content = encoded(picture, "PNG", icc_profile=b"not a profile")
    assert difference(load_image(content), picture) == 0


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_first_frame_of_an_animation(picture: Image.Image, format_name: str) -> None:
    others = [Image.new("RGB", picture.size, "red")] * 2
    content = encoded(picture, format_name, save_all=True, append_images=others)
    assert difference(load_image(content), picture) < 12


@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_large_picture_is_reduced(picture: Image.Image, format_name: str) -> None:
    large = picture.resize((3000, 3750), Image.Resampling.BICUBIC)
    loaded = load_image(encoded(large, format_name))
    assert loaded.shape == (MAX_SIDE, 1638, 3)
    small = Image.fromarray(loaded).resize(picture.size, Image.Resampling.BOX)
    assert difference(np.asarray(small), picture) < 3


def test_reduction_does_not_alias() -> None:
    stripes = np.zeros((4096, 64, 3), np.uint8)
    stripes[::2] = 255
    assert np.abs(load_image(stripes).astype(int) - 128).max() < 32


def test_very_narrow_picture() -> None:
    assert load_image(encoded(Image.new("RGB", (9000, 1)), "PNG")).shape == (1, MAX_SIDE, 3)


@pytest.mark.parametrize("size", [(9000, 9000), (60_000, 60_000)])
@pytest.mark.parametrize("format_name", ["PNG", "BMP"])
def test_decompression_bomb_is_refused_from_its_header(
    size: tuple[int, int], format_name: str
) -> None:
    content = bytearray(encoded(Image.new("RGB", (4, 4)), format_name))
    width, height = size
    if format_name == "PNG":
        content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        # The header's check sum would be refused before the size.
        content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    else:
        content[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    with pytest.raises(ImageTooLargeError, match=f"{width} x {height}"):
        load_image(bytes(content))


def test_array_over_the_limit_is_refused() -> None:
    huge = np.broadcast_to(np.uint8(0), (9000, 9000, 3))
    with pytest.raises(ImageTooLargeError, match="81 megapixels"):
        load_image(huge)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello, I am not a picture" * 20, "known format"),
        (b"%PDF-1.7 something" * 20, "known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" * 9, "known format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC"),
        (b"\x89PNG\r\n\x1a\n", "known format|damaged"),
        (b"\xff\xd8\xff\xe0", "known format|damaged"),
    ],
)
def test_what_is_not_a_picture(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageUnreadableError, match=words) as raised:
        load_image(path)
    assert "holiday.jpg" in str(raised.value)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_file(
    picture: Image.Image, tmp_path: Path, format_name: str, share: float
) -> None:
    content = encoded(picture, format_name)
    path = tmp_path / "cut.bin"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageUnreadableError, match=r"cut\.bin"):
        load_image(path)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "JPEG2000"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow remarks on odd metadata
def test_corrupt_bytes_never_raise_anything_else(picture: Image.Image, format_name: str) -> None:
    original = encoded(picture.resize((60, 75)), format_name)
    generator = np.random.default_rng(1)
    for _ in range(60):
        content = bytearray(original)
        for position in generator.integers(0, len(content), 12):
            content[position] = generator.integers(0, 256)
        try:
            load_image(bytes(content))
        except (ImageUnreadableError, ImageTooLargeError):
            continue


def test_folder_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadableError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageUnreadableError, match=r"gone\.png does not exist"):
        load_image(tmp_path / "gone.png")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_arrays(picture: Image.Image, kind: type[np.generic], channels: int) -> None:
    rgb = np.asarray(picture, np.float64) / 255
    full = 1 if np.dtype(kind).kind == "f" else np.iinfo(kind).max  # type: ignore[type-var]
    plane = (rgb * full).round(6).astype(kind) if full == 1 else (rgb * full).round().astype(kind)
    opaque = np.full((*plane.shape[:2], 1), full, kind)
    array = {
        0: plane[:, :, 0],
        1: plane[:, :, :1],
        3: plane,
        4: np.concatenate([plane, opaque], axis=2),
    }[channels]
    expected = np.asarray(picture) if channels > 1 else np.asarray(picture)[:, :, :1].repeat(3, 2)
    assert difference(load_image(array), expected) <= 0.01


@pytest.mark.parametrize("shape", [(0, 5, 3), (5,), (5, 5, 2), (2, 5, 5, 3)])
def test_array_that_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageUnreadableError, match="shape"):
        load_image(np.zeros(shape, np.uint8))


def test_result_belongs_to_the_caller(picture: Image.Image) -> None:
    original = np.array(picture)
    loaded = load_image(original)
    loaded[:] = 0
    assert original.max() > 0


def test_threads_load_alike(picture: Image.Image) -> None:
    contents = [encoded(picture, name) for name in ("JPEG", "PNG", "WEBP", "GIF")]
    expected = [load_image(content) for content in contents]
    results: list[list[NDArray[np.uint8]]] = []
    threads = [
        threading.Thread(target=lambda: results.append([load_image(each) for each in contents]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
