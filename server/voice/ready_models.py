"""Models as onnxruntime runs them, kept on disk and mapped into memory.

Opening an ONNX file means reading all of it, cutting and rewriting its graph, and copying its
weights: half a second of every start for the fast voice. What comes of that is kept in
onnxruntime's own format, which is for one kind of processor and one version of onnxruntime; for
another, or where a file is damaged, it is made again. It sounds the same to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime

from server.voice.cache import cache_folder, write_atomically
from server.voice.catalog import machine_signature

Sessions = tuple[onnxruntime.InferenceSession, ...]

_FORMAT: Final = 1  # raised when the files or what is made of a model change
_ERRORS_ONLY: Final = 3  # of log levels: it warns that the files are for this processor only
# The seed of what a graph draws by itself, so that the same text gives the same film again.
_SEED: Final = 0
_MAPPED: Final = {
    "session.load_model_format": "ORT",
    "session.use_memory_mapped_ort_model": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}


def open_models(
    path: Path, parts: Callable[[bytes], Sequence[bytes]], *, about: str, threads: int
) -> Sessions:
    """Opens the models that `parts` makes of an ONNX file, from what was kept of them if it fits.

    Args:
        path: the file.
        parts: from its content to ONNX models.
        about: what `parts` does, in whatever words change when that does.
        threads: of each model.

    Raises:
        OSError: the file cannot be read.
        Exception: whatever `parts` or onnxruntime raise for a model that is none.
    """
    index = _index(path, about)
    models: Sequence[Path | bytes] = _kept(index) or _make(parts(path.read_bytes()), index)
    onnxruntime.set_seed(_SEED)
    return tuple([_session(model, threads) for model in models])


def _index(path: Path, about: str) -> Path:
    """Returns the file that lists what is kept of a model, by all that it depends on."""
    file = path.stat()
    facts = [path.name, file.st_size, file.st_mtime_ns, about, machine_signature(), _FORMAT]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return cache_folder() / "voices" / f"{path.stem}-{key}.json"


def _kept(index: Path) -> list[Path]:
    """Returns the files that an index lists; none if one of them is not as it was written."""
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))
        files = [(index.parent / str(name), str(digest)) for name, digest in listed.items()]
        is_whole = all(_digest(file) == digest for file, digest in files)
    except (OSError, ValueError, AttributeError):
        return []
    return [file for file, _ in files] if is_whole else []


def _make(models: Sequence[bytes], index: Path) -> Sequence[Path | bytes]:
    """Keeps models in onnxruntime's format; returns the files, or `models` if none can be kept."""
    try:
        _forget_others(index)
        files = [index.with_name(f"{index.stem}-{n}.ort") for n in range(len(models))]
        for model, file in zip(models, files, strict=True):
            with tempfile.TemporaryDirectory(dir=index.parent) as folder:
                made = Path(folder) / file.name
                _convert(model, made)
                made.replace(file)
        listed = {file.name: _digest(file) for file in files}
        write_atomically(index, [json.dumps(listed).encode()])
    except OSError:  # a read-only cache only means working it out again next time
        return models
    return files


def _forget_others(index: Path) -> None:
    index.parent.mkdir(parents=True, exist_ok=True)
    for other in index.parent.glob(f"{index.stem.rpartition('-')[0]}-*"):
        if other.is_file():
            other.unlink(missing_ok=True)


def _convert(model: bytes, file: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file)
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.save_model_format", "ORT")
    _open(model, options)


def _session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if isinstance(model, bytes):
        return _open(model, options)
    for name, value in _MAPPED.items():
        options.add_session_config_entry(name, value)
    return _open(str(model), options)


def _open(model: str | bytes, options: Any) -> onnxruntime.InferenceSession:  # noqa: ANN401
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
