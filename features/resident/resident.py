"""Feature rows of a few accounts, again and again, while events come in.

They are what `features.build.build` would make of them on that day. The rollups and the facts of
all accounts are held; when something was learnt of a few, what is held of them is replaced, and
their rows are computed from memory. At midnight, and when somebody else ingested, the weeks that
changed are read again and everything else stays. What the state cannot take over (a merge of
accounts, new events among the features, weeks made anew) makes it anew from the lake, as a start
does.
"""

from collections.abc import Collection
from datetime import date
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from features import lake
from features.build import named, table_schema
from features.engines.engine import Engine, engine_of, running_on
from features.events import CONTRACT
from features.identity import resolve
from features.instants import day_number
from features.kernel.rows import Ints
from features.points import known_days
from features.resident.records import Known
from features.resident.state import State
from features.rollups.weeks import Manifest, ensure_rollups, held_rollups
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace

FEW, SHARE = 10, 300
"""Up to so many accounts, and one in 300 more, are folded in one by one."""
Living = dict[str, None]
"""Accounts that are known on a day, in their order."""


class Resident:
    """Computes rows in one process for as long as it lives; to be closed."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace, self.settings = workspace, running_on(settings, "kernel")
        self.features = named(settings, None)
        self.schema = table_schema(self.features)
        self.known = Known(workspace, self.settings)
        self.state: State | None = None
        self._engine: Engine | None = None
        self._tables = ""
        self._made_of = ""
        self._others = False
        self._days: tuple[str, Any, Ints] = ("", None, np.empty((0, 2), dtype=np.int64))
        self._living: tuple[str, int, Living] = ("", 0, {})

    def forget_peers(self) -> None:
        """Something was learnt of other accounts than those that will be asked for."""
        self._others = True

    def rows(self, accounts: Collection[str], day: date) -> pa.Table:
        """The feature table's rows of the accounts that are known on the day, as known then.

        All accounts of which anything was learnt since the last time must be among `accounts`,
        unless `forget_peers` was called.
        """
        with alone(self.workspace, "build", brief=True), held_rollups(self.workspace):
            states = self._states()
            engine, number = self._ready(), day_number(day)
            made = ensure_rollups(engine, self.workspace, self.settings)
            engine.forget(lasting=True)
            living = self._known_on(number)
            mine = among(living, accounts)
            state = self._followed(engine, made, living, number, set(accounts))
            self._made_of = states
        return state.rows(mine) if mine else self.schema.empty_table()

    def _followed(
        self, engine: Engine, made: Manifest, living: Living, day: int, learnt: set[str]
    ) -> State:
        """The state of a day, of these rollups; none is left where that fails."""
        state, self.state = self.state, None
        if state is None or not state.goes_on(made, day):
            state = State(engine, self.known, made, list(living), day, self.features, self.schema)
        elif self._others or state.day != day or state.lost(made) or many(learnt, living):
            state.take(made, list(living), day)
        elif learnt:
            state.fold(made, learnt, among(living, learnt))
        if not many(learnt, living):
            state.stand()
        self.state, self._others = state, False
        return state

    def holds(self, day: date) -> bool:
        """Whether what is held is of that day and of all that the lake has."""
        mine = self.state is not None and self.state.day == day_number(day)
        return mine and not self._others and self._made_of == self._states()

    def held(self, accounts: Collection[str]) -> pa.Table:
        """The rows of the accounts that are known on the day that is held, from memory alone."""
        if self.state is None:
            return self.schema.empty_table()
        mine = among(self._known_on(self.state.day), accounts)
        return self.state.rows(mine) if mine else self.schema.empty_table()

    def _states(self) -> str:
        return repr([lake.table_state(self.workspace, name) for name in CONTRACT])

    def _known_on(self, day: int) -> Living:
        """The accounts that are known on a day."""
        told = f"{lake.table_state(self.workspace, 'accounts')} {self._tables}"
        if self._days[0] != told:
            days = known_days(self.workspace).sort_values("account_id")
            spans = days[["first", "end"]].to_numpy(dtype=np.int64)
            self._days = told, np.array(days["account_id"].tolist(), dtype=object), spans
        if self._living[:2] != (told, day):
            _, names, spans = self._days
            alive = (spans[:, 0] <= day) & (day < spans[:, 1])
            self._living = told, day, dict.fromkeys(names[alive].tolist())
        return self._living[2]

    def _ready(self) -> Engine:
        """The engine; a new one when what its statements read is no longer what it was."""
        there = [name for name in CONTRACT if lake.table_files(self.workspace, name)]
        tables = f"{there} {resolve.read_links(self.workspace).merges.to_pylist()}"
        if self._engine is not None and tables != self._tables:
            self.close()
        if self._engine is None:
            self._engine, self._tables = engine_of(self.workspace, self.settings), tables
        return self._engine

    def close(self) -> None:
        """End the engine; the next rows start one again."""
        self.state = None
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def __enter__(self) -> "Resident":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


def many(learnt: Collection[str], living: Living) -> bool:
    """Whether it costs less to take over what is new of all accounts than of these one by one."""
    return len(learnt) > FEW + len(living) // SHARE


def among(living: Living, accounts: Collection[str]) -> list[str]:
    """Those of some accounts that are known, in their order.

    >>> among({"a": None, "b": None, "c": None}, ["c", "a", "x"])
    ['a', 'c']
    """
    asked = set(accounts)
    if 2 * len(asked) < len(living):
        return sorted(asked & living.keys())
    return [account for account in living if account in asked]
