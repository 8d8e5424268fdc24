"""One more day is one more day's work, and comes out as if everything had been made at once."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features import table
from features.read_settings import load_settings
from features.rollups import weeks
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import Refreshed, read_features, refresh
from features.workspace import Workspace
from training.observations import grid

ROOT = Path(__file__).parent.parent
SETTINGS = load_settings(ROOT / "goldpan.toml")
FIRST = datetime(2026, 6, 21, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small simulated company, as files."""
    place = Workspace(tmp_path_factory.mktemp("nightly") / "all")
    simulate(place, accounts=60, days=250, seed=3)
    return place


def deliver(company: Workspace, to: Workspace, since: datetime | None, until: datetime) -> None:
    """Put what became known in a span of time into the raw files, and ingest it."""
    for path in sorted(company.raw.rglob("*.parquet")):
        rows = pq.read_table(path)
        known = pc.less(rows["known_at"], pa.scalar(until))
        if since is not None:
            known = pc.and_(known, pc.greater_equal(rows["known_at"], pa.scalar(since)))
        mine = rows.filter(known)
        target = to.raw / path.relative_to(company.raw)
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(mine, target)
    for source in SETTINGS.sources:  # a night without a new account is no mistake
        files = sorted(to.raw.glob(source.path.removeprefix("{workspace}/raw/")))
        if any(pq.read_metadata(file).num_rows for file in files):
            ingest(to, SETTINGS, base=ROOT, only=[source.name], now=NOW)


def built(place: Workspace) -> Refreshed:
    """Bring the feature table of the training observations up to date."""
    return refresh(place, SETTINGS, grid(place, SETTINGS))


def cells(place: Workspace) -> pd.DataFrame:
    """The table by account and day."""
    return read_features(place).to_pandas().set_index(["account_id", "as_of"]).sort_index()


@pytest.fixture(scope="module")
def grown(company: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that was built, then got one more day, then a week, and was built each time."""
    place = Workspace(tmp_path_factory.mktemp("nightly") / "grown")
    deliver(company, place, None, FIRST)
    built(place)
    return place


@pytest.mark.parametrize("days", [1, 7])
def test_a_build_after_more_days_equals_one_from_scratch(
    company: Workspace, grown: Workspace, tmp_path: Path, days: int
) -> None:
    """Cell by cell, late events included, though only what may have changed is made again."""
    before_weeks, before_months = weeks.read_manifest(grown), table.read_manifest(grown)
    begin = FIRST if days == 1 else FIRST + timedelta(days=1)
    deliver(company, grown, begin, FIRST + timedelta(days=days))
    made = built(grown)
    whole = Workspace(tmp_path / "whole")
    deliver(company, whole, None, FIRST + timedelta(days=days))
    assert built(whole).kept == 0
    pd.testing.assert_frame_equal(cells(grown), cells(whole), check_exact=True)
    after = weeks.read_manifest(grown).weeks
    changed = {w for w, name in after.items() if before_weeks.weeks.get(w) != name}
    assert bool(made.computed) <= len(changed) <= 3 < len(after)
    assert (days == 7) <= made.computed <= 2 * 60 < made.kept
    months = table.read_manifest(grown).months
    same = [m for m, name in months.items() if before_months.months.get(m) == name]
    assert len(same) >= len(months) - 2


def test_what_comes_in_with_an_old_arrival_is_worked_in(
    company: Workspace, grown: Workspace, tmp_path: Path
) -> None:
    """Events that a source held back, with the arrival it claims: all later mornings see them."""
    whole = Workspace(tmp_path / "whole")
    until = FIRST + timedelta(days=8)
    deliver(company, whole, None, until)
    moment = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for place in (grown, whole):
        path = place.raw / "events" / "2026-03.parquet"
        row = pq.read_table(company.raw / "events" / "2026-03.parquet").slice(5, 1).to_pylist()[0]
        row |= {"message_id": "held-back", "event_time": moment, "known_at": moment}
        pq.write_table(pa.Table.from_pylist([row], schema=pq.read_schema(path)), path)
        ingest(place, SETTINGS, base=ROOT, only=["product"], now=NOW)
    made = built(grown)
    built(whole)
    seeing = read_features(grown).filter(pc.field("as_of") > moment.date()).num_rows
    assert made == Refreshed(kept=len(cells(grown)) - seeing, computed=seeing)
    pd.testing.assert_frame_equal(cells(grown), cells(whole), check_exact=True)


def test_a_build_without_anything_new_computes_nothing(grown: Workspace, tmp_path: Path) -> None:
    """And leaves every file as it is, also where the workspace was moved to another folder."""
    before = table.read_manifest(grown).months
    moved = Workspace(tmp_path / "moved")
    shutil.copytree(grown.root, moved.root)
    for place in (grown, moved):
        made = built(place)
        assert made.computed == 0 < made.kept
        assert table.read_manifest(place).months == before
    files = weeks.read_manifest(moved).events
    assert files
    assert all(Path(file).is_relative_to(moved.root.resolve()) for file in files)


def test_another_meaning_asks_for_everything_anew(grown: Workspace) -> None:
    """Another core use case changes what stored numbers mean."""
    events = SETTINGS.events.model_copy(update={"core_use_cases": ("report_created",)})
    other = SETTINGS.model_copy(update={"events": events})
    made = refresh(grown, other, grid(grown, other))
    assert made.kept == 0 < made.computed
