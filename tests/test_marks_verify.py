"""Content credentials, the ledger, and `vivant verify` on our films and on strangers'."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server.cli import main
from server.clock import MonotonicClock
from server.marks import ledger as ledgers
from server.marks.certificates import CertificateError, local_certificate, read_certificate
from server.marks.credentials import CredentialsError, Statement, read_credentials, sign_film
from server.marks.ledger import Entry, Ledger
from server.marks.options import MarkOptions
from server.marks.payload import tag_of
from server.marks.seal import Sealer, marks_of_film
from server.marks.signing import sign_apart
from server.marks.verify import verify
from server.media_files import UNMARKED, FilmMarks, FilmWriter
from server.outputs.library import Library
from streaming_model.media import VideoFrame
from tests.test_marks_watermark import portrait

MADE = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)


def film(path: Path, marks: FilmMarks = UNMARKED, *, pictures: int = 12) -> Path:
    image = portrait(256)
    with FilmWriter(path, size=256, fps=25, marks=marks) as writer:
        for index in range(pictures):
            moved = np.ascontiguousarray(np.roll(image, index // 3, axis=1))
            writer.write_picture(VideoFrame(640 * index, moved))
        writer.write_sound(np.zeros(1920 * pictures, np.float32))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "marks"


def verified(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main(["verify", str(path), "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
def test_a_film_says_who_made_it_and_when(
    suffix: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(tmp_path / f"a{suffix}", marks_of_film(MarkOptions(), folder, "mona.jpg"))
    status, told = verified(capsys, path)
    assert status == 0
    (entry,) = told["sessions"]
    assert entry["portrait"] == "mona.jpg"
    assert told["watermark"]["tag"] == tag_of(entry["session"])
    credentials = told["credentials"]
    assert credentials["state"] == "valid"
    assert credentials["tag"] == tag_of(entry["session"])
    assert credentials["source_type"] == "trainedAlgorithmicMedia"
    when = datetime.fromisoformat(credentials["when"])
    assert abs(datetime.now(tz=UTC) - when) < timedelta(minutes=2)
    assert path.with_suffix(".c2pa").is_file() == (suffix in (".webm", ".mkv"))
    assert not list(tmp_path.glob(".*")), "nothing is left lying about"
    main(["verify", str(path)])
    assert "made by Vivant" in capsys.readouterr().out


def test_the_c2pa_reader_itself_finds_the_manifest_whole(tmp_path: Path, folder: Path) -> None:
    path = film(tmp_path / "a.mp4")
    sign_film(path, local_certificate(folder), Statement("the session", MADE))
    with path.open("rb") as stream, c2pa.Reader("video/mp4", stream) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = reader.get_active_manifest()
    assert manifest is not None
    (action,) = next(each for each in manifest["assertions"] if "actions" in each["label"])["data"][
        "actions"
    ]
    assert action["action"] == "c2pa.created"
    assert action["when"] == "2026-11-26T10:30:00Z"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert manifest["claim_generator_info"][0]["name"] == "Vivant"
    assert "the session" not in json.dumps(manifest), "who knows a session's id may watch it"


def test_a_changed_film_is_called_broken(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film(tmp_path / "a.mp4")
    sign_film(path, local_certificate(folder), Statement("s", MADE))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"mdat") + 200
    data[place] ^= 255
    path.write_bytes(data)
    credentials = read_credentials(path)
    assert credentials is not None
    assert credentials.state == "broken"
    assert not credentials.is_ours
    assert main(["verify", str(path)]) == 1
    told = capsys.readouterr().out
    assert "no mark found" in told and "BROKEN" in told


def test_a_watermark_alone_is_enough(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = marks_of_film(MarkOptions(no_credentials="a test"), folder, "x")
    status, told = verified(capsys, film(tmp_path / "a.mp4", marks))
    assert (status, told["credentials"]) == (0, None)
    assert told["watermark"] is not None
    image = marks.mark(VideoFrame(0, portrait(256))).image
    picture = tmp_path / "screenshot.jpg"
    cv2.imwrite(
        str(picture), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 70]
    )
    assert verified(capsys, picture)[0] == 0


def test_credentials_alone_are_enough(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = marks_of_film(MarkOptions(no_watermark="a test"), folder, "x")
    status, told = verified(capsys, film(tmp_path / "a.mp4", marks))
    assert (status, told["watermark"]) == (0, None)
    assert len(told["sessions"]) == 1


def test_a_strangers_film_carries_no_mark(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    path = film(tmp_path / "a.mp4")
    status, told = verified(capsys, path)
    assert status == 1
    assert told == {"marked": False, "credentials": None, "watermark": None, "sessions": []}
    main(["verify", str(path)])
    assert capsys.readouterr().out == f"{path}: no mark found\n"


@pytest.mark.parametrize("content", [None, b"", b"no film", b"\xff\xd8\xff\xe0 no picture"])
def test_what_cannot_be_read_is_2(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    assert main(["verify", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vivant: ") and str(path) in error and error.count("\n") == 1


def test_a_sound_file_has_no_picture(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(b"\0\0" * 1600)
    assert main(["verify", str(path)]) == 2


def test_a_film_of_no_known_kind_gets_no_credentials(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    with pytest.raises(CredentialsError, match="no film"):
        sign_film(path, local_certificate(folder), Statement("s", MADE))
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"no film at all")
    with pytest.raises(CredentialsError, match=r"'a\.mp4' gets no content credentials"):
        sign_film(broken, local_certificate(folder), Statement("s", MADE))
    assert broken.read_bytes() == b"no film at all"
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["a.mp4", "a.txt"]


def test_the_local_certificate_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = (local_certificate(tmp_path / "marks") for _ in range(2))
    assert first == second
    (file,) = (tmp_path / "marks").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(first)


def test_an_operators_certificate_signs(tmp_path: Path) -> None:
    own = local_certificate(tmp_path / "operator")
    chain, key = tmp_path / "operator" / "chain.pem", tmp_path / "operator" / "key.pem"
    chain.write_text(own.chain)
    key.write_bytes(own.key)
    options = MarkOptions(certificate=chain, key=key)
    path = film(tmp_path / "a.mp4", marks_of_film(options, tmp_path / "marks", "x"))
    credentials = read_credentials(path)
    assert credentials is not None
    assert credentials.signer == own.signer
    assert not list((tmp_path / "marks").glob("*.pem"))


def test_impossible_certificates_are_refused(tmp_path: Path) -> None:
    own = local_certificate(tmp_path)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(own.chain)
    key.write_bytes(own.key)
    with pytest.raises(CertificateError, match="go together"):
        Sealer.of(MarkOptions(certificate=chain), tmp_path)
    with pytest.raises(CertificateError, match="cannot be read"):
        read_certificate(tmp_path / "none.pem", key)
    with pytest.raises(CertificateError, match="no certificate"):
        read_certificate(key, key)
    with pytest.raises(CertificateError, match="no private key"):
        read_certificate(chain, chain)
    for other in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
        path = tmp_path / "other.pem"
        path.write_bytes(
            other.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        with pytest.raises(CertificateError, match="not that of the certificate"):
            read_certificate(chain, path)


def test_the_ledger_finds_by_tag_and_forgets_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "marks")
    entry = Entry("an-id", "2026-11-26T10:00:00+00:00", "mona_lisa", "session")
    assert ledger.find(tag_of("an-id")) == []
    ledger.note(entry)
    ledger.note(replace(entry, began="2026-11-27T10:00:00+00:00"))
    assert [each.began[:10] for each in ledger.find(tag_of("an-id"))] == [
        "2026-11-27",
        "2026-11-26",
    ]
    assert ledger.find(tag_of("another")) == []
    path = tmp_path / "marks" / ledgers.LEDGER_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as file:
        file.write('{"session": "cut o')
    assert len(ledger.find(tag_of("an-id"))) == 2
    monkeypatch.setattr(ledgers, "LARGEST", 100)
    ledger.note(replace(entry, session="b"))
    assert len(ledger.find(tag_of("an-id"))) == 2, "the former file counts"
    ledger.note(replace(entry, session="c" * 100))
    ledger.note(replace(entry, session="d"))
    assert ledger.find(tag_of("an-id")) == []
    assert len(ledger.find(tag_of("d"))) == 1


def test_a_ledger_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    Ledger(tmp_path / "file").note(Entry("s", "now", "p", "session"))
    assert "cannot be written" in caplog.text


def test_a_transparent_film_is_marked_where_the_person_is(tmp_path: Path, folder: Path) -> None:
    matte = np.zeros((512, 512), np.uint8)
    cv2.ellipse(matte, (256, 300), (190, 260), 0, 0, 360, 255, -1)
    image = np.dstack([portrait(), matte])
    marks = marks_of_film(MarkOptions(), folder, "x")
    path = tmp_path / "a.webm"
    with FilmWriter(path, size=512, fps=25, is_transparent=True, marks=marks) as writer:
        for index in range(6):
            writer.write_picture(VideoFrame(640 * index, image))
        writer.write_sound(np.zeros(1920 * 6, np.float32))
    finding = verify(path, Ledger(folder))
    assert finding.credentials is not None and finding.credentials.is_ours
    assert finding.reading is not None
    assert len(finding.entries) == 1


def test_a_film_is_signed_by_a_process_of_its_own(tmp_path: Path, folder: Path) -> None:
    path = film(tmp_path / "a.mp4")
    certificate = local_certificate(folder)
    sign_apart(path, certificate, Statement("a session", MADE))
    credentials = read_credentials(path)
    assert credentials is not None
    assert (credentials.state, credentials.tag) == ("valid", tag_of("a session"))
    (tmp_path / "b.mp4").write_bytes(b"no film")
    with pytest.raises(CredentialsError, match=r"^'b\.mp4' gets no content credentials: .+"):
        sign_apart(tmp_path / "b.mp4", certificate, Statement("s", MADE))
    with pytest.raises(CredentialsError, match="broke off"):
        sign_apart(tmp_path / "none.mp4", certificate, Statement("s", MADE))


def test_copies_that_were_being_signed_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / ".20261126T100000Z_a.mp4.signed"
    left.write_bytes(b"half")
    Library(tmp_path, kept=0, clock=MonotonicClock()).repair()
    assert not left.exists()


def test_a_disk_too_full_for_a_copy_is_told(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4")
    before = path.read_bytes()
    monkeypatch.setattr("server.marks.credentials.LEAST_LEFT", 1 << 62)
    with pytest.raises(CredentialsError, match="the disk is full"):
        sign_film(path, local_certificate(folder), Statement("s", MADE))
    assert path.read_bytes() == before
