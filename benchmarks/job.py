"""Our own steps: events → rollups → feature table, and what one more day costs."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from benchmarks.company import company_settings
from benchmarks.size import Size
from features import lake
from features.build import build
from features.catalog import catalogue
from features.engines.engine import engine_of
from features.rollups.weeks import ensure_rollups
from features.settings import Settings
from features.sources.ingest import ingest
from features.table import refresh
from features.workspace import Workspace

WEEKS = 52
Work = Callable[[], dict[str, Any]]


def settings_for(threads: int, memory: str, engine: str = "kernel") -> Settings:
    """The benchmarks' settings with the threads, the memory and the engine of this run."""
    told = {"memory": memory, "name": engine}
    return company_settings(training={"threads": threads}, engine=told)


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
    pairs: pd.DataFrame = pd.concat(parts, ignore_index=True)
    pairs["as_of"] = pairs["as_of"].dt.tz_localize(None)
    return pairs


def copied(workspace: Workspace, name: str) -> Workspace:
    """A workspace beside this one with the same lake, to be built in and changed.

    Parquet files never change, so they are linked; the rest is copied.
    """
    target = workspace.root.with_name(f"{workspace.root.name}-{name}")
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("lake", "raw"):
        shutil.copytree(workspace.root / folder, target / folder, copy_function=_linked)
    return Workspace(target)


def _linked(source: str, target: str) -> None:
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def rollups_step(workspace: Workspace, settings: Settings) -> Work:
    """Events → rollups, from nothing."""
    fresh = copied(workspace, "rollups")

    def work() -> dict[str, Any]:
        with closing(engine_of(fresh, settings)) as engine:
            ensure_rollups(engine, fresh, settings)
        return {"root": str(fresh.root)}

    return work


def whole_step(
    workspace: Workspace, settings: Settings, size: Size, name: str, *, tonight: bool = False
) -> Work:
    """Events → the feature table of all observations, from nothing, in a workspace `name`."""
    fresh = copied(workspace, name)
    asked = observations(fresh, midnights(size, tonight=tonight))

    def work() -> dict[str, Any]:
        made = refresh(fresh, settings, asked)
        return {"rows": made.computed, "root": str(fresh.root)} | _features(settings)

    return work


def chosen_step(
    workspace: Workspace, settings: Settings, size: Size, name: str, names: list[str]
) -> Work:
    """Events → some features of all observations, from nothing, in a workspace `name`."""
    fresh = copied(workspace, name)
    asked = observations(fresh, midnights(size))
    out = fresh.root / "chosen.parquet"

    def work() -> dict[str, Any]:
        build(fresh, settings, asked, out=out, names=names)
        return {"rows": len(asked), "out": str(out)}

    return work


def ingest_step(workspace: Workspace, settings: Settings) -> Work:
    """One more day into the lake of a workspace that was built."""

    def work() -> dict[str, Any]:
        counts = ingest(workspace, settings, base=workspace.root)
        return {"rows": sum(c.stored for c in counts)}

    return work


def again_step(workspace: Workspace, settings: Settings, size: Size) -> Work:
    """Build once more where a day was ingested: the table grows by that day's midnight."""
    asked = observations(workspace, midnights(size, tonight=True))

    def work() -> dict[str, Any]:
        made = refresh(workspace, settings, asked)
        return {"rows": made.computed, "kept": made.kept} | _features(settings)

    return work


def scoring_step(workspace: Workspace, settings: Settings, size: Size) -> Work:
    """The features of all accounts at one new midnight, the rollups being there: for scoring."""
    asked = observations(workspace, midnights(size, tonight=True)[-1:])
    out = workspace.tmp / "scoring.parquet"

    def work() -> dict[str, Any]:
        build(workspace, settings, asked, out=out)
        return {"rows": len(asked)} | _features(settings)

    return work


def _features(settings: Settings) -> dict[str, int]:
    return {"features": len(catalogue(settings).features)}
