"""Where the phones of known words are in a recording: PocketSphinx's forced alignment."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE

ALIGNER_FRAME: Final = SAMPLE_RATE // 100  # samples


class AlignedPhone(NamedTuple):
    """A phone as the aligner names it, or one of its fillers, and where it is in aligner frames."""

    name: str
    start: int
    duration: int


def decode(path: Path) -> NDArray[np.float32]:
    """Returns [n] mono samples at 16 kHz of any sound that FFmpeg's libraries read."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(path), metadata_errors="ignore") as container:
        blocks = [
            block.to_ndarray()[0]
            for frame in (*container.decode(audio=0), None)
            for block in resampler.resample(frame)
        ]
    return np.concatenate([np.zeros(0, np.float32), *blocks]).astype(np.float32)


def aligned_phones(
    decoder: pocketsphinx.Decoder, words: list[str], samples: NDArray[np.float32]
) -> list[AlignedPhone] | None:
    """Returns the phones of words that the decoder knows; None if it is lost in the sound."""
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
    decoder.set_align_text(" ".join(words))
    try:
        _decode_all(decoder, pcm)
        if decoder.hyp() is None:
            return None
        decoder.set_alignment()
        _decode_all(decoder, pcm)
    except RuntimeError:  # no path through the words reaches the end of the sound
        return None
    return [
        AlignedPhone(phone.name, phone.start, phone.duration)
        for word in decoder.get_alignment()
        for phone in word
    ]


def _decode_all(decoder: pocketsphinx.Decoder, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
