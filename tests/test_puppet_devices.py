"""Sound devices, cameras and their absence; when sound meets its picture."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server import cli
from server.puppet import cameras, sound_devices
from server.puppet.ports import PuppetError
from server.puppet.show import opaque
from server.puppet.sound_devices import DeviceMicrophone, DeviceSpeaker
from server.puppet.sync import Meeting
from vivant_client import Frame

MILLISECOND = 1_000_000  # ns


class PortAudioError(Exception):
    """As sounddevice's."""


class FakeStream:
    """A stream whose callback the test calls, as PortAudio does on its thread."""

    latency = 0.02
    last: FakeStream

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        if options["device"] == "busy":
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.options = options
        FakeStream.last = self

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def start(self) -> None:
        return

    def close(self) -> None:
        return


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    def query(device: object = None, kind: str | None = None) -> object:
        if device in ("nobody", 77):
            raise ValueError(f"No {kind} device matching {device!r}")
        return {"name": "fake"} if kind else ["0 fake"]

    module = types.SimpleNamespace(
        InputStream=FakeStream,
        OutputStream=FakeStream,
        PortAudioError=PortAudioError,
        query_devices=query,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


async def test_a_microphone_yields_what_its_thread_brings(library: object) -> None:
    pieces = DeviceMicrophone("fake").pieces()
    first = asyncio.ensure_future(anext(pieces))  # noqa: TID251 - one step of a generator
    await asyncio.sleep(0)
    stream = FakeStream.last
    assert stream.options["samplerate"] == 48_000
    data = np.full((480, 1), 0.25, np.float32)
    on_thread(lambda: stream.options["callback"](data, 480, None, None))
    np.testing.assert_array_equal(await first, data[:, 0])
    on_thread(stream.options["finished_callback"])
    with pytest.raises(PuppetError, match="The microphone 'fake' was lost"):
        await anext(pieces)


def on_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_loudspeaker_plays_in_order_after_a_cushion_and_silence_where_nothing_waits(
    library: object,
) -> None:
    speaker = DeviceSpeaker(None)
    assert speaker.latency == pytest.approx(0.02 + 0.04)
    sound = np.arange(1, 961, dtype=np.float32)
    speaker.play(sound, 0)
    heard = np.concatenate([played(700) for _ in range(5)])
    assert not heard[:1_920].any()
    np.testing.assert_array_equal(heard[1_920:2_880], sound)
    assert not heard[2_880:].any()
    for _ in range(100):
        speaker.play(sound, 0)
    assert np.count_nonzero(np.concatenate([played(960) for _ in range(100)])) == 25 * 960
    speaker.close()


def test_a_loudspeaker_whose_clock_is_slow_leaves_silence_out(library: object) -> None:
    speaker = DeviceSpeaker(None)
    loud, quiet = np.ones(960, np.float32), np.zeros(960, np.float32)
    for _ in range(5):
        speaker.play(loud, 0)
    for _ in range(20):
        speaker.play(quiet, 0)
    speaker.play(2 * loud, 0)
    heard = np.concatenate([played(960) for _ in range(20)])
    assert np.flatnonzero(heard == 2)[0] == 1_920 + 5 * 960  # at once


def played(frames: int) -> NDArray[np.float32]:
    out = np.ones((frames, 1), np.float32)
    FakeStream.last.options["callback"](out, frames, None, None)
    return out[:, 0]


@pytest.mark.parametrize(
    ("device", "sentence"),
    [("nobody", "There is no microphone 'nobody'"), ("77", "There is no microphone '77'")],
)
def test_a_device_that_is_not_there_is_named(library: object, device: str, sentence: str) -> None:
    with pytest.raises(PuppetError, match=f"{sentence}: .*--list-devices"):
        DeviceMicrophone(device)


async def test_a_device_that_is_busy_is_named(library: object) -> None:
    with pytest.raises(PuppetError, match="The loudspeaker 'busy' cannot be used: Device unavail"):
        DeviceSpeaker("busy")
    with pytest.raises(PuppetError, match="The microphone 'busy' cannot be used: Device unavail"):
        await anext(DeviceMicrophone("busy").pieces())


def test_without_the_library_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(PuppetError, match=r"pip install 'vivant\[puppet\]'"):
        sound_devices.list_devices()

    def without_portaudio(_: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("importlib.import_module", without_portaudio)
    with pytest.raises(PuppetError, match="need PortAudio"):
        sound_devices.list_devices()


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32", "plan9"])
def test_every_system_is_told_how_to_get_a_camera(
    platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(cameras, "_VIRTUAL", tmp_path)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(PuppetError, match="There is no virtual camera") as caught:
        cameras.find_camera(None)
    assert cameras.how_to_install(platform) in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--camera", "/dev/video77"], "There is no camera '/dev/video77'. Install v4l2loopback"),
        (["--camera", "pyproject.toml"], "'pyproject.toml' is not a camera device"),
        (["--camera", "a.mp4", "--speaker"], "A film takes the voice itself"),
        (["--session", "x"], "--session goes with --url"),
        (["--seconds", "0"], "--seconds must be more than 0, not 0"),
        (["--live-link", "99999"], "A port is 0 to 65535, not 99999"),
        (["--url", "ftp://x"], "'ftp://x' is not the address of a server"),
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9 cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "voice.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(3_200))
    assert cli.main(["puppet", "--mic", str(file), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_loopback_device_is_found_by_its_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cameras, "_VIRTUAL", tmp_path)
    for name in ("video10", "video9"):
        (tmp_path / name).mkdir()
    assert cameras._loopback(None) == "/dev/video9"


def test_nothing_moves_without_voice_or_face(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["puppet"]) == 2
    assert "Give --mic, --live-link or both" in capsys.readouterr().err


def test_a_camera_shows_black_where_a_session_is_transparent() -> None:
    packed = np.full((512, 256, 3), 200, np.uint8)
    packed[256:, :128], packed[256:, 128:] = 0, 255  # the matte
    picture = av.VideoFrame.from_ndarray(packed, format="rgb24")
    shown = opaque(Frame(0, picture))
    assert shown.shape == (256, 256, 3)
    assert shown[:, :120].max() < 8 and abs(int(shown[128, 200, 0]) - 200) < 6
    plain = av.VideoFrame.from_ndarray(packed[:256], format="rgb24")
    assert opaque(Frame(0, plain)).shape == (256, 256, 3)


def test_sound_meets_its_picture() -> None:
    meeting = Meeting()
    assert meeting.instant(0) is None
    for index in range(100):
        late = 60 if index % 2 else 50
        meeting.show(640 * index, (40 * index + late) * MILLISECOND)
    at = meeting.instant(16_000)
    assert at is not None and abs(at - 1_060 * MILLISECOND) < 2 * MILLISECOND


def test_the_meeting_follows_a_jump_at_once_and_drifts_unheard() -> None:
    meeting = Meeting()
    for index in range(100):
        meeting.show(640 * index, 40 * index * MILLISECOND)
    before = meeting.instant(0)
    meeting.show(64_000, 4_000 * MILLISECOND + 20 * MILLISECOND)
    after = meeting.instant(0)
    assert before is not None and after is not None and after - before <= MILLISECOND
    for index in range(101, 300):
        meeting.show(640 * index, (40 * index + 900) * MILLISECOND)
    assert meeting.instant(0) == 900 * MILLISECOND  # the network paused
