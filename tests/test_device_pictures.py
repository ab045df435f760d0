"""Pictures by fixed work on a torch device are those of the batched renderer, and of I420."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import streaming_model
from benchmarks.renderer.cartoon import draw_cartoon
from streaming_model.backdrop import Backdrop
from streaming_model.device.graphs import find_device
from streaming_model.device.pictures import DevicePictures, likely_motions
from streaming_model.device.planes import to_i420
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer, RendererError
from streaming_model.renderer.batched import BatchedRenderer
from streaming_model.renderer.batched.renderer import Placed
from streaming_model.renderer.batched.tensors import Rooms

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
LEVELS = 2  # by which a pixel may differ from the renderer for processors
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))
DEVICES = pytest.mark.parametrize("device", ["cpu", GPU])
pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def renderer(name: str = "painting") -> Renderer:
    picture = draw_cartoon() if name == "cartoon" else MONA_LISA
    return Renderer(make_portrait(picture), size=SIZE)


@cache
def pictures(device: str) -> DevicePictures:
    made = DevicePictures([renderer(), renderer("cartoon")], find_device(device))
    made.prepare(4)
    return made


def worst(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> int:
    assert found.shape == wanted.shape
    return int(np.abs(found.astype(int) - wanted.astype(int)).max())


@DEVICES
def test_prepared_batches_are_the_renderers_pictures(device: str) -> None:
    rows, which = likely_motions(9)[[1, 4, 7, 3, 8]], [0, 1, 0, 1, 1]
    rows[1, INDEX["eyeBlinkLeft"]] = rows[1, INDEX["eyeBlinkRight"]] = 1
    rows[2] = 0
    wanted = np.stack(
        [
            renderer(("painting", "cartoon")[w]).render(row)
            for w, row in zip(which, rows, strict=True)
        ]
    )
    made = pictures(device)
    before = made.drawn_without
    assert worst(made.draw(rows, which), wanted) <= LEVELS  # more than two: the next size, 8
    for count in (1, 2, 3, 4):
        assert worst(made.draw(rows[:count], which[:count]), wanted[:count]) <= LEVELS
    assert made.drawn_without == before + 1, "only the batch of five was not made ready for"


@DEVICES
def test_a_frame_does_not_depend_on_its_batch(device: str) -> None:
    rows, which = likely_motions(8)[4:8], [1, 0, 0, 1]
    together = pictures(device).draw(rows, which)
    for index, frame in enumerate(together):
        alone = pictures(device).draw(rows[index : index + 1], which[index : index + 1])
        assert worst(alone[0], frame) <= (0 if device == "cpu" else LEVELS)


@DEVICES
def test_what_a_graph_has_no_room_for_is_drawn_all_the_same(device: str) -> None:
    rows = 3 * likely_motions(3)
    rows[:, 57] = 30  # half way to the camera: the face fills the frame and more
    wanted = np.stack([renderer().render(row) for row in rows])
    before = pictures(device).drawn_without
    assert worst(pictures(device).draw(rows), wanted) <= LEVELS
    assert pictures(device).drawn_without > before


@DEVICES
def test_i420_is_that_of_opencv(device: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    found = to_i420(torch.from_numpy(noise).to(device)).cpu().numpy()
    wanted = np.stack([cv2.cvtColor(each, cv2.COLOR_RGB2YUV_I420) for each in noise])
    assert worst(found, wanted) <= 1


def test_pictures_come_as_i420() -> None:
    made = DevicePictures([renderer()], torch.device("cpu"), is_i420=True)
    rows = likely_motions(2)
    wanted = [cv2.cvtColor(renderer().render(row), cv2.COLOR_RGB2YUV_I420) for row in rows]
    assert worst(made.draw(rows), np.stack(wanted)) <= LEVELS + 1


def test_i420_cannot_be_transparent() -> None:
    bare = renderer().with_backdrop(Backdrop.parse("transparent"))
    with pytest.raises(ValueError, match="matte"):
        DevicePictures([bare], torch.device("cpu"), is_i420=True)


class OnTheDeviceAlone(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails when work takes anything but numbers from the host's memory."""

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        held = tree_leaves((args, kwargs))
        tensors = [each for each in held if isinstance(each, torch.Tensor)]
        assert all(each.device.type == "meta" or not each.ndim for each in tensors), func
        return func(*args, **(kwargs or {}))


def test_the_host_looks_at_nothing_and_sends_nothing_meanwhile() -> None:
    # A CUDA graph can hold neither. A tensor without values gives none away.
    device = torch.device("meta")
    batched = BatchedRenderer([renderer(), renderer("cartoon")], device=device)
    told, shape = batched.place(likely_motions(4), [0, 1, 1, 0])
    assert shape.mouth.has_insides
    assert shape.mouth.has_tongues
    held = {name: torch.from_numpy(rows).to(device) for name, rows in told.items()}
    rooms = Rooms({"rows": 900, "pixels": 5000, "layers": 3, "columns": 700, "hits": 900})
    with torch.inference_mode(), OnTheDeviceAlone():  # type: ignore[no-untyped-call]
        frames = to_i420(batched.draw(held, shape, rooms))
        is_short = rooms.shortage(device)
    assert frames.shape == (4, 3 * SIZE // 2, SIZE)
    assert is_short.shape == (1,)


class Recorded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Does the same operations again on the same memory, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for func, args, kwargs, result in self._done:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def rooms_for(batched: BatchedRenderer, placed: Placed) -> dict[str, int]:
    measured = Rooms()
    batched.draw(on_cpu(placed), placed.shape, measured)
    return {name: 2 * needed + 2 for name, needed in measured.needed.items()}


def on_cpu(placed: Placed) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(rows) for name, rows in placed.told.items()}


def test_the_same_operations_on_other_values_draw_other_frames() -> None:
    batched = BatchedRenderer([renderer(), renderer("cartoon")], device="cpu")
    rows = likely_motions(8)
    batches = [(rows[[3, 7]], [0, 1]), (rows[[7, 2]], [1, 0])]
    least = [batched.place(*batch).shape for batch in batches]
    shape = least[0].joined(least[1])
    assert shape.mouth.has_tongues
    first, other = (batched.place(*batch, fit=lambda _: shape) for batch in batches)
    rooms = Rooms(rooms_for(batched, first))
    with torch.inference_mode():
        wanted = [batched.draw(on_cpu(each), each.shape, Rooms()) for each in (first, other)]
        told = {name: held.clone() for name, held in on_cpu(first).items()}
        recorded = Recorded()
        with recorded:
            frames = batched.draw(told, first.shape, rooms)
            is_short = rooms.shortage(torch.device("cpu"))
        for frame_wanted, placed in ((wanted[0], first), (wanted[1], other), (wanted[0], first)):
            for name, held in told.items():
                held.copy_(torch.from_numpy(placed.told[name]))
            recorded.replay()
            assert not is_short.any()
            assert torch.equal(frames, frame_wanted)
    assert not torch.equal(*wanted)


@pytest.mark.parametrize("name", ["rows", "pixels", "layers", "columns", "hits"])
def test_too_little_room_is_told_and_breaks_nothing(name: str) -> None:
    batched = BatchedRenderer([renderer()], device="cpu")
    placed = batched.place(likely_motions(8)[[3, 7]])
    with torch.inference_mode():
        sizes = rooms_for(batched, placed)
        rooms = Rooms({**sizes, name: 0 if name == "layers" else 5})
        frames = batched.draw(on_cpu(placed), placed.shape, rooms)
        assert frames.shape == (2, SIZE, SIZE, 3)
        assert rooms.shortage(torch.device("cpu")).tolist() == [1]


def test_wrong_motions_are_refused() -> None:
    with pytest.raises(RendererError, match="finite"):
        pictures("cpu").draw(np.full((1, MOTION_SIZE), np.nan, np.float32))
