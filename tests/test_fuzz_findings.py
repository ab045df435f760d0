"""What fuzzing found, once each: the smallest input, and what it gives since."""

from __future__ import annotations

import argparse
import io
import json
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from server.access.keys import KeyFile, KeysError
from server.audit import text_hash
from server.config import Settings, SettingsError
from server.converse import chat_endpoint, transcription_endpoint
from server.converse.completion import CompletionReader
from server.converse.transcriber import TranscriptionError
from server.feedback import _estimate_for
from server.marks.credentials import _told
from server.marks.ledger import LEDGER_NAME, Ledger
from server.media_files import AudioFile
from server.outputs.targets import read_target
from server.pipecat.rtvi import _tool_call
from server.presenter.recorded import recorded_script
from server.presenter.recording import read_recording
from server.presenter.script import parse_script
from server.protocol import BrainToolCall, ProtocolError
from server.voice import openai_speech
from server.voice.base import VoiceError
from server.whip.fragment import parse_fragment
from streaming_model.errors import AudioError, ImageUnreadableError, MotionFileError, VivantError
from streaming_model.motion_files import read_motion
from streaming_model.portrait.image import load_image
from tools.fuzz.sounds import encoded
from vivant_client.events import read_event

DEEP = "[" * 100_000


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    assert str(VivantError("not 'a\n\x1b[31mb\ud800\u202e'.")) == (
        r"not 'a\n\x1b[31mb\ud800\u202e'."
    )


def test_a_fragment_quotes_no_control_characters() -> None:
    with pytest.raises(ProtocolError, match=r"^'x\\x0ey' is not a line of SDP\.$"):
        parse_fragment("x\x0ey")


def test_a_scripts_notice_is_one_line() -> None:
    (notice,) = parse_script('Hello. <break time="500m\ns"/> There.', "text").notices
    assert notice.message.endswith(r"not '500m\ns'.")


def test_an_outputs_address_is_quoted_in_part() -> None:
    with pytest.raises(ProtocolError) as refusal:
        read_target(f"srt://{'1' * 1900}", bearer=None, hosts=("*",))
    assert len(str(refusal.value)) < 200


def test_a_picture_of_palette_colours_without_a_palette_is_damaged() -> None:
    head = struct.pack("<2sIHHI", b"BM", 70, 0, 0, 54)  # 256 colours, of which none are told
    form = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 8, 0, 0, 0, 0, 0, 0)
    for data in (head + form, head + form + bytes(8)):
        with pytest.raises(ImageUnreadableError):
            load_image(data)


def test_a_sound_shorter_than_a_frame_is_a_script(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(200))
    script = recorded_script(read_recording(path, "click.wav"), None)
    assert len(script.sentences) == 1


def test_sound_of_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.wav"
    content = bytearray(encoded("wav", "pcm_s16le") or b"")
    content[20:22] = b"\xfe\xef"  # the format tag
    path.write_bytes(content)
    with pytest.raises(AudioError, match="cannot be decoded"), AudioFile(path) as file:
        list(file.blocks())


def test_sound_louder_than_any_sound_stays_finite(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    content = encoded("wav", "pcm_f64le", seconds=0.01) or b""
    start = content.index(b"data") + 8
    loud = np.full((len(content) - start) // 8, 1e300, "<f8").tobytes()
    path.write_bytes(content[:start] + loud)
    with AudioFile(path) as file:
        assert all(np.isfinite(block).all() for block in file.blocks())


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
    ids=["HLS", "concat", "SDP"],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.wav").write_bytes(encoded("wav", "pcm_s16le") or b"")
    upload = tmp_path / "upload.wav"
    upload.write_text(text)
    with pytest.raises(AudioError, match="not an audio or video file"):
        read_recording(upload, "upload.wav")


@pytest.mark.parametrize("rate", [1, 7_999, 192_001, 2**30])
def test_a_voice_server_has_no_rate_that_no_voice_has(rate: int) -> None:
    with pytest.raises(VoiceError, match=f"{rate} Hz"):
        openai_speech._from_wave(_wave(rate))


def test_a_voice_servers_wav_of_chunks_in_chunks_is_damaged() -> None:
    content = _wave(24_000)
    with pytest.raises(VoiceError, match="damaged WAV"):
        openai_speech._from_wave(content[:12] + b"fmt " + struct.pack("<I", 4) + content[12:])


@pytest.mark.parametrize(
    "delta", ['{"tool_calls": 5}', '{"tool_calls": [{"index": [], "function": {}}]}']
)
def test_a_brains_odd_tool_calls_are_no_chunk(delta: str) -> None:
    with pytest.raises(ValueError, match="tool call"):
        list(CompletionReader().push(f'{{"choices": [{{"delta": {delta}, "finish_reason": 1}}]}}'))


def test_lists_in_lists_are_no_json_wherever_json_is_read(tmp_path: Path) -> None:
    assert chat_endpoint._reason(DEEP.encode()).startswith("[[")
    with pytest.raises(TranscriptionError):
        transcription_endpoint._text(httpx.Response(200, text=DEEP), "example.org")
    assert json.loads(_tool_call(BrainToolCall("c", "f", DEEP)))["data"]["arguments"] == {}
    assert read_event(DEEP) is None
    keys = tmp_path / "keys.json"
    keys.write_text(DEEP)
    keys.chmod(0o600)
    with pytest.raises(KeysError, match="holds no keys"):
        KeyFile(keys).read()


def test_a_ledgers_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    good = '{"session": "s", "began": "2026", "portrait": "p", "kind": "film"}'
    odd = '{"session": 5, "began": "2026", "portrait": "p", "kind": "film"}'
    lines = [b"\xff\xfe", odd.encode(), DEEP.encode(), good.encode()]
    (tmp_path / LEDGER_NAME).write_bytes(b"\n".join(lines))
    assert [entry.session for entry in Ledger(tmp_path)._entries()] == ["s"]


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 5_000])
def test_settings_of_endless_numbers_and_lists_are_no_toml(tmp_path: Path, value: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"port = {value}\n")
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        Settings.load(argparse.Namespace(config=str(path)), {})


def test_a_setting_is_quoted_in_part(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f'gaze = "{"9" * 50_000}"\n')
    with pytest.raises(SettingsError, match="not '999") as refusal:
        Settings.load(argparse.Namespace(config=str(path)), {})
    assert len(str(refusal.value)) < 500


def test_a_cut_off_estimate_is_passed_over() -> None:
    assert _estimate_for(1, b"REMB" + struct.pack(">BBHI", 2, 0x0B, 0x1234, 1)) is None


def test_half_a_letter_is_said_and_noted() -> None:
    assert len(text_hash("a\ud800")) == 64


def test_a_strangers_manifest_may_be_anything() -> None:
    manifest = {
        "assertions": [5, {"label": "c2pa.actions", "data": {"actions": [1, {"when": []}]}}],
        "claim_generator_info": [{"name": "Evil\x1b[2J"}],
        "signature_info": [],
    }
    told = _told(manifest, "Valid")
    assert told.generator == r"Evil\x1b[2J"
    assert told.signer == "unknown"


@pytest.mark.parametrize("code", ["00:00:00:inf", "00:00:00:nan", "1" * 400 + ":00:00:00"])
def test_a_timecode_is_a_time(tmp_path: Path, code: str) -> None:
    path = tmp_path / "take.csv"
    path.write_text(f"Timecode,BlendShapeCount,JawOpen\n{code},1,0.5\n")
    with pytest.raises(MotionFileError, match="timecode"):
        read_motion(path)


def test_a_cell_of_a_hundred_thousand_letters_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    path.write_text(f"Timecode,BlendShapeCount,JawOpen\n00:00:00:00,1,{'1' * 200_000}\n")
    with pytest.raises(MotionFileError, match="not CSV"):
        read_motion(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"names": np.array("jawOpen")},
        {"names": np.array([1, 2])},
        {"names": np.array([0x110000], np.uint32).view("<U1")},
        {"fps": np.array([25, 25])},
        {"motion": np.array([["a"]])},
        {"motion": np.array([[1j]])},
    ],
    ids=["one name", "numbers", "no letters", "two rates", "words", "complex"],
)
def test_arrays_of_another_kind_are_no_motion(
    tmp_path: Path, arrays: dict[str, NDArray[Any]]
) -> None:
    path = tmp_path / "take.npz"
    good = {"motion": np.zeros((2, 1), np.float32), "names": np.array(["jawOpen"])}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in {**good, **arrays}.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(MotionFileError):
        read_motion(path)


def test_a_damaged_archive_is_no_motion(tmp_path: Path) -> None:
    path = tmp_path / "take.npz"
    made = io.BytesIO()
    np.savez_compressed(made, motion=np.zeros((2, 1)), names=np.array(["jawOpen"]))
    whole = made.getvalue()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + b"\x7f" + whole[at + 1 :])
        try:
            read_motion(path)
        except MotionFileError as error:
            assert str(error).endswith(".")


def _wave(rate: int) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(480))
    return content.getvalue()
