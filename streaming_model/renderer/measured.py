"""What is measured of a portrait before it can move, kept beside its fit.

How strongly it must be moved to be seen to move takes two nets a second to find out, and is
twelve numbers. They are kept under a name made of all that they depend on: the fitted portrait,
the size, the rig and the code itself. Whatever of these is another makes another name.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import Fit
from streaming_model.renderer.curves import CALIBRATED, Curves
from streaming_model.renderer.response import LEAST, MOST, UNSEEN, HeadResponse
from streaming_model.rig import RIG_FILE, SKULL_FILE

_PACKAGE: Final = Path(__file__).parents[1]
_CODE: Final = ("renderer/*.py", "portrait/*.py", "rig/*.py", "motion_space.py")


@dataclass(frozen=True)
class Measured:
    """How strongly one portrait at one size must be moved.

    Attributes:
        curves: of the coefficients.
        response: of the head.
    """

    curves: Curves
    response: HeadResponse


def measured_path(portrait: Portrait, *, size: int, cache_dir: Path) -> Path:
    """Returns where `cache_dir` keeps what was measured of `portrait` at `size` pixels.

    The name begins as that of the portrait's own file, so that both are deleted together.
    """
    digest = hashlib.sha256(_code_digest())
    pictures = portrait.picture, portrait.matte, portrait.background, portrait.landmarks
    numbers = [getattr(portrait.fit, field.name) for field in fields(Fit)]
    for value in (*pictures, *numbers):
        digest.update(np.ascontiguousarray(value).tobytes())
    digest.update(repr(sorted(portrait.blendshapes.items())).encode())
    name = f"{portrait.content_hash}.measured-{size}-{digest.hexdigest()[:16]}.json"
    return cache_dir / name


def load_measured(path: Path) -> Measured | None:
    """Reads what `save_measured` wrote; None if there is nothing or the file is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        gains, bends = _numbers(kept["gains"]), _numbers(kept["bends"])
        response = {name: _gains(kept["response"][name]) for name in UNSEEN}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Measured(Curves(gains, bends), HeadResponse(response))


def save_measured(measured: Measured, path: Path) -> None:
    """Writes it in one step, and deletes what other code measured of the portrait at the size."""
    kept = {
        "gains": measured.curves.gains.tolist(),
        "bends": measured.curves.bends.tolist(),
        "response": {name: list(gains) for name, gains in measured.response.gains.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    Path(temporary).replace(path)
    for other in path.parent.glob(f"{path.name.rpartition('-')[0]}-*.json"):
        if other != path:
            other.unlink(missing_ok=True)


def _numbers(values: object) -> NDArray[np.float32]:
    numbers = np.array(values, np.float32)
    if numbers.shape != (len(ARKIT_NAMES),) or not np.isfinite(numbers).all():
        raise ValueError(f"{len(ARKIT_NAMES)} finite numbers are kept, not {values!r}")
    widest = max(leeway.bends[1] for leeway in CALIBRATED.values())
    if np.abs(numbers).max() > widest:
        raise ValueError(f"a curve lies within {widest}, not at {np.abs(numbers).max()}")
    return numbers


def _gains(values: object) -> tuple[float, float]:
    minus, plus = np.array(values, np.float64).tolist()
    if not (LEAST <= minus <= MOST and LEAST <= plus <= MOST):
        raise ValueError(f"the head's gains lie within {LEAST} and {MOST}, not at {values!r}")
    return minus, plus


@cache
def _code_digest() -> bytes:
    """Returns a digest of what does the measuring."""
    digest = hashlib.sha256()
    code = sorted(path for pattern in _CODE for path in _PACKAGE.glob(pattern))
    for path in [*code, RIG_FILE, SKULL_FILE]:
        digest.update(path.read_bytes())
    return digest.digest()
