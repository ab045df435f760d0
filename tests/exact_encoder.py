"""An encoder's graph, in single precision: what is served on processors rounds its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class ExactEncoder:
    """Does what `StreamingEncoder` does.

    Args:
        folder: of the encoder's weights, beside which its graph is.
    """

    def __init__(self, folder: Path) -> None:
        self._graph = onnxruntime.InferenceSession(str(folder.with_suffix(".onnx")))

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        features, next_state = self._graph.run(None, {"mel": mel, "state": state})
        return features, next_state
