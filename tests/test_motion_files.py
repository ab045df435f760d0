from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from streaming_model.errors import MotionFileError
from streaming_model.motion_files import as_chunks, read_motion, write_live_link_csv, write_npz
from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE


def some_motion(frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.random.default_rng(1).uniform(0, 1, (frames, MOTION_SIZE)).astype(np.float32)
    return np.asarray(rows)


def test_csv_round_trip_keeps_coefficients_and_rotation(tmp_path: Path) -> None:
    motion = some_motion(60)
    path = tmp_path / "take.csv"
    with path.open("w", newline="") as file:
        assert write_live_link_csv(file, motion) == 60
    back = read_motion(path)
    assert back.shape == motion.shape
    rotations = POSE.start + 3
    np.testing.assert_allclose(back[:, :rotations], motion[:, :rotations], atol=2e-6)


def test_csv_has_the_columns_that_live_link_face_writes() -> None:
    file = io.StringIO()
    write_live_link_csv(file, some_motion(26))
    lines = file.getvalue().splitlines()
    titles = lines[0].split(",")
    assert titles[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert len(titles) == 2 + 61
    assert titles[-9:-6] == ["HeadYaw", "HeadPitch", "HeadRoll"]
    assert lines[26].startswith("00:00:01:00.000,61,")


def test_npz_round_trip_loses_nothing(tmp_path: Path) -> None:
    motion = some_motion(7)
    write_npz(tmp_path / "take.npz", motion)
    np.testing.assert_array_equal(read_motion(tmp_path / "take.npz"), motion)


def test_sixty_frames_a_second_become_twenty_five(tmp_path: Path) -> None:
    path = tmp_path / "phone.csv"
    rows = [f"10:00:{i // 60:02d}:{i % 60:02d}.000,61,{i / 120}" for i in range(121)]
    path.write_text("\n".join(["Timecode,BlendShapeCount,JawOpen", *rows]))
    motion = read_motion(path)
    assert len(motion) == 51
    np.testing.assert_allclose(motion[:, INDEX["jawOpen"]], np.arange(51) / 50, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"", "ends in .csv or .npz"),
        ("a.csv", b"", "not a Live Link Face CSV"),
        ("a.csv", b"x,y\n1,2\n", "not a Live Link Face CSV"),
        ("a.csv", b"Timecode,BlendShapeCount,JawOpen\n", "holds no frame"),
        ("a.csv", b"Timecode,BlendShapeCount,JawOpen\nnow,61,0\n", "'now'"),
        ("a.csv", b"Timecode,BlendShapeCount,JawOpen\n0:0:0:0,61,wide\n", "Line 2"),
        ("a.csv", b"Timecode,BlendShapeCount,JawOpen\n0:0:0:0,61,nan\n", "not a number"),
        ("a.npz", b"PK nonsense", "needs arrays"),
        ("a.csv", None, "No such file"),
    ],
)
def test_bad_files_get_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MotionFileError, match=sentence):
        read_motion(path)


def test_chunks_carry_media_time() -> None:
    chunks = list(as_chunks(some_motion(60)))
    assert [chunk.start for chunk in chunks] == [0, 25 * 640, 50 * 640]
    assert [len(chunk.utterance) for chunk in chunks] == [25, 25, 10]
