"""Opens the graphs that onnxruntime runs, one thread each."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from streaming_model.errors import ModelFileError


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    """Returns a session for a graph.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    if not path.exists():
        raise ModelFileError(f"The motion model's file {path} is missing.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelFileError(f"The motion model's file {path} is damaged: {error}") from error
