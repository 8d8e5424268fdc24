import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.features import check_small, extrapolated, main
from benchmarks.measure import Measured, in_child
from benchmarks.report import Run
from benchmarks.steps import run


def test_both_peers_and_the_nightly_build_agree_on_every_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is timed, pandas and a nightly build give what the whole job gives."""
    check_small(tmp_path, 8_000, 2, run)
    said = capsys.readouterr().out
    assert said.count("agree: ") == 3
    assert "checked on " in said


def test_the_script_prints_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step has its line, with the peers marked as extrapolated and the data as simulated."""
    folder = tmp_path / "worlds"
    sizes = ["--events", "2e4", "--accounts", "40", "--dates", "2", "--check-events", "0"]
    main([*sizes, "--folder", str(folder)], run)
    said = capsys.readouterr().out
    assert "Simulated data" in said
    for step in (report.SCAN, "rollups", "whole job", "memory = 1GB", "nightly: build again",
                 report.PLAIN, report.TUNED):  # fmt: skip
        assert f"| {step}" in said or f", {step} |" in said
    assert "measured on 2 of 52 dates" in said
    assert not folder.exists()


def test_a_step_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """A child makes a world, says how many events it holds, and what it took."""
    size = {"events": 500, "accounts": 20}
    made = in_child("generate", root=str(tmp_path / "w"), size=size)
    note = json.loads((tmp_path / "w" / "world.json").read_text())
    assert made.said["stored"] == note["stored"] > 300
    assert made.cpu > 0
    assert made.peak > 50
    with pytest.raises(SystemExit, match="holds another world"):
        in_child("generate", root=str(tmp_path / "w"), size=size | {"seed": 8})


def test_a_peer_is_extrapolated_from_its_dates() -> None:
    """What is done once counts once, what each date takes counts for every date."""
    said = {"once": [2.0, 1.0], "a_date": [0.5, 0.25], "dates": 2, "of": 52, "rows": 100}
    told = extrapolated(Measured(3.0, 1.5, 90.0, said))
    assert (told.cpu, told.wall, told.said["rows"]) == (28.0, 14.0, 2600)


def test_growth_is_the_slope_between_the_sizes() -> None:
    """Twice the seconds for ten times the events is an exponent of 0.30."""
    runs = [
        Run(events, {"scan": Measured(cpu, cpu, 1.0)})
        for events, cpu in ((1_000_000, 3.0), (10_000_000, 6.0))
    ]
    assert "| scan | 0.30 |" in report.growth(runs)


def test_the_table_is_written_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what stands between the marks of the page changes."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "README", page)
    report.write("new")
    assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
