"""What a fault is: a change to what is written, with the record of what it did."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.events import TIME
from features.simulate.offer import DAY_US, Flags, Ints


@dataclass(frozen=True)
class Scene:
    """Where and when a fault acts: on so many days from the first, on these accounts and users.

    `signed_up`: each account's day, from the first; `founders`: each account's first user.
    """

    first_day: np.datetime64
    days: int
    accounts: pa.Array
    signed_up: Ints
    users: pa.Array
    founders: pa.Array

    def instant(self, share: float) -> np.datetime64:
        """The midnight after that share of the time."""
        return self.first_day + np.timedelta64(int(share * self.days), "D")


@dataclass
class Fault:
    """One fault of one run; `did` says in plain values what it has done so far."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    scene: Scene
    rng: np.random.Generator
    did: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw whom and when it strikes."""

    def events(self, rows: pa.Table) -> pa.Table:
        """What becomes of one file of events."""
        return rows

    def table(self, name: str, rows: pa.Table) -> pa.Table:
        """What becomes of another table (all of its rows)."""
        return rows

    def count(self, what: str, many: int) -> None:
        """Add to a figure of `did`."""
        self.did[what] = self.did.get(what, 0) + int(many)


def instants(column: pa.ChunkedArray) -> Ints:
    """Microseconds since 1970 of a column of times (one that lacks none)."""
    return np.asarray(column.cast(pa.int64()).to_numpy())


def as_times(microseconds: Ints) -> pa.Array:
    """And back."""
    return pa.array(microseconds, pa.int64()).cast(TIME)


def midnight(day: np.datetime64) -> int:
    """A day's first microsecond since 1970."""
    return int(day.astype("datetime64[D]").astype(np.int64)) * DAY_US


def replaced(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """The table with another column of that name."""
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)


def is_one_of(rows: pa.Table, column: str, values: pa.Array) -> Flags:
    """Which rows have one of these values there."""
    return np.asarray(pc.is_in(rows[column], value_set=values).to_numpy())


def done_by_somebody(rows: pa.Table) -> Flags:
    """Events that a user's client sends; the others come from our own servers."""
    return np.asarray(pc.is_valid(rows["user_id"]).to_numpy())


def some(values: pa.Array, share: float, rng: np.random.Generator) -> pa.Array:
    """A share of the values, at least one."""
    many = max(1, round(share * len(values)))
    return values.take(pa.array(np.sort(rng.choice(len(values), many, replace=False))))
