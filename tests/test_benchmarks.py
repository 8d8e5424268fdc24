import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    deep,
    explanations,
    quality,
    quality_figures,
    quality_flags,
    quality_oracle,
    report,
    resident,
    serving,
)
from benchmarks.company import company_settings
from benchmarks.features import check_small, extrapolated, main
from benchmarks.measure import Measured, in_child
from benchmarks.picture import growth
from benchmarks.report import Run
from benchmarks.rivals.environment import Rival, UnavailableError
from benchmarks.rivals.exchange import give, taken
from benchmarks.steps import run


def test_the_script_prints_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step has its line; both peers agree with the pipeline; the data are called simulated."""
    folder = tmp_path / "worlds"
    steps = ["--steps", "floor,job,peers", "--check-events", "0"]
    main(["--events", "2e4", "--dates", "3", *steps, "--folder", str(folder)], run)
    said = capsys.readouterr().out
    assert "Simulated data" in said
    assert said.count("agree: ") == 3
    for line in (report.SCAN, "rollups", report.WHOLE, report.BY_SQL, report.PLAIN, report.TUNED):
        assert f" | {line} | " in said
    assert "measured on 3 of 52 dates" in said
    assert not folder.exists()


@pytest.mark.slow
def test_the_nightly_build_and_a_full_one_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the benchmark's world a day more, late events included, gives what building anew gives."""
    check_small(tmp_path, 20_000, 3, run)
    said = capsys.readouterr().out
    assert said.count("agree: ") == 4
    assert "rows kept" in said


def test_steps_that_need_the_job_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The nightly step is measured where the job was done."""
    with pytest.raises(SystemExit):
        main(["--steps", "floor,nightly"], run)
    assert "nightly and peers need job" in capsys.readouterr().err


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


def test_explanations_are_compared_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every path has its line on both models, and the ratio is told beside the AUC."""
    explanations.main(["--rows", "1000", "--trees", "5"])
    said = capsys.readouterr().out
    for model in explanations.SHAPES:
        for path in explanations.PATHS:
            assert f"| {model} | {path} | " in said
    assert "the aim is 5 ×" in said
    assert "paired resamples" in said


def test_featuretools_is_asked_for_counts_up_to_now() -> None:
    """Events, users and different events in windows; of the 52 dates the middle of each part."""
    asked = {one.name: one for one in deep.wished(company_settings())}
    assert len(asked) > 40
    assert asked["logins_28d"] == deep.Wanted("logins_28d", 28, "logins", "")
    assert asked["active_users_28d"] == deep.Wanted("active_users_28d", 28, "events", "user_id")
    assert "logins_prev_28d" not in asked
    assert deep.spread(list(range(52)), 2) == [13, 39]  # type: ignore[arg-type]


@pytest.mark.slow
def test_rows_from_memory_are_compared_and_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A state of all accounts is held; its rows are a build's, and each line has its figure."""
    folder = ["--folder", str(tmp_path / "worlds")]
    resident.main(["--events", "2e3", "--accounts", "20", *folder])
    said = capsys.readouterr().out
    assert "cells compared with those of a build" in said
    assert "| the same, 99th percentile | " in said


def test_growth_is_drawn(tmp_path: Path) -> None:
    """The lines of all sizes become a picture."""
    runs = [Run(n, {report.WHOLE: Measured(s, s, 1.0)}) for n, s in ((10**6, 3.0), (10**7, 9.0))]
    growth(runs, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_is_written_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what stands between the marks of the page changes."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "README", page)
    report.write("new")
    assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"


TINY = ["--accounts", "240", "--days", "330", "--seeds", "7", "--threads", "1", "--resamples", "50",
        "--outcomes", "pql", "--raw-outcomes", "pql", "--matrix-outcomes", "pql"]  # fmt: skip


def test_quality_is_measured_and_judged_in_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every learner is judged on the same rows; whether ours is level with the best is computed."""
    folder = tmp_path / "companies"
    rivals = ["--rivals", "HistGradientBoosting", "--seconds", "1", "--without-featuretools"]
    asks = ["--parts", "oracle,limits,matrix,raw", "--oracle-dates", "2", "--limit-dates", "3",
            "--futures", "8"]  # fmt: skip
    quality.main([*TINY, *rivals, *asks, "--folder", str(folder)])
    said = capsys.readouterr().out
    assert "Simulated data" in said
    losses = [
        float(loss) for loss in re.findall(r"^\| [\w-]+ \| (0\.\d{5}) \|", said, re.MULTILINE)
    ]
    assert len(losses) == 5  # ours tuned, the three baselines and the rival
    assert losses == sorted(losses)
    level = re.search(r"better: \*\*(\w+)\*\* \(best: ([^;]+)", said)
    assert level
    assert level[1] == "yes" or level[2] != "Goldpan"
    assert "| one row per customer: a random day | 0." in said
    assert re.search(r"^\| pql \| 7 \| (-?0\.\d{3} \| ?){5}", said, re.MULTILINE)
    assert re.search(r"^\| pql \| 1 \| .* \| 0\.90 \| (yes|no) \|", said, re.MULTILINE)
    assert not folder.exists()


def test_a_rival_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    """Neither a package that pip refuses nor a learner that fails ends the benchmark."""
    absent = Rival("none", "none", ("no package at all",))
    with pytest.raises(
        UnavailableError, match="it cannot be installed: ERROR: Invalid requirement"
    ):
        absent.run(tmp_path, threads=1, limit=60)
    with pytest.raises(UnavailableError, match=r"it failed: .*No module named"):
        Rival("none", "none").run(tmp_path, threads=1, limit=60)


def test_scores_come_back_as_log_odds(tmp_path: Path) -> None:
    """What a rival writes is what is read, with its note; certainty becomes finite."""
    give(tmp_path / "s.parquet", np.array([0.0, 0.5, 0.9]), {"note": "best of 3", "seconds": 1.5})
    margin, said = taken(tmp_path / "s.parquet")
    assert margin[1:].round(6).tolist() == [0.0, 2.197225]
    assert -17 < margin[0] < -16
    assert said == {"note": "best of 3", "seconds": 1.5}


@pytest.mark.parametrize("module", [quality_figures, quality_flags, quality_oracle])
def test_the_figures_of_quality_are_what_they_say(module: object) -> None:
    """The shares, the standing and the verdicts are those of the examples in their docstrings."""
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, tried > 0) == (0, True)


def test_serving_is_compared_with_the_bare_framework(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both answer as the model does, under every load and without an error; no time is asserted."""
    serving.main(["--quick", "--servers", "ours,bare", "--workers", "1", "--folder", str(tmp_path)])
    said = capsys.readouterr().out
    assert "Simulated data" in said
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == ["| goldpan serve"] * 5 + ["| uvicorn + FastAPI, bare"] * 5
    assert [row[-1] for row in rows] == ["0 |"] * 10
    assert "× the requests/s of uvicorn + FastAPI, bare (aim: ≥ 0.9)" in said
