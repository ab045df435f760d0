"""FACEGOOD's takes as captured speech: the clock, the channels, the jaw against the sound."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from training.facegood import HELD_OUT_TAKE, load_facegood

TAKES = Path(os.environ.get("FACEGOOD", "facegood"))
needs_takes = pytest.mark.skipif(
    not TAKES.is_dir(), reason="FACEGOOD does not name the folder of the takes"
)


def write_take(
    folder: Path, weights: NDArray[np.float32], rate: int = 16_000, name: str = "take"
) -> None:
    names = ["first", "mouth_stretch_c", "left", "right"]
    (folder / "bsname.txt").write_text("\n".join(["4", *names]))
    table = {"jawOpen": "mouth_stretch_c", "mouthPucker": "max(left,right)", "mouthClose": "first"}
    (folder / "arkit_from_facegood.json").write_text(json.dumps(table))
    np.savez(folder / f"{name}.npz", weights=weights.astype(np.float16))
    with av.open(str(folder / f"{name}.flac"), "w") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        sound = np.zeros((1, rate * len(weights) // 30), np.int16)
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_column_is_one_after_its_name_and_time_is_kept(tmp_path: Path) -> None:
    weights = np.zeros((60, 5), np.float32)
    weights[:, 2] = (np.arange(60) + 0.5) / 60  # the jaw opens evenly over two seconds
    weights[:, 3], weights[:, 4] = 0.25, 0.5
    write_take(tmp_path, weights)
    (take,) = load_facegood(tmp_path)
    assert take.motion.shape == (50, 58)
    assert len(take.samples) == 50 * 640
    expected = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(take.motion[1:-1, INDEX["jawOpen"]], expected[1:-1], atol=1e-3)
    np.testing.assert_allclose(take.motion[:, INDEX["mouthPucker"]], 0.5)
    seen = {name for name, index in INDEX.items() if take.mask[index]}
    assert seen == {"jawOpen", "mouthPucker"}


def test_one_take_is_held_out(tmp_path: Path) -> None:
    write_take(tmp_path, np.zeros((30, 5), np.float32), name="1114_3_15")
    write_take(tmp_path, np.zeros((60, 5), np.float32), name=HELD_OUT_TAKE)
    assert [len(take.motion) for take in load_facegood(tmp_path)] == [25]
    assert [len(take.motion) for take in load_facegood(tmp_path, held_out=True)] == [50]


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There are no FACEGOOD takes"):
        load_facegood(tmp_path)
    write_take(tmp_path, np.zeros((30, 5), np.float32), rate=22_050)
    with pytest.raises(ValueError, match=r"'take\.flac' is sampled at 22050 Hz, not 16000"):
        load_facegood(tmp_path)


@needs_takes
def test_the_jaw_follows_the_sound() -> None:
    takes = [*load_facegood(TAKES), *load_facegood(TAKES, held_out=True)]
    assert len(takes) == 5
    for take in takes:
        assert int(take.mask.sum()) == 26
        power = np.mean(np.square(take.samples.reshape(-1, 640)), axis=1)
        energy = np.log(power + 1e-7)
        jaw = take.motion[:, INDEX["jawOpen"]]
        by_lag = [
            np.corrcoef(energy[3:-4], jaw[3 + lag : len(jaw) - 4 + lag])[0, 1]
            for lag in range(-3, 4)
        ]
        assert int(np.argmax(by_lag)) - 3 in (0, 1)
        assert max(by_lag) > 0.6
        assert np.median(jaw[energy <= np.percentile(energy, 8)]) == 0


@needs_takes
def test_lips_close_by_the_jaw_alone() -> None:
    for take in load_facegood(TAKES):
        assert take.motion[:, INDEX["mouthClose"]].max() == 0
        assert np.percentile(take.motion[:, INDEX["jawOpen"]], 5) == 0
