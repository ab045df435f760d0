from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.media_files import AudioFile, FilmError, FilmWriter
from streaming_model.errors import AudioError
from streaming_model.media import VideoFrame, frame_start


def write_audio(
    path: Path,
    samples: NDArray[np.float32],
    *,
    rate: int,
    layout: str = "mono",
    codec: str = "pcm_f32le",
) -> Path:
    """Writes [channels, n] float32."""
    with av.open(str(path), "w") as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate=rate, layout=layout))
        if samples.shape[1]:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples.T.reshape(1, -1)), format="flt", layout=layout
            )
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tone(rate: int, *, channels: int = 1, seconds: float = 0.5) -> NDArray[np.float32]:
    time = np.arange(int(rate * seconds)) / rate
    wave = (0.25 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    return np.repeat(wave[None], channels, axis=0)


def read(path: Path) -> tuple[int, NDArray[np.float32]]:
    with AudioFile(path) as file:
        return file.sample_rate, np.concatenate(list(file.blocks()))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_is_read_whole(tmp_path: Path, rate: int) -> None:
    found, samples = read(write_audio(tmp_path / "a.wav", tone(rate), rate=rate))
    assert found == rate
    assert len(samples) == rate // 2
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_any_layout_becomes_mono_at_a_sane_level(
    tmp_path: Path, layout: str, channels: int
) -> None:
    path = write_audio(
        tmp_path / "a.wav", tone(48_000, channels=channels), rate=48_000, layout=layout
    )
    _, samples = read(path)
    assert 0.15 < np.abs(samples).max() <= 1.0


def test_not_a_number_is_silenced_before_it_spreads(tmp_path: Path) -> None:
    wave = tone(44_100)
    wave[0, 1000:1010] = np.nan
    wave[0, 2000] = np.inf
    _, samples = read(write_audio(tmp_path / "a.wav", wave, rate=44_100))
    assert np.isfinite(samples).all()
    np.testing.assert_allclose(samples[3000:], wave[0, 3000:], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "mp3"), ("a.ogg", "libopus"), ("a.m4a", "aac")]
)
def test_compressed_sound_is_read(tmp_path: Path, name: str, codec: str) -> None:
    path = write_audio(tmp_path / name, tone(48_000), rate=48_000, codec=codec)
    rate, samples = read(path)
    assert len(samples) / rate == pytest.approx(0.5, abs=0.06)


def test_a_damaged_middle_loses_only_itself(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.mp3", tone(48_000, seconds=4), rate=48_000, codec="mp3")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(bytes(data))
    rate, samples = read(path)
    assert len(samples) / rate > 3.5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not an audio or video file"),
        (b"This is a letter, not a song. " * 40, "not an audio or video file|no sound"),
        (None, "There is no audio file"),
    ],
)
def test_what_is_not_audio_gets_one_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=sentence):
        read(path)


def test_a_folder_and_an_empty_recording_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a folder"):
        read(tmp_path)
    path = write_audio(tmp_path / "a.wav", np.zeros((1, 0), np.float32), rate=16_000)
    with pytest.raises(AudioError, match=r"a\.wav"):
        read(path)


@pytest.mark.parametrize("fps", [25, 30])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_film_keeps_every_time_exactly(tmp_path: Path, fps: int, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    with FilmWriter(path, size=256, fps=fps) as film:
        for index in range(fps):
            image = np.full((256, 256, 3), index * 4, np.uint8)
            film.write_picture(VideoFrame(frame_start(index, fps), image))
        film.write_sound(tone(48_000, seconds=1)[0])
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        times = [float(frame.time or 0) for frame in container.decode(video)]
    tolerance = 1e-3 if suffix == ".webm" else 1e-4  # WebM counts in milliseconds
    np.testing.assert_allclose(
        times, [frame_start(i, fps) / 16_000 for i in range(fps)], atol=tolerance
    )
    _, samples = read(path)
    assert len(samples) / 48_000 == pytest.approx(1.0, abs=0.03)


def test_a_failed_film_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), FilmWriter(tmp_path / "a.mp4", size=256, fps=25):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_cannot_take_its_name_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    film = FilmWriter(tmp_path / "a.mp4", size=256, fps=25)
    with pytest.raises(FilmError, match=r"a\.mp4' cannot be written"), film:
        film.write_picture(VideoFrame(0, np.zeros((256, 256, 3), np.uint8)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_unknown_containers_are_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match=r"\.mp4.*'film\.gif'"):
        FilmWriter(tmp_path / "film.gif", size=256, fps=25)


def cut_out(shift: int) -> NDArray[np.uint8]:
    """Returns a pale disc on nothing, straight RGBA, black where it is transparent."""
    rows, columns = np.mgrid[:256, :256]
    share = np.clip(80 - np.hypot(rows - 128, columns - 110 - shift), 0, 1)
    colours = np.stack([200 + 0 * share, 150 + rows / 8, 140 + columns / 8], axis=-1)
    colours[share == 0] = 0
    return np.dstack([colours, 255 * share]).round().astype(np.uint8)


def decode_with_matte(path: Path) -> list[NDArray[np.uint8]]:
    """Returns RGBA pictures: only libvpx's own decoder gives the matte."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.metadata["alpha_mode"] == "1"
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        packets = [packet for packet in container.demux(stream) if packet.size]
        frames = [frame for packet in packets for frame in decoder.decode(packet)]
        return [np.asarray(frame.to_ndarray(format="rgba"), np.uint8) for frame in frames]


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (0, 177, 64)])
def test_a_transparent_film_lies_over_any_ground(
    tmp_path: Path, ground: tuple[int, int, int]
) -> None:
    drawn = [cut_out(3 * index) for index in range(8)]
    with FilmWriter(tmp_path / "a.webm", size=256, fps=25, is_transparent=True) as film:
        for index, image in enumerate(drawn):
            film.write_picture(VideoFrame(frame_start(index, 25), image))
        film.write_sound(tone(48_000, seconds=0.32)[0])
    shown = decode_with_matte(tmp_path / "a.webm")
    assert len(shown) == len(drawn)
    for one, other in zip(drawn, shown, strict=True):
        wanted, got = over(one, ground), over(other, ground)
        edge = (one[..., 3] > 0) & (one[..., 3] < 255)
        assert np.abs(wanted - got)[edge].mean() < 2
        assert np.abs(wanted - got).mean() < 1
        assert np.abs(wanted - got).max() < 28
        assert np.minimum(got - wanted, 0)[edge].mean() > -1.6  # no dark line at the outline


def over(image: NDArray[np.uint8], ground: tuple[int, int, int]) -> NDArray[np.float64]:
    share = image[..., 3:] / 255
    return np.asarray(share * image[..., :3] + (1 - share) * ground, np.float64)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
def test_a_container_without_a_matte_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(FilmError, match=rf"\.webm; '{name}' cannot be transparent"):
        FilmWriter(tmp_path / name, size=256, fps=25, is_transparent=True)
    assert list(tmp_path.iterdir()) == []
