"""What one block of days is computed from: its rollups, and the tables as their accounts go on."""

from collections.abc import Callable

import ibis
import pandas as pd

from features import lake
from features.algebra import RING_DAYS, SPAN, YEAR_BACK, Expression
from features.compute.leaves import Rollups, leaves
from features.engines.engine import Engine
from features.events import CONTRACT
from features.facts.account import Records, facts, populations
from features.identity import resolve
from features.rollups.weeks import KEYS, Manifest
from features.settings import Settings
from features.workspace import Workspace

Known = Callable[[ibis.Table, Records, Settings], ibis.Table]


class Session:
    """The tables that the points of one block of days may see."""

    def __init__(
        self,
        engine: Engine,
        workspace: Workspace,
        settings: Settings,
        manifest: Manifest,
        points: pd.DataFrame,
    ) -> None:
        self.engine, self.settings = engine, settings
        first, last = int(points["as_of_day"].min()), int(points["as_of_day"].max())
        self.folder, self.manifest = workspace.rollups, manifest
        self.ring = {name: self._rollup(name, first, last) for name in KEYS}
        self.ever = {name: self._all(name, last) for name in KEYS}
        self.events_of = events_of(engine, self.ever["account_event_day"], settings)
        self.records = self._records(workspace)

    def parts(self, chunk: pd.DataFrame, wanted: list[Expression]) -> ibis.Table:
        """The leaves of `wanted` and all facts, one row a point of the chunk."""
        return self._parts(chunk, wanted, facts)

    def standing(self, chunk: pd.DataFrame, ranked: list[Expression]) -> ibis.Table:
        """The leaves of `ranked` and what makes peers, for points that are only compared with."""
        return self._parts(chunk, ranked, populations)

    def _parts(self, chunk: pd.DataFrame, wanted: list[Expression], known: Known) -> ibis.Table:
        low, high = chunk["account_id"].iloc[0], chunk["account_id"].iloc[-1]

        def mine(table: ibis.Table) -> ibis.Table:
            return table.filter((table.account_id >= low) & (table.account_id <= high))

        keep = self.engine.keep
        points = self.engine.register(chunk)
        by_event = mine(self.ever["account_event_day"])
        records = {name: mine(table) for name, table in self.records.items()}
        profile = keep(known(points, Records(**records, account_event_day=by_event), self.settings))
        rollups = Rollups(
            **{name: mine(table) for name, table in self.ring.items()},
            ever=mine(self.ever["account_day"]),
        )
        return keep(leaves(wanted, points, rollups, profile, self.events_of, keep))

    def _rollup(self, name: str, first: int, last: int) -> ibis.Table:
        """The days of the ring, and those of the year before."""
        files = self.manifest.files
        ring = files(self.folder, name, first - RING_DAYS, last - 1)
        before = files(self.folder, name, first - YEAR_BACK - SPAN, last - YEAR_BACK - 1)
        return self._read(name, sorted({*ring, *before}))

    def _all(self, name: str, last: int) -> ibis.Table:
        return self._read(name, self.manifest.files(self.folder, name, 0, last - 1))

    def _read(self, name: str, files: list[str]) -> ibis.Table:
        if files:
            return self.engine.read_parquet(files)
        made = self.manifest.files(self.folder, name, -(10**6), 10**6)
        return self.engine.read_parquet(made[:1]).limit(0)

    def _records(self, workspace: Workspace) -> dict[str, ibis.Table]:
        """Accounts, users and subscriptions, each row with the instants between which it counts."""
        links = resolve.read_links(workspace)
        tables = {n: self._table(workspace, n) for n in ("accounts", "users", "subscriptions")}
        return {
            name: (resolve.ended if name == "accounts" else resolve.merged)(table, links)
            for name, table in tables.items()
        }

    def _table(self, workspace: Workspace, name: str) -> ibis.Table:
        files = lake.table_files(workspace, name)
        if files:
            return self.engine.read_parquet(files)
        return ibis.memtable(CONTRACT[name].schema().empty_table())


def events_of(engine: Engine, by_event: ibis.Table, settings: Settings) -> dict[str, list[str]]:
    """The events that the keys `feature`, `core`, `golden` and `plan:<name>` cover."""
    declared = settings.events
    if declared.features:
        features = list(declared.features)
    else:
        quiet = {*declared.passive, *declared.notifications_shown}
        seen = engine.to_arrow(by_event.select("event").distinct())["event"].to_pylist()
        features = sorted(set(seen) - quiet)
    named = {"feature": features, "core": list(declared.core_use_cases)}
    plans = {f"plan:{plan}": list(names) for plan, names in settings.plans.features.items()}
    return named | {"golden": list(declared.golden)} | plans
