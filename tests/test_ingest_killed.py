import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from features.lake import read_table
from features.workspace import Workspace
from tests.ingest_world import events, letters, run, write

ROOT = Path(__file__).parent.parent
ROWS = "".join(f"2026-0{m}-03T00:00:00Z,a{i},open\n" for m in (1, 2) for i in range(50))
CHILD = """
import os, signal, sys
from pathlib import Path
import features.lake, features.sources.ingest
from tests.ingest_world import events, run

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

owner, name = {
    "reading": (features.sources.ingest.Staging, "add"),
    "before the letters": (features.sources.ingest.DeadLetterBox, "commit"),
    "before the rows": (features.sources.ingest.Staging, "commit"),
    "files moved": (features.lake.DeltaTable, "create_write_transaction"),
    "before the note": (features.sources.ingest, "_note"),
}[sys.argv[2]]
setattr(owner, name, die)
run(Path(sys.argv[1]), events("clicks.csv"))
"""
POINTS = ["reading", "before the letters", "before the rows", "files moved", "before the note"]


def content(folder: Path) -> list[tuple[object, ...]]:
    """What an ingest leaves, without its clock."""
    table = read_table(Workspace(folder / "ws"), "events").sort_by("row_id")
    return [tuple(row.values()) for row in table.to_pylist()]


def killed(folder: Path, point: str) -> int:
    """Ingest in a process that is killed at a point; how it ended."""
    command = [sys.executable, "-c", CHILD, str(folder), point]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_ingest_is_completed_by_the_next(tmp_path: Path, point: str) -> None:
    """Killed anywhere and run again, the lake holds what one clean run puts there; no rubbish."""
    for folder in (tmp_path / "clean", tmp_path / "killed"):
        folder.mkdir()
        write(folder, "at,who,what\n" + ROWS + "soon,a,open\n")
    run(tmp_path / "clean", events("clicks.csv"))
    assert killed(tmp_path / "killed", point) == -signal.SIGKILL
    (count,) = run(tmp_path / "killed", events("clicks.csv"))
    assert count.sent == count.stored + count.duplicates + count.dead_letters == 101
    assert content(tmp_path / "killed") == content(tmp_path / "clean")
    assert letters(tmp_path / "killed") == letters(tmp_path / "clean")
    workspace = tmp_path / "killed" / "ws"
    assert len(list((workspace / "lake" / "events").rglob("part-*.parquet"))) == 2
    assert [p.name for p in (workspace / "tmp").rglob("*")] == ["ingest"]


TIMES = "at,who,what\n2026-01-31T23:30:00-01:00,a,b\n2026-01-01,a,b\n1767225600,a,c\n"
EXPECTED = [
    (1767222000000000, "2025-12", "a3db346e15e70c0f9a720de686aebe66"),
    (1767225600000000, "2026-01", "be70fe06b7bb451c26e050be20d1fc7c"),
    (1769905800000000, "2026-02", "83334b041701e27452777fd9c9c0795a"),
]
ELSEWHERE = """
import sys
from pathlib import Path
from tests.test_ingest_killed import ingested_times
print(ingested_times(Path(sys.argv[1])))
"""


def ingested_times(folder: Path) -> list[tuple[object, ...]]:
    """Time, month and row id of three events of a source in Berlin."""
    write(folder, TIMES)
    run(folder, events("clicks.csv", zone="Europe/Berlin"))
    table = read_table(Workspace(folder / "ws"), "events")
    return [(r["event_us"], r["event_month"], r["row_id"]) for r in table.to_pylist()]


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Apia"])
def test_the_machines_time_zone_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Times, months and row ids are the same wherever the command runs."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert ingested_times(tmp_path) == EXPECTED
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_process_born_in_another_time_zone_agrees(tmp_path: Path) -> None:
    """A process that never knew another zone gives the same table, too."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TZ": "Asia/Kolkata"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == str(EXPECTED)
