"""Utterances: speech with exact phone times, and the files that hold many of them.

Knows nothing of voices, faces or features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Utterance:
    """A spoken text.

    Attributes:
        samples: [n] float32, 16 kHz, in -1..1.
        phones: [m] int64, indices into `training.phones.PHONES`.
        bounds: [m + 1] int64, sample at which each phone begins, and where the last ends.
        voice: name of the speaker.
        text: what was said.
    """

    samples: NDArray[np.float32]
    phones: NDArray[np.int64]
    bounds: NDArray[np.int64]
    voice: str
    text: str


def save_utterances(path: Path, utterances: Sequence[Utterance]) -> None:
    """Writes utterances to one .npz file: audio as 16-bit PCM, all joined end to end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = [np.round(np.clip(u.samples, -1, 1) * 32767).astype(np.int16) for u in utterances]
    np.savez(
        path,
        pcm=np.concatenate(pcm),
        lengths=np.array([len(part) for part in pcm]),
        phones=np.concatenate([u.phones for u in utterances]),
        bounds=np.concatenate([u.bounds for u in utterances]),
        counts=np.array([len(u.phones) for u in utterances]),
        voices=np.array([u.voice for u in utterances]),
        texts=np.array([u.text for u in utterances]),
    )


def load_utterances(path: Path) -> list[Utterance]:
    """Reads what `save_utterances` wrote."""
    with np.load(path) as data:
        fields = {name: data[name] for name in data.files}
    ends, phone_ends = np.cumsum(fields["lengths"]), np.cumsum(fields["counts"])
    bound_ends = np.cumsum(fields["counts"] + 1)
    return [
        Utterance(
            samples=fields["pcm"][end - length : end].astype(np.float32) / 32767.0,
            phones=fields["phones"][phone_end - count : phone_end],
            bounds=fields["bounds"][bound_end - count - 1 : bound_end],
            voice=str(voice),
            text=str(text),
        )
        for end, length, phone_end, bound_end, count, voice, text in zip(
            ends,
            fields["lengths"],
            phone_ends,
            bound_ends,
            fields["counts"],
            fields["voices"],
            fields["texts"],
            strict=True,
        )
    ]
