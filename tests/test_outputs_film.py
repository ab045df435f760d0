"""Films that grow: every time to the sample, whatever breaks off the writing."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.encoder import AacEncoder, SoundEncoder, VideoCodec, VideoEncoder
from server.outputs.film import Film, MatteFilm, Mp4Film, WebmFilm, WholeFile
from server.outputs.repair import end_after_whole_fragments
from server.outputs.seat import Piece
from server.packing import flatten
from tests.test_media_files import decode_with_matte

SIZE, FPS = 256, 25
BEGIN = 16_000 * 7 + 320 * 3  # media time of the first picture: on no grid but that of ticks
PICTURES = 100
FLASHES = (20, 60, 90)  # pictures that are white; a click sounds with each
DROPPED = (31, 32, 77)
LEAD = 50  # ticks of sound before the first picture


def click_times() -> list[int]:
    """Returns when the clicks are, in 48 kHz samples from the first picture on."""
    return [1920 * index for index in FLASHES]


def sounds(encoder: Any) -> Iterator[Piece]:  # noqa: ANN401 - either sound encoder
    sound = np.zeros((LEAD + 2 * PICTURES + 4) * 960, np.float32)
    first = 3 * BEGIN - 960 * LEAD
    for time in click_times():
        sound[3 * BEGIN + time - first] = 0.9
    padded = np.append(sound, np.zeros(960, np.float32))
    for index in range(len(sound) // 960):
        at = (first + 960 * index) // 3
        piece = padded[960 * index : 960 * (index + 1)]
        if isinstance(encoder, SoundEncoder):  # it is told early, as the audience does
            piece = padded[960 * index + 312 : 960 * (index + 1) + 312]
            packets = [encoder.encode(piece, at)]
        else:
            packets = encoder.encode(piece, at)
        for packet in packets:
            yield Piece(False, packet.pts or 0, bytes(packet))


def picture(index: int) -> NDArray[np.uint8]:
    return np.full((SIZE, SIZE, 3), 235 if index in FLASHES else 20, np.uint8)


def pictures(codec: VideoCodec) -> Iterator[Piece]:
    encoder = VideoEncoder(codec, size=SIZE, fps=FPS, bitrate=1_000_000)
    for index in range(PICTURES):
        if index in DROPPED:
            continue
        at = BEGIN + 640 * index
        packet = encoder.encode(picture(index), at, is_keyframe=index % 50 == 0)
        yield Piece(True, 3 * at, bytes(packet), packet.is_keyframe)


def in_order(*streams: Iterable[Piece]) -> list[Piece]:
    return sorted((piece for stream in streams for piece in stream), key=lambda piece: piece.start)


def all_pieces(kind: type[Film]) -> list[Piece]:
    if kind is Mp4Film:
        return in_order(pictures(VideoCodec.H264), sounds(AacEncoder()))
    return in_order(pictures(VideoCodec.VP8), sounds(SoundEncoder()))


def written(path: Path, kind: type[Film], pieces: list[Piece]) -> Film:
    film = kind(WholeFile(path, "xb"), size=SIZE, fps=FPS)
    for start in range(0, len(pieces), 7):
        film.write(pieces[start : start + 7])
    return film


def seen(path: Path) -> list[tuple[float, bool]]:
    """Returns (picture's time in pictures, whether it is white)."""
    with av.open(str(path)) as film:
        return [
            (float(frame.time or 0) * FPS, bool(frame.to_ndarray(format="gray").mean() > 128))
            for frame in film.decode(video=0)
        ]


def heard(path: Path) -> NDArray[np.float32]:
    """Returns the sound, each piece at its time stamp, 48 kHz."""
    sound = np.zeros(48_000 * 20, np.float32)
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            samples, at = frame.to_ndarray()[0], round(48_000 * float(frame.time or 0))
            sound[at : at + len(samples)] = samples
    return sound


def clicks(path: Path) -> list[int]:
    sound = np.abs(heard(path))
    found = []
    while sound.max() > 0.3:
        found.append(int(sound.argmax()))
        sound[max(0, found[-1] - 400) : found[-1] + 400] = 0
    return sorted(found)


@pytest.mark.parametrize("kind", [Mp4Film, WebmFilm])
def test_pictures_and_sound_are_at_their_media_time(tmp_path: Path, kind: type[Film]) -> None:
    path = tmp_path / f"a{kind.suffix}"
    film = written(path, kind, all_pieces(kind))
    film.close()
    assert film.origin == 3 * BEGIN
    kept = [index for index in range(PICTURES) if index not in DROPPED]
    shown = seen(path)
    np.testing.assert_allclose([time for time, _ in shown], kept, atol=1e-9)
    assert [round(time) for time, is_white in shown if is_white] == list(FLASHES)
    # WebM counts in milliseconds and gives Opus's look-ahead of 6.5 ms a half of one.
    tolerance = 0 if kind is Mp4Film else 25
    np.testing.assert_allclose(clicks(path), click_times(), atol=tolerance)


def test_what_a_player_hears_that_ignores_time_stamps_is_in_time_too(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", Mp4Film, all_pieces(Mp4Film)).close()
    with av.open(str(tmp_path / "a.mp4")) as film:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    assert np.flatnonzero(np.abs(sound) > 0.5).tolist() == click_times()


@pytest.mark.parametrize("kind", [Mp4Film, WebmFilm])
def test_a_film_that_was_never_completed_plays_but_its_last_second(
    tmp_path: Path, kind: type[Film]
) -> None:
    path = tmp_path / f"a{kind.suffix}"
    film = written(path, kind, all_pieces(kind))
    left = tmp_path / f"left{kind.suffix}"
    left.write_bytes(path.read_bytes())  # what a process that is killed leaves
    film.close()
    shown = seen(left)
    assert len(shown) >= PICTURES - len(DROPPED) - 2 * FPS
    assert [round(time) for time, is_white in shown if is_white] == [
        index for index in FLASHES if index <= shown[-1][0]
    ]
    tolerance = 0 if kind is Mp4Film else 25
    found = clicks(left)
    np.testing.assert_allclose(found, click_times()[: len(found)], atol=tolerance)
    assert len(found) >= 2


def test_a_film_cut_anywhere_plays_its_whole_fragments(tmp_path: Path) -> None:
    film = written(tmp_path / "a.mp4", Mp4Film, all_pieces(Mp4Film))
    whole = (tmp_path / "a.mp4").read_bytes()
    film.close()
    moofs = [index - 4 for index in range(len(whole)) if whole.startswith(b"moof", index)]
    assert len(moofs) == 3
    cuts = {moofs[1]: 0, moofs[1] + 5: 5, moofs[1] + 40: 40, moofs[2] - 100: None}
    path = tmp_path / "cut.mp4"
    for cut, lost in cuts.items():
        path.write_bytes(whole[:cut])
        taken = end_after_whole_fragments(path)
        assert lost is None or taken == lost
        assert path.stat().st_size == moofs[1]
        assert len(seen(path)) == FPS
    path.write_bytes(whole[: moofs[2]])
    assert end_after_whole_fragments(path) == 0
    assert len(seen(path)) == 2 * FPS - 2  # two were dropped


def test_a_completed_film_is_whole(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", Mp4Film, all_pieces(Mp4Film)).close()
    assert end_after_whole_fragments(tmp_path / "a.mp4") == 0


def test_what_comes_before_the_first_complete_picture_is_left_out(tmp_path: Path) -> None:
    pieces = all_pieces(Mp4Film)
    first = next(index for index, piece in enumerate(pieces) if piece.is_picture)
    late = pieces[:first] + pieces[first + 1 :]  # decoding can begin with picture 50
    film = written(tmp_path / "a.mp4", Mp4Film, late)
    film.close()
    assert film.origin == 3 * (BEGIN + 640 * 50)
    assert [round(time) for time, is_white in seen(tmp_path / "a.mp4") if is_white] == [10, 40]
    assert clicks(tmp_path / "a.mp4") == [19_200, 76_800]


def test_flat_pictures_are_the_colours_over_green() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    share, green = image[..., 3:] / 255, np.array([0, 177, 64])
    wanted = green + share * (image[..., :3] - green)
    np.testing.assert_allclose(flatten(image), wanted, atol=1.01)


def cut_out(index: int) -> NDArray[np.uint8]:
    image = np.zeros((SIZE, SIZE, 4), np.uint8)
    image[64:192, 64 + index : 192 + index] = (200, 150, 140, 255)
    return image


def test_a_transparent_film_has_its_matte_and_its_times(tmp_path: Path) -> None:
    drawn = [
        Piece(True, 3 * (BEGIN + 640 * index), b"", image=cut_out(index))
        for index in range(20)
        if index != 7
    ]
    path = tmp_path / "a.webm"
    written(path, MatteFilm, in_order(drawn, sounds(SoundEncoder()))).close()
    shown = decode_with_matte(path)
    assert len(shown) == 19
    matte = shown[5][..., 3]
    assert matte[128, 128] > 250
    assert matte[10, 10] < 5
    with av.open(str(path)) as film:
        times = [packet.pts for packet in film.demux(video=0) if packet.pts is not None]
    assert times == [40 * index for index in range(20) if index != 7]


class SmallDisk(WholeFile):
    """A file on a disk that is full after so many bytes."""

    room = 300_000

    def write(self, data: Any, /) -> int:  # noqa: ANN401
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_told_and_leaves_what_was_whole(tmp_path: Path) -> None:
    film = Mp4Film(SmallDisk(tmp_path / "a.mp4", "xb"), size=SIZE, fps=FPS)
    with pytest.raises(OSError, match="No space left") as caught:
        for piece in in_order(noise(), sounds(AacEncoder())):
            film.write([piece])
    assert caught.value.errno == errno.ENOSPC
    film.abandon()
    end_after_whole_fragments(tmp_path / "a.mp4")
    assert len(seen(tmp_path / "a.mp4")) >= FPS


def noise() -> Iterator[Piece]:
    encoder = VideoEncoder(VideoCodec.H264, size=SIZE, fps=FPS, bitrate=1_000_000)
    images = np.random.default_rng(0).integers(0, 255, (8, SIZE, SIZE, 3), np.uint8)
    for index in range(PICTURES):
        packet = encoder.encode(images[index % 8], BEGIN + 640 * index, is_keyframe=index == 0)
        yield Piece(True, 3 * BEGIN + 1920 * index, bytes(packet), packet.is_keyframe)
