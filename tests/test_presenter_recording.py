"""Recorded speech as a script: how it is cut, what is heard of it, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.config import Settings
from server.presenter.marks import Emotion, Gesture
from server.presenter.recorded import recorded_script
from server.presenter.recording import Clip, Recording, clips, quiet_places, read_recording
from server.presenter.script import ScriptError
from server.protocol import ScriptPosition, SpeakEnded, SubtitleDelta
from streaming_model.errors import AudioError
from tests.test_present_command import present
from tests.test_presenter import running
from tests.test_server_live import LiveServer, serving

CAPTIONS = """1
00:00:00,400 --> 00:00:01,400
[happy] One of [nod] them.

2
00:00:02,000 --> 00:00:03,000
Two [pause 1s] of them.
"""


def tones(*seconds: tuple[float, float], rate: int = 16_000) -> NDArray[np.float32]:
    """Returns (length, level) stretches of a tone, one after the other."""
    parts = [
        level * np.sin(2 * np.pi * 220 * np.arange(int(length * rate)) / rate)
        for length, level in seconds
    ]
    return np.concatenate(parts).astype(np.float32)


def recording_of(*seconds: tuple[float, float]) -> Recording:
    return Recording("talk", (tones(*seconds, rate=48_000) * 32767).astype(np.int16))


def write(path: Path, *seconds: tuple[float, float], rate: int, codec: str) -> Path:
    wave = tones(*seconds, rate=rate)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="stereo")
        pairs = np.repeat((wave * 32767).astype(np.int16)[:, None], 2, axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pairs, format="s16", layout="stereo")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo")
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        for piece in fifo.read_many(stream.codec_context.frame_size or 1024):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(fifo.read()))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "rate", "codec"),
    [("a.wav", 44_100, "pcm_s16le"), ("a.mp3", 22_050, "mp3"), ("a.flac", 8_000, "flac")],
)
def test_any_file_at_any_rate_is_decoded(tmp_path: Path, name: str, rate: int, codec: str) -> None:
    path = write(tmp_path / name, (1.0, 0.3), (0.5, 0.0), (1.0, 0.3), rate=rate, codec=codec)
    recording = read_recording(path, name)
    assert recording.samples == pytest.approx(2.5 * 16_000, abs=2_500)  # a codec's own padding
    level = np.abs(recording.sound[24_000:40_000] / 32767).max()
    assert level == pytest.approx(0.3, rel=0.1)


def test_it_is_cut_where_it_is_quiet() -> None:
    recording = recording_of((3.0, 0.3), (0.5, 0.001), (1.0, 0.3), (0.1, 0.0), (2.0, 0.3))
    (cut,) = quiet_places(recording)
    assert 3.0 * 16_000 < cut < 3.5 * 16_000
    assert cut % 640 == 0
    script = recorded_script(recording, None)
    parts = [sentence.clip for sentence in script.sentences if sentence.clip]
    assert [(part.start, part.end) for part in parts] == [(0, cut), (cut, recording.samples)]


def test_speech_without_a_pause_is_cut_after_half_a_minute_and_silence_is_one_part() -> None:
    assert quiet_places(recording_of((70.0, 0.3))) == [30 * 16_000, 60 * 16_000]
    assert quiet_places(recording_of((0.5, 0.0))) == []


def test_parts_tile_the_recording_and_keep_every_sample() -> None:
    recording = recording_of((2.0, 0.3))
    parts = clips(recording, [0, 333, 12_345, 99_999])
    assert parts[0].start == 0 and parts[-1].end == recording.samples
    sound = np.concatenate([piece.sound for part in parts for piece in part.pieces(0)])
    np.testing.assert_allclose(sound, recording.sound / 32767, atol=1e-6)
    (late,) = [Clip(recording, 0, recording.samples)]
    assert sum(len(piece) for piece in late.pieces(1_000)) == recording.samples - 1_000


def test_captions_become_sentences_and_marks_of_sound_are_told() -> None:
    script = recorded_script(recording_of((4.0, 0.3)), CAPTIONS)
    first, second = script.sentences
    assert (first.text, second.text) == ("One of them.", "Two of them.")
    assert [placed.mark for placed in first.marks] == [Emotion("happy"), Gesture("nod")]
    assert not second.marks
    assert first.clip and (first.clip.start, first.clip.caption) == (0, 6_400)
    assert second.clip and second.clip.start == 32_000
    (notice,) = script.notices
    assert (notice.line, notice.column) == (7, 5)
    assert "does nothing" in notice.message
    late = recorded_script(recording_of((1.0, 0.3)), CAPTIONS)
    assert any("after the recording's end" in notice.message for notice in late.notices)
    with pytest.raises(ScriptError, match="not one cue"):
        recorded_script(recording_of((1.0, 0.3)), "nothing")


async def test_it_is_heard_whole_with_its_captions_at_their_times() -> None:
    recording = recording_of((2.0, 0.3), (2.0, 0.2))
    async with running() as rig:
        rig.reader.replace(recorded_script(recording, CAPTIONS))
        rig.reader.play()
        await rig.run(1.5)
        assert [gesture.name for gesture in rig.direction.additions.gestures] == ["nod"]
        await rig.run(4)
    begun = rig.of(ScriptPosition)[0].media_time
    ((start, end),) = rig.stretches()  # no gap, no seam
    assert start == begun
    assert end == pytest.approx(begun + 64_000, abs=16)
    captions = [(event.text, event.media_time - begun) for event in rig.of(SubtitleDelta)]
    assert captions == [("One of them.", 6_400), ("Two of them.", 32_000)]
    assert [style.emotion for _, style in sorted(rig.motion.styles.items())] == ["happy", "neutral"]
    assert rig.is_over


async def test_it_pauses_and_goes_on_at_the_sample() -> None:
    recording = recording_of((3.0, 0.3))
    async with running() as rig:
        rig.reader.replace(recorded_script(recording, None))
        rig.reader.play()
        await rig.run(1.2)
        rig.reader.pause()
        await rig.run(1)
        rig.reader.play()
        await rig.run(4)
        assert rig.is_over
    ended = rig.of(SpeakEnded)
    assert len(ended) == 2
    assert sum(event.spoken_ms for event in ended) == 3_000


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)) as live:
        yield live


async def test_a_recording_is_presented_from_the_command_line(
    live: LiveServer, tmp_path: Path
) -> None:
    talk = write(tmp_path / "a.mp3", (2.5, 0.3), rate=44_100, codec="mp3")
    captions = tmp_path / "a.srt"
    captions.write_text(CAPTIONS)
    command = await present(talk, "--captions", captions, "--url", f"http://{live.address}")
    status, out, errors = await command.end()
    assert status == 0, errors
    assert [line.split("  ")[2] for line in out.splitlines()] == ["One of them.", "Two of them."]
    assert f"{captions}:7:5: " in errors


async def test_what_is_no_recording_is_refused(live: LiveServer, tmp_path: Path) -> None:
    url = f"/v1/sessions/{await live.session()}/script"
    answer = await live.client.put(f"{url}/audio", files={"audio": ("a.mp3", b"nonsense")})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "audio_unusable"
    assert answer.json()["error"]["message"] == "'a.mp3' is not an audio or video file."
    talk = write(tmp_path / "a.wav", (1.0, 0.3), rate=16_000, codec="pcm_s16le")
    answer = await live.client.put(f"{url}/audio", files={"audio": ("a.wav", talk.read_bytes())})
    assert answer.json()["format"] == "audio"
    assert answer.json()["sentences"][0]["recorded_ms"] == [0, 1000]
    answer = await live.client.patch(url, json={"text": "Words."})
    assert answer.status_code == 400
    assert "cannot be changed" in answer.json()["error"]["message"]
    answer = await live.client.put(url, json={"text": "Words."})
    assert answer.json()["format"] == "text"


def test_a_recording_that_is_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.wav", (1.0, 0.3), rate=16_000, codec="pcm_s16le")
    monkeypatch.setattr("server.presenter.recording._MOST", 8_000)
    with pytest.raises(AudioError, match="longer than 20 minutes"):
        read_recording(path, "a.wav")
