from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import streaming_model
from streaming_model.portrait.image import load_image
from streaming_model.portrait.report import PortraitReport, check_portrait

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"


@pytest.fixture(scope="module")
def report() -> PortraitReport:
    return check_portrait(MONA_LISA)


def test_accepted(report: PortraitReport) -> None:
    assert report.accepted
    assert report.code == "ok"
    assert (report.width, report.height) == (660, 660)
    assert report.faces_found == 1
    assert report.warnings == ()
    assert report.face is not None
    assert report.face.width == pytest.approx(169, abs=12)
    x0, y0, x1, y1 = report.face.box
    assert 0 < x0 < x1 < 660
    assert 0 < y0 < y1 < 660
    assert -28 < report.face.yaw < -12
    assert report.face.mouth_openness < 0.05
    assert min(report.face.right_eye_openness, report.face.left_eye_openness) > 0.2


def test_json(report: PortraitReport) -> None:
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["accepted"] is True
    assert plain["face"]["box"] == list(report.to_json()["face"]["box"])
    assert set(plain) == {
        *("accepted", "code", "message", "width", "height", "faces_found", "face", "warnings")
    }


def test_text(report: PortraitReport) -> None:
    lines = report.to_text().splitlines()
    assert lines[0] == "Ready to speak: The face can be animated."
    assert "660 x 660 pixels" in lines[1]
    assert any("turned left" in line for line in lines)
    assert any(line.split() == ["Mouth", "closed"] for line in lines)
    assert any(line.split() == ["Eyes", "open"] for line in lines)


def test_refused_pictures_say_why(tmp_path: Path) -> None:
    picture = load_image(MONA_LISA)
    small = np.asarray(cv2.resize(picture, (250, 250), interpolation=cv2.INTER_AREA), np.uint8)
    (tmp_path / "text.png").write_text("not a picture")
    cases: dict[str, Path | NDArray[np.uint8]] = {
        "image_unreadable": tmp_path / "text.png",
        "no_face": np.full((300, 300, 3), 99, np.uint8),
        "face_too_small": small,
        "face_turned": np.ascontiguousarray(picture[::-1, ::-1]),
    }
    for code, source in cases.items():
        refused = check_portrait(source)
        assert not refused.accepted
        assert refused.code == code
        assert refused.to_text().startswith(f"Not usable: {refused.message}")
        assert json.dumps(refused.to_json())


def test_too_large_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (9000, 9000)).save(path)
    refused = check_portrait(path)
    assert refused.code == "image_too_large"
    assert "9000 x 9000" in refused.message
    assert refused.face is None


def test_remarks_appear_in_the_text() -> None:
    picture = load_image(MONA_LISA)
    both = np.concatenate([picture, picture[:, ::-1]], axis=1)
    text = check_portrait(both).to_text()
    assert "2 faces were found" in text
    assert "the largest of 2" in text
