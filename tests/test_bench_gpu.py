"""The bench's part for cards: measured on torch's processor here, and told where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.overall import gpu


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_report_and_file_say_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "gpu", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert found["machine"]["gpu"] == "not measured on a GPU"
    assert found["figures"] == []
    assert ["everything", "not measured on a GPU"] in found["tables"][0]["rows"]
    assert "not measured on a GPU" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.model
def test_batches_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_COPIED", 1 << 20)
    told: list[str] = []
    figures, table = gpu.measure(
        torch.device("cpu"),
        lambda what, _: told.append(what),
        sizes=(256,),
        batches=(1, 2),
        repeats=2,
    )
    names = [figure.name for figure in figures]
    assert names[1:3] == [f"a picture of 256 x 256, {count} in a batch" for count in (1, 2)]
    assert "sessions that hold at 256 x 256" in names[3]
    assert all(figure.median > 0 for figure in figures[:3])
    assert figures[3].median in (0, 1, 2)
    assert [row[:2] for row in table.rows] == [("256 x 256", "1"), ("256 x 256", "2")]
    assert all(0 < float(row[5].removesuffix(" %")) < 100 for row in table.rows)
    assert "2 pictures of 256 x 256" in told
