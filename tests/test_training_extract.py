"""Films of people become captured speech: what a rendered face was told is found again."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.cadence import Cadence
from streaming_model.media import SAMPLE_RATE, AudioChunk
from streaming_model.motion import load_motion_generator
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion_files import as_chunks
from streaming_model.motion_space import INDEX
from streaming_model.portrait import make_portrait
from streaming_model.portrait.landmarks import shared_landmarker
from streaming_model.renderer import Renderer
from training.__main__ import main
from training.captured import Captured, load_captured
from training.extract.command import Settings, extract
from training.extract.film import Film
from training.extract.index import Index
from training.extract.reasons import Reason
from training.extract.shots import Refused, shots
from training.extract.sync import sound_lag
from training.extract.watching import Sighting

pytestmark = pytest.mark.model

SPEECH = Path(__file__).parent / "fixtures" / "held_out_speech.npz"
FRAMES = 150  # 6 s
SIZE = 256
TURNS = {"headPitch": (0.12, 0.35), "headYaw": (0.2, 0.27), "headRoll": (0.15, 0.43)}  # rad, Hz

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


@cache
def speech() -> Floats:
    """Six seconds of a voice that no model was trained on."""
    pcm = np.load(SPEECH)["pcm"][: 640 * FRAMES]
    return np.asarray(pcm.astype(np.float32) / 32767)


@cache
def told() -> Floats:
    """What the face is told: our own model's motion, the head turning further than it would."""
    generator = load_motion_generator()
    (state,), (chunks,) = generator.step([generator.start(seed=3)], [AudioChunk(0, speech())])
    parts = [chunk.motion for chunk in [*chunks, *generator.finish(state)]]
    motion = np.concatenate(parts)[:FRAMES]
    times = np.arange(FRAMES) / 25
    for name, (most, rate) in TURNS.items():
        motion[:, INDEX[name]] = most * np.sin(2 * np.pi * rate * times)
    return motion


@cache
def pictures(fps: int) -> tuple[list[int], Images]:
    """When each picture of the told motion begins, in samples at 16 kHz, and the pictures."""
    renderer = Renderer(make_portrait(BUILTIN_PORTRAIT), size=SIZE)
    cadence = Cadence(fps=fps)
    (state,), (poses,) = cadence.step([cadence.start()], list(as_chunks(told(), frames=FRAMES)))
    poses = [*poses, *cadence.finish(state)]
    return [pose.start for pose in poses], np.stack([renderer.render(p.motion) for p in poses])


def write_film(
    path: Path,
    images: Images,
    starts: Sequence[int],
    sound: Floats | None,
    *,
    rate: int = 48_000,
    layout: str = "mono",
) -> Path:
    """Writes pictures, each from its start on, and sound given at 16 kHz."""
    with av.open(str(path), "w") as container:
        height, width = images.shape[1:3]
        options = {"preset": "ultrafast", "crf": "18", "bf": "0"}
        video = container.add_stream("libx264", rate=25, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, SAMPLE_RATE)
        audio: av.AudioStream | None = None
        if sound is not None:
            audio = container.add_stream("aac", rate=rate, layout=layout)
        for start, image in zip(starts, images, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            picture.pts, picture.time_base = start, Fraction(1, SAMPLE_RATE)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            mono = soxr.resample(sound, SAMPLE_RATE, rate).astype(np.float32)
            channels = np.repeat(mono[None], 2 if layout == "stereo" else 1, axis=0)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(channels), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = rate, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def entry(folder: Path) -> Any:  # noqa: ANN401 - JSON
    (film,) = json.loads((folder / "index.json").read_text())["films"].values()
    return film


def first_frame(folder: Path, number: int = 0) -> int:
    return round(float(entry(folder)["items"][number]["start_s"]) * 25)


def correlation(first: Floats, second: Floats) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def parted(motion: Floats) -> Floats:
    """How far the lips are apart, by all that parts them: nothing else of them can be seen."""
    return lip_gaps(motion)


def best_lag(wanted: Floats, seen: Floats) -> float:
    """Returns by how many frames `seen` is late, to a tenth."""
    instants = np.arange(5, len(wanted) - 5, dtype=np.float64)
    every = np.arange(len(seen), dtype=np.float64)
    lags = np.arange(-20, 21) / 10
    fits = [correlation(wanted[5:-5], np.interp(instants + lag, every, seen)) for lag in lags]
    return float(lags[int(np.argmax(fits))])


def blink_times(motion: Floats) -> list[int]:
    """Returns the frames at which both eyes begin to be more than half shut."""
    shut = motion[:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].mean(axis=1) > 0.5
    return [int(each) for each in np.flatnonzero(shut[1:] & ~shut[:-1]) + 1]


def check_motion(item: Captured, first: int, *, least: float = 0.9) -> None:
    """Compares an item with what the face was told from motion frame `first` on."""
    wanted = told()[first : first + len(item.motion)]
    assert correlation(parted(wanted), parted(item.motion)) >= least
    assert abs(best_lag(parted(wanted), parted(item.motion))) <= 0.5  # 20 ms
    for name in TURNS:
        column = INDEX[name]
        assert correlation(wanted[:, column], item.motion[:, column]) >= 0.93, name
        assert 0.8 < np.polyfit(wanted[:, column], item.motion[:, column], 1)[0] < 1.3, name
    found = blink_times(item.motion)
    assert len(found) == len(blink_times(wanted)) > 0
    assert np.abs(np.subtract(found, blink_times(wanted))).max() <= 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `film.mp4`, 25 pictures a second, and what was extracted from it in `out`."""
    folder = tmp_path_factory.mktemp("plain")
    starts, images = pictures(25)
    path = write_film(folder / "film.mp4", images, starts, speech())
    assert extract([path], folder / "out", Settings(min_face=60)) == 0
    return folder


def test_a_film_gives_back_the_motion_that_made_it(plain: Path) -> None:
    (item,) = load_captured(plain / "out")
    first = first_frame(plain / "out")
    assert len(item.motion) >= FRAMES - 2
    assert len(item.samples) == 640 * len(item.motion)
    check_motion(item, first)
    heard = speech()[first * 640 :][: len(item.samples)]
    assert correlation(heard, item.samples[: len(heard)]) > 0.98  # not shifted by a sample
    assert not item.mask[INDEX["tongueOut"]] and item.mask[INDEX["jawOpen"]]
    assert not item.motion[:, ~item.mask].any()


def test_a_slower_film_gives_the_same_motion(tmp_path: Path) -> None:
    starts, images = pictures(24)
    path = write_film(tmp_path / "film.mp4", images, starts, speech())
    assert extract([path], tmp_path / "out", Settings(min_face=60)) == 0
    (item,) = load_captured(tmp_path / "out")
    check_motion(item, first_frame(tmp_path / "out"))


def test_uneven_pictures_and_stereo_of_another_rate_give_the_same_motion(tmp_path: Path) -> None:
    starts, images = pictures(30)
    kept = [index for index in range(len(starts)) if index % 7 != 3]
    times = [starts[index] for index in kept]
    path = write_film(
        tmp_path / "film.mkv", images[kept], times, speech(), rate=44_100, layout="stereo"
    )
    assert extract([path], tmp_path / "out", Settings(min_face=60)) == 0
    (item,) = load_captured(tmp_path / "out")
    check_motion(item, first_frame(tmp_path / "out"), least=0.88)


def test_a_cut_gives_two_items_that_keep_their_sound(tmp_path: Path) -> None:
    starts, images = pictures(25)
    nearer = images.copy()
    cut = 75
    closer = images[cut:, 20:212, 40:232].repeat(2, axis=1).repeat(2, axis=2)[:, ::3, ::3]
    nearer[cut:] = 255
    nearer[cut:, : closer.shape[1], : closer.shape[2]] = closer
    path = write_film(tmp_path / "film.mp4", nearer, starts, speech())
    assert extract([path], tmp_path / "out", Settings(min_face=40, min_seconds=2)) == 0
    items = load_captured(tmp_path / "out")
    assert len(items) == 2
    assert len(items[0].motion) == pytest.approx(cut, abs=1)
    for number, item in enumerate(items):
        first = first_frame(tmp_path / "out", number)
        wanted = told()[first : first + len(item.motion)]
        assert correlation(parted(wanted), parted(item.motion)) > 0.85
    assert first_frame(tmp_path / "out", 1) == pytest.approx(cut, abs=1)


def test_a_turned_camera_is_turned_back(tmp_path: Path) -> None:
    starts, images = pictures(25)
    upright = images[:10, :, :200]
    lying = np.rot90(upright, 1, axes=(1, 2))  # as a sensor on its side stores it
    path = write_film(tmp_path / "film.mp4", lying, starts[:10], None)
    _say_it_is_turned(path)
    shown = [picture.image for picture in Film(path).pictures()]
    assert len(shown) == 10
    difference = np.abs(shown[5].astype(int) - upright[5])
    assert shown[5].shape == upright[5].shape and difference.mean() < 6


def _say_it_is_turned(path: Path) -> None:
    """Writes "show it turned clockwise by 90 degrees" into an MP4's track header (ISO 14496-12)."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def test_sound_stays_at_its_time_stamps(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    knock = np.zeros((1, 1600), np.int16)
    knock[0, 800] = 20_000
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for index in range(50):
            grey = np.full((64, 64, 3), 100, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            # It begins 0.4 s late and pauses from 0.8 to 1.2 s.
            if index in (*range(4, 8), *range(12, 20)):
                frame = av.AudioFrame.from_ndarray(knock, format="s16", layout="mono")
                frame.sample_rate, frame.pts = 16_000, index * 1600
                frame.time_base = Fraction(1, 16_000)
                container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    sound = Film(path).sound()
    assert sound is not None
    knocks = np.flatnonzero(np.abs(sound) > 0.3)
    wanted = [index * 1600 + 800 for index in (*range(4, 8), *range(12, 20))]
    np.testing.assert_allclose(knocks, wanted, atol=16)  # Matroska's clock ticks every 1 ms


def sighting(time: int, *, reason: Reason | None = None, is_cut: bool = False) -> Sighting:
    return Sighting(time, is_cut, None, reason, 0.02)


def test_a_shot_ends_at_a_cut_or_a_gap_but_not_at_one_lost_picture() -> None:
    lost = {10: Reason.NO_FACE, **dict.fromkeys(range(30, 36), Reason.TURNED)}
    seen = [sighting(640 * n, reason=lost.get(n), is_cut=n == 20) for n in range(50)]
    refused = Refused()
    runs = [[each.time // 640 for each in run] for run in shots(seen, refused)]
    assert runs == [[*range(10), *range(11, 20)], [*range(20, 30)], [*range(36, 50)]]
    assert refused.samples == {Reason.NO_FACE: 640, Reason.TURNED: 6 * 640}


def test_an_endless_shot_becomes_several() -> None:
    seen = [sighting(640 * n) for n in range(25 * 130)]
    lengths = [len(run) / 25 for run in shots(seen, Refused())]
    assert len(lengths) == 3 and max(lengths) <= 60.1 and sum(lengths) == 130


@pytest.mark.parametrize("late_ms", [-120, 0, 40, 200])
def test_a_lag_is_found_whatever_its_sign(late_ms: int) -> None:
    rng = np.random.default_rng(5)
    syllables = np.convolve(rng.random(660), np.hanning(15) / 7, "same")
    steps = late_ms // 10
    opening, heard = syllables[30:630], syllables[30 - steps : 630 - steps]
    levels = 20 * np.log10(heard + 0.05) + rng.normal(0, 2, 600)
    lag = sound_lag(opening, levels)
    assert lag.milliseconds == pytest.approx(late_ms, abs=10)
    assert lag.correlation > 0.6


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("silent", "silent"),
        ("no sound", "no sound"),
        ("no face", "no face"),
        ("two faces", "several faces"),
        ("small", "face too small"),
        ("blurred", "face blurred"),
        ("hidden", "mouth hidden"),
        ("late", "sound and lips out of step"),
        ("short", "too short without a cut or a gap"),
    ],
)
def test_films_of_no_use_are_left_out_with_the_reason(
    tmp_path: Path, problem: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    starts, images = pictures(25)
    sound: Floats | None = speech()
    count = FRAMES if problem == "late" else 40
    starts, images = starts[:count], images[:count]
    if problem == "silent":
        sound = np.zeros_like(speech())
    elif problem == "no sound":
        sound = None
    elif problem == "no face":
        images = np.broadcast_to(np.arange(SIZE, dtype=np.uint8)[:, None], images.shape)
    elif problem == "two faces":
        images = np.concatenate([images, images], axis=2)
    elif problem == "blurred":
        blurred = [cv2.GaussianBlur(image, (0, 0), 3) for image in images]
        images = np.stack(blurred).astype(np.uint8)
    elif problem == "hidden":
        images = np.stack([_with_mouth_hidden(image) for image in images])
    elif problem == "late":
        sound = np.concatenate([np.zeros(3200, np.float32), speech()[:-3200]])
    path = write_film(tmp_path / "film.mkv", images, starts, sound)
    settings = Settings(
        min_face=200 if problem == "small" else 60, min_seconds=3 if problem == "short" else 1
    )
    assert extract([path], tmp_path / "out", settings) == 1
    refused = entry(tmp_path / "out")["refused"]
    assert max(refused, key=lambda each: refused[each]) == reason
    said = capsys.readouterr().out
    assert f": {reason}" in said and "0 items" in said
    if problem == "late":
        (lag,) = entry(tmp_path / "out")["refused_lags_ms"]
        assert lag == pytest.approx(200, abs=20)


def _with_mouth_hidden(image: Images) -> Images:
    """Paints a grey board over the mouth, wherever the head has turned it."""
    lips = shared_landmarker().detect(image)[0].landmarks[[61, 291, 0, 17], :2]
    (left, top), (right, bottom) = lips.min(axis=0) - 10, lips.max(axis=0) + 10
    covered = image.copy()
    covered[int(top) : int(bottom), int(left) : int(right)] = 90
    return covered


def test_a_finished_film_is_not_looked_at_again(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (written,) = (plain / "out").glob("*.npz")
    before = written.stat().st_mtime_ns
    assert extract([plain / "film.mp4"], plain / "out", Settings(min_face=60)) == 0
    assert "done before" in capsys.readouterr().out
    assert written.stat().st_mtime_ns == before


def test_a_film_whose_items_are_gone_or_asked_for_otherwise_is_not_done(tmp_path: Path) -> None:
    index = Index.open(tmp_path)
    (tmp_path / "a.npz").touch()
    index.add(
        "digest", {"name": "film", "settings": {"min_face": 100}, "items": [{"file": "a.npz"}]}
    )
    again = Index.open(tmp_path)
    assert again.holds("digest", {"min_face": 100})
    assert not again.holds("digest", {"min_face": 50})
    (tmp_path / "a.npz").unlink()
    assert not again.holds("digest", {"min_face": 100})


def test_the_command_says_what_is_wrong_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.mp4").write_text("no film")
    films = [str(tmp_path / "none.mp4"), str(tmp_path / "notes.mp4"), str(tmp_path)]
    output = ["--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["training", "extract", *films, *output])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"training extract: There is no film '{tmp_path / 'none.mp4'}'.",
        "training extract: 'notes.mp4' is not a film.",
        f"training extract: '{tmp_path}' is a folder, not a film.",
    ]
    assert "have agreed" in said.out


def test_a_sound_file_is_no_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with av.open(str(tmp_path / "song.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1600), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert extract([tmp_path / "song.wav"], tmp_path / "out", Settings()) == 2
    assert "'song.wav' has no pictures in it." in capsys.readouterr().err
