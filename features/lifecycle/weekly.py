"""What happened in each account week by week, as known at a day's midnight."""

from collections.abc import Mapping
from datetime import date

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.instants import day_number
from features.rollups.weeks import held_rollups
from features.settings import Settings
from features.workspace import Workspace

WEEKS = 26
COUNTED = """
select account_id, ($day - 1 - day) // 7 as week,
       coalesce(sum(n) filter (list_contains($core, event)), 0) as core,
       coalesce(sum(n) filter (list_contains($tickets, event)), 0) as tickets
from read_parquet($files)
where day >= $first and day < $day and visible_from <= $day
  and (list_contains($core, event) or list_contains($tickets, event))
group by all
"""
Weeks = Mapping[str, NDArray[np.float64]]


def weekly(workspace: Workspace, settings: Settings, day: date) -> tuple[Weeks, Weeks]:
    """Account → its core use cases in each of the last 26 weeks, oldest first; and its tickets."""
    midnight = day_number(day)
    first = midnight - 7 * WEEKS
    asked = {
        "first": first, "day": midnight,
        "core": list(settings.events.core_use_cases), "tickets": list(settings.events.tickets),
    }  # fmt: skip
    with held_rollups(workspace) as made, duckdb.connect(config={"threads": 2}) as con:
        files = made.files(workspace.rollups, "account_event_day", first, midnight)
        if not files:
            return {}, {}
        rows = con.execute(COUNTED, asked | {"files": files}).df()
    return _wide(rows, "core"), _wide(rows, "tickets")


def _wide(rows: pd.DataFrame, name: str) -> Weeks:
    wide = rows.pivot(index="account_id", columns="week", values=name)
    wide = wide.reindex(columns=range(WEEKS - 1, -1, -1)).fillna(0.0)
    return dict(zip(wide.index, wide.to_numpy(), strict=True))
