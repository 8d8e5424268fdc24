"""The facts in memory beside those by SQL: equal to the bit."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from features.algebra import Fact
from features.catalog import catalogue
from features.compute.session import Session
from features.engines.engine import engine_of
from features.facts.account import CONTEXT
from features.facts.account import facts as facts_by_sql
from features.facts.account import populations as populations_by_sql
from features.kernel import held, records
from features.points import POINT, known_days, numbered
from features.rollups.weeks import ensure_rollups
from features.settings import Settings
from features.workspace import Workspace
from tests.parity import batch
from tests.reference_known import World
from tests.test_kernel import by_kernel
from tests.worlds import load, sample_settings

PEERS = ["population", "plan_name", "size_band"]
OTHERWISE = sample_settings(
    plans={"ladder": ["team", "free", "business"], "addons": ["extra"]},
    milestones=[], journeys=[], people={"admin_roles": []}, engine={"name": "kernel"},
)  # fmt: skip
"""Nothing is free, no term lapses, nobody is admin, no milestones."""


@contextmanager
def looking(world: World, settings: Settings, root: Path, panel: pd.DataFrame) -> Iterator[Session]:
    """A session on a world that looks at the points of a panel."""
    workspace = Workspace(root)
    with closing(engine_of(workspace, settings)) as engine:
        made = ensure_rollups(engine, workspace, settings)
        session = Session(engine, workspace, settings, made, panel)
        session.look_at(panel)
        yield session


def every_day(root: Path, last: date, days: int) -> pd.DataFrame:
    """All accounts on each day on which they are known, of so many up to the last."""
    known, end = known_days(Workspace(root)), (last - date(1970, 1, 1)).days
    each = known.merge(pd.DataFrame({"as_of_day": range(end - days + 1, end + 1)}), how="cross")
    alive = each[(each["first"] <= each["as_of_day"]) & (each["as_of_day"] < each["end"])]
    return numbered(alive[POINT].assign(observed=True))


def assert_to_the_bit(found: pa.Table, expected: pa.Table, panel: pd.DataFrame) -> None:
    """Whether each column of facts is that of SQL; says the first point on which one is not."""
    for name in found.column_names:
        mine, theirs = (side[name].combine_chunks() for side in (found, expected))
        assert mine.type == theirs.type, name
        if not mine.equals(theirs):
            pairs = enumerate(zip(mine.to_pylist(), theirs.to_pylist(), strict=True))
            row, pair = next((row, pair) for row, pair in pairs if pair[0] != pair[1])
            raise AssertionError(f"{name} of {panel.iloc[row].to_dict()}: {pair}")


@pytest.mark.parametrize(
    ("end", "first", "count", "days", "settings"),
    [
        ("Berlin falls back", 40, 30, 35, None),
        ("leap day", 80, 12, 20, OTHERWISE),
        pytest.param("New York springs forward", 300, 150, 60, None, marks=pytest.mark.slow),
        pytest.param("leap day", 500, 150, 60, OTHERWISE, marks=pytest.mark.slow),
    ],
)
def test_facts_of_random_worlds_are_those_of_sql(
    tmp_path: Path, end: str, first: int, count: int, days: int, settings: Settings | None
) -> None:
    """Every fact of every account on every day: late rows, corrections, merges, lapsed terms."""
    one = batch(end, first, count)
    settings = settings or by_kernel(one.settings)
    load(one.whole, Workspace(tmp_path))
    panel = every_day(tmp_path, one.days[0], days)
    with looking(one.whole, settings, tmp_path, panel) as session:
        by_sql = session.engine.to_arrow(session.profile(facts_by_sql).order_by(POINT))
        peers = session.engine.to_arrow(session.profile(populations_by_sql).order_by(POINT))
        told = records.read_records(session.workspace)
        found = held.facts(session, panel, told).table
        ranked = held.populations(session, panel, told).table
    assert len(found) == len(by_sql) == len(panel) > 20 * count
    assert asked_for(settings) <= set(found.column_names)
    assert set(ranked.column_names) == set(PEERS)
    assert_to_the_bit(found, by_sql, panel)
    assert_to_the_bit(ranked, peers, panel)
    assert {"customer", "former", "prospect"} == set(found["population"].to_pylist())


def asked_for(settings: Settings) -> set[str]:
    """The facts that the catalogue, the context and the peers are made of."""
    walked = [e for f in catalogue(settings).features for e in f.expression.walk()]
    return {e.name for e in walked if isinstance(e, Fact)} | {*CONTEXT, *PEERS}


def test_facts_of_some_points_are_those_among_all(tmp_path: Path) -> None:
    """An account between two others that is not asked for leaves a gap, and no trace."""
    one = batch("leap day", 60, 8)
    load(one.whole, Workspace(tmp_path))
    panel = every_day(tmp_path, one.days[0], 12)
    some = panel[panel["number"] % 3 == 1]
    with looking(one.whole, by_kernel(one.settings), tmp_path, panel) as session:
        told = records.read_records(session.workspace)
        whole = held.facts(session, panel, told).table
        session.look_at(some)
        found = held.facts(session, some, told).table
    assert found.equals(whole.take(pa.array(some.index)))
