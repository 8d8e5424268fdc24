"""What `features.build.build` promises of its table as a whole."""

import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.build import block_of, build
from features.compute.block import Block
from features.engines.engine import running_on
from features.workspace import Workspace
from tests.test_build_faults import DAY, SETTINGS, world
from tests.worlds import load

POINTS = pd.DataFrame({"account_id": ["a", "b", "c"], "as_of": DAY})


@pytest.mark.parametrize("engine", ["kernel", "duckdb"])
@pytest.mark.parametrize(
    "names",
    [
        ["milestones_reached", "plan"],
        ["sessions_28d", "minutes_28d"],
        ["cbi", "days_since_use"],
    ],
)
def test_features_asked_for_by_name_are_those_of_the_whole_table(
    tmp_path: Path, names: list[str], engine: str
) -> None:
    """Facts alone, leaves alone, and what is compared with peers: as if all had been built."""
    workspace, settings = Workspace(tmp_path), running_on(SETTINGS, engine)
    load(world(1.0), workspace)
    every = pq.read_table(build(workspace, settings, POINTS, out=tmp_path / "all.parquet"))
    some = pq.read_table(
        build(workspace, settings, POINTS, out=tmp_path / "some.parquet", names=names)
    )
    assert set(names) <= set(some.column_names) < set(every.column_names)
    assert some.equals(every.select(some.column_names))


def test_without_numba_sql_takes_over_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is the default; a warning names what was not found and what to do."""
    assert block_of(SETTINGS) is not Block
    monkeypatch.delitem(sys.modules, "features.kernel.block")
    monkeypatch.setitem(sys.modules, "features.kernel.leaves", None)
    with pytest.warns(RuntimeWarning, match=r"SQL, .*found no kernel .*expected numba"):
        assert block_of(SETTINGS) is Block
