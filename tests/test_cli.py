"""The command line as a user meets it: what it writes, what it says, how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from server.cli import main
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.motion_files import read_motion, write_npz
from streaming_model.motion_space import INDEX, MOTION_SIZE

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.getbasetemp() / "vivant-cache"
    monkeypatch.setenv("VIVANT_CACHE", str(cache))


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Returns 1.2 s of a voice-like sound at 44.1 kHz stereo, with a pause in the middle."""
    rate = 44_100
    time = np.arange(int(1.2 * rate)) / rate
    wave = np.sum([np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20)], axis=0)
    wave = 0.2 * wave * ((time < 0.5) | (time > 0.8))
    path = tmp_path / "speech.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="stereo")
        pairs = np.repeat((wave * 20_000).astype(np.int16)[:, None], 2, axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pairs, format="s16", layout="stereo")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film_facts(path: Path) -> tuple[list[float], tuple[int, int], float]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        times = [float(frame.time or 0) for frame in frames]
        size = (frames[0].width, frames[0].height)
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        samples = sum(frame.samples for frame in container.decode(audio=0))
    return times, size, samples / rate


def test_render_makes_a_film_as_long_as_the_sound(tmp_path: Path, speech: Path) -> None:
    out = tmp_path / "film.mp4"
    assert (
        main(["render", str(BUILTIN_PORTRAIT), str(speech), "-o", str(out), "--size", "256"]) == 0
    )
    times, size, heard = film_facts(out)
    assert size == (256, 256)
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-4)
    assert heard == pytest.approx(1.2, abs=0.05)


def test_render_at_another_rate_counts_its_own_frames(tmp_path: Path, speech: Path) -> None:
    out = tmp_path / "film.mp4"
    words = ["render", str(BUILTIN_PORTRAIT), str(speech), "-o", str(out), "--size", "256"]
    assert main([*words, "--fps", "30", "--steps", "1", "--seed", "7"]) == 0
    times, _, _ = film_facts(out)
    np.testing.assert_allclose(times, np.arange(36) / 30, atol=1e-4)


def test_a_transparent_film_shows_the_person_alone(tmp_path: Path) -> None:
    write_npz(tmp_path / "m.npz", np.zeros((3, MOTION_SIZE), np.float32))
    words = ["render", str(BUILTIN_PORTRAIT), "--motion", str(tmp_path / "m.npz"), "--size", "256"]
    out = tmp_path / "a.webm"
    assert main([*words, "-o", str(out), "--background", "transparent"]) == 0
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        packets = [packet for packet in container.demux(stream) if packet.size]
        frames = [frame for packet in packets for frame in decoder.decode(packet)]
    matte = frames[0].to_ndarray(format="rgba")[..., 3]
    assert len(frames) == 3
    assert matte[:10, :10].max() < 10
    assert matte[120:160, 100:150].min() > 245
    assert main([*words, "-o", str(tmp_path / "b.webm"), "--background", "#ff0000"]) == 0
    with av.open(str(tmp_path / "b.webm")) as container:
        corner = next(container.decode(video=0)).to_ndarray(format="rgb24")[5, 5]
    assert np.abs(corner.astype(int) - (255, 0, 0)).max() < 12


def test_motion_is_the_same_in_csv_and_npz_and_drives_a_film(tmp_path: Path, speech: Path) -> None:
    csv, npz, film = tmp_path / "m.csv", tmp_path / "m.npz", tmp_path / "m.mp4"
    assert main(["motion", str(speech), "-o", str(csv)]) == 0
    assert main(["motion", str(speech), "-o", str(npz)]) == 0
    one, other = read_motion(csv), read_motion(npz)
    assert one.shape == other.shape == (30, MOTION_SIZE)
    np.testing.assert_allclose(one[:, :52], other[:, :52], atol=1e-5)
    with np.load(npz) as file:
        assert file["motion"].dtype == np.float32
        assert list(file["names"]) == list(INDEX)
    words = ["render", str(BUILTIN_PORTRAIT), "--motion", str(csv), "--audio", str(speech)]
    assert main([*words, "-o", str(film), "--size", "256"]) == 0
    times, _, heard = film_facts(film)
    assert len(times) == 30
    assert heard == pytest.approx(1.2, abs=0.05)


def test_commanded_jaw_is_seen_in_the_film(tmp_path: Path) -> None:
    motion = np.zeros((3, MOTION_SIZE), np.float32)
    motion[1, INDEX["jawOpen"]] = 0.8
    write_npz(tmp_path / "m.npz", motion)
    out = tmp_path / "m.mp4"
    words = ["render", str(BUILTIN_PORTRAIT), "--motion", str(tmp_path / "m.npz"), "-o", str(out)]
    assert main([*words, "--size", "256"]) == 0
    with av.open(str(out)) as container:
        images = [
            frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)
        ]
    assert np.abs(images[1] - images[0]).max() > 60
    assert np.abs(images[2] - images[0]).mean() < 1.5


def test_portrait_check_reports_for_people_and_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["portrait", "check", str(BUILTIN_PORTRAIT), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] is True
    blank = tmp_path / "blank.png"
    Image.new("RGB", (400, 400), "white").save(blank)
    assert main(["portrait", "check", str(blank), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "no_face"
    assert main(["portrait", "check", str(blank)]) == 1
    assert "face" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["render", "{portrait}", "-o", "{tmp}/a.mp4"], "exactly one of"),
        (["render", "{portrait}", "{tmp}/none.wav", "-o", "{tmp}/a.mp4"], "There is no audio file"),
        (["render", "{portrait}", "{text}", "-o", "{tmp}/a.mp4"], "letter.txt"),
        (["render", "{portrait}", "{speech}", "-o", "{tmp}/a.gif"], "a.gif"),
        (["render", "{portrait}", "{speech}", "-o", "{tmp}/no/a.mp4"], "There is no folder"),
        (
            *(
                [
                    "render",
                    "{blank}",
                    "{speech}",
                    "-o",
                    "{tmp}/a.mp4",
                    "--background",
                    "transparent",
                ],
            ),
            "a.mp4' cannot be transparent",
        ),
        (
            *(["render", "{blank}", "{speech}", "-o", "{tmp}/a.webm", "--background", "puce"],),
            "no background 'puce'",
        ),
        (["render", "{blank}", "{speech}", "-o", "{tmp}/a.mp4"], "face"),
        (["render", "{tmp}/none.png", "{speech}", "-o", "{tmp}/a.mp4"], "none.png"),
        (["render", "{portrait}", "--text", " ", "-o", "{tmp}/a.mp4"], "empty"),
        (["render", "{portrait}", "--text", "a", "--voice", "bob", "-o", "{tmp}/a.mp4"], "bob"),
        (["render", "{portrait}", "--motion", "{text}", "-o", "{tmp}/a.mp4"], "letter.txt"),
        (["motion", "{speech}", "-o", "{tmp}/a.bvh"], "a.bvh"),
        (["motion", "{speech}", "--emotion", "bored", "-o", "{tmp}/a.csv"], "got 'bored'"),
        (["motion", "{speech}", "--intensity", "2", "-o", "{tmp}/a.csv"], "got 2.0"),
        (["motion", "{speech}", "--gaze", "90,0", "-o", "{tmp}/a.csv"], "got (90.0, 0.0)"),
        (["serve", "--gaze", "up", "--port", "0"], "--gaze must be viewer, away or"),
        (["serve", "--emotion", "bored", "--port", "0"], "not 'bored'"),
        (["serve", "--portrait", "{blank}", "--port", "0"], "face"),
        (["serve", "--background", "puce", "--port", "0"], "background 'puce'"),
        (["serve", "--background", "{text}", "--port", "0"], "letter.txt"),
    ],
)
def test_bad_input_exits_2_with_one_sentence_and_no_file(
    tmp_path: Path,
    speech: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    blank, letter = tmp_path / "blank.png", tmp_path / "letter.txt"
    Image.new("RGB", (400, 400), "white").save(blank)
    letter.write_text("Dear friend, this is a letter. " * 30)
    places = {"portrait": BUILTIN_PORTRAIT, "tmp": tmp_path, "blank": blank, "text": letter}
    before = sorted(tmp_path.iterdir())
    assert main([word.format(**places, speech=speech) for word in words]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert error.startswith("vivant: ")
    assert "Traceback" not in error
    assert sorted(tmp_path.iterdir()) == before


def test_an_emotion_and_a_gaze_are_seen_in_the_motion(tmp_path: Path, speech: Path) -> None:
    rows = {}
    for name, words in {
        "plain": [],
        "happy": ["--emotion", "happy", "--intensity", "1", "--gaze=12,0", "--blink-rate", "0"],
    }.items():
        out = tmp_path / f"{name}.npz"
        assert main(["motion", str(speech), "-o", str(out), *words]) == 0
        rows[name] = read_motion(out)
    smile, gaze, lid = (
        INDEX[name] for name in ("mouthSmileLeft", "eyeLookOutLeft", "eyeBlinkLeft")
    )
    assert rows["happy"][:, smile].mean() > rows["plain"][:, smile].mean() + 0.3
    assert rows["happy"][:, gaze].mean() > rows["plain"][:, gaze].mean() + 0.1
    assert rows["happy"][:, lid].max() < 0.3


def test_motion_that_fails_halfway_leaves_nothing_behind(
    tmp_path: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = tmp_path / "empty.wav"
    silent.write_bytes(speech.read_bytes()[:44])
    before = set(tmp_path.iterdir())
    assert main(["motion", str(silent), "-o", str(tmp_path / "take.csv")]) == 2
    assert set(tmp_path.iterdir()) == before
    (tmp_path / "folder.csv").mkdir()
    assert main(["motion", str(speech), "-o", str(tmp_path / "folder.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not list(tmp_path.glob(".*"))


def test_the_installed_command_tells_its_version() -> None:
    command = Path(sys.executable).parent / "vivant"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vivant 0.")
