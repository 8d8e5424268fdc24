"""What is known of accounts (facts), of all or of a few: made in memory, as a build makes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features import lake
from features.engines.engine import Engine
from features.kernel.facts import Asked, events_of_steps
from features.kernel.journeys import in_order_seen
from features.kernel.known import Facts
from features.kernel.records import read_records
from features.kernel.rows import Points, Rollup
from features.resident.kept import places
from features.settings import Settings
from features.workspace import Workspace

NAMES = ("accounts", "users", "subscriptions")


@dataclass
class Known:
    """The contract tables that facts are made of, read again when they have grown."""

    workspace: Workspace
    settings: Settings
    states: list[str] = field(default_factory=list)

    def facts(
        self, engine: Engine, accounts: Sequence[str], day: int, steps: pa.Table, *, whole: bool
    ) -> Facts:
        """The facts of accounts (sorted) at a day, in their order.

        `steps`: their rows of the rollup by event, of events that milestones are made of.
        """
        at = Points(np.arange(len(accounts) + 1), np.full(len(accounts), day))
        asked = Asked(read_records(self.workspace), self.settings, at, list(accounts))
        events = events_of_steps(self.settings)
        return asked.facts(_in_order_seen(steps, accounts, list(events)), events)

    def learnt(self) -> bool:
        """Whether anything was added to the tables since facts were last made of them."""
        states = [lake.table_state(self.workspace, name) for name in (*NAMES, "identities")]
        before, self.states = self.states, states
        return before != states


def _in_order_seen(steps: pa.Table, accounts: Sequence[str], events: Sequence[str]) -> Rollup:
    """Rows by event as the kernel takes them."""
    numbers = {
        "account_id": places(steps["account_id"], pa.array(accounts, pa.string())),
        "key": places(steps["event"], pa.array(events, pa.string())),
    }
    counted = {name: steps[name] for name in ("visible_from", "n")}
    return in_order_seen(pa.table(numbers | counted), 0, len(accounts))
