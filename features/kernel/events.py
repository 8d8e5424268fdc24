"""Events as arrays: whose they are, what, when, and at which midnights they are seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.instants import DAY_US, NEVER, morning
from features.kernel.order import Floats, Ints
from features.kernel.rows import coded
from features.rollups.daily import HOUR_US
from features.settings import Settings
from features.zones import offsets

Flags = NDArray[np.bool_]
LAST = NEVER // DAY_US
"""The morning that never comes."""


class Events(NamedTuple):
    """Events in any order: numbers of their accounts, users and names, and the days they bear on.

    Midnights from `visible` to before `until` (days since 1970-01-01) see an event.
    """

    account: Ints
    user: Ints
    event: Ints
    time: Ints
    day: Ints
    visible: Ints
    until: Ints
    value: Floats

    def those(self, which: Flags) -> "Events":
        """Some of them."""
        return Events(*(part[which] for part in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Names:
    """The texts, in their order, that the numbers of accounts, users and events stand for."""

    account: pa.Array
    user: pa.Array
    event: pa.Array

    def among(self, events: Sequence[str]) -> Flags:
        """For each event, whether it is one of those listed."""
        return np.asarray(pc.is_in(self.event, pa.array(events, pa.string())).to_numpy(False))


def known_events(rows: pa.Table) -> tuple[Events, Names]:
    """Rows of events as their accounts' → arrays, without what no midnight ever saw.

    `rows`: account_id, user_id, event, event_us, known_us, until_us, value, as
    `features.rollups.daily.known_events` takes them.
    """
    time = whole(rows["event_us"])
    day = time // DAY_US
    visible = np.maximum(day + 1, morning(whole(rows["known_us"])))
    until = morning(whole(rows["until_us"]))
    account, user, event = (coded(rows[c]) for c in ("account_id", "user_id", "event"))
    value = np.asarray(pc.fill_null(rows["value"], 0.0).to_numpy())
    every = Events(account[0], user[0], event[0], time, day, visible, until, value)
    seen = visible < until
    return every if seen.all() else every.those(seen), Names(account[1], user[1], event[1])


def working_week(
    time: Ints, settings: Settings, span: tuple[datetime, datetime]
) -> tuple[Floats, Floats]:
    """1 for what happens at a weekend, and in office hours, by the clock of the calendar's zone.

    `span` holds all of it.
    """
    local = time + _offsets(time, settings.calendar.zone, span)
    weekday, hour = (local // DAY_US + 3) % 7, local % DAY_US // HOUR_US
    first, last = settings.calendar.office_hours
    office = (weekday < 5) & (hour >= first) & (hour < last)
    return (weekday >= 5).astype(np.float64), office.astype(np.float64)


def _offsets(time: Ints, zone: str, span: tuple[datetime, datetime]) -> Ints:
    """How far ahead of UTC the clock of a zone is at each instant, in microseconds."""
    until, seconds = zip(*offsets(zone, *span), strict=True)
    period = np.searchsorted(np.array(until[:-1], dtype=np.int64), time, side="right")
    return np.array(seconds, dtype=np.int64)[period] * 1_000_000


def whole(column: pa.ChunkedArray) -> Ints:
    """A column of whole numbers, or of times as microseconds."""
    return np.asarray(column.cast(pa.int64()).to_numpy())
