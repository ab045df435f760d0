"""Stage H: a small network learns from the finished encoder and listener what lips do in a sound.

What they hear of voices that they know is surer than what they hear of others, and a network that
learnt from that would trust them too much. So it learns from other copies of the speech than they
did, through other throats, microphones and noises drawn anew for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.cues import CUE_NAMES, FILE, OFFSETS, PAST, SCORE_LIMIT, places_of
from streaming_model.motion.listener import FOLDER as LISTENER_FOLDER
from streaming_model.motion.style import Activity
from streaming_model.motion_space import MOTION_SIZE
from training.corpus.utterances import Utterance
from training.dataset import STREAM_FRAMES, Stream, make_streams
from training.phones import PHONE_INDEX
from training.recolour import recolour

Floats = NDArray[np.float32]

HIDDEN: Final = 256
STREAMS: Final = 800  # of 24 s
STEPS: Final = 6000
OPEN_VOWELS: Final = ("AA", "AE", "AO", "AY", "AW", "EH", "AH")
_BATCH: Final = 512
_RATE: Final = 2e-3
_DECAY: Final = 0.1
_DROPPED: Final = 0.4
_NOISE: Final = 0.25  # on each number, in units of its spread
_RECOLOURED: Final = 0.6  # of the streams
_AHEAD: Final = OFFSETS[-1]
_AHEADS: Final = (0.15, 0.15, 0.55, 0.15)  # how often so many frames ahead are there


class CuesTask(nn.Module):
    """Maps windows to log-odds of the cues; in the end its weights are those of `cues.Cues`."""

    def __init__(self, size: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, hidden)
        self.out = nn.Linear(hidden, len(CUE_NAMES))
        self.drop = nn.Dropout(_DROPPED)

    def forward(self, windows: Tensor) -> Tensor:
        """Maps [n, size] to [n, cues]."""
        odds: Tensor = self.out(self.drop(torch.relu(self.hidden(windows))))
        return odds


def cue_truth(stream: Stream) -> Floats:
    """Returns [frames, cues] 0..1 what lips do in a frame of a stream that speaks.

    The contacts are the targets' own, which begin before their phones. Of a vowel its first and
    last 20 ms are left out: there the lips may still be on their way.
    """
    phones = stream.phones.reshape(-1)
    vowel = np.isin(phones, [PHONE_INDEX[name] for name in OPEN_VOWELS])
    same = np.concatenate([[False], phones[1:] == phones[:-1], [False]])
    middle = (vowel & same[1:] & same[:-1]).reshape(len(stream.phones), -1).mean(axis=1)
    contacts = stream.motion[:, MOTION_SIZE:].astype(np.float32)
    return np.concatenate([contacts, middle[:, None].astype(np.float32)], axis=1)


def train_cues(
    encoder: AudioEncoder,
    listener: AudioEncoder,
    streams: Sequence[Stream],
    *,
    seed: int,
    steps: int = STEPS,
) -> CuesTask:
    """Returns the task after `steps`.

    Args:
        encoder: finished.
        listener: finished; its features are scores.
        streams: spoken by machines and without speech.
        seed: of every random choice.
        steps: of the optimiser.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    heard = torch.stack([_heard(encoder, listener, stream, rng=rng) for stream in streams])
    truth = torch.from_numpy(np.stack([cue_truth(stream) for stream in streams]))
    audio_size = encoder.config["feature_size"]
    centre = heard.float().mean(dim=(0, 1))
    spread = heard.float().std(dim=(0, 1)) + 1e-3
    task = CuesTask(len(OFFSETS) * heard.shape[2])
    optimiser = torch.optim.AdamW(task.parameters(), weight_decay=_DECAY)
    places = [places_of(1, lookahead=ahead)[0] for ahead in range(_AHEAD + 1)]
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / steps) + 0.01 * _RATE
        rows = rng.integers(len(heard), size=_BATCH)
        now = rng.integers(STREAM_FRAMES - _AHEAD, size=_BATCH)
        aheads = rng.choice(_AHEAD + 1, size=_BATCH, p=_AHEADS)
        seen = now[:, None] + np.stack(places)[aheads]
        windows = (heard[torch.from_numpy(rows)[:, None], torch.from_numpy(seen)] - centre) / spread
        windows += _NOISE * torch.randn_like(windows)
        odds = task(_flat(windows, audio_size))
        loss = nn.functional.binary_cross_entropy_with_logits(odds, truth[rows, now])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 1000 == 0:
            print(f"cues step {step}: loss {loss.item():.3f}")
    each = len(OFFSETS)
    return _unfolded(
        task.eval(),
        centre=_flat(centre.expand(1, each, -1), audio_size)[0],
        spread=_flat(spread.expand(1, each, -1), audio_size)[0],
    )


def make_cues(
    folder: Path,
    utterances: Sequence[Utterance],
    *,
    seed: int,
    count: int = STREAMS,
    steps: int = STEPS,
) -> None:
    """Fits the network for a folder's encoder and listener, and writes it into the folder.

    Args:
        folder: of weights.
        utterances: to make streams of.
        seed: of every random choice.
        count: how many streams to make.
        steps: of the optimiser.

    Raises:
        ValueError: there are no utterances.
    """
    if not utterances:
        raise ValueError("there is no speech to learn from")
    encoder, listener = (
        AudioEncoder.from_pretrained(folder / name, dtype=torch.float32).eval()
        for name in ("encoder", LISTENER_FOLDER)
    )
    made = make_streams(utterances, range(count), seed=seed)
    streams = [stream for stream in made if stream.activity is not Activity.LISTEN]
    save_cues(train_cues(encoder, listener, streams, seed=seed, steps=steps), folder / FILE)


def save_cues(task: CuesTask, path: Path) -> None:
    """Writes the weights in half precision, in the layout of `motion.cues.Cues`."""
    layers = {"hidden": task.hidden, "out": task.out}
    weights = {name: layer.weight.detach().half().T.contiguous() for name, layer in layers.items()}
    save_file(
        weights | {f"{name}_bias": layer.bias.detach().half() for name, layer in layers.items()},
        path,
    )


@torch.no_grad()
def _heard(
    encoder: AudioEncoder, listener: AudioEncoder, stream: Stream, *, rng: np.random.Generator
) -> Tensor:
    """Returns [PAST + frames, audio_size + SCORES] float16 features and scores of a stream."""
    sound = torch.from_numpy(stream.mel.astype(np.float32))[None]
    if rng.random() < _RECOLOURED:
        sound = recolour(sound)
    scores = listener.encode(sound)[0].clamp(-float(SCORE_LIMIT), float(SCORE_LIMIT))
    heard = torch.cat([encoder.encode(sound)[0], scores], dim=1)
    return torch.cat([torch.zeros(PAST, heard.shape[1]), heard]).half()


def _flat(windows: Tensor, audio_size: int) -> Tensor:
    """Returns [n, offsets * size] of [n, offsets, size]: all features, then all scores."""
    parts = windows[..., :audio_size].flatten(1), windows[..., audio_size:].flatten(1)
    return torch.cat(parts, dim=1)


@torch.no_grad()
def _unfolded(task: CuesTask, *, centre: Tensor, spread: Tensor) -> CuesTask:
    """Returns the task that takes windows as they are."""
    weight = task.hidden.weight / spread
    task.hidden.bias.copy_(task.hidden.bias - weight @ centre)
    task.hidden.weight.copy_(weight)
    return task
