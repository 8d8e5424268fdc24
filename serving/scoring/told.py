"""What the service needs besides the features, so that it needs no settings: a snapshot's words.

`signals.json` (wordings), `meanings.json` (feature → what it says), `peers.json` (medians),
`company.json` (the company and its rules), `profiles.parquet` (who each account is).
"""

import io
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import lake
from features.catalog import catalogue
from features.champions import champions
from features.lifecycle.states import Timeline, runs
from features.plays import plays
from features.settings import Settings
from features.workspace import Workspace, publish_json
from serving.scoring.accounts import PROFILES, Table, read_table

PROFILED = {
    "name": pa.string(),
    "owner": pa.string(),
    "channel": pa.string(),
    "industry": pa.string(),
    "country": pa.string(),
    "employees": pa.float64(),
    "created_at": pa.string(),
}
"""Columns of `accounts` that a profile takes over, as known on the day."""


def write_words(folder: Path, settings: Settings, features: str) -> None:
    """Write all but the profiles; `features`: the name of the feature table in the folder."""
    declared = catalogue(settings)
    signals = {name: asdict(signal) for name, signal in declared.signals.items()}
    for facts in signals.values():
        del facts["name"]
    publish_json(folder / "signals.json", signals)
    publish_json(folder / "meanings.json", {f.name: f.meaning for f in declared.features})
    publish_json(folder / "peers.json", medians(read_table((folder / features).read_bytes())))
    outcomes = settings.outcomes.declared().items()
    company = {
        "name": settings.company.name,
        "simulated": settings.company.simulated,
        "currency": settings.company.currency,
        "top_plan": settings.plans.ladder[-1],
        "min_age_days": {name: outcome.min_age_days for name, outcome in outcomes},
        "plays": plays(settings),
    }
    publish_json(folder / "company.json", company)


def write_profiles(
    folder: Path,
    workspace: Workspace,
    day: date,
    features: str,
    told: Timeline,
    *,
    since: bool = True,
) -> None:
    """Write `profiles.parquet`: a row for each account of the feature table, in its order.

    Who it is by its last row of `accounts` known on the day, its state and (`since`) its first day,
    who its champion is.
    """
    file = pq.ParquetFile(io.BytesIO((folder / features).read_bytes()))
    ids = file.read(["account_id"])["account_id"].to_pylist()
    now = runs(told).loc[lambda r: r["until"].isna()]
    days = now["since"].dt.date.astype(str).tolist() if since else [None] * len(now)
    states = dict(zip(now["account_id"], zip(now["state"], days, strict=True), strict=True))
    newest = {row["account_id"]: row for row in known(workspace, day).to_pylist()}
    people = champions(workspace, day)
    rows = []
    for account in ids:
        state, first = states.get(account, (None, None))
        added = {"state": state, "since": first, "champion": people.get(account)}
        rows.append(_profile(newest[account]) | added)
    texts = dict.fromkeys(("account_id", *PROFILED, "state", "champion", "since"), pa.string())
    table = pa.Table.from_pylist(rows, pa.schema(texts | PROFILED))
    pq.write_table(table, folder / PROFILES, write_page_checksum=True)


def _profile(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the file; the time as text, for which pyarrow would ask for pandas in serving."""
    return row | {"created_at": row["created_at"].isoformat(timespec="seconds")}


def known(workspace: Workspace, day: date) -> pa.Table:
    """The rows of `accounts` that were known by the midnight of a day, the newest last."""
    accounts = lake.read_table(workspace, "accounts")
    midnight = pa.scalar(datetime.combine(day, time(), UTC), pa.timestamp("us", tz="UTC"))
    rows = accounts.filter(pc.less_equal(accounts["known_at"], midnight))
    return rows.sort_by([("known_at", "ascending"), ("row_id", "ascending")])


def medians(table: Table) -> dict[str, dict[str, float | None]]:
    """Population → feature → median of its accounts; categories have none, nor has no data."""
    populations = np.array([c.population for c in table.contexts])
    outside = np.array([c.is_internal for c in table.contexts], dtype=bool)
    numbers = [name for name in table.names if name not in table.categories]
    return {
        str(population): {
            name: _median(table.matrix[members, table.column_of[name]]) for name in numbers
        }
        for population in np.unique(populations)
        for members in [(populations == population) & ~outside]
    }


def _median(values: np.ndarray[Any, Any]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None
