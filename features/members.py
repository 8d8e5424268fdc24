"""Who belongs to each account and how much each of them does, as known at a day's midnight."""

from datetime import UTC, date, datetime, time

import duckdb
import numpy as np
import pandas as pd

from features import lake
from features.identity.successors import goes_on_as, read_merges
from features.instants import day_number
from features.rollups.weeks import held_rollups
from features.workspace import Workspace

WEEKS, SHOWN_WEEKS = 26, 12
LAST, BEFORE = range(4), range(4, 8)
WHO = ["account_id", "user_id"]
USED = """
select account_id, user_id, ($day - 1 - day) // 7 as week,
       sum(uses) as uses, count(*) as days, max(day) as last
from (select account_id, user_id, day, sum(n) as uses from read_parquet($files)
      where day >= $first and day < $day and visible_from <= $day and user_id <> ''
      group by all having sum(n) > 0)
group by all
"""


def members(workspace: Workspace, day: date) -> pd.DataFrame:
    """Every person of every account: account_id, user_id and what is known of them.

    `role`, `joined` and `left` (days since 1970-01-01, missing: not known) by their last row of
    `users` known then; who only was seen in events has none. `last`: the last day with a use, of
    the past 26 weeks. `uses` and `days`: uses, and days with one, in the last 28 days; `before`:
    uses in the 28 days before them; `weeks`: uses in each of the last 12 weeks, the oldest first.
    """
    both = _used(workspace, day).join(_told(workspace, day), how="outer")
    numbers = ["uses", "days", "before"]
    both[numbers] = both[numbers].fillna(0.0)
    quiet = [0.0] * SHOWN_WEEKS
    both["weeks"] = [w if isinstance(w, list) else quiet for w in both["weeks"]]
    order = ["account_id", "uses", "user_id"]
    return both.reset_index().sort_values(order, ascending=[True, False, True], ignore_index=True)


def _told(workspace: Workspace, day: date) -> pd.DataFrame:
    """The last row known of each person who joined before a midnight."""
    midnight = pd.Timestamp(datetime.combine(day, time(), UTC))
    rows = lake.read_table(workspace, "users").to_pandas()
    rows = rows[(rows["known_at"] <= midnight) & (rows["created_at"] < midnight)]
    if merges := read_merges(workspace):
        rows["account_id"] = [goes_on_as(a, merges, midnight) for a in rows["account_id"]]
    newest = rows.sort_values(["known_at", "row_id"]).drop_duplicates(WHO, keep="last")
    newest = newest.set_index(WHO)
    gone = newest["left_at"].where(newest["left_at"] <= midnight)
    return pd.DataFrame(
        {"role": newest["role"], "joined": _day(newest["created_at"]), "left": _day(gone)}
    )


def _used(workspace: Workspace, day: date) -> pd.DataFrame:
    """What everyone did in the past 26 weeks, by what was known of it then."""
    number = day_number(day)
    first = number - 7 * WEEKS
    with held_rollups(workspace) as made, duckdb.connect(config={"threads": 2}) as con:
        files = made.files(workspace.rollups, "user_day", first, number - 1)
        if not files:
            index = pd.MultiIndex.from_arrays([[], []], names=WHO)
            return pd.DataFrame(index=index, columns=["last", "uses", "days", "before", "weeks"])
        rows = con.execute(USED, {"files": files, "first": first, "day": number}).df()
    return _summed(rows)


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    uses, days = (
        rows.pivot(index=WHO, columns="week", values=name).reindex(columns=range(WEEKS)).fillna(0.0)
        for name in ("uses", "days")
    )
    weeks = np.flip(uses[[*range(SHOWN_WEEKS)]].to_numpy(), axis=1)
    return pd.DataFrame(
        {
            "last": rows.groupby(WHO)["last"].max(),
            "uses": uses[[*LAST]].sum(axis=1),
            "days": days[[*LAST]].sum(axis=1),
            "before": uses[[*BEFORE]].sum(axis=1),
            "weeks": pd.Series(weeks.tolist(), index=uses.index),
        }
    )


def _day(times: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    """Days since 1970-01-01 of instants; missing for none."""
    whole = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[D]")
    numbers = pd.Series(whole.astype("int64").astype("float64"), index=times.index)
    return numbers.where(times.notna())
