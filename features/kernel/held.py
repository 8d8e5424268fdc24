"""From the tables of a session to the arrays of the kernel: rollup rows, facts."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from features.algebra import Expression
from features.compute.session import Session
from features.kernel.facts import Asked, events_of_steps
from features.kernel.journeys import in_order_seen
from features.kernel.known import Facts
from features.kernel.leaves import USER_COUNTS, Held, measured, numbered
from features.kernel.records import Records
from features.kernel.rows import Ints, Points, Rollup, nothing, points, ranks, rollup

DATED = ["account_id", "day", "visible_from"]


def facts(session: Session, chunk: pd.DataFrame, records: Records) -> Facts:
    """The facts of the points looked at (`chunk`)."""
    asked, lowest = _asked(session, chunk, records)
    events = events_of_steps(session.settings)
    accounts = len(asked.accounts)
    read = _Reader(session, lowest, accounts)
    return asked.facts(read.steps(events) if events else nothing(("n",), accounts), events)


def populations(session: Session, chunk: pd.DataFrame, records: Records) -> Facts:
    """The facts by which peers are chosen, of the points looked at."""
    return _asked(session, chunk, records)[0].populations()


def _asked(session: Session, chunk: pd.DataFrame, records: Records) -> tuple[Asked, int]:
    """The points of a chunk, and the lowest number of their accounts."""
    dated, lowest = _points(chunk)
    named = chunk[["number", "account_id"]].drop_duplicates("number")
    accounts = named["account_id"].to_numpy()
    every = np.arange(lowest, lowest + len(dated.first) - 1)
    names = accounts[named["number"].searchsorted(every, side="right") - 1].tolist()
    return Asked(records, session.settings, dated, names), lowest


def _points(chunk: pd.DataFrame) -> tuple[Points, int]:
    numbers = chunk["number"].to_numpy(dtype=np.int64)
    return points(numbers, chunk["as_of_day"].to_numpy(dtype=np.int64)), int(numbers[0])


def arrays(session: Session, chunk: pd.DataFrame, found: Sequence[Expression]) -> Held:
    """The rollup rows that some leaves read, of the points looked at (`chunk`)."""
    dated, lowest = _points(chunk)
    read = _Reader(session, lowest, len(dated.first) - 1)
    near, far = measured(found)
    by_user = any(getattr(e, "key", "") in USER_COUNTS for e in found)
    number_of = numbered(found, session.events_of)
    return Held(
        points=dated,
        daily=read.daily(session.ring["account_day"], near),
        ever=read.ever(far),
        users=read.users() if by_user else nothing(("n", "core"), read.accounts),
        events=read.events(number_of) if number_of else nothing(("n",), read.accounts),
        events_of=session.events_of,
        number_of=number_of,
    )


@dataclass(frozen=True)
class _Reader:
    """Reads rollups of the accounts that a session looks at."""

    session: Session
    lowest: int
    accounts: int

    def daily(self, table: ibis.Table, names: Sequence[str]) -> Rollup:
        """The account's measures by day."""
        rows = self._read("daily", self.session.numbered(table), names)
        return self._alike(rows, names)

    def ever(self, names: Sequence[str]) -> Rollup:
        """Some measures from the first day on, where they are not 0."""
        if not names:
            return nothing((), self.accounts)
        table = self.session.ever["account_day"]
        some = table.filter(ibis.or_(*(table[name] != 0 for name in names)))
        return self._alike(self._read("ever", self.session.numbered(some), names), names)

    def users(self) -> Rollup:
        """Uses and completed core use cases by user; the keys are in the order of the ids."""
        table = self.session.ring["user_day"]
        mine = self.session.numbered(table.filter(_.user_id != ""))
        rows = self._read("users", mine, ("n", "core"), "user_id")
        keyed = rows.append_column("key", ranks(rows["user_id"]))
        return rollup(keyed, ("n", "core"), self.lowest, self.accounts)

    def events(self, number_of: dict[str, int]) -> Rollup:
        """How often by event; the keys are its numbers."""
        rows = self._by_event("events", self.session.ring["account_event_day"], number_of)
        return rollup(rows, ("n",), self.lowest, self.accounts)

    def steps(self, number_of: dict[str, int]) -> Rollup:
        """The same from the first day on, in the order in which they are seen."""
        rows = self._by_event("steps", self.session.ever["account_event_day"], number_of)
        return in_order_seen(rows.drop_columns(["day"]), self.lowest, self.accounts)

    def _by_event(self, what: str, table: ibis.Table, number_of: dict[str, int]) -> pa.Table:
        texts, places = pa.array(number_of, pa.string()), pa.array(number_of.values(), pa.int64())
        numbers = ibis.memtable(pa.table({"event": texts, "key": places}))
        mine = self.session.numbered(table).join(numbers, "event")
        return self._read(f"{what} {number_of}", mine, ("n",), "key")

    def _alike(self, rows: pa.Table, names: Sequence[str]) -> Rollup:
        """Rows that all have the same key."""
        keyed = rows.append_column("key", pa.array(np.zeros(len(rows), dtype=np.int64)))
        return rollup(keyed, names, self.lowest, self.accounts)

    def _read(self, what: str, table: ibis.Table, names: Sequence[str], *more: str) -> pa.Table:
        columns = [*DATED, *more, *names]
        key = f"{what} {columns}"
        return self.session.engine.to_arrow(
            self.session.repeat(key, lambda: table.select(*columns))
        )


def group_numbers(texts: Sequence[pa.ChunkedArray]) -> Ints:
    """For each text, put one after another, a number that equal ones have in common."""
    whole = pa.chunked_array([chunk for text in texts for chunk in text.chunks], pa.string())
    return whole.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
