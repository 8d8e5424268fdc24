import math
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings

from features.build import build
from features.catalog import catalogue
from features.facts import CONTEXT
from features.workspace import Workspace
from tests.reference import Observer, World, midnight
from tests.worlds import DAYS, load, sample_settings, worlds

SETTINGS = sample_settings(subscriptions={"lapse_after_days": 2})
SEARCH = settings(
    max_examples=int(os.environ.get("GOLDPAN_EXAMPLES", "6")),
    deadline=None,
    phases=[Phase.generate],  # a world takes seconds: shrinking one would take hours
    suppress_health_check=list(HealthCheck),
)


def table_of(world: World, days: list[date] = DAYS) -> pd.DataFrame:
    """Build the features of every account of a world on some days."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        load(world, workspace)
        born = {a["account_id"]: a["created_at"] for a in world.accounts}
        wanted = [(a, d) for a in born for d in days if born[a] < midnight(d)]
        points = pd.DataFrame(wanted, columns=["account_id", "as_of"])
        path = build(workspace, SETTINGS, points, out=Path(folder) / "features.parquet")
        return pd.read_parquet(path).set_index(["account_id", "as_of"])


def same(got: Any, expected: Any) -> bool:
    """Whether two cells agree: missing with missing, numbers to float32."""
    if expected is None or got is None or got != got:
        return expected is None and (got is None or got != got)
    if isinstance(expected, float):
        return math.isclose(got, expected, rel_tol=2e-7, abs_tol=1e-6)
    return bool(got == expected)


@given(worlds())
@SEARCH
def test_every_cell_is_what_plain_python_says(world: World) -> None:
    """The pipeline and a slow, obvious reference agree on every cell of random worlds."""
    if not world.events:
        return
    table = table_of(world)
    for day in DAYS:
        born = [a["account_id"] for a in world.accounts if a["created_at"] < midnight(day)]
        observers = {a: Observer(world, SETTINGS, a, day) for a in born}
        for account, observer in observers.items():
            row = table.loc[(account, day)]
            for f in catalogue(SETTINGS).features:
                expected = observer.value(f.expression, list(observers.values()))
                assert same(row[f.name], expected), (account, day, f.name, row[f.name], expected)
            for name in CONTEXT:
                expected = observer.facts()[name]
                assert same(row[name], expected), (account, day, name, row[name], expected)


@given(worlds())
@SEARCH
def test_what_is_learnt_later_changes_no_cell(world: World) -> None:
    """Features at t from everything equal features at t from only what was known at t."""
    day = DAYS[3]
    then = World(**{
        name: [r for r in getattr(world, name) if r["known_at"] <= midnight(day)]
        for name in ("accounts", "users", "subscriptions", "events")
    })  # fmt: skip
    if not then.events or not any(a["created_at"] < midnight(day) for a in then.accounts):
        return
    known = [a["account_id"] for a in then.accounts if a["created_at"] < midnight(day)]
    later = table_of(world, [day]).loc[known]
    cbi = [f.name for f in catalogue(SETTINGS).features if f.group == "CBI"]
    pd.testing.assert_frame_equal(table_of(then, [day]).drop(columns=cbi), later.drop(columns=cbi))
