"""Stage G: a small network learns the mouths of the filmed people alone, from sound.

A few minutes by one speaker are little, so that what it sees is noisy, much is dropped, and when
to stop is found by leaving out one take after the other of those that it may learn from. Each take
is learnt with the way in which its rig rounds lips, which is told and not heard; what is served
rounds them in the way of most of the film.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.filmed import FILE, OFFSETS
from training.captured import Captured
from training.filmed_takes import Take, has_pucker, hearings, mouth_channels, windows_of

Floats = NDArray[np.float32]

HIDDEN: Final = 128
COPIES: Final = 12  # of each take, each spoken by another throat into another microphone
CHECKED: Final = (1000, 1500, 2000)  # steps after which it is judged
# Another day's habits are others: these takes count by so much, and none is judged by them.
_OTHER_SESSION: Final = 0.5
_CODES: Final = 200  # of the windows' numbers, those that vary most
_DROPPED: Final = 0.4
_NOISE: Final = 0.05  # on each code, in units of the one that varies most
_BATCH: Final = 512
_RATE: Final = 2e-3
_DECAY: Final = 0.5
_SHORT_SHARE: Final = 0.1  # of the windows, which lack some of the sound ahead
_KEPT: Final = 0.99  # of the average of the weights, a step


class Windows(NamedTuple):
    """What it learns from.

    Attributes:
        codes: [n, codes] what is heard around a frame.
        ways: [n, 1] in which way its lips are rounded, 1 with puckers and -1 without.
        mouths: [n, channels] what was filmed.
        weights: [n] by how much it counts.
        mean: [window] and
        projection: [window, codes] how windows become codes.
    """

    codes: Tensor
    ways: Tensor
    mouths: Tensor
    weights: Tensor
    mean: Tensor
    projection: Tensor


class FilmedTask(nn.Module):
    """Maps windows to mouths; after training its weights are those of `filmed.FilmedMouth`."""

    def __init__(self, size: int, channels: int, *, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.first = nn.Linear(size, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, channels)
        self.drop = nn.Dropout(_DROPPED)

    def forward(self, windows: Tensor) -> Tensor:
        """Maps [n, size] to [n, channels]."""
        inside = self.drop(_gelu(self.first(windows)))
        mouths: Tensor = self.out(self.drop(_gelu(self.second(inside))))
        return mouths


def train_filmed(
    takes: Sequence[Take], *, checks: Sequence[int], seed: int, puckers: bool
) -> Iterator[FilmedTask]:
    """Yields the network after each of these steps; the rate falls to nothing at the last.

    Args:
        takes: to learn from.
        checks: ascending.
        seed: of every random choice.
        puckers: how what is yielded rounds lips.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    seen = _windows(takes, rng=rng)
    shares = seen.weights[:, None] / seen.weights.sum()
    centre = (shares * seen.mouths).sum(dim=0)
    spread = (shares * (seen.mouths - centre).square()).sum().sqrt()
    wanted = (seen.mouths - centre) / spread
    task = FilmedTask(seen.codes.shape[1] + 1, seen.mouths.shape[1])
    average = {name: value.clone() for name, value in task.state_dict().items()}
    optimiser = torch.optim.AdamW(task.parameters(), betas=(0.9, 0.98), weight_decay=_DECAY)
    for step in range(1, checks[-1] + 1):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, step / 50) * (1 - step / checks[-1]) + 1e-5
        rows = torch.from_numpy(rng.integers(len(wanted), size=_BATCH))
        codes = seen.codes[rows]
        noisy = torch.cat([codes + _NOISE * torch.randn_like(codes), seen.ways[rows]], dim=1)
        missed = (task(noisy) - wanted[rows]).square()
        loss = (seen.weights[rows] * missed.sum(dim=1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for name, value in task.state_dict().items():
                average[name].mul_(_KEPT).add_(value, alpha=1 - _KEPT)
        if step in checks:
            yield _unfolded(average, seen, centre=centre, spread=spread, way=_way(puckers=puckers))


@torch.no_grad()
def mouth_error(task: FilmedTask, take: Take) -> float:
    """Returns the squared error over that of the take's own mean shape."""
    heard, mouth = take.hearings[0]
    given = task(torch.from_numpy(windows_of(heard))).clamp(0, 1).numpy()
    return float(np.square(given - mouth).sum() / np.square(mouth - mouth.mean(axis=0)).sum())


def left_out_errors(
    takes: Sequence[Take], *, seed: int, checks: Sequence[int] = CHECKED
) -> NDArray[np.float64]:
    """Returns [takes, checks] the error on each take of a network that learns from the others.

    It is told how the take rounds lips.
    """
    errors = []
    for take in takes:
        others = [other for other in takes if other is not take]
        tasks = train_filmed(others, checks=checks, seed=seed, puckers=take.puckers)
        errors.append([mouth_error(task, take) for task in tasks])
    return np.array(errors)


def save_filmed(task: FilmedTask, channels: NDArray[np.int32], path: Path) -> None:
    """Writes the weights in half precision, in the layout of `motion.filmed.FilmedMouth`."""
    layers = {"first": task.first, "second": task.second, "out": task.out}
    weights = {name: layer.weight.detach().half().T.contiguous() for name, layer in layers.items()}
    weights |= {f"{name}_bias": layer.bias.detach().half() for name, layer in layers.items()}
    save_file({**weights, "channels": torch.from_numpy(channels)}, path)


def _gelu(values: Tensor) -> Tensor:
    return nn.functional.gelu(values, approximate="tanh")


def _windows(takes: Sequence[Take], *, rng: np.random.Generator) -> Windows:
    """Returns all windows as codes: principal components, in units of the largest."""
    plain = np.concatenate([windows_of(take.hearings[0].heard) for take in takes])
    centre = torch.from_numpy(plain.mean(axis=0))
    spread = torch.from_numpy(plain.std(axis=0) + 1e-3)
    normal = (torch.from_numpy(plain) - centre) / spread
    values, vectors = torch.linalg.eigh(normal.T @ normal / len(normal))
    projection = vectors[:, -_CODES:] / values[-1].sqrt() / spread[:, None]
    codes, ways, mouths, weights = [], [], [], []
    for take in takes:
        for heard, mouth in take.hearings:
            whole = windows_of(heard)
            short = rng.random(len(whole)) < _SHORT_SHARE
            whole[short] = windows_of(heard, ahead=int(rng.integers(OFFSETS[-1])))[short]
            codes.append((torch.from_numpy(whole) - centre) @ projection)
            ways.append(torch.full((len(mouth), 1), _way(puckers=take.puckers)))
            mouths.append(torch.from_numpy(mouth))
            weights.append(torch.full((len(mouth),), take.weight))
    return Windows(
        codes=torch.cat(codes),
        ways=torch.cat(ways),
        mouths=torch.cat(mouths),
        weights=torch.cat(weights),
        mean=centre,
        projection=projection,
    )


def _way(*, puckers: bool) -> float:
    return 1.0 if puckers else -1.0


@torch.no_grad()
def _unfolded(
    weights: dict[str, Tensor], seen: Windows, *, centre: Tensor, spread: Tensor, way: float
) -> FilmedTask:
    """Returns the network that takes windows alone and gives mouths as they are, in one way."""
    first = weights["first.weight"][:, :-1] @ seen.projection.T
    task = FilmedTask(first.shape[1], len(centre), hidden=len(first))
    task.load_state_dict(
        {
            **weights,
            "first.weight": first,
            "first.bias": weights["first.bias"]
            + way * weights["first.weight"][:, -1]
            - first @ seen.mean,
            "out.weight": weights["out.weight"] * spread,
            "out.bias": weights["out.bias"] * spread + centre,
        }
    )
    return task.eval()


def make_filmed(
    folder: Path,
    items: Sequence[Captured],
    sessions: Sequence[str],
    *,
    seed: int,
    checks: Sequence[int] = CHECKED,
) -> None:
    """Fits the network to filmed people, for a folder's encoder, and writes it into the folder.

    It stops where those that learnt from all takes but one were best on the ones left out, of the
    session of which there is most, and rounds lips as most of the film does.

    Args:
        folder: of weights.
        items: the takes.
        sessions: when each was filmed.
        seed: of every random choice.
        checks: steps after which it may stop.

    Raises:
        ValueError: fewer than two takes, or not all of them show the same.
    """
    if len(items) < 2 or any((item.mask != items[0].mask).any() for item in items):
        raise ValueError("it takes two takes or more that show the same numbers")
    encoder: AudioEncoder = AudioEncoder.from_pretrained(folder / "encoder", dtype=torch.float32)
    rng = np.random.default_rng(seed)
    frames: Counter[str] = Counter()
    for item, session in zip(items, sessions, strict=True):
        frames[session] += len(item.motion)
    main = frames.most_common(1)[0][0]
    takes = [
        Take(
            hearings(encoder.eval(), item, copies=COPIES, rng=rng),
            weight=1.0 if session == main else _OTHER_SESSION,
            puckers=has_pucker(item),
        )
        for item, session in zip(items, sessions, strict=True)
    ]
    errors = left_out_errors(takes, seed=seed, checks=checks)
    for session, row in zip(sessions, errors, strict=True):
        told = " ".join(f"{error:.3f}" for error in row)
        print(f"filmed, a take of {session} left out: error {told}")
    best = int(errors[[session == main for session in sessions]].mean(axis=0).argmin())
    ways: Counter[bool] = Counter()
    for item, take in zip(items, takes, strict=True):
        ways[take.puckers] += len(item.motion)
    puckers = ways.most_common(1)[0][0]
    told = "with puckers" if puckers else "without puckers"
    print(f"filmed: {checks[best]} of {checks[-1]} steps, {told}")
    # At the folds' own rates.
    task = list(train_filmed(takes, checks=checks, seed=seed, puckers=puckers))[best]
    save_filmed(task, mouth_channels(items[0].mask), folder / FILE)
