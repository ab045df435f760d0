"""Work of fixed shapes: a CUDA graph on a GPU, a plain call elsewhere.

A graph reads and writes the same memory each time. What goes in is put into host memory first
and copied in one go; what comes out is copied back, and is all that is. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.errors import VivantError

Array = NDArray[Any]
Work = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]
Pool = Any  # a pair of numbers, in a type that torch keeps to itself

_WARM_UP: Final = 3  # calls before a graph is captured, as PyTorch's manual asks for


class DeviceError(VivantError):
    """The device that was asked for is not there."""

    code = "no_such_device"


def find_device(name: str) -> torch.device:
    """Returns torch's device of that name, such as "cpu", "cuda" or "cuda:1".

    Raises:
        DeviceError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no device {name!r}: it must be cpu or cuda.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count <= (device.index or 0):
            raise DeviceError(
                f"The device {name!r} was asked for, but torch {torch.__version__} finds "
                f"{count or 'no'} CUDA cards here."
            )
    elif device.type != "cpu":
        raise DeviceError(f"There is no device {name!r}: it must be cpu or cuda.")
    return device


def memory_pool(device: torch.device) -> Pool | None:
    """Returns a pool of memory for graphs on `device`, None on a processor."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def bucket(count: int) -> int:
    """Returns the least power of two that is not below `count`: batches come in few sizes."""
    return 1 << max(count - 1, 0).bit_length()


class Fixed:
    """Work on inputs of fixed shapes, captured once; used by one thread at a time.

    Args:
        work: maps the inputs by name, on the device, to its outputs. It must not look at values
            on the host, nor make shapes that depend on them.
        inputs: by name, an array of the shape and kind of each input; its values are the first.
        device: where to work.
        pool: of the memory between inputs and outputs, of `memory_pool`. Work that is never done
            at the same time may share one.
    """

    def __init__(
        self,
        work: Work,
        inputs: Mapping[str, Array],
        device: torch.device,
        *,
        pool: Pool | None = None,
    ) -> None:
        self._work, self._device, self._pool = work, device, pool
        self._is_cuda = device.type == "cuda"
        self._host = {name: self._held(torch.from_numpy(array)) for name, array in inputs.items()}
        self._views = {name: held.numpy() for name, held in self._host.items()}
        # On a processor there is but one memory.
        self._inputs = {
            name: held.to(device) if self._is_cuda else held for name, held in self._host.items()
        }
        self._graph: torch.cuda.CUDAGraph | None = None
        if self._is_cuda:
            self._capture()

    def put(self, name: str, rows: Array) -> None:
        """Fills the first rows of an input; those beyond keep what they held."""
        self._views[name][: len(rows)] = rows

    def __call__(self) -> list[Array]:
        """Works, and returns the outputs in host memory that the next call writes to again."""
        if self._graph is None:
            with torch.inference_mode():
                return [output.numpy() for output in self._work(self._inputs)]
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for name, held in self._host.items():
                self._inputs[name].copy_(held, non_blocking=True)
            self._graph.replay()
            for back, output in zip(self._back, self._outputs, strict=True):
                back.copy_(output, non_blocking=True)
        self._stream.synchronize()
        return [back.numpy() for back in self._back]

    def _held(self, tensor: Tensor) -> Tensor:
        held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self._is_cuda)
        return held.copy_(tensor)

    def _capture(self) -> None:
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact, torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                self._work(self._inputs)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may use the card meanwhile.
            with torch.cuda.graph(
                self._graph,
                pool=self._pool,
                stream=self._stream,
                capture_error_mode="thread_local",
            ):
                self._outputs = list(self._work(self._inputs))
            self._back = [
                self._held(torch.empty_like(each, device="cpu")) for each in self._outputs
            ]
        self._stream.synchronize()


class Buckets:
    """Fixed work for batches of any size: one of each power of two, made when it is needed.

    Args:
        work: as of `Fixed`; each row of its outputs depends on the same row of the inputs alone.
        device: where to work.
    """

    def __init__(self, work: Work, device: torch.device) -> None:
        self._work, self._device, self._pool = work, device, memory_pool(device)
        self._made: dict[tuple[object, ...], Fixed] = {}

    def __call__(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Maps inputs of [batch, ...] each to outputs of [batch, ...], copies."""
        count = len(next(iter(inputs.values())))
        size = bucket(count)
        key = (size, *((name, rows.shape[1:]) for name, rows in inputs.items()))
        if key not in self._made:
            empty = {
                name: np.zeros((size, *rows.shape[1:]), rows.dtype) for name, rows in inputs.items()
            }
            self._made[key] = Fixed(self._work, empty, self._device, pool=self._pool)
        fixed = self._made[key]
        for name, rows in inputs.items():
            fixed.put(name, rows)
        return [output[:count].copy() for output in fixed()]
