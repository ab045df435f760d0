"""A small encoder learns the contacts of the lips alone, to be asked beside the large one.

It is trained as the large one is, phones included, for what tells P from T tells them, too; but
contacts weigh most, and of what it learnt only their scores are kept.

One that is trained on hears the voices that it learns from ever better, and strangers worse. Half
way between what it was and what it became it hears both better: the average of two networks'
weights, where one began as the other, is as good as asking both (Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.listener import DELAYS, SCORES
from training.dataset import Stream
from training.encoder_stage import CPU, PEAK_RATE, Emphasis, EncoderTask, train_encoder
from training.logs import TrainingLog
from training.timebox import TimeBox

_TUNED_RATE: Final = 1.2e-3
_HALF: Final = 0.5
LISTENER: Final = {"channels": 160, "feature_size": 96, "dilations": (1, 2, 1)}
EMPHASIS: Final = Emphasis(mouth=0.2, contacts=12.0, delays=(0.5, 0.8, 1.5, 0.7))


def train_listener(
    streams: Sequence[Stream],
    *,
    scale: Tensor,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
    device: torch.device = CPU,
    since: AudioEncoder | None = None,
) -> AudioEncoder:
    """Returns the network trained until the box is used up; its features are scores.

    The arguments are those of `train_encoder`; `since` is a listener to go on from, all but its
    scores, and then the network half way between it and what it became is returned.
    """
    encoder = AudioEncoder(**LISTENER)
    if since is not None:
        kept = {k: each for k, each in since.state_dict().items() if not k.startswith("out.")}
        encoder.load_state_dict(encoder.state_dict() | kept)
    task = train_encoder(
        streams,
        encoder,
        scale=scale,
        box=box,
        seed=seed,
        log=log,
        device=device,
        emphasis=EMPHASIS,
        name="listener",
        peak_rate=PEAK_RATE if since is None else _TUNED_RATE,
    )
    became = listener_of(task.cpu())
    return became if since is None else half_way(since, became)


@torch.no_grad()
def half_way(one: AudioEncoder, other: AudioEncoder) -> AudioEncoder:
    """Returns the network whose weights are the means of two others' of the same shape."""
    told = {name: value for name, value in one.config.items() if not name.startswith("_")}
    between: AudioEncoder = AudioEncoder(**told)  # without where it was read from
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    between.load_state_dict({name: torch.lerp(a, b, _HALF) for (name, a), b in pairs})
    between.eval()
    return between


@torch.no_grad()
def listener_of(task: EncoderTask) -> AudioEncoder:
    """Returns a task's encoder whose features are its scores of contacts: two layers made one."""
    encoder, head = task.encoder, task.contacts
    assert head.out_features == SCORES == DELAYS * 2
    listener: AudioEncoder = AudioEncoder(**{**encoder.config, "feature_size": SCORES})
    weights = encoder.state_dict()
    weights["out.weight"] = head.weight @ encoder.out.weight
    weights["out.bias"] = head.weight @ encoder.out.bias + head.bias
    listener.load_state_dict(weights)
    listener.eval()
    return listener
