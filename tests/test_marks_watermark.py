"""The watermark: what it says, that it is not seen, and what it survives."""

from datetime import date

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.encoder import VideoCodec, VideoEncoder
from server.marks.convolutional import decode, encode
from server.marks.detector import LEAST_SCORE, find, read
from server.marks.marker import Marker
from server.marks.options import MarkOptions
from server.marks.payload import PAYLOAD_BITS, Payload, tag_of
from server.marks.watermark import MOST_LEVELS, Watermark
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.portrait.image import load_image

DAY = date(2026, 11, 26)
PAYLOAD = Payload.of("a session", DAY)
Picture = NDArray[np.uint8]


def portrait(size: int = 512) -> Picture:
    image = load_image(BUILTIN_PORTRAIT)[:1000, 100:1100]
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def luma(image: Picture) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def jpeg(image: Picture, quality: int) -> Picture:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def scaled(image: Picture, side: int) -> Picture:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def says(image: Picture) -> Payload | None:
    reading = read(luma(image))
    return None if reading is None else reading.payload


@given(st.binary(min_size=8, max_size=8), st.integers(0, 2**16 - 1))
def test_a_payload_comes_back_and_a_damaged_one_does_not(name: bytes, days: int) -> None:
    payload = Payload(date.fromordinal(date(2026, 1, 1).toordinal() + days), tag_of(name.hex()))
    bits = payload.to_bits()
    assert len(bits) == PAYLOAD_BITS
    assert Payload.from_bits(bits) == payload
    for place in range(PAYLOAD_BITS):
        damaged = bits.copy()
        damaged[place] ^= 1
        assert Payload.from_bits(damaged) is None


def test_a_day_before_2026_is_refused() -> None:
    with pytest.raises(ValueError, match="from 2026-01-01 on, not 2025-12-31"):
        Payload.of("x", date(2025, 12, 31)).to_bits()


@given(st.lists(st.integers(0, 1), min_size=64, max_size=64), st.integers(0, 2**31))
def test_the_code_bears_noise(bits: list[int], seed: int) -> None:
    sent = np.array(bits, np.uint8)
    rng = np.random.default_rng(seed)
    received = encode(sent) + rng.normal(0, 0.7, 3 * len(sent)).astype(np.float32)
    assert (decode(received) == sent).all()


@pytest.mark.parametrize("size", [256, 360, 512, 768, 1024])
def test_pictures_of_every_size_are_marked_and_read(size: int) -> None:
    assert says(Watermark(PAYLOAD).apply(portrait(size))) == PAYLOAD


def test_nobody_sees_it() -> None:
    for image in (portrait(), np.full((512, 512, 3), 140, np.uint8)):
        changed = Watermark(PAYLOAD).apply(image).astype(float) - image
        assert np.abs(changed).max() <= MOST_LEVELS
        assert 10 * np.log10(255**2 / (changed**2).mean()) > 45
        assert abs(changed.mean()) < 0.05
    assert changed.std() < 0.6, "a flat background shows the least of it"


def test_the_same_is_added_to_every_picture_so_that_nothing_flickers() -> None:
    watermark, still = Watermark(PAYLOAD), np.clip(portrait(), 8, 247)
    other = still.copy()
    other[200:260, 200:300] = 90
    first, second = (watermark.apply(image).astype(int) - image for image in (still, other))
    assert (first == second).all()


def test_it_survives_jpeg_scaling_and_cropping() -> None:
    marked = Watermark(PAYLOAD).apply(portrait())
    cropped = marked[26:-26, 26:-26]
    for image in (jpeg(marked, 70), scaled(marked, 360), cropped, jpeg(scaled(cropped, 360), 70)):
        assert says(np.ascontiguousarray(image)) == PAYLOAD


def test_it_is_found_in_a_screenshot_of_a_page() -> None:
    page = np.full((720, 1280, 3), 245, np.uint8)
    page[100:580, 300:780] = scaled(Watermark(PAYLOAD).apply(portrait()), 480)
    assert says(jpeg(page, 70)) == PAYLOAD


@pytest.mark.parametrize("codec", [VideoCodec.VP8, VideoCodec.H264])
def test_it_survives_500_kilobits_and_what_comes_after(codec: VideoCodec) -> None:
    marked = Watermark(PAYLOAD).apply(portrait())
    encoder = VideoEncoder(codec, size=512, fps=25, bitrate=500_000)
    decoder = av.CodecContext.create("vp8" if codec is VideoCodec.VP8 else "h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    shown = [
        frame.to_ndarray(format="rgb24")
        for index in range(25)
        for frame in decoder.decode(
            av.Packet(bytes(encoder.encode(marked, 640 * index, is_keyframe=index == 0)))
        )
    ]
    last = np.array(shown[-1][:512], np.uint8)
    assert says(last) == PAYLOAD
    assert says(jpeg(scaled(last, 360)[18:-18, 18:-18].copy(), 70)) == PAYLOAD


def test_a_strangers_picture_carries_nothing() -> None:
    rng = np.random.default_rng(3)
    strangers = [
        portrait(300),
        rng.integers(0, 256, (300, 400, 3), dtype=np.uint8),
        np.zeros((200, 200, 3), np.uint8),
        np.zeros((20, 20, 3), np.uint8),
    ]
    for image in strangers:
        assert says(image) is None


def test_another_key_finds_nothing() -> None:
    marked = luma(Watermark(PAYLOAD).apply(portrait(256)))
    match = find(marked, "another key")
    assert match is not None
    assert match.score < LEAST_SCORE
    assert read(marked, "another key") is None


def test_a_transparent_picture_keeps_its_matte_and_is_read() -> None:
    matte = np.zeros((512, 512), np.uint8)
    cv2.ellipse(matte, (256, 300), (190, 260), 0, 0, 360, 255, -1)
    image = np.dstack([portrait(), matte])
    marked = Watermark(PAYLOAD).apply(image)
    assert (marked[..., 3] == matte).all()
    over = np.where(matte[..., None] > 0, marked[..., :3], np.uint8(200))
    assert says(np.ascontiguousarray(over)) == PAYLOAD


def test_a_marker_leaves_its_input_alone_and_may_do_nothing() -> None:
    image = portrait(256)
    before = image.copy()
    marker = Marker(MarkOptions(no_badge="a test", no_watermark="a test"), PAYLOAD)
    assert (marker.mark(image) == before).all()
    assert (Marker(MarkOptions(), PAYLOAD).mark(image) != before).any()
    assert (image == before).all()
