"""A portrait in a pipeline of Pipecat's own: its worker, its runner, a live server of ours."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aioice.ice
import numpy as np
import pytest
import soxr
from loguru import logger
from numpy.typing import NDArray
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    OutputImageRawFrame,
    OutputTransportMessageFrame,
    ServiceUpdateSettingsFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from tests.conftest import FAKE, ServerProcess
from tests.pipecat.bot import Bot, bot
from tests.test_client import house, url
from tests.test_server_live import LiveServer, serving
from vivant_client import ClientError, SessionReady
from vivant_client.pipecat import AvatarVideoService, AvatarVideoSettings

FRAME = 40_000_000  # ns
PACKET = 20_000_000  # ns
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(house(tmp_path)) as live:
        yield live


@pytest.fixture
async def talking(live: LiveServer) -> AsyncIterator[Bot]:
    async with bot(url(live)) as talking:
        await talking.appeared()
        yield talking


def tones(seconds: float, rate: int, *, first: int = 300) -> NDArray[np.int16]:
    """Returns another tone for every tenth of a second, so that order can be told."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = first + 130 * (np.floor(time * 10) % 12)
    return (9000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)


def bursts(seconds: float, rate: int) -> NDArray[np.int16]:
    """Returns a tone that is on for a fifth of a second and off for a fifth."""
    time = np.arange(round(seconds * rate)) / rate
    loud = np.floor(time * 5) % 2
    return np.asarray(20_000 * np.sin(2 * np.pi * 400 * time) * loud, np.int16)


def lag(heard: NDArray[np.float32], given: NDArray[np.float32]) -> tuple[float, float]:
    """Returns by how many seconds of 48 kHz sound one is behind the other, and how alike."""
    size = 1 << (len(heard) + len(given)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(given, size))
    alike = np.fft.irfft(spectrum, size) / (np.linalg.norm(heard) * np.linalg.norm(given))
    best = int(np.argmax(alike))
    return (best if best < size // 2 else best - size) / 48_000, float(alike[best])


def test_which_pipecat_it_is() -> None:
    sys.stdout.write(f"pipecat-ai {importlib.metadata.version('pipecat-ai')}\n")
    done = subprocess.run(
        [sys.executable, "-c", "import sys, vivant_client; print('pipecat' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"  # who does not want it does not load it


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (24_000, 1), (44_100, 2)])
async def test_what_goes_in_comes_out(talking: Bot, rate: int, channels: int) -> None:
    given = tones(1.23, rate)
    await talking.say(given if channels == 1 else np.stack([given, given], 1), rate)
    await talking.heard()
    frames = talking.sink.of(TTSAudioRawFrame)
    assert {(each.sample_rate, each.num_channels, each.context_id) for each in frames} == {
        (48_000, 1, "c")
    }
    heard = talking.sound()
    assert len(heard) / 48_000 == pytest.approx(1.23, abs=0.02)
    reference = soxr.resample(given.astype(np.float32), rate, 48_000)
    behind, alike = lag(heard, reference)
    assert abs(behind) < 0.005
    assert alike > 0.95  # what Opus leaves of it
    kinds = [type(frame) for frame in talking.sink.frames]
    assert kinds.index(TTSStartedFrame) < kinds.index(TTSAudioRawFrame)
    assert kinds[-1] is TTSStoppedFrame
    assert not talking.upstream.errors


async def test_answers_come_one_after_the_other(talking: Bot) -> None:
    await talking.say(tones(0.4, 24_000), context="one")
    await talking.say(tones(0.4, 24_000, first=2000), context="two")
    await talking.heard(2)
    wanted = (TTSAudioRawFrame, TTSStoppedFrame)
    told = [frame.context_id for frame in talking.sink.frames if isinstance(frame, wanted)]
    assert told == sorted(told, key=lambda context: context == "two")
    assert [each.context_id for each in talking.sink.of(TTSStoppedFrame)] == ["one", "two"]
    assert len(talking.sound()) / 48_000 == pytest.approx(0.8, abs=0.04)


async def test_pictures_come_at_the_session_s_rate_whether_or_not_it_speaks(talking: Bot) -> None:
    await talking.say(tones(1.0, 24_000))
    await talking.heard()
    times = [pts for pts, _, _ in talking.sink.pictures]
    steps = {round(step / FRAME, 3) for step in np.diff(times)}
    assert min(steps) == 1.0
    assert all(step == int(step) for step in steps)  # a busy machine leaves pictures out
    assert {size for _, _, size in talking.sink.pictures} == {(256, 256)}
    assert max(loud for _, loud, _ in talking.sink.pictures) > 0.3


async def test_picture_and_sound_are_within_a_frame_of_each_other(talking: Bot) -> None:
    await talking.say(bursts(3.0, 24_000))
    await talking.heard()
    heard = {
        frame.pts or 0: bool(np.abs(np.frombuffer(frame.audio, np.int16)).max() > 3000)
        for frame in talking.sink.of(TTSAudioRawFrame)
    }
    judged = 0
    for pts, opening, _ in talking.sink.pictures:  # a busy machine leaves some out
        around = {heard.get(pts + step * PACKET) for step in range(-2, 4)}
        if len(around) == 1 and None not in around:  # no edge within a frame of it
            judged += 1
            assert {opening > 0.3} == around
    assert judged > 10
    # And not by their stamps alone: they are pushed in that order.
    offsets = [abs(pts - words) for pts, words in talking.sink.beside]
    assert np.median(offsets) <= FRAME


@pytest.mark.parametrize("after", [0.0, 0.05, 0.2, 0.7])
async def test_nothing_of_the_old_answer_follows_an_interruption(
    talking: Bot, after: float
) -> None:
    await talking.say(tones(4.0, 24_000), context="old")
    await talking.sink.until(lambda: talking.sink.of(TTSStartedFrame))
    await asyncio.sleep(after)
    await talking.push(InterruptionFrame())
    await talking.say(tones(0.6, 24_000, first=2000), context="new")
    await talking.heard()
    kinds = [type(frame) for frame in talking.sink.frames]
    rest = talking.sink.frames[kinds.index(InterruptionFrame) :]
    words = [frame for frame in rest if isinstance(frame, TTSAudioRawFrame)]
    assert {frame.context_id for frame in words} == {"new"}
    assert [each.context_id for each in talking.sink.of(TTSStoppedFrame)] == ["new"]
    heard = talking.sound("new")
    behind, alike = lag(heard, tones(0.6, 48_000, first=2000).astype(np.float32))
    assert len(heard) / 48_000 == pytest.approx(0.6, abs=0.02)
    assert abs(behind) < 0.005 and alike > 0.9
    interrupted = talking.sink.pictures_at[InterruptionFrame]
    first = min(frame.pts or 0 for frame in words)
    between = [loud for pts, loud, _ in talking.sink.pictures[interrupted:] if pts < first - FRAME]
    assert max(between, default=0.0) < 0.1
    assert not talking.upstream.errors


async def test_a_voice_may_use_a_context_again_after_an_interruption(talking: Bot) -> None:
    late = TTSAudioRawFrame(tones(0.1, 24_000).tobytes(), 24_000, 1, context_id="c")
    await talking.say(tones(4.0, 24_000))
    await talking.sink.until(lambda: talking.sink.of(TTSAudioRawFrame))
    await talking.push(InterruptionFrame())
    await talking.sink.until(lambda: talking.sink.of(InterruptionFrame))
    talking.sink.frames.clear()
    await talking.push(late, TTSStoppedFrame(context_id="c"))  # as if it had been overtaken
    await talking.say(tones(0.3, 24_000))
    await talking.heard()
    assert len(talking.sound()) / 48_000 == pytest.approx(0.3, abs=0.02)


@pytest.mark.single_layout("series of a cluster have their worker's label: test_cluster_layout")
async def test_an_interruption_of_nothing_costs_nothing(talking: Bot, live: LiveServer) -> None:
    for _ in range(5):
        await talking.push(InterruptionFrame())
    await talking.say(tones(0.3, 24_000))
    await talking.heard()
    figures = (await live.client.get("/metrics")).text
    assert "vivant_interruptions_total 0" in figures


async def test_the_time_to_the_first_sound_is_told(talking: Bot) -> None:
    for context in ("one", "two"):
        await talking.say(tones(0.3, 24_000), context=context)
    await talking.heard(2)
    await talking.say(tones(0.3, 24_000), context="three")
    await talking.heard(3)
    told = [
        data.value
        for frame in talking.sink.of(MetricsFrame)
        for data in frame.data
        if isinstance(data, TTFBMetricsData) and data.value
    ]
    assert len(told) == 2  # the second one waited for the first one, not for the avatar
    assert all(0.0 < value < 5 for value in told)


async def test_what_comes_between_is_passed_on_when_it_is_heard(talking: Bot) -> None:
    given, piece = tones(1.0, 24_000), 2400
    for index in range(10):
        pcm = given[index * piece : (index + 1) * piece].tobytes()
        await talking.push(TTSAudioRawFrame(pcm, 24_000, 1, context_id="c"))
        await talking.push(OutputTransportMessageFrame(message=index))
    kept = OutputTransportMessageFrame(message="kept")
    kept.pts = 5 * SECOND
    await talking.push(kept, TTSStoppedFrame(context_id="c"))
    await talking.heard()
    heard, told = 0, []
    for frame in talking.sink.frames:
        if isinstance(frame, TTSAudioRawFrame):
            heard += frame.num_frames
        elif isinstance(frame, OutputTransportMessageFrame):
            told.append((frame.message, heard / 48_000))
    assert [message for message, _ in told] == [*range(10), "kept"]
    for index, at in told[:-1]:
        assert at == pytest.approx(0.1 * (index + 1), abs=0.021)
    assert kept.pts > 5 * SECOND  # a word's time is the voice's; it is heard later


async def test_the_end_waits_for_the_last_word_and_gives_the_session_back(
    live: LiveServer,
) -> None:
    async with bot(url(live)) as talking:
        session = await talking.appeared()
        await talking.say(tones(1.0, 24_000))
        await talking.push(EndFrame())
        async with asyncio.timeout(20):
            await talking.done
        assert isinstance(talking.sink.frames[-1], EndFrame)
        assert len(talking.sound()) / 48_000 == pytest.approx(1.0, abs=0.02)
    assert (await live.client.get(f"/v1/sessions/{session.id}")).status_code == 404


async def test_being_cancelled_ends_the_session_at_once(live: LiveServer) -> None:
    async with bot(url(live)) as talking:
        session = await talking.appeared()
        await talking.say(tones(20.0, 24_000))
        await talking.sink.until(lambda: talking.sink.of(TTSAudioRawFrame))
        await talking.worker.cancel()
        async with asyncio.timeout(10):
            await talking.done
    assert (await live.client.get(f"/v1/sessions/{session.id}")).status_code == 404


async def test_the_portrait_s_look_is_chosen_and_changed(live: LiveServer) -> None:
    style = {"emotion": "happy", "head_motion": 0.5}
    async with bot(url(live), style=style, background="green", size=128) as talking:
        session = await talking.appeared()
        assert talking.sink.pictures[0][2] == (128, 128)
        described = await session.describe()
        assert (described["background"], described["style"]["emotion"]) == ("green", "happy")
        change = AvatarVideoSettings(style={"emotion": "sad"})
        await talking.push(ServiceUpdateSettingsFrame(delta=change))
        ready = await session.wait_for(SessionReady)
        assert ready.style["emotion"] == "sad"
        assert ready.style["head_motion"] == 0.5
        wrong = AvatarVideoSettings(style={"emotion": "bored"})
        await talking.push(ServiceUpdateSettingsFrame(delta=wrong))
        await talking.sink.until(lambda: talking.upstream.errors)
        assert "bored" in talking.upstream.errors[0].error
        assert talking.avatar.is_usable


class Stuck(FrameProcessor):
    """A transport that takes no picture before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame):
            await self.let_go.wait()
        await self.push_frame(frame, direction)


async def test_pictures_that_nobody_takes_do_not_pile_up(live: LiveServer) -> None:
    gc.collect()
    before = pictures_kept()
    stuck, is_full = Stuck(), asyncio.Event()
    sink = logger.add(lambda _: is_full.set(), filter=lambda told: "downstream" in told["message"])
    async with bot(url(live), after=[stuck]) as talking, asyncio.timeout(30):
        await is_full.wait()
        logger.remove(sink)
        await asyncio.sleep(1.0)
        # what a second holds; the service and the transport may have one in hand each
        assert 25 <= pictures_kept() - before <= 27
        assert not talking.sink.pictures
        stuck.let_go.set()
        await talking.sink.until(lambda: len(talking.sink.pictures) >= 50)
        times = [pts for pts, _, _ in talking.sink.pictures]
        assert times == sorted(times)


def pictures_kept() -> int:
    return sum(type(each) is OutputImageRawFrame for each in gc.get_objects())


@pytest.mark.soak
@pytest.mark.timeout(400)
async def test_nothing_grows_in_a_long_conversation(talking: Bot) -> None:
    sizes = []
    for turn in range(60):
        await talking.say(tones(2.0, 24_000), context=str(turn))
        if turn % 3 == 2:
            await asyncio.sleep(0.5)
            await talking.push(InterruptionFrame())
        else:
            await talking.heard()
        talking.sink.frames.clear()
        talking.sink.pictures.clear()
        talking.sink.beside.clear()
        gc.collect()
        sizes.append((len(gc.get_objects()), pictures_kept(), len(asyncio.all_tasks())))
    objects, kept, tasks = np.array(sizes[10:]).T
    sys.stdout.write(f"objects {objects[0]} .. {objects[-1]}, tasks {tasks[0]} .. {tasks[-1]}\n")
    assert max(kept) <= 3
    assert tasks[-1] <= tasks[0] + 2
    assert np.median(objects[-10:]) < 1.02 * np.median(objects[:10])


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    """Yields a server that can be killed and started again."""
    monkeypatch.undo()  # it has the machine's addresses, and so must we
    server = ServerProcess(FAKE, "--size", "256", folder=tmp_path)
    yield server
    server.stop()


async def test_a_server_that_dies_is_told_and_the_bot_is_heard_without(
    mortal: ServerProcess,
) -> None:
    async with bot(mortal.address) as talking:
        await talking.sink.until(lambda: talking.sink.pictures)
        await talking.say(tones(5.0, 24_000), context="cut off")
        await talking.sink.until(lambda: talking.sink.of(TTSAudioRawFrame))
        mortal.kill()
        await talking.sink.until(lambda: talking.upstream.errors)
        (error,) = talking.upstream.errors
        assert error.category is ErrorCategory.CONNECTIVITY
        assert "without its avatar" in error.error
        assert talking.avatar.is_usable and talking.avatar.session is None
        await talking.heard()  # what was begun is ended
        given = tones(0.2, 24_000)
        await talking.say(given, context="blind")
        await talking.heard(2)
        passed = [each for each in talking.sink.of(TTSAudioRawFrame) if each.context_id == "blind"]
        assert b"".join(each.audio for each in passed) == given.tobytes()  # as it came
        await asyncio.to_thread(mortal.start)
        await talking.sink.until(lambda: talking.avatar.session is not None)
        await talking.say(tones(0.5, 24_000), context="again")
        await talking.heard(3)
        assert len(talking.sound("again")) / 48_000 == pytest.approx(0.5, abs=0.02)
        assert len(talking.upstream.errors) == 1


async def test_a_session_that_the_server_ends_is_followed_by_another(live: LiveServer) -> None:
    async with bot(url(live)) as talking:
        first = await talking.appeared()
        await live.client.delete(f"/v1/sessions/{first.id}")
        await talking.sink.until(lambda: talking.upstream.errors)
        await talking.sink.until(lambda: talking.avatar.session not in (None, first))
        await talking.say(tones(0.3, 24_000))
        await talking.heard()
        assert len(talking.sound()) / 48_000 == pytest.approx(0.3, abs=0.02)


async def test_a_server_that_is_not_there_is_given_up_at_last() -> None:
    async with bot("http://127.0.0.1:9", patience=0.6) as talking:
        given = tones(0.2, 24_000)
        await talking.say(given)
        await talking.heard()
        passed = b"".join(each.audio for each in talking.sink.of(TTSAudioRawFrame))
        assert passed == given.tobytes()
        await talking.sink.until(lambda: not talking.avatar.is_usable)
        first, last = talking.upstream.errors
        assert "cannot be reached" in first.error and "until the server is back" in first.error
        assert last.category is ErrorCategory.CONNECTIVITY


async def test_what_the_server_refuses_is_told_once_and_can_be_mended(live: LiveServer) -> None:
    async with bot(url(live), portrait="nobody") as talking:
        await talking.sink.until(lambda: talking.upstream.errors)
        (error,) = talking.upstream.errors
        assert "nobody" in error.error
        assert error.category is ErrorCategory.INVALID_REQUEST
        assert not talking.avatar.is_usable
        mended = AvatarVideoSettings(portrait=None)
        await talking.push(ServiceUpdateSettingsFrame(delta=mended))
        await talking.sink.until(lambda: talking.sink.pictures)
        assert talking.avatar.is_usable


async def test_a_server_that_wants_a_key_is_given_it(tmp_path: Path) -> None:
    wants = house(tmp_path, require_key=True, api_key="a-key-of-ours-that-is-long-enough")
    async with serving(wants) as live:
        async with bot(url(live)) as talking:
            await talking.sink.until(lambda: talking.upstream.errors)
            (error,) = talking.upstream.errors
            assert error.category is ErrorCategory.AUTHENTICATION
            assert not talking.avatar.is_usable
        async with bot(url(live), key="a-key-of-ours-that-is-long-enough") as talking:
            await talking.say(tones(0.3, 24_000))
            await talking.heard()
            assert len(talking.sound()) / 48_000 == pytest.approx(0.3, abs=0.02)


def test_what_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(ClientError, match="'localhost' is not the address"):
        AvatarVideoService(address="localhost")
    with pytest.raises(ClientError, match="'transparent'"):
        AvatarVideoService(background="transparent")
