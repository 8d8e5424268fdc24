"""The events of one observation date in pandas: cut to what was known, sessionised, summed by day.

This is what a careful person writes by hand for one date; it shares nothing with `features/` but
the lake's files and the declarations of the settings.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features import lake
from features.settings import Settings
from features.workspace import Workspace

DAY_US = 86_400_000_000
PAUSE_US = 1_800_000_000
SUMMED = ("weekend", "office", "sessions", "minutes")
USE_MEASURES = ("events", *SUMMED, "user_days", "active")
VALUES = {
    "severity": "tickets",
    "answer_hours": "tickets_answered",
    "nps_score": "nps",
    "csat_score": "csat",
}
"""Measures that add up the values of a list's events."""
ORDER = ["account", "user", "event_us"]
_READ = ["account_id", "user_id", "event", "event_us", "known_at", "value"]


@dataclass(frozen=True)
class Log:
    """All events with texts as numbers: made once for all dates.

    `rows`: account, user, event (numbers), event_us, known_us, value, and 1.0 for those at the
    `weekend` and in the `office` hours; `users` and `events` hold the texts behind the numbers,
    sorted; `accounts` those of the accounts table as well.
    """

    rows: pd.DataFrame
    accounts: pd.Index
    users: pd.Index
    events: list[str]
    _only: dict[tuple[str, ...], "Log"] = field(default_factory=dict, repr=False)

    def codes(self, names: Iterable[str]) -> list[int]:
        """The numbers of event names that occur."""
        place = {name: i for i, name in enumerate(self.events)}
        return [place[name] for name in names if name in place]

    def only(self, names: Iterable[str]) -> "Log":
        """The log of some events alone, made once."""
        names = tuple(names)
        if names not in self._only:
            mine = self.rows["event"].isin(self.codes(names))
            self._only[names] = replace(self, rows=self.rows[mine])
        return self._only[names]


def read_log(
    workspace: Workspace, settings: Settings, accounts: pd.Series, *, ordered: bool
) -> Log:
    """Read the lake's events; `ordered`: sorted by account, user and time."""
    table = pq.read_table(lake.table_files(workspace, "events"), columns=_READ, partitioning=None)
    coded = {}
    texts = {}
    for name in ("account_id", "user_id", "event"):
        encoded = table[name].combine_chunks().dictionary_encode()
        words = pd.Index(encoded.dictionary.to_pandas(), dtype=object)
        known = words if name != "account_id" else words.union(pd.Index(accounts, dtype=object))
        texts[name] = known.sort_values()
        places = np.append(texts[name].get_indexer(words), -1)
        codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        coded[name] = places[codes].astype("int32")
    rows = pd.DataFrame(
        {
            "account": coded["account_id"],
            "user": coded["user_id"],
            "event": coded["event"],
            "event_us": table["event_us"].to_numpy(),
            "known_us": table["known_at"].cast("int64").to_numpy(),
            "value": table["value"].to_pandas().fillna(0.0),
        }
    )
    rows = rows.assign(**_calendar(rows["event_us"], settings))
    if ordered:
        rows = rows.sort_values(ORDER, ignore_index=True)
    return Log(rows, texts["account_id"], texts["user_id"], list(texts["event"]))


def _calendar(event_us: pd.Series, settings: Settings) -> dict[str, pd.Series]:
    """Where events lie in the working week, by the company's clocks."""
    local = pd.to_datetime(event_us, unit="us", utc=True).dt.tz_convert(settings.calendar.zone)
    weekend = local.dt.day_of_week >= 5
    first, last = settings.calendar.office_hours
    office = ~weekend & (local.dt.hour >= first) & (local.dt.hour < last)
    return {"weekend": weekend.astype(float), "office": office.astype(float)}


class Known:
    """What one date may see of `days` days that end `back` days before it, by account and day.

    `age` 0 is the last whole day before the date.
    """

    def __init__(self, log: Log, settings: Settings, day: int, days: int, back: int = 0) -> None:
        """See the events of `log`, which must be sorted, as known at the midnight of `day`."""
        self.log, self.settings = log, settings
        rows, midnight = log.rows, day * DAY_US
        self._first = midnight - (back + days) * DAY_US
        # Half an hour more, for the session that may run into the first day.
        seen = (
            (rows["event_us"] >= self._first - PAUSE_US)
            & (rows["event_us"] < midnight - back * DAY_US)
            & (rows["known_us"] <= midnight)
        )
        cut = rows[seen]
        self._cut = cut.assign(age=day - 1 - cut["event_us"] // DAY_US)

    @cached_property
    def events(self) -> pd.DataFrame:
        """The visible events of these days."""
        return self._cut[self._cut["event_us"] >= self._first]

    @cached_property
    def uses(self) -> pd.DataFrame:
        """The events that count as use, each with the session it starts and its minutes."""
        lists = self.settings.events
        quiet = self.log.codes(lists.passive + lists.notifications_shown)
        uses = self._cut[~self._cut["event"].isin(quiet)]
        gap = uses["event_us"].diff()
        new = (uses["user"].diff() != 0) | (uses["account"].diff() != 0) | (gap > PAUSE_US)
        uses = uses.assign(sessions=new.astype(float), minutes=gap.where(~new, 0.0) / 60e6)
        return uses[uses["event_us"] >= self._first]

    @cached_property
    def by_user(self) -> pd.DataFrame:
        """account, user, age → n, weekend, office, sessions, minutes."""
        grouped = self.uses.groupby(["account", "user", "age"], sort=False)
        sums = {name: (name, "sum") for name in SUMMED}
        return grouped.agg(n=("event", "size"), **sums).reset_index()

    @cached_property
    def by_core_user(self) -> pd.DataFrame:
        """account, user, age → n: completed core use cases."""
        names = self.log.codes(self.settings.events.core_use_cases)
        core = self.events[self.events["event"].isin(names)]
        return core.groupby(["account", "user", "age"], sort=False).size().reset_index(name="n")

    @cached_property
    def by_event(self) -> pd.DataFrame:
        """account, event, age → n, value."""
        grouped = self.events.groupby(["account", "event", "age"], sort=False)
        return grouped.agg(n=("event", "size"), value=("value", "sum")).reset_index()

    @cached_property
    def use_by_day(self) -> pd.DataFrame:
        """account, age → one column for each of USE_MEASURES."""
        sums = {name: (name, "sum") for name in SUMMED}
        grouped = self.by_user.groupby(["account", "age"], sort=False)
        daily = grouped.agg(events=("n", "sum"), user_days=("n", "size"), **sums)
        return daily.reset_index().assign(active=1.0)

    def measure(self, name: str) -> pd.DataFrame:
        """A measure by day: account, age, n."""
        lists = self.settings.events
        if name == "minutes":
            told = self.by_event[self.by_event["event"].isin(self.log.codes(lists.minutes))]
            told = told.rename(columns={"value": "n", "n": "times"})
            own = self.use_by_day.rename(columns={"minutes": "n"})
            both = pd.concat([f[["account", "age", "n"]] for f in (own, told)])
            return both.groupby(["account", "age"], sort=False)["n"].sum().reset_index()
        if name in USE_MEASURES:
            return self.use_by_day[["account", "age", name]].rename(columns={name: "n"})
        listed = self.listed(name)
        return listed.groupby(["account", "age"], sort=False)["n"].sum().reset_index()

    def listed(self, measure: str) -> pd.DataFrame:
        """The rows of the events of a list, `n` being their number or the sum of their values."""
        names = self.log.codes(listed_events(VALUES.get(measure, measure), self.settings))
        rows = self.by_event[self.by_event["event"].isin(names)]
        return rows.assign(n=rows["value"]) if measure in VALUES else rows


class PlainKnown(Known):
    """The same, without sums by day: each row is one event, and every window groups such rows."""

    def __init__(self, log: Log, settings: Settings, day: int, days: int, back: int = 0) -> None:
        super().__init__(log, settings, day, days, back)
        self._cut = self._cut.sort_values(ORDER)

    @cached_property
    def by_user(self) -> pd.DataFrame:
        """One row a use: account, user, age, n, weekend, office, sessions, minutes."""
        return self.uses.assign(n=1.0)

    @cached_property
    def by_core_user(self) -> pd.DataFrame:
        """One row a completed core use case: account, user, age, n."""
        names = self.log.codes(self.settings.events.core_use_cases)
        return self.events[self.events["event"].isin(names)].assign(n=1.0)

    @cached_property
    def by_event(self) -> pd.DataFrame:
        """One row an event: account, event, age, n, value."""
        return self.events.assign(n=1.0)

    def measure(self, name: str) -> pd.DataFrame:
        """One row an event, a day, or a user's day, as the measure says: account, age, n."""
        rows = self.by_user
        if name in ("active", "user_days"):
            who = ["account", "age"] if name == "active" else ["account", "user", "age"]
            return rows[who].drop_duplicates().assign(n=1.0)
        if name == "minutes":
            lessons = self.log.codes(self.settings.events.minutes)
            told = self.events[self.events["event"].isin(lessons)].assign(
                minutes=lambda e: e["value"]
            )
            rows = pd.concat([f[["account", "age", "minutes"]] for f in (rows, told)])
            return rows.rename(columns={"minutes": "n"})
        if name in USE_MEASURES:
            return rows[["account", "age"]].assign(n=1.0 if name == "events" else rows[name])
        return self.listed(name)


def listed_events(measure: str, settings: Settings) -> tuple[str, ...]:
    """The events that a listed measure counts.

    Raises KeyError for a measure that is none of the settings' lists and limits.
    """
    for limit in settings.plans.limits:
        if measure == f"limit_{limit.name}":
            return limit.events
    if measure not in type(settings.events).model_fields:
        raise KeyError(measure)
    return tuple(getattr(settings.events, measure))
