"""The rollups' files, where several make and read them at once."""

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from features import turns
from features.engines.engine import engine_of
from features.erasing.erasure import nobody_else
from features.errors import GoldpanError
from features.kernel.maker import KernelMaker
from features.lifecycle.adoption import adopted, event_days
from features.members import members
from features.progress import silent
from features.rollups.maker import KEYS
from features.rollups.weeks import Manifest, ensure_rollups, held_rollups, read_manifest
from features.turns import alone
from features.workspace import Workspace
from tests.reference_known import World
from tests.worlds import at, load, sample_settings

SETTINGS = sample_settings()
DAY = date(2024, 5, 6)


def did(days: int) -> World:
    """One event, so many days after the first."""
    told, name = at(DAY + timedelta(days=days)), f"e{days}"
    row = {"row_id": name, "message_id": name, "account_id": "a", "user_id": "u", "event": "report"}
    return World(events=[row | {"event_time": told, "known_at": told}])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two weeks with events, rolled up."""
    place = Workspace(tmp_path)
    load(did(0), place)
    load(did(7), place, more=True)
    ensured(place)
    return place


def ensured(workspace: Workspace) -> Manifest:
    """Make them current, as another process would."""
    with closing(engine_of(workspace, SETTINGS)) as engine:
        return ensure_rollups(engine, workspace, SETTINGS)


def files(workspace: Workspace) -> set[str]:
    """The files that there are, of each rollup the same."""
    [names] = {
        frozenset(path.stem for path in (workspace.rollups / name).glob("*.parquet"))
        for name in KEYS
    }
    return set(names)


def named(workspace: Workspace) -> set[str]:
    """The files that the manifest names."""
    return set(read_manifest(workspace).weeks.values())


def test_two_that_make_the_same_weeks_leave_one_whole_set(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One begins and ends while the other is making: no file goes, and nothing is left over."""
    load(did(1), workspace, more=True)
    make, began = KernelMaker.make, []

    def slow(self: KernelMaker, weeks: list[int], files: list[str]) -> dict[str, str]:
        made = make(self, weeks, files)
        if not began:
            began.append(weeks)
            ensured(workspace)
        return made

    monkeypatch.setattr(KernelMaker, "make", slow)
    assert set(ensured(workspace).weeks.values()) == named(workspace) == files(workspace)
    assert len(named(workspace)) == 2
    assert members(workspace, DAY + timedelta(days=8))["uses"].tolist() == [3.0]


@pytest.mark.parametrize("rollup", KEYS)
def test_a_week_whose_file_is_missing_is_made_again(workspace: Workspace, rollup: str) -> None:
    """A folder that lost one of its files heals by itself; the other week stays as it is."""
    lost, *_ = sorted(named(workspace))
    (workspace.rollups / rollup / f"{lost}.parquet").unlink()
    before = named(workspace)
    ensured(workspace)
    assert len(named(workspace) & before) == 1
    assert lost not in named(workspace)
    assert files(workspace) == named(workspace)


def test_who_reads_keeps_the_files_until_the_end(workspace: Workspace) -> None:
    """A week made anew meanwhile is another file; the former goes when nobody reads it."""
    before = named(workspace)
    with event_days(workspace, SETTINGS, silent) as (engine, by_event):
        load(did(1), workspace, more=True)
        ensured(workspace)
        assert engine.to_arrow(by_event.select("day")).num_rows == 2
        assert files(workspace) == before | named(workspace)
        assert len(files(workspace)) == 3
    assert files(workspace) == named(workspace)


def test_a_build_at_work_keeps_nobody_from_reading(workspace: Workspace) -> None:
    """However long it takes: insights, the lifecycle and the night read beside it."""
    with alone(workspace, "build"), held_rollups(workspace):
        load(did(1), workspace, more=True)
        assert adopted(workspace, SETTINGS, SETTINGS.milestones)["account_id"].unique() == ["a"]


def test_an_erasure_waits_for_readers_and_keeps_them_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they would write of rows that are gone must not come after it; the wait has an end."""
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    with held_rollups(workspace), pytest.raises(GoldpanError, match="another roll-up at work in"):
        nobody_else(workspace).__enter__()
    with nobody_else(workspace), pytest.raises(GoldpanError, match="another roll-up at work in"):
        ensured(workspace)
    assert ensured(workspace).weeks
