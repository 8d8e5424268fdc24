"""What each account went through, as the nightly scoring keeps it: `serving.scoring.lives`."""

import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import history
from features.build import build
from features.catalog import catalogue
from features.lifecycle.states import Timeline, runs
from features.lifecycle.weekly import WEEKS as COUNTED_WEEKS
from features.lifecycle.weekly import weekly
from features.members import members
from features.points import known_points
from features.progress import Progress, silent
from features.settings import Settings
from features.workspace import Workspace, publish_json
from serving.scoring.lives import LIVES, SHARED, TREND

WEEKS = 12
MOST_PEOPLE = 30
TOGETHER = 64
"""Accounts whose lives are unpacked together."""
CBI = "cbi"
DAY = pa.date32()
NUMBERS = pa.list_(pa.float32())
PERSON = {"user_id": pa.string(), "role": pa.string(), "joined": DAY, "left": DAY, "last": DAY,
          "uses": pa.float32(), "days": pa.float32(), "before": pa.float32(),
          "weeks": NUMBERS}  # fmt: skip
SCHEMA = {
    "account_id": pa.string(),
    "states": pa.list_(pa.struct({"state": pa.string(), "since": DAY})),
    "milestones": pa.list_(pa.struct({"milestone": pa.string(), "day": DAY})),
    "changes": pa.list_(pa.struct({"day": DAY, "kind": pa.string(), "mrr_before": pa.float64(),
                                   "mrr_after": pa.float64()})),
    "core": NUMBERS,
    "tickets": NUMBERS,
    "people": pa.list_(pa.struct(PERSON)),
    "members": pa.int32(),
}  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


def write_lives(
    folder: Path,
    workspace: Workspace,
    settings: Settings,
    day: date,
    features: str,
    told: Timeline,
    progress: Progress = silent,
) -> None:
    """Write both files for the accounts of the feature table in the folder, as known on the day."""
    file = pq.ParquetFile(io.BytesIO((folder / features).read_bytes()))
    ids = file.read(["account_id"])["account_id"].to_pylist()
    days = [day - timedelta(weeks=back) for back in range(WEEKS, 0, -1)]
    past = _past(workspace, settings, ids, days, progress)
    publish_json(folder / SHARED, {
        "days": [str(d) for d in days],
        "peers": _medians(past, days),
        "milestones": [m.name for m in settings.milestones],
        "journeys": {j.name: list(j.steps) for j in settings.journeys},
    })  # fmt: skip
    table = pa.Table.from_pylist(_rows(workspace, settings, day, ids, told), pa.schema(SCHEMA))
    for name, values in _trends(past, ids, days).items():
        table = table.append_column(f"{TREND}{name}", values)
    pq.write_table(
        table,
        folder / LIVES,
        row_group_size=TOGETHER,
        compression="zstd",
        write_statistics=False,
        write_page_checksum=True,
    )


def _rows(
    workspace: Workspace, settings: Settings, day: date, ids: Sequence[str], told: Timeline
) -> list[dict[str, Any]]:
    states, steps, bought = _states(told), _milestones(told), _changes(workspace, settings, day)
    people, (core, tickets) = _people(workspace, day), weekly(workspace, settings, day)
    none = np.zeros(COUNTED_WEEKS)
    return [
        {
            "account_id": i,
            "states": states.get(i, []),
            "milestones": steps.get(i, []),
            "changes": bought.get(i, []),
            "core": core.get(i, none),
            "tickets": tickets.get(i, none),
            "people": people.get(i, [])[:MOST_PEOPLE],
            "members": len([p for p in people.get(i, []) if p["left"] is None]),
        }
        for i in ids
    ]


def _states(told: Timeline) -> Rows:
    """Each account's states with the first day of each."""
    return _grouped(runs(told).assign(since=lambda r: r["since"].dt.date), ["state", "since"])


def _milestones(told: Timeline) -> Rows:
    """Each account's milestones with the day in whose evening each was reached."""
    ordered = told.milestones.sort_values(["day", "milestone"])
    return _grouped(ordered.assign(day=(ordered["day"] - 1).map(_date)), ["milestone", "day"])


def _changes(workspace: Workspace, settings: Settings, day: date) -> Rows:
    """What each account bought and gave up before the day."""
    found = history.changes(workspace, settings, day)
    before = found[found["time"] < pd.Timestamp(day, tz="UTC")]
    dated = before.assign(day=before["time"].dt.date)
    return _grouped(dated, ["day", "kind", "mrr_before", "mrr_after"])


def _people(workspace: Workspace, day: date) -> Rows:
    """Each account's people, the busiest first, those who left last."""
    found = members(workspace, day)
    for name in ("joined", "left", "last"):
        numbers = found[name].astype(float)
        found[name] = pd.Series([None if np.isnan(n) else _date(n) for n in numbers], dtype=object)
    roles = [None if pd.isna(role) else role for role in found["role"]]
    found["role"] = pd.Series(roles, dtype=object)  # as text, None would be NaN
    gone = found["left"].notna()
    return _grouped(pd.concat([found[~gone], found[gone]]), list(PERSON))


def _grouped(table: pd.DataFrame, columns: list[str]) -> Rows:
    """Account → its rows, in their order."""
    found: Rows = {}
    rows = zip(*(table[name] for name in columns), strict=True)
    for account, row in zip(table["account_id"], rows, strict=True):
        found.setdefault(account, []).append(dict(zip(columns, row, strict=True)))
    return found


def _date(day: float) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + int(day))


def _past(
    workspace: Workspace,
    settings: Settings,
    ids: Sequence[str],
    days: Sequence[date],
    progress: Progress,
) -> pd.DataFrame:
    """The index, its parts and the facts that one can act on, of the accounts on earlier days."""
    declared = catalogue(settings)
    acted = {s.now for s in declared.signals.values() if s.kind == "act"}
    names = [
        f.name
        for f in declared.features
        if not f.categorical and (f.name in acted or f.name == CBI or f.name.startswith(f"{CBI}_"))
    ]
    pairs = [pd.DataFrame({"account_id": ids, "as_of": np.datetime64(d, "us")}) for d in days]
    points = known_points(workspace, pd.concat(pairs))
    columns = ["account_id", "as_of", "population", "is_internal", *names]
    if points.empty:
        return pd.DataFrame(columns=columns)
    path = workspace.tmp / "lives.parquet"
    try:
        build(workspace, settings, points, out=path, names=names, progress=progress)
        return pq.read_table(path, columns=columns).to_pandas()
    finally:
        path.unlink(missing_ok=True)


def _medians(past: pd.DataFrame, days: Sequence[date]) -> dict[str, dict[str, list[float | None]]]:
    """Population → feature → the median of its accounts on each day."""
    inside = past[~past["is_internal"].fillna(False).astype(bool)]
    found = {}
    for population, mine in inside.groupby("population"):
        numbers = mine.drop(columns=["account_id", "population", "is_internal"])
        by_day = numbers.groupby("as_of").median().reindex(pd.Index(days))
        found[str(population)] = {
            str(name): [None if np.isnan(v) else float(v) for v in by_day[name]] for name in by_day
        }
    return found


def _trends(
    past: pd.DataFrame, ids: Sequence[str], days: Sequence[date]
) -> dict[str, pa.ListArray]:
    """Feature → each account's values on the days, NaN where it had none."""
    row_of = {account: row for row, account in enumerate(ids)}
    place_of = {day: place for place, day in enumerate(days)}
    rows = past["account_id"].map(row_of).to_numpy(dtype=np.int64)
    places = past["as_of"].map(place_of).to_numpy(dtype=np.int64)
    offsets = pa.array(np.arange(len(ids) + 1, dtype=np.int32) * len(days))
    found = {}
    for name in past.columns[4:]:
        values = np.full((len(ids), len(days)), np.nan, dtype=np.float32)
        values[rows, places] = past[name].to_numpy(dtype=np.float32)
        found[name] = pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
    return found
