"""What is measured of a portrait: kept, trusted only where it fits, gone with its portrait."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import streaming_model
from streaming_model.avatar import Avatar
from streaming_model.media import AudioChunk
from streaming_model.motion import MotionGenerator, load_motion_generator
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import (
    Portrait,
    forget_other_portraits,
    forget_portrait,
    make_portrait,
)
from streaming_model.renderer import Renderer, measured
from streaming_model.renderer.measured import load_measured, measured_path, save_measured

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
pytestmark = pytest.mark.model


@cache
def portrait() -> Portrait:
    return make_portrait(MONA_LISA)


@cache
def renderer() -> Renderer:
    return Renderer(portrait(), size=SIZE)


@cache
def generator() -> MotionGenerator:
    return load_motion_generator()


def kept(folder: Path) -> Path:
    path = measured_path(portrait(), size=SIZE, cache_dir=folder)
    save_measured(renderer().measured, path)
    return path


def avatar(folder: Path | None) -> Avatar:
    return Avatar(portrait(), generator(), size=SIZE, cache_dir=folder)


def speech() -> list[AudioChunk]:
    noise = np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    return [AudioChunk(0, 0.1 * noise, 0)]


def test_what_was_kept_draws_the_same_pictures(tmp_path: Path) -> None:
    again = Renderer(portrait(), size=SIZE, measured=load_measured(kept(tmp_path)))
    motion = np.zeros(MOTION_SIZE, np.float32)
    motion[[INDEX[name] for name in ("jawOpen", "mouthSmileLeft", "browInnerUp")]] = 0.6
    motion[[INDEX[name] for name in ("headYaw", "headPitch")]] = 0.12, -0.08
    np.testing.assert_array_equal(again.render(motion), renderer().render(motion))


def test_a_portrait_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [frame.image for frame in avatar(tmp_path).stream(speech())]
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns

    def refuse(*_: object) -> None:
        raise AssertionError("it was measured again")

    monkeypatch.setattr("streaming_model.renderer.renderer.measure_response", refuse)
    monkeypatch.setattr("streaming_model.renderer.expression.calibrate", refuse)
    again = [frame.image for frame in avatar(tmp_path).stream(speech())]
    assert path.stat().st_mtime_ns == written
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"gains": [1], "bends": [0], "response": {}}'],
)
def test_a_damaged_file_is_measured_again(tmp_path: Path, damage: bytes) -> None:
    path = kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert load_measured(path) is None
    avatar(tmp_path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [("gains", 40.0), ("gains", float("nan")), ("bends", -3.0), ("response", 9.0)],
)
def test_numbers_that_nothing_measures_are_not_believed(
    tmp_path: Path, name: str, value: float
) -> None:
    path = kept(tmp_path)
    changed = json.loads(path.read_text())
    if name == "response":
        changed[name]["headYaw"][1] = value
    else:
        changed[name][5] = value
    path.write_text(json.dumps(changed))
    assert load_measured(path) is None


def test_another_fit_another_size_and_other_code_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(tmp_path)
    other_fit = replace(portrait().fit, rest=portrait().fit.rest + np.float32(0.01))
    other = replace(portrait(), fit=other_fit)
    assert measured_path(other, size=SIZE, cache_dir=tmp_path) != path
    assert measured_path(portrait(), size=512, cache_dir=tmp_path) != path
    monkeypatch.setattr(measured, "_code_digest", lambda: b"another version")
    newer = kept(tmp_path)
    assert newer != path
    assert [*tmp_path.iterdir()] == [newer]  # nobody will ask for the old one again


def test_it_goes_with_its_portrait(tmp_path: Path) -> None:
    kept(tmp_path)
    forget_other_portraits([MONA_LISA], cache_dir=tmp_path)
    assert [*tmp_path.iterdir()]
    forget_portrait(MONA_LISA, cache_dir=tmp_path)
    assert not [*tmp_path.iterdir()]
    kept(tmp_path)
    forget_other_portraits([], cache_dir=tmp_path)
    assert not [*tmp_path.iterdir()]
