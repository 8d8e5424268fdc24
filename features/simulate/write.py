"""The synthetic company's tables as Parquet files, with the columns of the contract."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.events import CONTRACT, TIME
from features.simulate import billing, words
from features.simulate.batch import NOBODY, Batch, joined
from features.simulate.faults.fault import Fault
from features.simulate.offer import CODE, DAY_US, EVENTS, NEVER, PLANS, Flags, Ints
from features.simulate.people import Members
from features.simulate.traits import Traits

ROW_GROUP = 250_000


def schema_of(table: str) -> pa.Schema:
    """The contract's columns of `table`, without those that the lake adds."""
    return pa.schema([(column.name, column.type) for column in CONTRACT[table].columns])


@dataclass
class Names:
    """Indices → opaque ids, and days → instants."""

    first_day: np.datetime64
    accounts: pa.Array
    users: pa.Array

    def times(self, microseconds: Ints, missing: Flags | None = None) -> pa.Array:
        """Microseconds after the first midnight → instants in UTC."""
        epoch = self.first_day.astype("datetime64[us]").astype(np.int64)
        return pa.array(microseconds + epoch, pa.int64(), mask=missing).cast(TIME)


def draw_names(traits: Traits, first_day: np.datetime64, rng: np.random.Generator) -> Names:
    """Ids for every account and every user slot; a user's id says nothing of the account."""
    slots = int(traits.potential.sum())
    digits = rng.permutation(slots) + 1
    return Names(
        first_day, numbered("acc_", np.arange(len(traits)) + 1, 4), numbered("usr_", digits, 6)
    )


def numbered(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """`prefix` and a zero-padded number, as strings.

    >>> numbered("acc_", np.array([1, 27]), 4).to_pylist()
    ['acc_0001', 'acc_0027']
    """
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


@dataclass
class EventFiles:
    """Writes events month by month: one file a month, sorted by time, one month in memory."""

    folder: Path
    names: Names
    faults: Sequence[Fault] = ()
    waiting: list[Batch] = field(default_factory=list)
    numbered: int = 0
    written: int = 0

    def add(self, batch: Batch) -> None:
        """Take the events of one more day."""
        self.waiting.append(batch)

    def close_month(self, before: int, received_before: int | None = None) -> None:
        """Write what happened before the instant `before` (microseconds); the rest waits.

        With `received_before`, what had not reached us by then is left out. Faults act on the
        file as it would have been.
        """
        events = joined(self.waiting)
        ready = events.time < before
        self.waiting = [events[~ready]]
        if received_before is not None:
            ready &= events.known < received_before
        events = events[ready]
        self._write(events[np.argsort(events.time, kind="stable")], received_before)

    def _write(self, events: Batch, received_before: int | None) -> None:
        if not len(events):
            return
        first = self.names.first_day + np.timedelta64(int(events.time[0] // DAY_US), "D")
        path = self.folder / f"{first.astype('datetime64[M]')}.parquet"
        rows = self._table(events)
        for fault in self.faults:
            rows = fault.events(rows)
        if self.faults:
            rows = self._within(rows, received_before).sort_by("event_time")
        pq.write_table(rows, path, row_group_size=ROW_GROUP, compression="zstd")
        self.written += len(rows)

    def _within(self, rows: pa.Table, received_before: int | None) -> pa.Table:
        """What a fault has moved out of the simulated time is in no file."""
        first = self.names.times(np.array([0]))[0]
        rows = rows.filter(pc.greater_equal(rows["event_time"], first))
        if received_before is None:
            return rows
        end = self.names.times(np.array([received_before]))[0]
        return rows.filter(
            pc.and_(pc.less(rows["known_at"], end), pc.less(rows["event_time"], end))
        )

    def _table(self, events: Batch) -> pa.Table:
        nobody = events.slot == NOBODY
        number = np.arange(self.numbered + 1, self.numbered + 1 + len(events))
        self.numbered += len(events)
        names = self.names
        columns = {
            "message_id": numbered("m", number, 8),
            "event_time": names.times(events.time),
            "known_at": names.times(events.known),
            "account_id": names.accounts.take(pa.array(events.account)),
            "user_id": names.users.take(pa.array(events.slot, mask=nobody)),
            "anonymous_id": pa.nulls(len(events), pa.string()),
            "event": pa.array(EVENTS).take(pa.array(events.code)),
            "value": pa.array(events.value, mask=np.isnan(events.value)),
            "properties": _properties(events),
        }
        return pa.table(columns, schema=schema_of("events"))


def _properties(events: Batch) -> pa.Array:
    said = pa.array(['{"page": "plans"}'])
    priced = events.code == CODE["pricing_viewed"]
    return said.take(pa.array(np.zeros(len(events), np.int64), mask=~priced))


def accounts(traits: Traits, names: Names, rng: np.random.Generator) -> pa.Table:
    """The accounts, one row each."""
    count = len(traits)
    columns = {
        "account_id": names.accounts,
        "created_at": names.times(traits.created),
        "known_at": names.times(traits.created),
        "name": pa.array(_company_names(count, rng)),
        "industry": _pick(words.INDUSTRIES, traits.industry),
        "country": _pick(words.COUNTRIES, traits.country),
        "employees": pa.array(traits.employees, mask=rng.random(count) < 0.08),
        "channel": _pick(words.CHANNELS, traits.channel),
        "owner": _pick(words.OWNERS, traits.owner),
        "is_internal": pa.array(traits.internal),
    }
    return pa.table(columns, schema=schema_of("accounts"))


def _company_names(count: int, rng: np.random.Generator) -> list[str]:
    parts = [rng.integers(0, len(part), count) for part in (words.FIRST, words.SECOND, words.KIND)]
    return [
        f"{words.FIRST[a]}{words.SECOND[b]} {words.KIND[c]}" for a, b, c in zip(*parts, strict=True)
    ]


def users(members: Members, names: Names, rng: np.random.Generator) -> pa.Table:
    """Everybody who joined, and once more whoever left."""
    slots, of, times = (np.concatenate(part) for part in zip(*members.joined, strict=True))
    gone, left = (np.concatenate(part) for part in zip(*members.left, strict=True))
    role = np.array(words.ROLES)[rng.integers(0, len(words.ROLES), len(slots))]
    role[np.unique(of, return_index=True)[1]] = "owner"
    by_slot = np.argsort(slots)
    rows = np.concatenate([np.arange(len(slots)), by_slot[np.searchsorted(slots[by_slot], gone)]])
    known = np.concatenate([times, left])
    columns = {
        "user_id": names.users.take(pa.array(slots[rows])),
        "account_id": names.accounts.take(pa.array(of[rows])),
        "created_at": names.times(times[rows]),
        "left_at": names.times(known, missing=np.arange(len(rows)) < len(slots)),
        "known_at": names.times(known),
        "role": pa.array(role[rows].tolist()),
    }
    return pa.table(columns, schema=schema_of("users"))


def subscriptions(contracts: billing.Contracts, names: Names) -> pa.Table:
    """The log of commercial changes, in the order we learnt them."""
    parts = zip(*contracts.log, strict=True)
    log = dict(zip(billing.LOG, (np.concatenate(part) for part in parts), strict=True))
    order = np.lexsort((log["account"], log["known"]))
    log = {name: values[order] for name, values in log.items()}
    return pa.table(_subscription_columns(log, names), schema=schema_of("subscriptions"))


def _subscription_columns(log: dict[str, np.ndarray], names: Names) -> dict[str, pa.Array]:
    account = numbered("sub_", log["account"] + 1, 4)
    endless = log["term_end"] == NEVER
    return {
        "subscription_id": pc.binary_join_element_wise(
            account, numbered("", log["number"], 1), "_"
        ),
        "account_id": names.accounts.take(pa.array(log["account"])),
        "effective_at": names.times(log["effective"]),
        "known_at": names.times(log["known"]),
        "status": _pick(billing.STATUSES, log["status"]),
        "plan": _pick(PLANS, log["plan"]),
        "mrr": pa.array(log["mrr"]),
        "seats": pa.array(log["seats"].astype(float)),
        "billing_months": pa.array(log["months"].astype(float), mask=log["months"] == 0),
        "term_end": names.times(log["term_end"] * DAY_US, endless),
        "discount": pa.array(log["discount"]),
    }


def _pick(values: tuple[str, ...], index: Ints) -> pa.Array:
    return pa.array(values).take(pa.array(index))
