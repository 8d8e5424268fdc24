"""What is known of accounts (facts), from tables in memory: of all or of a few, by the same SQL."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features import lake
from features.engines.engine import Engine
from features.facts.account import Records
from features.facts.account import facts as all_facts
from features.identity import resolve
from features.kernel.known import Facts
from features.points import POINT
from features.settings import Settings
from features.workspace import Workspace

NAMES = ("accounts", "users", "subscriptions")


@dataclass
class Known:
    """The contract tables that facts are read from, read again when they have grown."""

    workspace: Workspace
    settings: Settings
    tables: dict[str, tuple[str, pa.Table]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)

    def facts(
        self, engine: Engine, accounts: Sequence[str], day: int, steps: pa.Table, *, whole: bool
    ) -> Facts:
        """The facts of accounts (sorted) at a day, in their order.

        `steps`: their rows of the rollup by event, of events that milestones are made of. `whole`:
        these are all accounts, so that nothing need be left out.
        """
        links = resolve.read_links(self.workspace)
        mine = None if whole else pa.array(sorted(_with_merged(accounts, links)), pa.string())
        engine.forget()
        at = pd.DataFrame({"account_id": list(accounts), "as_of_day": day})
        points = engine.register(at.astype({"as_of_day": "int64"}))
        records = {name: engine.register(self._table(name, mine)) for name in NAMES}
        by_event = engine.register(steps)

        def work() -> ibis.Table:
            kept = {name: engine.keep(_dated(name, t, links)) for name, t in records.items()}
            whose = Records(**kept, account_event_day=by_event)
            return engine.keep(all_facts(points, whose, self.settings)).order_by(POINT)

        found = Facts(engine.to_arrow(engine.repeat("facts", work)))
        engine.forget()
        return found

    def learnt(self) -> bool:
        """Whether anything was added to the tables since facts were last made of them."""
        states = [lake.table_state(self.workspace, name) for name in (*NAMES, "identities")]
        before, self.states = self.states, states
        return before != states

    def _table(self, name: str, accounts: pa.Array | None) -> pa.Table:
        state = lake.table_state(self.workspace, name)
        if name not in self.tables or self.tables[name][0] != state:
            self.tables[name] = state, lake.read_table(self.workspace, name)
        rows = self.tables[name][1]
        return rows if accounts is None else rows.filter(pc.is_in(rows["account_id"], accounts))


def _dated(name: str, table: ibis.Table, links: resolve.Links) -> ibis.Table:
    """Rows with the instants between which they count, as a build reads them."""
    return (resolve.ended if name == "accounts" else resolve.merged)(table, links)


def _with_merged(accounts: Collection[str], links: resolve.Links) -> set[str]:
    """The accounts, and those that were merged into them."""
    into = pc.is_in(links.merges["into_id"], pa.array(sorted(accounts), pa.string()))
    return {*accounts, *links.merges.filter(into)["account_id"].to_pylist()}
