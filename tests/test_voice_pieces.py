"""A clause in pieces: the same sound as in one, no seam, and its times known at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from server.speaker import _Converter, _next_clause
from server.voice.base import SILENCE, Phone, SpeechClause
from server.voice.catalog import open_voice
from server.voice.clauses import Clause
from server.voice.levels import Leveller
from server.voice.onnx_graph import cut_model
from server.voice.pieces import RawPieces, clause_in_pieces
from server.voice.piper import PiperVoice
from server.voice.timing import PAUSE, TimedToken
from tests.virtual_time import VirtualClock

RATE = 22_050
TEXT = "What a fine day it is. And then another."


def tone(samples: int) -> NDArray[np.float32]:
    return (0.2 * np.sin(2 * np.pi * 150 * np.arange(samples) / RATE)).astype(np.float32)


def spoken(cuts: list[int], *, pause: float = 0.2) -> list[SpeechClause]:
    """Speaks 0.2 s of silence, 0.8 s of tone and 0.4 s of silence, cut at these samples."""
    head, voiced, tail = 4410, 17_640, 8820
    sound = np.concatenate([np.zeros(head), tone(voiced), np.zeros(tail)]).astype(np.float32)
    tokens = (TimedToken(PAUSE, head), TimedToken("ɑ", voiced), TimedToken(PAUSE, tail))
    raw = RawPieces(tokens, np.split(sound, cuts))
    clause = Clause(4, 11, pause)
    return list(clause_in_pieces("so, hear it", clause, raw, ("x",), Leveller(), RATE, 1.0))


@pytest.mark.parametrize("cuts", [[8_000], [8_000, 15_000], [8_000, 26_000]])
def test_pieces_have_one_text_a_short_head_and_the_pause_at_the_end(cuts: list[int]) -> None:
    pieces = spoken(cuts)
    assert [piece.text for piece in pieces] == ["hear it", *[""] * len(cuts)]
    assert [piece.skipped for piece in pieces] == [("x",), *[()] * len(cuts)]
    sound = np.concatenate([piece.samples for piece in pieces])
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert loud[0] <= 0.015 * RATE
    assert len(sound) - loud[-1] == pytest.approx(0.2 * RATE, abs=0.01 * RATE)
    assert np.abs(np.diff(sound)).max() < 0.02  # no seam, no click
    voiced = [phone for phone in pieces[0].phones if phone.symbol != SILENCE]
    assert voiced[0].start == pytest.approx(0.01 * RATE, abs=0.005 * RATE)
    assert voiced[0].end == pytest.approx(loud[-1], abs=0.01 * RATE)


def test_a_pause_longer_than_the_engines_is_filled_up() -> None:
    sound = np.concatenate([piece.samples for piece in spoken([8_000, 15_000], pause=0.7)])
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert len(sound) - loud[-1] == pytest.approx(0.7 * RATE, abs=0.01 * RATE)


def test_pieces_are_resampled_without_a_seam() -> None:
    sound = tone(RATE)
    converter = _Converter()
    texts = iter(["one", "", ""])
    pieces = [
        SpeechClause(next(texts), 0, 3, RATE, part, (), ())
        for part in np.split(sound, [5_000, 12_000])
    ]
    stream = iter(pieces)
    heard = []
    while (clause := _next_clause(stream, converter, VirtualClock())) is not None:
        heard.append(clause.audio.sound)
    joined = np.concatenate(heard)
    expected = 0.2 * np.sin(2 * np.pi * 150 * np.arange(len(joined)) / 48_000)
    inner = slice(2_000, -2_000)
    assert np.abs(joined[inner] - expected[inner]).max() < 2e-3
    assert len(joined) == pytest.approx(48_000, abs=3)


@pytest.mark.parametrize(("milliseconds", "pieces"), [(50, 1), (250, 2)])
def test_a_machine_too_slow_for_the_next_piece_begins_with_two(
    milliseconds: int, pieces: int
) -> None:
    clock = VirtualClock()

    def slowly() -> Iterator[SpeechClause]:
        phones = (Phone("ɑ", 0, 3 * 8_820),)
        for text in ("one", "", ""):
            clock.jump(milliseconds * 1_000_000)
            yield SpeechClause(text, 0, 3, RATE, tone(8_820), phones if text else (), ())

    first = _next_clause(slowly(), _Converter(), clock)
    assert first is not None
    assert first.text == "one"
    assert len(first.audio) == pytest.approx(pieces * 6_400, abs=500)


def small_model() -> bytes:
    """y = (x + a) * b, and beside it a second output, x + a + a."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Add", ["x", "a"], ["middle"]),
        helper.make_node("Add", ["middle", "a"], ["beside"]),
        helper.make_node("Mul", ["middle", "b"], ["y"]),
    ]
    weights = [helper.make_tensor(name, kind, [1], [value]) for name, value in (("a", 2), ("b", 3))]
    info = [helper.make_tensor_value_info(name, kind, None) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "small", info[:1], info[1:], weights)
    opset = [helper.make_opsetid("", 15)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def run(model: bytes, **inputs: float) -> list[float]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == list(inputs)
    values = {name: np.array([value], np.float32) for name, value in inputs.items()}
    return [float(output[0]) for output in session.run(None, values)]


def test_a_model_cut_in_two_does_what_it_did() -> None:
    first, second = cut_model(small_model()[:], "middle")
    assert run(first, x=5) == [7]
    # What else is made of the tensor goes with the end; that nobody asks for it is no harm.
    assert run(second, middle=7) == [21]


@pytest.mark.parametrize("model", [b"\xff\xff\xff", b"\x3a\x7f\x01", b"\x0b"])
def test_what_is_no_model_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX model"):
        cut_model(model, "middle")


def test_a_tensor_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="'elsewhere'"):
        cut_model(small_model(), "elsewhere")


@pytest.mark.model
def test_the_vocoder_makes_the_same_of_a_part_as_of_the_whole() -> None:
    voice = open_voice("joe")
    assert isinstance(voice, PiperVoice)
    latent, _ = voice._plan("wˌʌɾ ɐ fˈIn dˈA", 1.0)
    whole = voice._sound(latent, 0, latent.shape[2])
    pieces = list(voice._sounds(latent))
    assert len(pieces) >= 2
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


@pytest.mark.model
def test_the_fast_voice_begins_with_a_piece_and_tells_where_all_of_it_is() -> None:
    clauses = list(open_voice("joe").speak(TEXT, in_pieces=True))
    first = clauses[0]
    assert first.text == "What a fine day it is."
    assert len(first.samples) < 0.45 * first.sample_rate
    assert clauses[1].text == ""
    assert clauses[-1].text == "And then another."
    whole = np.concatenate([clause.samples for clause in clauses[:-1]])
    voiced = [phone for phone in first.phones if phone.symbol != SILENCE]
    assert voiced[0].start <= 0.06 * first.sample_rate
    assert len(first.samples) < voiced[-1].end <= len(whole)
    assert np.abs(whole[voiced[-1].end + 2_000 :]).max() < 0.03
    assert np.abs(whole).max() < 0.95
    spoken = whole[: voiced[-1].end]
    assert -25 < 20 * np.log10(np.sqrt(np.mean(spoken**2))) < -18
