"""What the ruler says of a picture, in our own conventions; and the pipe to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

import streaming_model
from benchmarks.renderer.environment import ruler_python
from streaming_model.portrait.pose import angles_of

RULER: Final = Path(__file__).with_name("ruler.py")
LANDMARKER: Final = (
    Path(streaming_model.__file__).parent / "weights" / "face_landmarker" / "face_landmarker.task"
)
MISSING_LIBRARY: Final = "cannot open shared object file"


class RulerError(RuntimeError):
    """The ruler cannot be started or has stopped."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One measured face.

    Attributes:
        scores: MediaPipe's blendshape scores by ARKit name.
        rotation: [3, 3] from the canonical face to the camera, y up, z to the viewer.
        landmarks: [478, 3] pixels.
        sizes: lengths of the mouth over the face's height (lip_gap, mouth_width, mouth_height,
            inner_width), the eyes' aspect ratios (eyeLeft, eyeRight), and face_height in pixels.
        embedding: [128], dlib's, or None if it was not asked for.
    """

    scores: dict[str, float]
    rotation: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    sizes: dict[str, float]
    embedding: NDArray[np.float64] | None

    @property
    def angles(self) -> NDArray[np.float64]:
        """Pitch, yaw and roll in degrees, signs as in `motion_space`."""
        return np.degrees(angles_of(self.rotation))


class Ruler:
    """The worker process that measures pictures; used in a `with` block."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [str(ruler_python()), str(RULER), str(LANDMARKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._answer()  # "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._errors.close()

    def measure(self, image: NDArray[np.uint8], *, embed: bool = False) -> Face | None:
        """Returns the face in `image` [h, w, 3] RGB, or None if the ruler finds none."""
        height, width = image.shape[:2]
        request = json.dumps({"height": height, "width": width, "embed": embed})
        assert self._process.stdin is not None
        # A broken pipe means that the ruler has stopped; its answer then says why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.write(np.ascontiguousarray(image).tobytes())
            self._process.stdin.flush()
        answer = self._answer()
        return None if answer is None else _face(answer)

    def _answer(self) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        raise RulerError(explain(said))


def explain(said: str) -> str:
    """Turns what a failing ruler wrote to its standard error into one sentence."""
    last = said.splitlines()[-1] if said else "it said nothing"
    if MISSING_LIBRARY in last:
        library = last.split(":")[-3 if last.count(":") > 1 else 0].strip()
        return (
            f"MediaPipe needs the system library {library}: "
            "on Debian, apt-get install libgles2 libegl1."
        )
    return f"The ruler stopped: {last}"


def _face(answer: dict[str, Any]) -> Face:
    embedding = answer.pop("embedding")
    return Face(
        scores=answer.pop("scores"),
        rotation=np.array(answer.pop("rotation")),
        landmarks=np.array(answer.pop("landmarks")),
        sizes=answer,
        embedding=None if embedding is None else np.array(embedding),
    )
