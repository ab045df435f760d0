"""The bench of marks: its attacks are attacks, and its figures hold."""

import numpy as np
import pytest

from benchmarks.marks import (
    chance,
    costs,
    cropped,
    jpeg,
    print_false_positives,
    resized,
    strangers_scores,
    survivals,
)
from server.marks.detector import LEAST_SCORE
from tests.test_marks_watermark import luma, portrait


def test_every_attack_leaves_the_watermark_readable() -> None:
    results = survivals([portrait()] * 26)
    assert len(results) == 18
    failed = [name for name, each in results.items() if not each.is_read]
    assert failed == []
    assert all(each.wrong < 0.2 for each in results.values())
    assert all(each.score > LEAST_SCORE for each in results.values())


def test_the_attacks_attack() -> None:
    seen = luma(portrait())
    assert cropped(seen).shape == (460, 460)
    assert resized(seen, 360).shape == (360, 360)
    assert 1 < np.abs(jpeg(seen) - seen).mean() < 20


def test_strangers_fit_as_badly_as_noise_does() -> None:
    pictures = [luma(portrait(256)), luma(portrait(300))]
    count, scores = strangers_scores(pictures, 10, 8)
    assert count == 2
    assert len(scores) == 8 * 22
    assert max(scores) < LEAST_SCORE - 0.5
    assert 3.8 < np.median(scores) < 4.8, "the highest of 65,536 places of noise"
    assert chance(float(np.median(scores))) == pytest.approx(0.7, abs=0.4)


def test_marks_cost_a_fraction_of_a_remap() -> None:
    spent = costs(512, portrait())
    assert spent["watermark"] < 0.3 * spent["remap"]
    assert spent["both"] < 0.5 * spent["remap"]


def test_false_positives_are_printed(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import cv2

    folder = tmp_path_factory.mktemp("footage")
    cv2.imwrite(str(folder / "a.png"), portrait(256)[..., ::-1])
    (folder / "b.txt").write_text("no picture")
    print_false_positives(folder, sizes=4, keys=2)
    told = capsys.readouterr().out
    assert "1 pictures without a watermark" in told
    assert "none over 7.0" in told
