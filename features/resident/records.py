"""What is known of accounts (facts), of all or of a few: made in memory, as a build makes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from features import lake
from features.kernel.facts import Asked, events_of_steps
from features.kernel.known import Facts
from features.kernel.records import READ, read_records
from features.kernel.rows import Points, Rollup
from features.settings import Settings
from features.workspace import Workspace


@dataclass
class Known:
    """The contract tables that facts are made of, read again when they have grown."""

    workspace: Workspace
    settings: Settings
    states: list[str] = field(default_factory=list)

    def facts(self, accounts: Sequence[str], day: int, steps: Rollup) -> Facts:
        """The facts of accounts (sorted) at a day, in their order.

        `steps`: their rows of the rollup by event, of the events that milestones are made of, in
        the order in which they are seen; the keys are the places of these events by name.
        """
        at = Points(np.arange(len(accounts) + 1), np.full(len(accounts), day))
        asked = Asked(read_records(self.workspace), self.settings, at, list(accounts))
        return asked.facts(steps, events_of_steps(self.settings))

    def learnt(self) -> bool:
        """Whether anything was added to the tables since facts were last made of them."""
        states = [lake.table_state(self.workspace, name) for name in READ]
        before, self.states = self.states, states
        return before != states
