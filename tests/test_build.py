"""What `features.build.build` promises of its table as a whole."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.build import build
from features.workspace import Workspace
from tests.test_build_faults import DAY, SETTINGS, world
from tests.worlds import load

POINTS = pd.DataFrame({"account_id": ["a", "b", "c"], "as_of": DAY})


@pytest.mark.parametrize(
    "names",
    [
        ["milestones_reached", "plan"],
        ["sessions_28d", "minutes_28d"],
        ["cbi", "days_since_use"],
    ],
)
def test_features_asked_for_by_name_are_those_of_the_whole_table(
    tmp_path: Path, names: list[str]
) -> None:
    """Facts alone, leaves alone, and what is compared with peers: as if all had been built."""
    workspace = Workspace(tmp_path)
    load(world(1.0), workspace)
    every = pq.read_table(build(workspace, SETTINGS, POINTS, out=tmp_path / "all.parquet"))
    some = pq.read_table(
        build(workspace, SETTINGS, POINTS, out=tmp_path / "some.parquet", names=names)
    )
    assert set(names) <= set(some.column_names) < set(every.column_names)
    assert some.equals(every.select(some.column_names))
