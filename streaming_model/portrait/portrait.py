"""A picture made ready to be animated: framed, cut out, fitted; cached on disk.

Knows the order in which a portrait is made and how it is stored. Finding the face, cutting
it out and fitting the rig are done by the modules it calls.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from streaming_model.portrait.eye_contours import mend_eyes
from streaming_model.portrait.fit import Fit, fit_rig
from streaming_model.portrait.framing import frame_face
from streaming_model.portrait.image import load_image
from streaming_model.portrait.matte import complete_background, head_matte
from streaming_model.portrait.observation import FaceObservation, observe_face
from streaming_model.rig import load_rig

FORMAT: Final = "vivant-portrait-6"  # raised when the arrays or what they mean change


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A framed picture of a face with everything that the renderer needs.

    Attributes:
        picture: [s, s, 3] uint8 RGB, head and shoulders.
        matte: [s, s] uint8, 255 where the person is.
        background: [s, s, 3] uint8 RGB, the picture with the person taken out.
        landmarks: [478, 3] float32 pixels of `picture`.
        blendshapes: scores of the portrait's own expression by ARKit name.
        fit: the rig fitted to the picture.
        warnings: sentences for people about what may look less than good.
        content_hash: hexadecimal digest of the source picture.
    """

    picture: NDArray[np.uint8]
    matte: NDArray[np.uint8]
    background: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    blendshapes: dict[str, float]
    fit: Fit
    warnings: tuple[str, ...]
    content_hash: str


def make_portrait(
    source: Path | bytes | NDArray[np.uint8], *, cache_dir: Path | None = None
) -> Portrait:
    """Makes a portrait of a picture, or takes it from `cache_dir` if it was made before.

    Args:
        source: path, encoded file or [h, w, 3] uint8 RGB.
        cache_dir: folder of made portraits; nothing is stored if None.

    Raises:
        PortraitError: the picture cannot become a portrait; the subclass says why.
        ModelFileError: a weight file is missing or damaged.
    """
    digest = _digest(source)
    path = None if cache_dir is None else cache_dir / f"{digest}.{FORMAT}.safetensors"
    if path is not None and (cached := _load(path)) is not None:
        return cached
    portrait = _make(observe_face(load_image(source)), digest)
    if path is not None:
        _save(portrait, path)
    return portrait


def forget_portrait(source: Path | bytes, *, cache_dir: Path) -> None:
    """Deletes from `cache_dir` what was made of a picture, by this version or another."""
    for path in cache_dir.glob(f"{_digest(source)}.*"):
        path.unlink(missing_ok=True)


def forget_other_portraits(sources: Collection[Path], *, cache_dir: Path) -> None:
    """Deletes from `cache_dir` what was made of other pictures than these, and unfinished files."""
    kept = {_digest(source) for source in sources}
    for path in cache_dir.glob("*"):
        if path.suffix == ".part" or path.name.partition(".")[0] not in kept:
            path.unlink(missing_ok=True)


def _digest(source: Path | bytes | NDArray[np.uint8]) -> str:
    digest = hashlib.sha256()
    if isinstance(source, np.ndarray):
        digest.update(repr(source.shape).encode())
        digest.update(np.ascontiguousarray(source).tobytes())
    elif isinstance(source, bytes):
        digest.update(source)
    elif source.is_file():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _make(observation: FaceObservation, digest: str) -> Portrait:
    picture, landmarks, warnings = frame_face(observation.image, observation.landmarks)
    matte = head_matte(picture, landmarks)
    landmarks = mend_eyes(picture, landmarks)
    return Portrait(
        picture=picture,
        matte=np.round(matte * 255).astype(np.uint8),
        background=complete_background(picture, matte),
        landmarks=landmarks,
        blendshapes=observation.blendshapes,
        fit=fit_rig(load_rig(), landmarks, observation.blendshapes),
        warnings=(*observation.warnings, *warnings),
        content_hash=digest,
    )


def _save(portrait: Portrait, path: Path) -> None:
    """Writes the portrait in one step, so that a reader never sees half a file."""
    tensors = {
        name: np.ascontiguousarray(getattr(portrait, name))
        for name in ("picture", "matte", "background", "landmarks")
    }
    numbers: dict[str, object] = {}
    for field in fields(Fit):
        value = getattr(portrait.fit, field.name)
        if isinstance(value, np.ndarray):
            tensors[f"fit.{field.name}"] = np.ascontiguousarray(value)
        else:
            numbers[field.name] = value
    about = {
        "fit": numbers,
        "blendshapes": portrait.blendshapes,
        "warnings": portrait.warnings,
        "content_hash": portrait.content_hash,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    save_file(tensors, temporary, metadata={"format": FORMAT, "about": json.dumps(about)})
    Path(temporary).replace(path)


def _load(path: Path) -> Portrait | None:
    """Reads a stored portrait; None if there is none or the file is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads(file.metadata()["about"])
        arrays = {name.removeprefix("fit."): tensors[name] for name in tensors if "fit." in name}
        return Portrait(
            picture=tensors["picture"],
            matte=tensors["matte"],
            background=tensors["background"],
            landmarks=tensors["landmarks"],
            blendshapes=about["blendshapes"],
            fit=Fit(**arrays, **about["fit"]),
            warnings=tuple(about["warnings"]),
            content_hash=about["content_hash"],
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None  # damaged or of another version: it is made again
