"""Reads the small networks that run on NumPy from their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from streaming_model.errors import ModelFileError

NetworkT = TypeVar("NetworkT")


def read_network(path: Path, make: Callable[..., NetworkT]) -> NetworkT | None:
    """Returns what `make` makes of a file's arrays by name, None where there is no such file.

    Numbers are given in single precision, as whole numbers where they are.

    Raises:
        ModelFileError: the file is damaged, or its arrays are not those that `make` takes.
    """
    if not path.exists():
        return None
    try:
        return make(**{name: _single(values) for name, values in load_file(path).items()})
    except (SafetensorError, TypeError) as error:
        raise ModelFileError(f"The motion model's file {path} is damaged: {error}") from error


def _single(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values.astype(np.float32 if np.issubdtype(values.dtype, np.floating) else np.int32)
