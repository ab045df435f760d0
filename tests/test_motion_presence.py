"""The mouth opens to a voice and to nothing else, however the frames are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.errors import ModelFileError
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.presence import AHEAD, FILE, PAST, Presence, let_through, load_presence
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.dataset import STREAM_FRAMES, Stream
from training.machines import barking, electronic
from training.presence_stage import near_voice, save_presence, train_presence

JAW, SMILE = INDEX["jawOpen"], INDEX["mouthSmileLeft"]


def presence(size: int = 4) -> Presence:
    rng = np.random.default_rng(0)
    windows = (PAST + 1 + AHEAD) * size
    return Presence(
        hidden=rng.normal(0, 0.3, (windows, 8)).astype(np.float32),
        hidden_bias=rng.normal(0, 0.3, 8).astype(np.float32),
        out=rng.normal(0, 1, 8).astype(np.float32),
        out_bias=np.zeros(1, np.float32),
    )


def talking(frames: int) -> np.ndarray:
    motion = np.zeros((frames, MOTION_SIZE), np.float32)
    motion[:, JAW] = motion[:, SMILE] = 0.3
    return motion


def test_without_a_voice_the_mouth_stays_shut_and_keeps_its_smile() -> None:
    share, gated = let_through(0.0, talking(50), np.full(50, 0.3, np.float32))
    assert share == 0 and not gated[:, JAW].any()
    np.testing.assert_array_equal(gated[:, SMILE], talking(50)[:, SMILE])


def test_a_voice_opens_it_within_three_frames_and_silence_shuts_it() -> None:
    scores = np.concatenate([np.ones(10), np.zeros(20)]).astype(np.float32)
    _, gated = let_through(0.0, talking(30), scores)
    assert gated[2, JAW] > 0.75 * 0.3
    assert gated[29, JAW] < 0.01 * 0.3


def test_a_short_mistake_opens_it_by_half_at_most() -> None:
    scores = np.zeros(20, np.float32)
    scores[10] = 1.0
    _, gated = let_through(0.0, talking(20), scores)
    assert gated[:, JAW].max() <= 0.5 * 0.3 + 1e-6


def test_a_voice_in_doubt_stays_heard_and_a_bark_in_doubt_never_is() -> None:
    voice = np.concatenate([np.ones(5), np.full(15, 0.93)]).astype(np.float32)
    _, spoken = let_through(0.0, talking(20), voice)
    assert spoken[5:, JAW].min() > 0.95 * 0.3
    _, barked = let_through(0.0, talking(20), np.full(20, 0.985, np.float32))
    assert not barked[:, JAW].any()


def test_cuts_make_no_difference() -> None:
    rng = np.random.default_rng(1)
    scores, motion = rng.random(40).astype(np.float32), talking(40)
    share, pieces = 0.0, []
    for start, end in ((0, 7), (7, 8), (8, 30), (30, 40)):
        share, gated = let_through(share, motion[start:end], scores[start:end])
        pieces.append(gated)
    np.testing.assert_array_equal(np.concatenate(pieces), let_through(0.0, motion, scores)[1])


@pytest.mark.parametrize("lookahead", [0, 1, 2, 5])
def test_a_frame_is_judged_the_same_alone_and_in_a_chunk(lookahead: int) -> None:
    net, rng = presence(), np.random.default_rng(2)
    audio = rng.normal(0, 1, (PAST + 4 + lookahead, 4)).astype(np.float32)
    together = net.scores(audio, frames=4, lookahead=lookahead)
    alone = [
        net.scores(audio[frame : frame + PAST + 1 + lookahead], frames=1, lookahead=lookahead)[0]
        for frame in range(4)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert ((together > 0) & (together < 1)).all()
    batch = net.scores(np.stack([audio[::-1], audio]), frames=4, lookahead=lookahead)
    np.testing.assert_allclose(batch[1], together, atol=1e-6)


def test_a_folder_without_the_file_has_none_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert load_presence(tmp_path, audio_size=4) is None
    net = presence()
    parts = {name: getattr(net, name) for name in ("hidden", "hidden_bias", "out", "out_bias")}
    save_file(parts, tmp_path / FILE)
    loaded = load_presence(tmp_path, audio_size=4)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.hidden, net.hidden)
    with pytest.raises(ModelFileError, match="for 52 numbers, not 104"):
        load_presence(tmp_path, audio_size=8)
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match="damaged"):
        load_presence(tmp_path, audio_size=4)


@pytest.mark.parametrize("make", [electronic, barking])
def test_harder_sounds_are_loud_finite_and_come_again(make: object) -> None:
    assert callable(make)
    first, again = (make(48_000, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == (48_000,) and np.isfinite(first).all()
    assert np.sqrt(np.mean(np.square(first))) > 0.01
    np.testing.assert_array_equal(first, again)


def test_it_learns_to_tell_streams_with_phones_from_those_without(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder: AudioEncoder = AudioEncoder(channels=16, feature_size=16, dilations=(1, 2))
    rng = np.random.default_rng(4)

    def stream(level: float, phone: int) -> Stream:
        mel = rng.normal(level, 0.3, (4 * STREAM_FRAMES, 80))
        return Stream(
            mel=mel.astype(np.float16),
            phones=np.full((STREAM_FRAMES, 2), phone, np.int8),
            motion=np.zeros((STREAM_FRAMES, NETWORK_SIZE), np.float16),
            mask=np.ones(NETWORK_SIZE, bool),
            style=np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16),
            activity=Activity.SPEAK,
        )

    spoken, wordless = stream(0.5, 5), stream(-1.0, 0)
    assert near_voice(spoken).all() and not near_voice(wordless).any()
    task = train_presence(
        encoder.eval(), [spoken, wordless, stream(0.5, 7)], hard=1, steps=300, seed=0
    )
    save_presence(task, tmp_path / FILE)
    net = load_presence(tmp_path, audio_size=16)
    assert net is not None
    scores = []
    for each in (spoken, wordless):
        with torch.no_grad():
            mel = torch.from_numpy(each.mel.astype(np.float32))[None]
            audio = encoder.encode(mel)[0].numpy()
        scores.append(net.scores(audio[100:160], frames=40, lookahead=10).mean())
    assert scores[0] > 0.9 and scores[1] < 0.1
