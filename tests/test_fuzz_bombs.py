"""Small files that ask for much: each is refused or read within bounded memory."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from server.app import Server
from server.config import Settings
from server.marks.verify import UnreadableError, read_watermark
from server.presenter.recording import read_recording
from streaming_model.errors import AudioError, ImageTooLargeError, MotionFileError
from streaming_model.motion_files import read_motion
from streaming_model.portrait.image import load_image
from tests.live_fakes import fake_parts
from tools.fuzz import bombs
from tools.fuzz.containers import png_chunk
from tools.fuzz.harness import MEBIBYTE, peak, reset_peak


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(size=256, max_sessions=2, cache_dir=tmp_path)
    server = Server(settings, fake_parts(settings))
    transport = httpx.ASGITransport(server.app)
    async with (
        server.app.router.lifespan_context(server.app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        await asyncio.sleep(0)
        yield client


def memory_of(work: Callable[[], object]) -> int:
    """Returns the MiB that this process takes at most while it works, beside what it has."""
    before = reset_peak()
    work()
    return (peak() - before) // MEBIBYTE


def test_a_picture_of_900_megapixels_is_refused_by_its_header() -> None:
    data = bombs.png(30_000, 30_000)

    def read() -> None:
        with pytest.raises(ImageTooLargeError, match="30000 x 30000"):
            load_image(data)

    assert len(data) < MEBIBYTE
    assert memory_of(read) < 20


def test_a_tall_picture_to_verify_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    # 168 megapixels of three bytes, found by the fuzzer: FFmpeg decodes to find out what it is.
    head = struct.pack(">IIBBBBB", 320, 524_608, 8, 2, 0, 0, 0)
    body = bytes([0x78, 0x9C]) + bytes(900)
    path = tmp_path / "tall.png"
    chunks = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, content) for name, content in chunks)
    )

    def read() -> None:
        with pytest.raises(UnreadableError, match="over 64 megapixels"):
            read_watermark(path)

    assert memory_of(read) < 50


def test_the_largest_picture_that_is_read_takes_no_more_than_its_pixels() -> None:
    data = bombs.png(8_000, 8_000)
    assert memory_of(lambda: load_image(data)) < 250


def test_the_text_in_a_picture_is_not_unpacked() -> None:
    data = bombs.png_with_text(200)

    def read() -> None:
        with pytest.raises(Exception, match="cannot be read"):
            load_image(data)

    assert memory_of(read) < 20


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_a_thousand_frames_the_first_is_read(kind: str) -> None:
    data = bombs.animation(kind, 1_000, 64)
    assert memory_of(lambda: load_image(data)) < 20


def test_a_day_of_silence_in_a_megabyte_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "night.flac"
    path.write_bytes(bombs.flac(24 * 3600))

    def read() -> None:
        with pytest.raises(AudioError, match="longer than 20 minutes"):
            read_recording(path, "night.flac")

    assert path.stat().st_size < MEBIBYTE
    assert memory_of(read) < 250  # twenty minutes of it


def test_a_file_that_tells_of_more_sound_than_it_holds_gives_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    path.write_bytes(bombs.wave(2**32 - 1, 32_000))
    assert read_recording(path, "short.wav").samples == pytest.approx(16_000, abs=16)


def test_a_text_of_gigabytes_in_a_sound_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "liar.wav"
    texts = b"LIST\x00\x00\x00\x80INFOISFT\x00\x00\x00\x7fliar"
    path.write_bytes(bombs.wave(3_200, 3_200) + texts)

    def read() -> None:
        with pytest.raises(AudioError, match="tells of more than it holds"):
            read_recording(path, "liar.wav")

    assert memory_of(read) < 20


def test_motion_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    path.write_bytes(bombs.npz(600))

    def read() -> None:
        with pytest.raises(MotionFileError, match=r"unpacks to 629,\d{3},\d{3} bytes"):
            read_motion(path)

    assert path.stat().st_size < MEBIBYTE
    assert memory_of(read) < 20


async def test_an_uploaded_bomb_is_answered_413(client: httpx.AsyncClient) -> None:
    files = {"image": ("bomb.png", bombs.png(30_000, 30_000), "image/png")}
    for path in ("/v1/portraits/preview", "/v1/backgrounds"):
        answer = await client.post(path, files=files)
        assert answer.status_code == 413, answer.text
        assert answer.json()["error"]["code"] == "image_too_large"


async def test_a_hundred_thousand_lists_in_lists_are_answered_400(
    client: httpx.AsyncClient,
) -> None:
    deep = bombs.nested_json(100_000)
    for body in (deep, b'{"mode": ' + deep + b"}"):
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/sessions", content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == "bad_request"


async def test_a_packed_body_is_not_unpacked(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    packed = bombs.gzipped(100)
    before = reset_peak()
    answer = await client.post("/v1/sessions", content=packed, headers=headers)
    assert answer.status_code == 400
    assert (peak() - before) // MEBIBYTE < 30


async def test_a_form_of_thousands_of_parts_is_answered_400(client: httpx.AsyncClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nb\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.post("/v1/backgrounds", content=part * 5_000 + b"--x--", headers=headers)
    assert answer.status_code == 400, answer.text


async def test_a_form_without_its_boundary_is_answered_400(client: httpx.AsyncClient) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=other"):
        answer = await client.post(
            "/v1/backgrounds", content=b"--x\r\n\r\nb\r\n--x--", headers={"content-type": kind}
        )
        assert answer.status_code == 400, answer.text
        assert json.loads(answer.content)["error"]["message"].endswith(".")
