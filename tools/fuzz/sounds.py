"""Harnesses of sound: recorded files, bare samples, what voice servers answer."""

from __future__ import annotations

import io
import tempfile
import wave
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final, cast

import av
import httpx
import numpy as np

from server.ingest import Ingest
from server.media_files import AudioFile
from server.presenter.recorded import recorded_script
from server.presenter.recording import read_recording
from server.voice import openai_speech
from streaming_model.errors import VivantError
from tools.fuzz.containers import mutate_file
from tools.fuzz.harness import MEBIBYTE, Harness
from tools.fuzz.mutate import mutate_bytes

_RATE: Final = 16_000  # Hz
_KINDS: Final = (
    *(("wav", codec) for codec in ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_f64le")),
    *(("wav", codec) for codec in ("pcm_mulaw", "pcm_alaw", "adpcm_ima_wav", "adpcm_ms")),
    *(("flac", "flac"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("ogg", "libvorbis")),
    *(("webm", "libopus"), ("ipod", "aac"), ("adts", "aac"), ("aiff", "pcm_s16be")),
    *(("au", "pcm_s16be"), ("w64", "pcm_s16le"), ("mov", "pcm_s16le"), ("matroska", "flac")),
    *(("mpegts", "mp2"), ("avi", "mp2"), ("caf", "pcm_s16le"), ("tta", "tta"), ("wv", "wavpack")),
)


def seeds() -> list[bytes]:
    """Returns a fifth of a second of a tone in every common container and codec."""
    return [content for kind, codec in _KINDS if (content := encoded(kind, codec))]


def encoded(kind: str, codec: str, seconds: float = 0.2, channels: int = 1) -> bytes | None:
    """Returns a tone as a file; None where this FFmpeg cannot write it."""
    made = io.BytesIO()
    rate = 48_000 if "opus" in codec else _RATE
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    samples = np.tile(tone.astype(np.float32), (channels, 1))
    try:
        with av.open(made, "w", format=kind) as container:
            layout = "mono" if channels == 1 else "stereo"
            stream = cast("av.AudioStream", container.add_stream(codec, rate=rate, layout=layout))
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
    except (av.error.FFmpegError, ValueError):
        return None
    return made.getvalue()


def take_file(data: bytes) -> None:
    """Reads recorded speech as an upload is read."""
    with _kept(data) as path:
        recording = read_recording(path, "the recording")
        script = recorded_script(recording, None)
    assert recording.sound.dtype == np.int16
    assert script.is_recorded


def take_streamed(data: bytes) -> None:
    """Reads a file as `vivant render` and the puppet's microphone do, piece by piece."""
    with _kept(data) as path, AudioFile(path) as file:
        for block in islice(file.blocks(), 500):
            assert block.dtype == np.float32
            assert np.isfinite(block).all()


def take_pcm(data: bytes) -> None:
    """Takes bare samples in pieces, at a rate and of channels that the first bytes tell."""
    head, rest = data[:6].ljust(6, b"\0"), data[6:]
    rate, channels, size = int.from_bytes(head[:4], "little"), head[4], head[5] + 1
    ingest = Ingest(sample_rate=rate, channels=channels)
    for start in range(0, len(rest), size * 32):
        audio = ingest.push_pcm16(rest[start : start + size * 32])
        assert np.isfinite(audio.sound).all()
    ingest.finish()


def take_wave(data: bytes) -> None:
    """Reads what an OpenAI-compatible voice server answered."""
    kind = "audio/wav" if data[:4] == b"RIFF" else "audio/pcm"
    response = httpx.Response(200, headers={"content-type": kind}, content=data)
    for samples in openai_speech._decoded(response):
        assert samples.dtype == np.float32


def wave_seeds() -> Sequence[bytes]:
    """Returns WAV files of several widths and channels."""
    made = []
    for width, channels in ((2, 1), (1, 1), (3, 1), (4, 2), (2, 2)):
        content = io.BytesIO()
        with wave.open(content, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(24_000)
            file.writeframes(bytes(range(240)) * width * channels)
        made.append(content.getvalue())
    return made


def _pcm_seeds() -> Sequence[bytes]:
    tone = (8_000 * np.sin(np.arange(2_000) / 9)).astype("<i2").tobytes()
    rates = (8_000, 16_000, 44_100, 48_000, 192_000)
    return [rate.to_bytes(4, "little") + bytes([1 + rate % 2, 9]) + tone for rate in rates]


class _kept:
    """A file with this content, which is gone afterwards."""

    def __init__(self, data: bytes) -> None:
        self._file = tempfile.NamedTemporaryFile(dir=_folder())  # noqa: SIM115
        self._file.write(data)
        self._file.flush()

    def __enter__(self) -> Path:
        return Path(self._file.name)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _folder() -> str | None:
    """Returns a folder in memory where the system has one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def mutate_sound(data: bytes, random: Random) -> bytes:
    """Damages a file; now and then only its head, where the format is told."""
    if random.random() < 0.2:
        return mutate_bytes(data[:200], random) + data[200:]
    return mutate_file(data, random)


SOUND_FILE: Final = Harness(take_file, seeds, mutate_sound)
SOUND_STREAM: Final = Harness(take_streamed, seeds, mutate_sound)
PCM: Final = Harness(take_pcm, _pcm_seeds)
VOICE_ANSWER: Final = Harness(
    take_wave, wave_seeds, mutate_sound, (VivantError,), 1.0, 64 * MEBIBYTE
)
