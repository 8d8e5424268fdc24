"""Counts of events by featuretools: `python -m benchmarks.rivals.deep_counts FOLDER OUT`.

FOLDER holds events and rows (account_id, as_of) as Parquet and `wanted.json`: for each feature its
name, its days, the column of events that says which count, and whose different values are counted
(nothing: the events themselves). What comes late is seen when it was known, by a secondary time
index. Prints CPU and wall seconds: reading the tables, then all rows.
"""

import json
import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import featuretools as ft
import pandas as pd


def main() -> None:
    """Read, compute, write, and say what it took."""
    folder, out = map(Path, sys.argv[1:])
    warnings.simplefilter("ignore")
    wanted = json.loads((folder / "wanted.json").read_text(encoding="utf-8"))
    begun = seconds()
    held = entities(folder, sorted({f["which"] for f in wanted}))
    read = seconds()
    rows = pd.read_parquet(folder / "rows.parquet")
    table = features(held, rows.rename(columns={"as_of": "time"}), wanted)
    done = seconds()
    table.to_parquet(out)
    took = [[b - a for a, b in zip(x, y, strict=True)] for x, y in ((begun, read), (read, done))]
    print("took: " + json.dumps(took))


def seconds() -> tuple[float, float]:
    """CPU and wall."""
    return time.process_time(), time.perf_counter()


def entities(folder: Path, flags: list[str]) -> ft.EntitySet:
    """Accounts and their events."""
    held = ft.EntitySet("company")
    rows = pd.read_parquet(folder / "rows.parquet")
    held.add_dataframe(rows[["account_id"]].drop_duplicates(), "accounts", index="account_id")
    events = pd.read_parquet(folder / "events.parquet")
    held.add_dataframe(
        events, "events", index="row", make_index=True, time_index="event_time",
        secondary_time_index={"known_at": ["user_id", "event", *flags]},
        logical_types=dict.fromkeys(["user_id", "event", *flags], "Categorical"),
    )  # fmt: skip
    held.add_relationship("accounts", "account_id", "events", "account_id")
    held.add_last_time_indexes()  # without them a training window gives 0, and says nothing
    return held


def features(held: ft.EntitySet, asked: pd.DataFrame, wanted: list[dict[str, Any]]) -> pd.DataFrame:
    """One row for each asked for; windows of one length are computed together."""
    by_days = defaultdict(list)
    for one in wanted:
        by_days[one["days"]].append(one)
    parts = []
    for days, those in by_days.items():
        made = ft.calculate_feature_matrix(
            [feature(held, one) for one in those], held, cutoff_time=asked,
            training_window=f"{days} days", include_cutoff_time=False, cutoff_time_in_index=True,
        )  # fmt: skip
        made.columns = [one["name"] for one in those]
        parts.append(made.astype("float64"))
    whole = pd.concat(parts, axis=1).reset_index()
    return whole.rename(columns={"time": "as_of"})


def feature(held: ft.EntitySet, one: dict[str, Any]) -> ft.Feature:
    """A count of events, or of different values, of those marked."""
    which = ft.Feature(held["events"].ww[one["which"]]) == "yes"
    of = ft.Feature(held["events"].ww[one["of"] or "row"])
    counted = ft.primitives.NumUnique if one["of"] else ft.primitives.Count
    return ft.Feature(of, parent_dataframe_name="accounts", primitive=counted, where=which)


if __name__ == "__main__":
    main()
