"""The listener for contacts of the lips: its network, its delays, and what the lips make of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.streaming_encoder import WEIGHTS
from streaming_model.errors import ModelFileError
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, load_motion_generator
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.listener import (
    DELAYS,
    FOLDER,
    SCORES,
    heard_contacts,
    load_listener,
)
from streaming_model.motion.networks import DEFAULT_FOLDER, MotionNetworks
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import INDEX
from training.dataset import STREAM_FRAMES, Stream
from training.encoder_stage import EncoderTask
from training.listener_stage import EMPHASIS, half_way, listener_of, train_listener
from training.logs import TrainingLog
from training.timebox import TimeBox

Floats = NDArray[np.float32]


def test_what_is_served_is_the_network_however_the_sound_is_cut() -> None:
    listener = load_listener(DEFAULT_FOLDER)
    assert listener is not None
    network = AudioEncoder.from_pretrained(DEFAULT_FOLDER / FOLDER, dtype=torch.float32)
    mel = np.random.default_rng(0).normal(-0.5, 0.7, (2, 4 * 24, 80)).astype(np.float32)
    with torch.no_grad():
        wanted = network.encode(torch.from_numpy(mel)).numpy()
    state, given = np.zeros((2, listener.state_size), np.float32), []
    for start, end in ((0, 4), (4, 5), (5, 15), (15, 24)):
        scores, state = listener.hear(mel[:, 4 * start : 4 * end], state)
        given.append(scores)
    found = np.concatenate(given, axis=1)
    assert np.linalg.norm(found - wanted) < 0.0005 * np.linalg.norm(wanted)
    whole, _ = listener.hear(mel, np.zeros((2, listener.state_size), np.float32))
    np.testing.assert_array_equal(whole, found)


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3, 5])
def test_a_frame_is_told_by_what_is_heard_after_it(lookahead: int) -> None:
    frames, kinds = 3, SCORES // DELAYS
    scores = np.full((1, frames + lookahead, DELAYS, kinds), -9, np.float32)
    for delay in range(DELAYS):
        if 1 + delay < frames + lookahead:
            scores[0, 1 + delay, delay, 0] = 9.0  # each says: it was frame 1
    told = heard_contacts(
        scores.reshape(1, frames + lookahead, SCORES), frames=frames, lookahead=lookahead
    )
    assert told.shape == (1, frames, kinds)
    assert (told[0, :, 0] > 0.6).tolist() == [False, True, False]
    assert told[0, :, 1].max() < 0.1


class Prompter:
    """Hears a contact at one frame of the stream, whatever sounds."""

    state_size = 1

    def __init__(self, frame: int) -> None:
        self._frame = frame

    def hear(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        frames = mel.shape[1] // 4
        scores = np.full((len(mel), frames, DELAYS, 2), -9.0, np.float32)
        for row, first in enumerate(state[:, 0].astype(int)):
            for delay in range(DELAYS):
                at = self._frame + delay - first
                if 0 <= at < frames:
                    scores[row, at, delay, 0] = 9.0
        return scores.reshape(len(mel), frames, SCORES), state + frames


@pytest.mark.parametrize(("chunk", "lookahead"), [(2, 2), (1, 0), (5, 3)])
def test_lips_meet_where_it_hears_a_contact(chunk: int, lookahead: int) -> None:
    networks = MotionNetworks()
    networks.presence, networks.cues = None, None
    networks.listener = Prompter(31)  # type: ignore[assignment]
    generator = MotionGenerator(networks, chunk_frames=chunk, lookahead_frames=lookahead)
    sound = np.random.default_rng(3).normal(0, 0.1, 50 * SAMPLES_PER_MOTION_FRAME)
    heard = AudioChunk(0, sound.astype(np.float32))
    _, (chunks,) = generator.step([generator.start(seed=1)], [heard])
    motion = np.concatenate([each.motion for each in chunks])
    pressed = motion[:, [INDEX["mouthPressLeft"], INDEX["mouthPressRight"]]].min(axis=1)
    assert np.flatnonzero(pressed > 0.15).tolist() == [31]
    assert lip_gaps(motion)[31] < 0.01


def test_weights_without_one_speak_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "motion"
    shutil.copytree(DEFAULT_FOLDER, folder)
    (folder / FOLDER / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match=f"{FOLDER}/{WEIGHTS} is damaged"):
        load_motion_generator(folder)
    shutil.rmtree(folder / FOLDER)
    generator = load_motion_generator(folder)
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    state, cut = generator.start(seed=1), []
    for part in (sound[:5_000], sound[5_000:]):
        (state,), (chunks,) = generator.step([state], [AudioChunk(state.received, part)])
        cut += chunks
    _, (whole,) = generator.step([generator.start(seed=1)], [AudioChunk(0, sound)])
    np.testing.assert_array_equal(
        np.concatenate([each.motion for each in cut]),
        np.concatenate([each.motion for each in whole]),
    )


def test_two_layers_become_one() -> None:
    torch.manual_seed(0)
    encoder = AudioEncoder(channels=8, feature_size=6, dilations=(1,))
    task = EncoderTask(encoder, scale=torch.ones(60), emphasis=EMPHASIS).eval()
    mel = torch.randn(1, 4 * 9, 80)
    with torch.no_grad():
        _, contacts, _ = task(mel)
        scores = listener_of(task).encode(mel)
    torch.testing.assert_close(scores, contacts.flatten(2), atol=1e-5, rtol=1e-4)


def test_half_way_is_the_mean_of_both_and_forgets_where_one_was_read_from() -> None:
    shipped = AudioEncoder.from_pretrained(DEFAULT_FOLDER / FOLDER, dtype=torch.float32)
    other = AudioEncoder.from_pretrained(DEFAULT_FOLDER / FOLDER, dtype=torch.float32)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.5
    between = half_way(shipped, other)
    for one, mean in zip(shipped.parameters(), between.parameters(), strict=True):
        torch.testing.assert_close(mean, one + 0.25)
    assert not [name for name, value in between.config.items() if str(DEFAULT_FOLDER) in str(value)]


def test_a_listener_trained_on_stays_near_what_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    streams = [
        Stream(
            mel=rng.normal(-0.5, 0.5, (4 * STREAM_FRAMES, 80)).astype(np.float16),
            phones=rng.integers(0, 40, (STREAM_FRAMES, 2)).astype(np.int8),
            motion=np.zeros((STREAM_FRAMES, NETWORK_SIZE), np.float16),
            mask=np.ones(NETWORK_SIZE, bool),
            style=np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16),
            activity=Activity.SPEAK,
        )
    ]
    shipped = AudioEncoder.from_pretrained(DEFAULT_FOLDER / FOLDER, dtype=torch.float32).eval()
    with TrainingLog(tmp_path / "log") as log:
        tuned = train_listener(
            streams,
            scale=torch.ones(NETWORK_SIZE),
            box=TimeBox(1.0, tmp_path / "listener.pt"),
            seed=0,
            log=log,
            since=shipped,
        )
    assert tuned.config["feature_size"] == SCORES
    deep, deep_before = (
        each.state_dict()["blocks.0.look.conv.weight"] for each in (tuned, shipped)
    )
    assert not torch.equal(deep, deep_before)
    torch.testing.assert_close(deep, deep_before, atol=0.05, rtol=0)
