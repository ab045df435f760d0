"""All streams as tensors on the device that trains, and windows of them, hundreds at once.

A GPU is done with a window sooner than NumPy with cutting it out: so nothing is cut out there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from streaming_model.audio.features import MELS_PER_FRAME
from streaming_model.motion_space import MOTION_SIZE
from training.dataset import STREAM_FRAMES, Stream
from training.recolour import add_noise, recolour


@dataclass(frozen=True)
class Window:
    """A batch of windows.

    Attributes:
        mel: [batch, 4 * frames, 80].
        phones: [batch, frames, 2] int64, `UNKNOWN_PHONE` where nobody knows.
        motion: [batch, frames, 60].
        known: [batch] 1 where the contacts are true.
    """

    mel: Tensor
    phones: Tensor
    motion: Tensor
    known: Tensor


class StreamBank:
    """Streams to cut windows out of.

    Args:
        streams: at least one.
        device: where they are kept, in half precision: some 0.5 MB for each.
    """

    def __init__(self, streams: Sequence[Stream], device: torch.device) -> None:
        self.device = device
        self._mel, self._phones, self._motion = (
            torch.from_numpy(np.stack([getattr(stream, name) for stream in streams])).to(device)
            for name in ("mel", "phones", "motion")
        )
        known = [float(stream.mask[MOTION_SIZE:].all()) for stream in streams]
        self._known = torch.tensor(known, device=device)

    def __len__(self) -> int:
        return len(self._mel)

    def windows(self, rows: Tensor, firsts: Tensor, frames: int) -> Window:
        """Returns the windows of `rows` that begin at the frames `firsts`, both [batch] int64."""
        rows, firsts = rows[:, None], firsts[:, None]
        there = firsts + torch.arange(frames, device=self.device)
        heard = firsts * MELS_PER_FRAME
        heard = heard + torch.arange(frames * MELS_PER_FRAME, device=self.device)
        return Window(
            mel=self._mel[rows, heard].float(),
            phones=self._phones[rows, there].long(),
            motion=self._motion[rows, there].float(),
            known=self._known[rows[:, 0]],
        )

    def recoloured(self, rows: Tensor, firsts: Tensor, frames: int) -> Window:
        """Returns windows as other people would have said them, through other microphones."""
        window = self.windows(rows, firsts, frames)
        return replace(window, mel=recolour(window.mel))


def draw_heard(
    speech: StreamBank, sounds: StreamBank | None, *, frames: int, size: int, noisy_share: float
) -> Window:
    """Returns windows of speech drawn at random and recoloured, some with a sound beside.

    Args:
        speech: where they are from.
        sounds: streams without speech, or None.
        frames: of each window.
        size: how many.
        noisy_share: how many of them have a sound beside.
    """
    window = speech.windows(*_places(speech, frames, size), frames)
    mel = window.mel
    if sounds is not None:
        both = add_noise(mel, sounds.windows(*_places(sounds, frames, size), frames).mel)
        noisy = torch.rand(size, 1, 1, device=speech.device) < noisy_share
        mel = torch.where(noisy, both, mel)
    return replace(window, mel=recolour(mel))


def _places(bank: StreamBank, frames: int, size: int) -> tuple[Tensor, Tensor]:
    rows = torch.randint(len(bank), (size,), device=bank.device)
    firsts = torch.randint(STREAM_FRAMES - frames + 1, (size,), device=bank.device)
    return rows, firsts
