"""Whose face it is, as 128 numbers: near for one person's pictures, far for other people's.

dlib's face recognition net (Davis King; a ResNet, He et al. 2015) on onnxruntime, or another that
takes and gives the same. It compares faces and knows no names.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streaming_model.errors import ModelFileError

Floats = NDArray[np.float32]

INPUT_SIDE: Final = 150  # pixels
EMBEDDER: Final = Path(__file__).parents[1] / "weights" / "face_embedder" / "face_embedder.onnx"
# Corners of the eyes, outer before inner, the subject's left eye first, and the nose's base: in
# the order of MediaPipe's face mesh, and where dlib's chips have them over their side.
_POINTS: Final = (263, 362, 33, 133, 2)
_PADDING: Final = 0.25
_PLACES: Final = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)


class FaceEmbedder:
    """A net that tells faces apart.

    Attributes:
        name: a word for the net; embeddings of different ones cannot be compared.

    Raises:
        ModelFileError: its file is missing, damaged, or of another kind.
    """

    def __init__(self, path: Path = EMBEDDER) -> None:
        """Takes a net of ONNX: [n, 3, 150, 150] RGB 0..255 to [n, any number]."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not path.is_file():
            raise ModelFileError(f"The face embedder's file {path} is missing.")
        try:
            self._net = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelFileError(f"The face embedder's file {path} is damaged: {error}") from error
        shapes = [list(given.shape[1:]) for given in self._net.get_inputs()]
        if shapes != [[3, INPUT_SIDE, INPUT_SIDE]]:
            wanted = f"[n, 3, {INPUT_SIDE}, {INPUT_SIDE}]"
            raise ModelFileError(f"The face embedder {path.name} takes other than {wanted}.")
        self._input = self._net.get_inputs()[0].name
        self.name = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def embed(self, image: NDArray[np.uint8], landmarks: Floats) -> Floats:
        """Returns the embedding of a face, the same for its mirror image.

        Args:
            image: [h, w, 3] uint8 RGB.
            landmarks: [478, 3] float32 pixels, as of `FaceObservation`.
        """
        chip = _chip(image, landmarks)
        both = np.stack([chip, chip[:, ::-1]]).transpose(0, 3, 1, 2).astype(np.float32)
        embeddings: Floats = self._net.run(None, {self._input: both})[0]
        mean: Floats = embeddings.mean(axis=0)
        return mean


@cache
def shared_embedder(path: Path = EMBEDDER) -> FaceEmbedder:
    """Returns the process's embedder, loaded at the first call (about 60 ms)."""
    return FaceEmbedder(path)


def _chip(image: NDArray[np.uint8], landmarks: Floats) -> NDArray[np.uint8]:
    """Returns the face upright, [150, 150, 3], where the net expects eyes and nose to be."""
    places = (np.array(_PLACES) + _PADDING) / (1 + 2 * _PADDING) * INPUT_SIDE
    matrix = _similarity(landmarks[_POINTS, :2].astype(np.float64), places)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1:  # a picture that shrinks is smoothed first: the warp looks at four pixels only
        image = _without_fine_detail(image, scale)
    size = INPUT_SIDE, INPUT_SIDE
    chip = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT)
    return chip.astype(np.uint8, copy=False)


def _without_fine_detail(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    sigma = 0.5 * np.sqrt(1 / scale**2 - 1)
    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.uint8, copy=False)


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the turn, scale and shift, [2, 3], that take [n, 2] points nearest to others."""
    x, y = (source - source.mean(axis=0)).T
    u, v = (target - target.mean(axis=0)).T
    along = (x * u + y * v).sum() / (x * x + y * y).sum()
    across = (x * v - y * u).sum() / (x * x + y * y).sum()
    turn = np.array([[along, -across], [across, along]])
    shift = target.mean(axis=0) - turn @ source.mean(axis=0)
    return np.column_stack([turn, shift])
