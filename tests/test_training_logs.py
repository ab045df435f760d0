"""Training curves: what is logged can be read from the event files."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from training.logs import TrainingLog


def events(folder: Path) -> Iterator[Event]:
    """Yields the TFRecords of a folder: a length, its checksum, the event, its checksum."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        position = 0
        while position < len(content):
            (length,) = struct.unpack_from("<Q", content, position)
            yield Event.FromString(content[position + 12 : position + 12 + length])
            position += 12 + length + 4


def points(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
    ]


def test_scalars_come_back_with_their_names_and_steps(tmp_path: Path) -> None:
    with TrainingLog(tmp_path / "run") as log:
        log.scalar("flow/loss", 0.5, 0)
        log.scalar("flow/loss", 0.25, 100)
        log.scalar("learning_rate", 1e-3, 100)
    assert points(tmp_path / "run") == [
        ("flow/loss", 0, 0.5),
        ("flow/loss", 100, 0.25),
        ("learning_rate", 100, pytest.approx(1e-3)),
    ]


def test_a_run_taken_up_again_hides_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        for step in (0, 10, 20):
            log.scalar("loss", 1.0, step)
    with TrainingLog(tmp_path, first_step=10) as log:
        log.scalar("loss", 0.5, 10)
    starts = [event.step for event in events(tmp_path) if event.session_log.status]
    assert starts == [10]
    assert points(tmp_path)[-1] == ("loss", 10, 0.5)


def test_a_loss_that_is_no_number_is_seen(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        log.scalar("loss", math.nan, 3)
    ((_, step, value),) = points(tmp_path)
    assert step == 3 and math.isnan(value)


def test_what_was_logged_before_a_crash_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), TrainingLog(tmp_path) as log:
        log.scalar("loss", 1.0, 1)
        log.scalar("loss", 1 / 0, 2)
    assert points(tmp_path) == [("loss", 1, 1.0)]
