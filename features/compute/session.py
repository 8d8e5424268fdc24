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
from features.points import POINT
from features.rollups.maker import KEYS
from features.rollups.weeks import Manifest
from features.settings import Settings
from features.workspace import Workspace

Known = Callable[[ibis.Table, Records, Settings], ibis.Table]


class Session:
    """The tables that the points of one block of days may see.

    Accounts go by numbers in it: those of the column `number` of the points looked at.
    """

    def __init__(
        self,
        engine: Engine,
        workspace: Workspace,
        settings: Settings,
        manifest: Manifest,
        points: pd.DataFrame,
    ) -> None:
        self.engine, self.workspace, self.settings = engine, workspace, settings
        first, last = int(points["as_of_day"].min()), int(points["as_of_day"].max())
        self.folder, self.tmp, self.manifest = workspace.rollups, workspace.tmp, manifest
        self.ring = {name: self._ring(name, first, last) for name in KEYS}
        self.ever = {name: self._read(f"ever_{name}", name, 0, last - 1) for name in KEYS}
        self.events_of = events_of(engine, self.ever["account_event_day"], settings)
        self.records = self._records(workspace)

    def look_at(self, chunk: pd.DataFrame) -> None:
        """Make the points of a chunk the ones that `parts` and `standing` are about."""
        self.engine.forget()
        columns = ["number", "as_of_day", "observed"]
        self.points = self.engine.register(chunk[columns].set_axis([*POINT, "observed"], axis=1))
        names = chunk[["account_id", "number"]].drop_duplicates("number")
        self.names = self.engine.register(names.set_axis(["_name", "_number"], axis=1))

    def repeat(self, key: str, work: Callable[[], ibis.Table]) -> ibis.Table:
        """Do work on what is looked at: again as before, where the same events are listed."""
        return self.engine.repeat(f"{key} {self.events_of}", work)

    def parts(self, wanted: list[Expression]) -> ibis.Table:
        """The leaves of `wanted` and all facts, one row a point."""
        return self._parts(wanted, facts)

    def standing(self, ranked: list[Expression]) -> ibis.Table:
        """The leaves of `ranked` and what makes peers, for points that are only compared with."""
        return self._parts(ranked, populations)

    def profile(self, known: Known = facts) -> ibis.Table:
        """All facts, or what makes peers, one row a point."""
        keep, mine = self.engine.keep, self.numbered
        by_event = mine(self.ever["account_event_day"])
        records = {name: keep(mine(table)) for name, table in self.records.items()}
        points = self.points.select(*POINT)
        return keep(known(points, Records(**records, account_event_day=by_event), self.settings))

    def _parts(self, wanted: list[Expression], known: Known) -> ibis.Table:
        profile = self.profile(known)
        keep, mine = self.engine.keep, self.numbered
        rollups = Rollups(
            **{name: keep(mine(table)) for name, table in self.ring.items()},
            ever=mine(self.ever["account_day"]),
        )
        points = self.points.select(*POINT)
        return leaves(wanted, points, rollups, profile, self.events_of, keep)

    def numbered(self, table: ibis.Table) -> ibis.Table:
        """The rows of the accounts looked at, under their numbers."""
        mine = table.join(self.names, table.account_id == self.names["_name"])
        return mine.mutate(account_id=mine["_number"]).select(table.columns)

    def _ring(self, name: str, first: int, last: int) -> ibis.Table:
        """The days of the ring, and those of the year before."""
        near = first - RING_DAYS, last - 1
        far = first - YEAR_BACK - SPAN, last - YEAR_BACK - 1
        return self._read(f"ring_{name}", name, *near, *far)

    def _read(self, name: str, rollup: str, *days: int) -> ibis.Table:
        """The weeks of some spans of days; where there are none, one in which no window lies."""
        files = self.manifest.files
        spans = zip(days[::2], days[1::2], strict=True)
        found = {file for span in spans for file in files(self.folder, rollup, *span)}
        some = found or files(self.folder, rollup, -(10**6), 10**6)[:1]
        return self.engine.read_parquet(sorted(some), name)

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
            return self.engine.read_parquet(files, name)
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
