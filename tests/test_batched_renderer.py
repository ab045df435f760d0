"""The batched renderer gives the renderer's pictures, on every torch device."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import streaming_model
from benchmarks.renderer.cartoon import draw_cartoon
from streaming_model.backdrop import Backdrop
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.renderer import Renderer, RendererError
from streaming_model.renderer.batched import BatchedRenderer

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
LEVELS = 2  # by which a pixel may differ
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))
pytestmark = pytest.mark.model

Motions = NDArray[np.float32]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def portrait(name: str) -> Portrait:
    if name == "smiling":
        data = pytest.importorskip("skimage.data", reason="needs scikit-image's astronaut")
        return make_portrait(data.astronaut())
    return make_portrait(draw_cartoon() if name == "cartoon" else MONA_LISA)


@cache
def renderer(name: str = "painting", backdrop: str = "keep", size: int = SIZE) -> Renderer:
    if backdrop != "keep":
        return renderer(name, size=size).with_backdrop(Backdrop.parse(backdrop))
    return Renderer(portrait(name), size=size)


def motions(count: int, *, seed: int, strength: float = 1.0) -> Motions:
    """Speech-like to impossible: every frame has its own mixture of coefficients and pose."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((count, MOTION_SIZE), np.float32)
    busy = rng.choice([0.1, 0.3, 0.8], (count, 1))
    rows[:, :52] = strength * rng.random((count, 52)) * (rng.random((count, 52)) < busy)
    rows[:, 52:55] = strength * rng.normal(0, 0.15, (count, 3))  # radians
    rows[:, 55:] = strength * rng.normal(0, 1.0, (count, 3))  # centimetres
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookUpLeft", "tongueOut"):
        rows[:, INDEX[name]] = rng.random(count) * (rng.random(count) < 0.5)
    return rows


def worst(found: torch.Tensor, wanted: NDArray[np.uint8]) -> int:
    assert found.dtype == torch.uint8
    difference = np.abs(found.cpu().numpy().astype(int) - wanted.astype(int))
    return int(difference.max())


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize(
    ("name", "backdrop"),
    [("painting", "keep"), ("cartoon", "#336699"), ("smiling", "transparent")],
)
def test_every_pixel_is_the_renderers(name: str, backdrop: str, device: str) -> None:
    alone = renderer(name, backdrop)
    rows = motions(12, seed=len(name))
    wanted = np.stack([alone.render(row) for row in rows])
    found = BatchedRenderer([alone], device=device).render(rows)
    assert found.shape == wanted.shape
    assert worst(found, wanted) <= LEVELS


def test_larger_pictures_too() -> None:
    alone = renderer(size=512)
    rows = motions(4, seed=9)
    wanted = np.stack([alone.render(row) for row in rows])
    assert worst(BatchedRenderer([alone], device="cpu").render(rows), wanted) <= LEVELS


def test_portraits_and_backdrops_mix_in_a_batch() -> None:
    pairs = [("painting", "keep"), ("cartoon", "#336699"), ("smiling", "keep"), ("cartoon", "keep")]
    renderers = [renderer(*pair) for pair in pairs]
    which = [2, 0, 1, 3, 0, 2, 1]
    rows = motions(len(which), seed=4, strength=0.6)
    rows[3] = 0
    wanted = [renderers[w].render(row) for w, row in zip(which, rows, strict=True)]
    found = BatchedRenderer(renderers, device="cpu").render(rows, which)
    assert worst(found, np.stack(wanted)) <= LEVELS


def test_a_frame_does_not_depend_on_its_batch() -> None:
    batched = BatchedRenderer([renderer("smiling"), renderer("cartoon")], device="cpu")
    rows, which = motions(4, seed=2), [0, 1, 1, 0]
    together = batched.render(rows, which)
    for index, frame in enumerate(together):
        alone = batched.render(rows[index : index + 1], which[index : index + 1])
        assert torch.equal(alone[0], frame)


def test_zeros_give_back_the_picture() -> None:
    for name, backdrop in (("painting", "keep"), ("smiling", "transparent")):
        alone = renderer(name, backdrop)
        rows = np.zeros((2, MOTION_SIZE), np.float32)
        rows[1, INDEX["jawOpen"]] = 0.5
        found = BatchedRenderer([alone], device="cpu").render(rows)
        np.testing.assert_array_equal(found[0].numpy(), alone.render(rows[0]))


def test_impossible_motions_give_the_same_pixels_too() -> None:
    rng = np.random.default_rng(11)
    rows = 3 * motions(6, seed=8)
    rows[5] = -rows[0]
    wanted = np.stack([renderer().render(row) for row in rows])
    batched = BatchedRenderer([renderer()], device="cpu")
    assert worst(batched.render(rows), wanted) <= LEVELS
    absurd = np.float32(1e30) * rng.normal(size=(2, MOTION_SIZE)).astype(np.float32)
    assert batched.render(absurd).shape == (2, SIZE, SIZE, 3)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_200_frames_leave_nothing_behind(device: str) -> None:
    batched = BatchedRenderer([renderer()], device=device)
    rows = motions(8, seed=7)

    def held() -> tuple[int, int, int]:
        """Tensors, their bytes on a GPU, and bytes of the model's objects and numpy arrays."""
        gc.collect()
        tensors = sum(type(each) is torch.Tensor for each in gc.get_objects())
        on_gpu = torch.cuda.memory_allocated() if device == "cuda" else 0
        # Only what this package made: other tests' threads may still be winding down.
        ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/streaming_model/*")
        taken = tracemalloc.take_snapshot().filter_traces([ours])
        return tensors, on_gpu, sum(trace.size for trace in taken.traces)

    tracemalloc.start()
    try:
        for _ in range(3):
            batched.render(rows)
        before = held()
        for _ in range(25):
            batched.render(rows)
        after = held()
    finally:
        tracemalloc.stop()
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    # A picture kept by each of the 25 calls would be ten times as much; other tests' threads, which
    # make portraits, may still hold something.
    assert after[2] - before[2] < 25 * SIZE * SIZE * 3 / 10


def test_renderers_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(RendererError, match="512"):
        BatchedRenderer([renderer(), renderer(size=512)], device="cpu")
    with pytest.raises(RendererError, match="channels"):
        BatchedRenderer([renderer(), renderer("smiling", "transparent")], device="cpu")


def test_wrong_motions_are_refused() -> None:
    batched = BatchedRenderer([renderer()], device="cpu")
    with pytest.raises(RendererError, match="58"):
        batched.render(np.zeros((2, 52), np.float32))
    with pytest.raises(RendererError, match="finite"):
        batched.render(np.full((1, MOTION_SIZE), np.inf, np.float32))
    with pytest.raises(RendererError, match="2 frames"):
        batched.render(np.zeros((2, MOTION_SIZE), np.float32), [0, 1])
