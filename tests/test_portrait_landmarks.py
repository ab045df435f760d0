from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.errors import ModelFileError
from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.portrait import bundle, mouth_cover, segmentation
from streaming_model.portrait.image import load_image
from streaming_model.portrait.landmarks import DetectedFace, FaceLandmarker, shared_landmarker
from streaming_model.portrait.pose import angles_of, head_pose

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Image:
    return load_image(MONA_LISA)


@pytest.fixture(scope="module")
def face(picture: Image) -> DetectedFace:
    return shared_landmarker().detect(picture)[0]


def moved(image: Image, matrix: NDArray[Any], size: tuple[int, int]) -> Image:
    return np.asarray(
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_AREA, borderValue=(90, 90, 90)),
        np.uint8,
    )


def test_shape_and_ranges(face: DetectedFace) -> None:
    assert face.landmarks.shape == (478, 3)
    assert face.landmarks.dtype == np.float32
    assert set(face.blendshapes) == set(ARKIT_NAMES) - {"tongueOut"}
    assert all(0 <= score <= 1 for score in face.blendshapes.values())
    assert face.presence > 0.9
    assert 0.5 < face.score <= 1
    assert 120 < face.width < 220


def test_landmarks_sit_on_the_features(picture: Image, face: DetectedFace) -> None:
    x, y = face.landmarks[:, 0], face.landmarks[:, 1]
    assert x[33] < x[133] < x[168] < x[362] < x[263]  # eyes, from the picture's left
    assert y[10] < y[159] < y[4] < y[13] < y[152]  # forehead, lid, nose, lips, chin
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    pupils = [grey[int(y[index]), int(x[index])] for index in (468, 473)]
    cheeks = [grey[int(y[index]), int(x[index])] for index in (50, 280)]
    assert max(pupils) < min(cheeks) - 30
    assert face.landmarks[4, 2] < face.landmarks[234, 2]  # the nose is nearer than the ear


def test_mirrored_picture_gives_mirrored_landmarks(picture: Image, face: DetectedFace) -> None:
    mirrored = shared_landmarker().detect(np.ascontiguousarray(picture[:, ::-1]))[0]
    for own, other in ((33, 263), (61, 291), (4, 4), (152, 152)):
        expected = (picture.shape[1] - face.landmarks[own, 0], face.landmarks[own, 1])
        distance = np.linalg.norm(mirrored.landmarks[other, :2] - expected)
        assert distance < 0.035 * face.width


def test_steadied_landmarks_agree_better_with_the_mirror(
    picture: Image, face: DetectedFace
) -> None:
    landmarker, width = shared_landmarker(), picture.shape[1]
    turned = np.ascontiguousarray(picture[:, ::-1])
    other = landmarker.detect(turned)[0]

    def disagreement(first: DetectedFace, second: DetectedFace) -> float:
        pairs = ((33, 263), (133, 362), (61, 291), (13, 13), (105, 334), (4, 4), (468, 473))
        return float(
            np.mean(
                [
                    np.linalg.norm(
                        (width - first.landmarks[own, 0], first.landmarks[own, 1])
                        - second.landmarks[mirror, :2]
                    )
                    for one, two in pairs
                    for own, mirror in ((one, two), (two, one))
                ]
            )
        )

    steady, scatter = landmarker.steadied(picture, face)
    steady_other, _ = landmarker.steadied(turned, other)
    assert scatter < 0.02
    assert disagreement(steady, steady_other) < 0.5 * disagreement(face, other)
    moved_by = np.linalg.norm(steady.landmarks[:, :2] - face.landmarks[:, :2], axis=1)
    assert moved_by.mean() < 0.02 * face.width


@pytest.mark.parametrize("angle", [-60, -30, 30, 60])
def test_tilted_faces_are_found(picture: Image, face: DetectedFace, angle: float) -> None:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    tilted = shared_landmarker().detect(moved(picture, matrix, (width, height)))
    assert len(tilted) == 1
    expected = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    distances = np.linalg.norm(tilted[0].landmarks[:, :2] - expected, axis=1)
    assert np.median(distances) < 0.04 * face.width
    roll = np.degrees(head_pose(tilted[0].landmarks).roll - head_pose(face.landmarks).roll)
    assert abs(roll - angle) < 6


@pytest.mark.parametrize(
    ("scale", "x", "y", "size"),
    [
        (0.5, 1500, 1300, (2048, 2048)),  # 85 pixels in the corner of a large picture
        (0.5, 20, 900, (2048, 1200)),
        (1.0, 0, 0, (700, 2048)),
        (3.0, -600, -300, (900, 1000)),  # larger than life
    ],
)
def test_faces_of_any_size_and_place(
    picture: Image,
    face: DetectedFace,
    scale: float,
    x: float,
    y: float,
    size: tuple[int, int],
) -> None:
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    found = shared_landmarker().detect(moved(picture, matrix, size))
    assert len(found) == 1
    expected = face.landmarks[:, :2] * scale + (x, y)
    distances = np.linalg.norm(found[0].landmarks[:, :2] - expected, axis=1)
    assert np.median(distances) < 0.04 * face.width * scale


def test_several_faces_come_largest_first(picture: Image) -> None:
    canvas = np.full((1000, 1900, 3), 120, np.uint8)
    canvas[:660, :660] = picture
    canvas[100:1000, 900:1800] = cv2.resize(picture, (900, 900))
    canvas[690:990, 200:500] = cv2.resize(picture, (300, 300), interpolation=cv2.INTER_AREA)
    faces = shared_landmarker().detect(canvas)
    assert len(faces) == 3
    assert [round(each.width / faces[0].width, 1) for each in faces] == [1.0, 0.7, 0.3]


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (64, 64), (500, 700)])
def test_pictures_without_a_face(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert shared_landmarker().detect(noise) == []


def test_hint_follows_the_face(picture: Image, face: DetectedFace) -> None:
    shifted = np.roll(picture, (4, -6), axis=(0, 1))
    (followed,) = shared_landmarker().detect(shifted, hint=face)
    distances = np.linalg.norm(followed.landmarks[:, :2] - face.landmarks[:, :2] - (-6, 4), axis=1)
    assert np.median(distances) < 0.02 * face.width


def test_lost_face_is_searched_for(picture: Image, face: DetectedFace) -> None:
    canvas = np.full((1400, 1400, 3), 120, np.uint8)
    canvas[740:, 740:] = picture
    (found,) = shared_landmarker().detect(canvas, hint=face)
    assert np.linalg.norm(found.landmarks[4, :2] - face.landmarks[4, :2] - 740) < 10


def test_smile_and_open_mouth_are_measured() -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's astronaut")
    (astronaut,) = shared_landmarker().detect(data.astronaut())
    assert astronaut.blendshapes["mouthSmileLeft"] > 0.6
    assert astronaut.blendshapes["mouthSmileRight"] > 0.6
    assert astronaut.blendshapes["eyeBlinkLeft"] < 0.3
    pose = np.degrees(head_pose(astronaut.landmarks))
    assert abs(pose[1]) < 6
    assert abs(pose[2]) < 8


def test_pose_signs(picture: Image, face: DetectedFace) -> None:
    pose = head_pose(face.landmarks)
    mirrored = shared_landmarker().detect(np.ascontiguousarray(picture[:, ::-1]))[0]
    assert pose.yaw < -0.15  # she is turned to the picture's left
    assert head_pose(mirrored.landmarks).yaw > 0.15


@pytest.mark.parametrize("angles", [(0.3, 0.0, 0.0), (0.0, -0.6, 0.0), (0.1, 0.4, -0.5)])
def test_pose_of_a_turned_canonical_face(angles: tuple[float, float, float]) -> None:
    pitch, yaw, roll = angles
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    rotation = about_y @ about_x @ about_z
    turned = bundle.canonical_geometry() @ rotation.T
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:468] = turned * (7, -7, -7) + (300, 200, 50)
    assert np.allclose(head_pose(landmarks), angles, atol=1e-4)
    assert np.allclose(angles_of(rotation), angles)


def test_canonical_geometry_is_a_face() -> None:
    points = bundle.canonical_geometry()
    assert points.shape == (468, 3)
    assert points[4, 2] > points[234, 2]  # the nose is before the ears
    assert points[10, 1] > points[152, 1]  # the forehead is above the chin
    indices, weights = bundle.rigid_points()
    assert len(indices) == len(weights) == 33
    assert (weights > 0).all()


def test_threads_agree(picture: Image, face: DetectedFace) -> None:
    landmarker = FaceLandmarker()
    results: list[DetectedFace] = []
    threads = [
        threading.Thread(target=lambda: results.extend(landmarker.detect(picture)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result.landmarks, face.landmarks)


def test_missing_and_damaged_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.task"):
        bundle.read_bundle(tmp_path / "gone.task")
    damaged = tmp_path / "damaged.task"
    damaged.write_bytes(b"PK\x03\x04 not the bundle")
    with pytest.raises(ModelFileError, match="SHA-256"):
        bundle.read_bundle(damaged)
    monkeypatch.setattr(segmentation, "SEGMENTATION_NAME", "gone.tflite")
    with pytest.raises(ModelFileError, match=r"gone\.tflite"):
        segmentation.PersonSegmenter()
    mouth_cover._weights.cache_clear()
    monkeypatch.setattr(mouth_cover, "WEIGHTS_NAME", "gone.npy")
    with pytest.raises(ModelFileError, match=r"gone\.npy"):
        mouth_cover._weights()
