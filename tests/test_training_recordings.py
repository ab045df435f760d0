"""Recorded speech with its words, as Debian's packages hold it, gets phone times."""

from __future__ import annotations

import gzip
import shutil
import wave
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from streaming_model.media import SAMPLE_RATE
from training.corpus.utterances import load_utterances
from training.phones import PHONE_INDEX

pytestmark = pytest.mark.skipif(
    find_library("espeak-ng") is None,
    reason="eSpeak NG is not installed",
)

SAID = "Pan doktor Novák má doma pět malých psů a dobrou kávu."


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A tree like the unpacked packages', whose actor is eSpeak NG."""
    from training.corpus.espeak import speak_with_espeak

    spoken = speak_with_espeak(SAID, voice="cs", rate=140)
    share = tmp_path / "usr" / "share"
    fillets = share / "games" / "fillets-ng"
    sounds = fillets / "sound" / "city" / "cs"
    sounds.mkdir(parents=True)
    for name in ("a-m-true", "a-v-lie", "a-m-number", "a-m-foreign"):
        with wave.open(str(tmp_path / "said.wav"), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes((spoken.samples * 32_000).astype("<i2").tobytes())
        # What is in the file is told by its first bytes, not by its name.
        shutil.copy(tmp_path / "said.wav", sounds / f"{name}.ogg")
    script = fillets / "script" / "city"
    script.mkdir(parents=True)
    (script / "dialogs_cs.lua").write_text(
        f'dialogId("a-m-true", "font", "English")\ndialogStr("{SAID}")\n\n'
        'dialogId("a-v-lie", "font", "English")\ndialogStr("Ne.")\n\n'
        'dialogId("a-m-number", "font", "English")\ndialogStr("Je jich 4202.")\n\n'
        'dialogId("a-m-foreign", "font", "Not translated.")\n\n'
        'dialogId("a-m-missing", "font", "English")\ndialogStr("Nic.")\n',
        "utf-8",
    )
    texts = share / "doc" / "asterisk-core-sounds-ru"
    texts.mkdir(parents=True)
    (texts / "core-sounds-ru.txt.gz").write_bytes(gzip.compress("; Russian\na: Нет.\n".encode()))
    return tmp_path


def test_only_translated_lines_with_a_sound_are_found(packages: Path) -> None:
    from training.corpus.recordings import find_recordings

    found = [(each.path.stem, each.speaker, each.text) for each in find_recordings(packages)]
    assert found == [
        ("a-m-true", "m", SAID),
        ("a-v-lie", "v", "Ne."),
        ("a-m-number", "m", "Je jich 4202."),
    ]


def test_phones_fall_where_they_are_spoken_and_a_wrong_text_is_left_out(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.corpus.espeak import speak_with_espeak
    from training.corpus.recordings import make_recordings

    make_recordings(packages, tmp_path / "out")
    # "Ne." is far too little for four seconds, and a number of four digits is not read.
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cs-m.npz"]
    assert "cs-v: words and sound agree in none of 1" in capsys.readouterr().out
    (found,) = load_utterances(tmp_path / "out" / "cs-m.npz")
    assert found.voice == "recorded-cs-m"
    assert found.text == SAID
    truth = speak_with_espeak(SAID, voice="cs", rate=140)
    lips = [PHONE_INDEX[name] for name in ("P", "B", "M")]

    def starts(phones: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        return bounds[:-1][np.isin(phones, lips)] / SAMPLE_RATE

    wanted, got = starts(truth.phones, truth.bounds), starts(found.phones, found.bounds)
    assert len(wanted) == len(got) >= 5
    assert np.median(np.abs(wanted - got)) < 0.04


def test_a_folder_without_recordings_is_told(tmp_path: Path) -> None:
    from training.corpus.recordings import find_recordings

    with pytest.raises(FileNotFoundError, match="no recorded speech below"):
        find_recordings(tmp_path)
