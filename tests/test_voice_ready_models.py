"""Models that are kept as onnxruntime runs them: the same results, made again when in doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from server.voice import ready_models
from server.voice.ready_models import open_models


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voices"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weight = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weight"], ["product"]),
            helper.make_node("RandomNormalLike", ["product"], ["noise"]),
            helper.make_node("Add", ["product", "noise"], ["y"]),
        ],
        "noisy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = tmp_path / "noisy.onnx"
    onnx.save(model, path)
    return path


class Parts:
    """Cuts a model into itself, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, model: bytes) -> Sequence[bytes]:
        self.made += 1
        return [model]


def spoken(file: Path, parts: Parts, about: str = "whole") -> NDArray[np.float32]:
    (session,) = open_models(file, parts, about=about, threads=1)
    (y,) = session.run(None, {"x": np.ones((2, 4), np.float32)})
    return np.asarray(y, np.float32)


def test_what_was_kept_gives_the_same_bits_and_is_made_once(file: Path, cache: Path) -> None:
    parts = Parts()
    first, second = spoken(file, parts), spoken(file, parts)
    assert parts.made == 1
    np.testing.assert_array_equal(first, second)
    assert len([*cache.iterdir()]) == 2


def test_noise_is_that_of_a_model_that_is_not_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = spoken(file, Parts())
    (file.parent / "no folder").write_text("a file where the cache should be")
    monkeypatch.setenv("VIVANT_CACHE", str(file.parent / "no folder"))
    parts = Parts()
    np.testing.assert_array_equal(spoken(file, parts), kept)
    assert parts.made == 1


@pytest.mark.parametrize("suffix", [".ort", ".json"])
@pytest.mark.parametrize("damage", [None, b"", b"{}", b"[1]", b"\xff" * 100])
def test_a_damaged_or_missing_file_is_made_again(
    file: Path, cache: Path, suffix: str, damage: bytes | None
) -> None:
    parts = Parts()
    first = spoken(file, parts)
    (kept,) = cache.glob(f"*{suffix}")
    if damage is None:
        kept.unlink()
    else:
        kept.write_bytes(damage)
    np.testing.assert_array_equal(spoken(file, parts), first)
    assert parts.made == 2
    spoken(file, parts)
    assert parts.made == 2


def test_one_wrong_byte_is_noticed(file: Path, cache: Path) -> None:
    parts = Parts()
    first = spoken(file, parts)
    (kept,) = cache.glob("*.ort")
    content = bytearray(kept.read_bytes())
    content[-9] ^= 1
    kept.write_bytes(content)
    np.testing.assert_array_equal(spoken(file, parts), first)
    assert parts.made == 2


def test_another_machine_another_cut_and_another_file_are_made_anew(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts()
    spoken(file, parts)
    spoken(file, parts, about="cut elsewhere")
    assert parts.made == 2
    monkeypatch.setattr(ready_models, "machine_signature", lambda: "another processor")
    spoken(file, parts, about="cut elsewhere")
    assert parts.made == 3
    file.write_bytes(file.read_bytes() + b"")
    file.touch()
    spoken(file, parts, about="cut elsewhere")
    assert parts.made == 4
    (index,) = cache.glob("*.json")  # of those before nothing is left
    assert {path.name for path in cache.iterdir()} == {index.name, *json.loads(index.read_text())}


def test_what_is_no_model_is_refused(file: Path) -> None:
    with pytest.raises(Exception, match=r"(?i)fail|protobuf|parse"):
        open_models(file, lambda _: [b"not a model"], about="nonsense", threads=1)
