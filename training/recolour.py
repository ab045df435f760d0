"""Other throats, microphones and noises for a batch of features, on whatever device trains.

Drawn anew at every step from torch's own generator, so that what is learnt is of speech rather
than of the voices that speak it.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from streaming_model.audio.features import POWER_FLOOR
from training.augment import warped_places

_SHORTEST, _LONGEST = 0.86, 1.16  # of the vocal tract, as a factor of frequency
_LOWEST: Final = -2.0  # of the features
_WAVES: Final = 2
_MOST_BANDS, _BAND_WIDTHS = 3, (2, 12)
_MOST_GAPS, _GAP_LENGTHS = 2, (2, 7)
_DECIBELS: Final = (4.0, 30.0)  # of a noise below the voice


def recolour(mel: Tensor) -> Tensor:
    """Returns the features of other vocal tracts and microphones, some bands and times missing.

    The last is SpecAugment (Park et al. 2019).

    Args:
        mel: [batch, time, bins] features of `audio.features`.
    """
    size, length, bins = mel.shape
    curve = _curves(size, bins, like=mel)
    coloured = (_warped(mel) + curve[:, None]).clamp(min=_LOWEST)
    middle = coloured.mean(dim=(1, 2))
    bands = _stretches(size, bins, most=_MOST_BANDS, lengths=_BAND_WIDTHS, like=mel)
    gaps = _stretches(size, length, most=_MOST_GAPS, lengths=_GAP_LENGTHS, like=mel)
    missing = bands[:, None, :] | gaps[:, :, None]
    return torch.where(missing, middle[:, None, None], coloured)


def add_noise(mel: Tensor, noise: Tensor) -> Tensor:
    """Returns features of two sounds at once, the second 4 to 30 dB below.

    Args:
        mel: [batch, time, bins] of the first.
        noise: the same of the second.
    """
    voice, other = ((10 ** (2 * (each - 1)) - POWER_FLOOR).clamp(min=0) for each in (mel, noise))
    below = 10 ** (-_uniform(len(mel), *_DECIBELS, like=mel) / 10)
    level = voice.mean(dim=(1, 2)) / (other.mean(dim=(1, 2)) + POWER_FLOOR) * below
    return torch.log10(voice + level[:, None, None] * other + POWER_FLOOR) / 2 + 1


def _warped(mel: Tensor) -> Tensor:
    factors = _SHORTEST + (_LONGEST - _SHORTEST) * torch.rand(len(mel)).numpy()
    whole, part = (torch.from_numpy(each) for each in warped_places(factors, mel.shape[2]))
    where = whole.to(mel.device)[:, None].expand_as(mel)
    share = part.to(mel)[:, None]
    return mel.gather(2, where) * (1 - share) + mel.gather(2, where + 1) * share


def _curves(size: int, bins: int, *, like: Tensor) -> Tensor:
    """Returns [size, bins] what microphones do to a spectrum: level, tilt and two waves."""
    places = torch.linspace(0, 1, bins, device=like.device)
    level, tilt = (torch.randn(size, 1, device=like.device) for _ in range(2))
    curve = 0.08 * level + 0.2 * tilt * (places - 0.5)
    for _ in range(_WAVES):
        pace, phase = (_uniform(size, *span, like=like)[:, None] for span in ((0.5, 3), (0, 1)))
        height = 0.06 * torch.randn(size, 1, device=like.device)
        curve = curve + height * torch.sin(2 * math.pi * (pace * places + phase))
    return curve


def _stretches(
    size: int, length: int, *, most: int, lengths: tuple[int, int], like: Tensor
) -> Tensor:
    """Returns [size, length] true in up to `most` stretches of so many, the second bound excluded.

    A stretch that begins near the end is cut off there.
    """
    device = like.device
    first = torch.randint(length, (size, most), device=device)
    long = torch.randint(*lengths, (size, most), device=device)
    count = torch.randint(most + 1, (size, 1), device=device)
    used = torch.arange(most, device=device) < count
    places = torch.arange(length, device=device)
    inside = (places >= first[..., None]) & (places < (first + long)[..., None])
    return (inside & used[..., None]).any(dim=1)


def _uniform(size: int, low: float, high: float, *, like: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(size, device=like.device)
