"""Recorded speech by real people with phone times: games' actors and telephone prompts.

Synthetic voices resemble each other more than people do. Two kinds of Debian packages hold speech
beside the very words that are said: the dialogues of Fish Fillets NG (`fillets-ng-data`,
`fillets-ng-data-cs`, `fillets-ng-data-nl`) and the prompts of Asterisk
(`asterisk-core-sounds-fr`, `-it`, `-ru` with their `-g722`). eSpeak NG reads the words as phones
and PocketSphinx finds their times by forced alignment; its English phones stand in for others as
they do everywhere in this package. Nothing of the recordings ships.

The Spanish prompts are by the speaker of the English ones, whom the benchmark holds out.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pocketsphinx
from numpy.typing import NDArray
from rich.progress import track

from streaming_model.media import SAMPLE_RATE
from training.corpus.espeak import open_espeak
from training.corpus.forced import ALIGNER_FRAME, aligned_phones, decode
from training.corpus.utterances import Utterance, save_utterances
from training.phones import PHONE_INDEX, SILENCE, from_ipa

ENGINE: Final = "recorded"
_PROMPTS: Final = {"fr_CA_f_June": "fr", "it_IT_m_Carlo": "it", "ru_RU_f_IvrvoiceRU": "ru"}
_ACTORS: Final = ("cs", "nl")
_LONGEST: Final = 14.0  # s, beyond which one slip of the aligner spoils too much
_SHORTEST: Final = 0.7
_SOFTEST: Final = 0.01  # of full scale, at the loudest
# Phones of other languages fit English ones badly, and the usual beams lose the only way there is.
_WIDE: Final = {"beam": 1e-180, "pbeam": 1e-180, "wbeam": 1e-180, "maxhmmpf": -1}
_HASTY: Final = 3  # aligner frames: the shortest phone there can be
_MOST_HASTY: Final = 0.35  # of the phones; where more are so short, words and sound disagree
_FASTEST, _SLOWEST = 22.0, 4.0  # phones a second


class Recording(NamedTuple):
    """A file and what is said in it.

    Attributes:
        path: the sound.
        language: eSpeak NG's name of it.
        speaker: who says it, as far as that is known.
        text: the words.
    """

    path: Path
    language: str
    speaker: str
    text: str


def find_recordings(root: Path) -> list[Recording]:
    """Returns every recording of the packages unpacked or installed below `root`.

    Raises:
        FileNotFoundError: there are none.
    """
    share = root / "usr" / "share"
    found = [*_actors(share / "games" / "fillets-ng"), *_prompts(share)]
    if not found:
        raise FileNotFoundError(f"There is no recorded speech below '{root}'.")
    return found


def recorded_utterances(recordings: Iterable[Recording]) -> Iterator[Utterance]:
    """Yields each recording whose words and sound agree, with its phones.

    Raises:
        OSError: eSpeak NG is not installed.
        av.FFmpegError: a file cannot be read.
    """
    for recording in recordings:
        words = spoken_phones(recording.text, language=recording.language)
        if not words:
            continue
        samples = decode(recording.path)
        loudest = float(np.abs(samples).max(initial=0.0))
        rate = sum(map(len, words)) * SAMPLE_RATE / max(1, len(samples))
        fits = _SHORTEST <= len(samples) / SAMPLE_RATE <= _LONGEST
        if not fits or loudest < _SOFTEST or not _SLOWEST <= rate <= _FASTEST:
            continue
        samples *= np.float32(0.8 / loudest)
        utterance = align(samples, words, recording=recording)
        if utterance is not None:
            yield utterance


def make_recordings(root: Path, folder: Path) -> None:
    """Writes the recorded speech below `root` to `folder`, a file for each speaker.

    Speakers whose file is there already are left alone.

    Raises:
        FileNotFoundError: there are none.
        OSError: eSpeak NG is not installed.
    """
    by_speaker: dict[str, list[Recording]] = {}
    for recording in find_recordings(root):
        name = f"{recording.language}-{recording.speaker}"
        by_speaker.setdefault(name, []).append(recording)
    for name, recordings in track(sorted(by_speaker.items()), description="recorded speech"):
        path = folder / f"{name}.npz"
        if path.exists():
            continue
        utterances = list(recorded_utterances(recordings))
        if not utterances:
            print(f"{name}: words and sound agree in none of {len(recordings)} recordings")
            continue
        partial = path.with_name(f"{name}.part.npz")
        save_utterances(partial, utterances)
        partial.replace(path)
        minutes = sum(len(utterance.samples) for utterance in utterances) / SAMPLE_RATE / 60
        print(f"{name}: {len(utterances)} of {len(recordings)} recordings, {minutes:.1f} minutes")


def spoken_phones(text: str, *, language: str) -> list[list[str]]:
    """Returns the phones of each word; none where the text is not words alone."""
    if re.search(r"[\[\](){}*<>%=#@&]|\d{2}", text):
        return []
    ipa = open_espeak().phonemes(text, voice=language, separator="_")
    words = []
    for word in re.sub(r"\([a-z-]+\)", "", ipa).split():
        try:
            phones = [from_ipa(symbol) for symbol in word.split("_") if symbol.strip("ˈˌ-")]
        except KeyError:
            return []
        heard = [phone for phone in phones if phone and phone != SILENCE]
        if heard:
            words.append(heard)
    return words


def align(
    samples: NDArray[np.float32], words: list[list[str]], *, recording: Recording
) -> Utterance | None:
    """Returns the utterance, None where the aligner finds no way through or a hasty one."""
    decoder = pocketsphinx.Decoder(
        lm=None,
        dict=None,
        loglevel="FATAL",
        samprate=float(SAMPLE_RATE),
        bestpath=False,  # it would look for a better way in a lattice that has no end
        **_WIDE,
    )
    names = [f"word{number}" for number in range(len(words))]
    for name, phones in zip(names, words, strict=True):
        decoder.add_word(name, " ".join(phones), True)
    found = aligned_phones(decoder, names, samples)
    if found is None:
        return None
    phones_: list[int] = []
    starts: list[int] = []
    lengths: list[int] = []
    for phone in found:
        name = phone.name if phone.name in PHONE_INDEX else SILENCE
        if name == SILENCE and phones_ and phones_[-1] == PHONE_INDEX[SILENCE]:
            lengths[-1] += phone.duration
            continue
        phones_.append(PHONE_INDEX[name])
        starts.append(phone.start * ALIGNER_FRAME)
        lengths.append(phone.duration)
    spoken = [
        length
        for length, phone_ in zip(lengths, phones_, strict=True)
        if phone_ != PHONE_INDEX[SILENCE]
    ]
    if not spoken or np.mean(np.array(spoken) <= _HASTY) > _MOST_HASTY:
        return None
    end = min(starts[-1] + lengths[-1] * ALIGNER_FRAME, len(samples))
    bounds = np.array([*starts, max(end, starts[-1] + 1)], np.int64)
    bounds[0] = 0
    return Utterance(
        samples[: bounds[-1]],
        np.array(phones_),
        bounds,
        f"{ENGINE}-{recording.language}-{recording.speaker}",
        recording.text,
    )


def _actors(folder: Path) -> Iterator[Recording]:
    for script in sorted(folder.glob("script/*/dialogs_*.lua")):
        language = script.stem.removeprefix("dialogs_")
        if language not in _ACTORS:
            continue
        # Lines that nobody has translated stand there in English, without a dialogStr.
        lines = re.findall(
            r'dialogId\("([^"]+)",[^\n]*\n\s*dialogStr\("((?:[^"\\]|\\.)*)"\)',
            script.read_text("utf-8"),
        )
        for name, text in lines:
            path = folder / "sound" / script.parent.name / language / f"{name}.ogg"
            if path.exists():
                part = re.search(r"-([mv])-", name)
                yield Recording(path, language, part.group(1) if part else "others", text)


def _prompts(share: Path) -> Iterator[Recording]:
    for speaker, language in _PROMPTS.items():
        name = f"core-sounds-{language}"
        texts = share / "doc" / f"asterisk-{name}" / f"{name}.txt.gz"
        if not texts.exists():
            continue
        lines = gzip.decompress(texts.read_bytes()).decode("utf-8", "replace").splitlines()
        for line in lines:
            key, _, text = line.partition(": ")
            path = share / "asterisk" / "sounds" / speaker / f"{key}.g722"
            if text and path.exists():
                yield Recording(path, language, speaker, text)
