"""The bench's report and its check, with made numbers: nothing here depends on speed."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import benchmarks.__main__ as bench
from benchmarks.__main__ import KEPT, PARTS
from benchmarks.overall import stages
from benchmarks.overall.check import CheckError, changes, read_results
from benchmarks.overall.page import page
from benchmarks.overall.programs import write_monologue
from benchmarks.overall.reference import COPY, H264, REMAP, VP8
from benchmarks.overall.results import Figure, Results, Table, machine_name, write_json
from benchmarks.overall.scaling import law, viewer_laws
from benchmarks.overall.timing import Stopwatch, watched
from server.media_files import AudioFile

MACHINE = {"processor": "Some (R) CPU 7 @ 2.5 GHz", "cores": 2.0, "versions": {"numpy": "2"}}


OVER_FLOOR = f"{stages.CODED}, over {REMAP} and {VP8}"


def run(drawing: float, remap: float = 2.0) -> dict[str, float]:
    return {
        "motion": 1.0,
        "drawing": drawing,
        "marks": 0.5,
        "colour conversion": 0.5,
        "encoding VP8, conversion included": 3.0,
        stages.PICTURE: 2.0 + drawing,
        REMAP: remap,
        COPY: 0.1,
        VP8: 6.0,
        H264: 4.0,
    }


def results(*drawings: float, remap: float = 2.0) -> Results:
    runs = [run(drawing, remap) for drawing in drawings]
    return Results(dict(MACHINE), stages.figures("stages 512", runs, has_limits=True))


def test_a_figure_tells_median_spread_and_ratios_of_the_same_run() -> None:
    runs = [run(4.0), run(6.0, remap=4.0), run(5.0)]
    figures = {figure.name: figure for figure in stages.figures("stages", runs)}
    drawing = figures["drawing"]
    assert (drawing.median, drawing.spread) == (5.0, (4.0, 6.0))
    assert drawing.ratios[REMAP] == (2.0, 1.5, 2.5)
    assert (drawing.judged_by, drawing.judged) == (REMAP, 2.0)
    coding = figures["encoding VP8, conversion included"]
    assert (coding.judged_by, coding.judged) == (VP8, 0.5)
    assert figures[REMAP].judged is None


def test_a_picture_is_judged_in_milliseconds_and_in_remaps() -> None:
    kept = {figure.name: figure for figure in results(3.0).figures}
    assert kept[stages.PICTURE].median == 5.0
    assert kept[stages.PICTURE].keeps_limits
    assert kept[f"{stages.PICTURE}, in remaps"].median == 2.5
    assert kept[OVER_FLOOR].median == (1.0 + 3.0 + 0.5 + 3.0) / (2.0 + 6.0)
    assert results(3.0).keeps_limits
    slow = {figure.name: figure for figure in results(9.0).figures}
    assert not slow[stages.PICTURE].keeps_limits
    assert not slow[f"{stages.PICTURE}, in remaps"].keeps_limits
    assert slow[OVER_FLOOR].keeps_limits
    assert not results(9.0).keeps_limits


def test_a_run_is_the_median_of_its_chunks_a_picture_each() -> None:
    chunk = {"motion": 2.0, "drawing": 4.0, "marks": 1.0, "colour conversion": 1.0}
    one = stages.medians([chunk, {**chunk, "drawing": 400.0}, {**chunk, "drawing": 6.0}])
    assert one["drawing"] == 3.0
    assert one[stages.PICTURE] == 5.0


def test_what_got_dearer_by_more_than_15_percent_is_named() -> None:
    then, now = results(4.0).kept(), results(4.7).kept()
    worse = [change for change in changes(then, now) if change.is_worse]
    assert [change.name for change in worse] == ["stages 512: drawing"]
    assert "+18 %" in str(worse[0])
    assert not any(change.is_worse for change in changes(then, results(4.5).kept()))


def test_a_slower_machine_is_no_regression() -> None:
    then = results(4.0).kept()
    twice = [{name: 2 * value for name, value in run(4.0).items()}]
    now = Results(dict(MACHINE), stages.figures("stages 512", twice)).kept()
    assert not any(change.is_worse for change in changes(then, now))


def test_a_figure_that_is_measured_no_more_does_not_pass() -> None:
    now = results(4.0)
    now.figures = [figure for figure in now.figures if figure.name != "marks"]
    (lost,) = [change for change in changes(results(4.0).kept(), now.kept()) if change.is_worse]
    assert str(lost).startswith("stages 512: marks") and "not measured now" in str(lost)


def test_runs_without_a_figure_in_common_cannot_be_compared() -> None:
    other = Results(dict(MACHINE), [Figure("start", "until ready", "s", (1.0,))])
    with pytest.raises(CheckError, match="in common"):
        changes(results(4.0).kept(), other.kept())


@pytest.mark.parametrize("content", ["no json", "[]", '{"format": 0}'])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CheckError, match=r"results\.json"):
        read_results(path)
    with pytest.raises(CheckError, match=r"missing\.json"):
        read_results(tmp_path / "missing.json")


def test_results_go_to_a_small_file_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "here" / f"{machine_name(MACHINE)}.json"
    assert path.name == "some-r-cpu-7-2-5-ghz-2-cores.json"
    measured = results(4.0)
    measured.laws.append(law("ms", "sessions", [(1, 1), (2, 2), (4, 4)]))
    write_json(path, measured.kept())
    back = read_results(path)
    assert back == json.loads(json.dumps(measured.kept()))
    assert not any(change.is_worse for change in changes(back, measured.kept()))


def test_committed_results_can_be_compared_with() -> None:
    for path in KEPT.glob("*.json"):
        content = read_results(path)
        assert path.stem == machine_name(content["machine"])
        assert changes(content, content)
        assert path.stat().st_size < 50_000


def test_a_power_is_found_with_its_error() -> None:
    exact = law("ms", "pixels", [(size, 3 * size**0.5) for size in (1, 2, 4, 8)])
    assert exact.exponent == pytest.approx(0.5) and exact.error == pytest.approx(0, abs=1e-6)
    rng = np.random.default_rng(0)
    causes = [float(cause) for cause in range(1, 200)]
    rough = [(cause, 2 * cause * float(np.exp(rng.normal(0, 0.1)))) for cause in causes]
    found = law("ms", "sessions", rough)
    assert abs(found.exponent - 1) < 3 * found.error < 0.05
    assert found.keeps_limits
    assert not law("ms", "sessions", [(n, n**1.3) for n in (1, 2, 4, 8)]).keeps_limits
    with pytest.raises(ValueError, match="three points"):
        law("ms", "sessions", [(1, 1), (2, 2)])
    with pytest.raises(ValueError, match="above 0"):
        law("ms", "sessions", [(1, 1), (2, 0), (3, 1)])


def test_viewers_cost_sending_and_nothing_else() -> None:
    counts = (1, 2, 4)
    shares = [{"inference": 10.0, "pictures": 5.0, "speech": 90.0, "python": n} for n in counts]
    making, sending = viewer_laws(counts, shares)
    assert making.exponent == pytest.approx(0) and making.keeps_limits
    assert sending.exponent == pytest.approx(1) and sending.keeps_limits
    shares = [{"inference": 10.0 * n, "pictures": 5.0, "python": n} for n in counts]
    assert not viewer_laws(counts, shares)[0].keeps_limits


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_says_what_is_missed_and_missing() -> None:
    measured = results(9.0, 9.5)
    measured.figures.append(Figure("film", "<b>times</b>", "", (4.0,), least=3.0))
    measured.laws.append(law("ms", "sessions", [(1, 1), (2, 2.1), (4, 3.9)]))
    measured.tables.append(Table("sessions", "sessions told", ("what", "measured"), (("a", "b"),)))
    measured.printed["Watermark"] = "read yes & no"
    measured.missing["latency"] = "The server was not ready."
    reader = Reader()
    reader.feed(page(measured))
    assert not reader.open
    # Only drawings refer to anything, and to parts of themselves.
    assert all(link.startswith("#") for link in reader.links)
    assert reader.tags.count("svg") >= 2
    assert "2 of 5 limits are missed" in reader.text
    assert "<b>times</b>" in reader.text and "read yes & no" in reader.text
    assert "Not measured: latency: The server was not ready." in reader.text
    assert "numpy 2" in reader.text


def test_what_is_watched_is_timed_where_it_is_called_and_restored() -> None:
    class Work:
        def do(self, count: int, *, more: int = 0) -> int:
            return sum(range(count)) + more

    stopwatch = Stopwatch()
    before = Work.do
    with watched(stopwatch, {(Work, "do"): "work"}):
        assert Work().do(100_000, more=1) == sum(range(100_000)) + 1
        assert Work().do(10) == 45
    assert before is Work.do
    assert stopwatch.lap().keys() == {"work"}
    assert not stopwatch.lap()
    with pytest.raises(AttributeError), watched(stopwatch, {(Work, "gone"): "work"}):
        pass


@pytest.mark.model
def test_every_stage_of_the_line_is_measured() -> None:
    measured = stages.measure(256, runs=1, chunks=2)
    names = {figure.name for figure in measured}
    assert {
        "ingest", "motion", "motion: audio encoder", "motion: sampler's network",
        "motion: listener for contacts", "rig", "raster",
        "look-up and composite", "eyes", "mouth", "drawing", "watermark", "badge", "marks", "Opus",
        "sending", "colour conversion", stages.PICTURE, REMAP, COPY, VP8, H264,
    } <= names  # fmt: skip
    assert all(figure.median > 0 for figure in measured)
    costs = {figure.name: figure.median for figure in measured}
    assert costs["motion: audio encoder"] < costs["motion"] < costs[stages.PICTURE]
    assert costs["raster"] + costs["look-up and composite"] < costs["drawing"]


@pytest.mark.model
def test_a_monologue_is_as_long_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "monologue.wav"
    write_monologue(path, seconds=3)
    with AudioFile(path) as file:
        assert file.seconds == pytest.approx(3)
        loudest = max(float(np.abs(block).max()) for block in file.blocks())
    assert 0.05 < loudest <= 1


def test_wrong_words_on_the_command_line_are_told() -> None:
    command = [sys.executable, "-m", "benchmarks"]
    wrong = subprocess.run([*command, "--only", "stages,speed"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "'speed' is none of " + ", ".join(PARTS) in wrong.stderr


def test_a_busy_machine_is_neither_kept_nor_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "_others_take", lambda: 1.3)
    monkeypatch.setattr(bench, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(
        bench.Bench, "stages", lambda self, _: self.results.figures.extend(results(4.0).figures)
    )
    assert command(monkeypatch, "--check") == 2
    assert "Other work takes 1.3 cores" in capsys.readouterr().err
    wanted = ["--only", "stages", "--out", str(tmp_path / "out"), "--keep"]
    assert command(monkeypatch, *wanted) == 2
    assert "Nothing is kept" in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()
    assert (tmp_path / "out" / "index.html").exists()


def test_what_was_kept_is_compared_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing = 4.0
    monkeypatch.setattr(bench, "_others_take", lambda: 0.0)
    monkeypatch.setattr(bench, "KEPT", tmp_path)
    monkeypatch.setattr(stages, "measure", lambda *_, **__: results(drawing).figures)
    assert command(monkeypatch, "--check") == 2
    assert "There are no results" in capsys.readouterr().err
    wanted = ["--only", "stages", "--out", str(tmp_path / "out"), "--keep"]
    assert command(monkeypatch, *wanted) == 0
    assert command(monkeypatch, "--check") == 0
    drawing = 5.0
    assert command(monkeypatch, "--check") == 1
    assert "worse than" in (told := capsys.readouterr().err) and "stages 512: drawing" in told


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    return bench.main()
