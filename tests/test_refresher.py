"""The process that makes scores fresh outlives what passes."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError
from serving_process import until
from test_serving_world import ROOT

from features.turns import alone
from features.workspace import Workspace
from serving.intake import beside, refresher
from serving.intake.beside import AGAIN_SECONDS, Beside
from serving.intake.listening import Question


class Ear:
    """Somebody asks for an account's row, once."""

    def __init__(self) -> None:
        self.ready, self.asked = True, [Question(("a",))]

    def questions(self, seconds: float) -> list[Question]:
        """Who waits."""
        return self.asked


class Failing:
    """A refresher whose disk does not answer."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def rows_now(self, accounts: set[str]) -> Any:
        """What the libraries raise then."""
        raise self.error


@pytest.mark.parametrize(
    "error",
    [duckdb.IOException("IO Error: No space left on device"), duckdb.OutOfMemoryException("memory"),
     CommitFailedError("no commit"), pa.ArrowInvalid("not Parquet"), OSError(28, "full")],
)  # fmt: skip
def test_what_a_disk_or_a_library_says_is_told_and_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked hears why, the log has it, and the process goes on."""
    ear = Ear()
    refresher.turn(Failing(error), ear)  # type: ignore[arg-type]
    assert ear.asked[0].answer.result(0).endswith(str(error).encode())
    assert "fresh scores wait" in caplog.text


def test_a_fault_of_ours_is_not_hidden() -> None:
    """It ends the process, whose last words are the traceback; another is started."""
    with pytest.raises(KeyError):
        refresher.turn(Failing(KeyError("x")), Ear())  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "again"), [(1, True), (0, True), (3, True), (2, False)])
def test_one_that_ended_is_started_again_unless_the_settings_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, again: bool
) -> None:
    """After a first pause, then after ones that double, up to the longest; work ends the series."""
    now = [1000.0]
    monkeypatch.setattr(beside, "time", SimpleNamespace(monotonic=lambda: now[0]))
    started = Beside(Workspace(tmp_path), tmp_path / "x.toml", dict(os.environ), tmp_path)
    started.command = [sys.executable, "-c", f"raise SystemExit({code})"]

    def starts_after(seconds: float) -> bool:
        former = started._process
        assert former is not None
        former.wait()
        now[0] += seconds
        started.look()
        return started._process is not former

    started.look()
    assert not starts_after(AGAIN_SECONDS - 0.1)
    assert starts_after(0.1) is again
    if again:
        for pause in (10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0):
            assert (starts_after(pause - 0.1), starts_after(0.2)) == (False, True)
        assert starts_after(1000.0)  # that one was at work for long
        assert starts_after(AGAIN_SECONDS)
    assert started._process is not None
    started._process.wait()


def test_it_waits_until_nobody_else_takes_events_in(tmp_path: Path) -> None:
    """`goldpan ingest` at the start, or the refresher of a service that was killed: said once."""
    workspace = Workspace(tmp_path)
    command = [sys.executable, "-m", "serving.intake.refresher", "--workspace", str(tmp_path)]
    command += ["--settings", str(ROOT / "goldpan.toml")]
    held = ExitStack()
    held.enter_context(alone(workspace, "intake"))
    with held, subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "another intake at work" in process.stderr.readline()
        time.sleep(2.2)
        assert process.poll() is None
        held.close()
        until((workspace.tmp / "refresher" / "socket").exists)
        process.terminate()
        assert process.wait(30) == 0
        assert "another intake" not in process.stderr.read()
