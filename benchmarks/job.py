"""Our own steps: events → rollups → feature table, and what one more day costs."""

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from benchmarks.company import company_settings
from benchmarks.size import Size
from features import lake
from features.build import build, ensure_rollups
from features.facts import CONTEXT
from features.settings import Settings
from features.sources.ingest import ingest
from features.workspace import Workspace

WEEKS = 52
Work = Callable[[], dict[str, Any]]


def settings_for(threads: int, memory: str) -> Settings:
    """The benchmarks' settings with the threads and the memory of this run."""
    return company_settings(training={"threads": threads}, engine={"memory": memory})


def midnights(size: Size, *, tonight: bool = False) -> list[datetime]:
    """The days of observation: weekly, the last one when the lake was last filled.

    `tonight` adds the midnight a day later.
    """
    weekly = [size.end - timedelta(days=7 * back) for back in reversed(range(WEEKS))]
    return [*weekly, size.end + timedelta(days=1)] if tonight else weekly


def observations(workspace: Workspace, days: list[datetime]) -> pd.DataFrame:
    """Every account on each of the days, from the day after its sign-up on."""
    accounts = lake.read_table(workspace, "accounts", ["account_id", "created_at"]).to_pandas()
    born = accounts["created_at"].dt.floor("D")
    parts = [accounts.loc[born < day, ["account_id"]].assign(as_of=day) for day in days]
    pairs = pd.concat(parts, ignore_index=True)
    return pairs.assign(as_of=pairs["as_of"].dt.tz_localize(None))


def copied(workspace: Workspace, name: str, *, made: bool) -> Workspace:
    """A workspace beside this one with the same lake, to be changed; `made`: with what was built.

    Parquet files never change, so they are linked; the rest is copied.
    """
    target = workspace.root.with_name(f"{workspace.root.name}-{name}")
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("lake", "raw", *(("rollups", "features") if made else ())):
        if (workspace.root / folder).exists():
            shutil.copytree(workspace.root / folder, target / folder, copy_function=_linked)
    return Workspace(target)


def _linked(source: str, target: str) -> None:
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def table_of(workspace: Workspace) -> Path:
    """Where the feature table of a workspace lies."""
    return workspace.features / "features.parquet"


def rollups_step(workspace: Workspace, settings: Settings) -> Work:
    """Events → rollups, from nothing."""
    fresh = copied(workspace, "rollups", made=False)

    def work() -> dict[str, Any]:
        ensure_rollups(fresh, settings)
        return {}

    return work


def whole_step(
    workspace: Workspace, settings: Settings, size: Size, name: str, *, tonight: bool = False
) -> Work:
    """Events → the feature table of all observations, from nothing, in a workspace `name`."""
    fresh = copied(workspace, name, made=False)
    asked = observations(fresh, midnights(size, tonight=tonight))

    def work() -> dict[str, Any]:
        build(fresh, settings, asked, out=table_of(fresh))
        return _shape(table_of(fresh)) | {"root": str(fresh.root)}

    return work


def ingest_step(workspace: Workspace, settings: Settings, name: str) -> Work:
    """One more day into the lake of workspace `name`, a copy of one that was built."""
    tonight = copied(workspace, name, made=True)

    def work() -> dict[str, Any]:
        counts = ingest(tonight, settings, base=tonight.root)
        return {"rows": sum(c.stored for c in counts), "root": str(tonight.root)}

    return work


def again_step(workspace: Workspace, settings: Settings, size: Size) -> Work:
    """Build once more where a day was ingested: the table grows by that day's midnight."""
    asked = observations(workspace, midnights(size, tonight=True))

    def work() -> dict[str, Any]:
        build(workspace, settings, asked, out=table_of(workspace))
        return _shape(table_of(workspace))

    return work


def scoring_step(workspace: Workspace, settings: Settings, size: Size) -> Work:
    """The features of all accounts at one new midnight, the rollups being there: for scoring."""
    asked = observations(workspace, midnights(size, tonight=True)[-1:])
    out = workspace.tmp / "scoring.parquet"

    def work() -> dict[str, Any]:
        build(workspace, settings, asked, out=out)
        return _shape(out)

    return work


def _shape(table: Path) -> dict[str, Any]:
    held = pq.ParquetFile(table)
    features = held.metadata.num_columns - len(CONTEXT) - 2
    return {"rows": held.metadata.num_rows, "features": features}
