"""The measures and the keys of one account at one midnight, in plain Python."""

from collections import Counter
from datetime import date, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from features.algebra import SPAN, Window
from features.settings import Settings
from tests.reference_facts import facts_of
from tests.reference_known import Knowledge, Row, midnight

PAUSE = timedelta(minutes=30)
VALUES = {
    "severity": "tickets",
    "answer_hours": "tickets_answered",
    "nps_score": "nps",
    "csat_score": "csat",
}
"""Measures that add up the values of a list's events."""


class Account:
    """What one account's visible rows say, by day and by key."""

    def __init__(self, knowledge: Knowledge, settings: Settings, account: str, day: date) -> None:
        self.settings, self.account, self.as_of = settings, account, midnight(day)
        self._knowledge, self._date = knowledge, day
        self.events: list[Row] = knowledge.on(day).events.get(account, [])
        self._measured: dict[str, dict[int, float]] = {}
        self._occurred: dict[str, list[tuple[int, str]]] = {}
        self._counted: dict[tuple[str, Window], Counter[str]] = {}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Everything known of the account as such."""
        return facts_of(self._knowledge, self.settings, self.account, self._date)

    def age(self, event: Row) -> int:
        """How many whole days lie between the event's day and the last before `as_of`."""
        return (self._date - event["event_time"].date()).days - 1

    @cached_property
    def uses(self) -> list[Row]:
        """The events that count as use."""
        lists = self.settings.events
        quiet = {*lists.passive, *lists.notifications_shown}
        return [e for e in self.events if e["event"] not in quiet]

    def daily(self, measure: str) -> dict[int, float]:
        """A measure by the age of the day; days without are left out."""
        if measure not in self._measured:
            found: dict[int, float] = {}
            for age, number in self._amounts(measure):
                found[age] = found.get(age, 0.0) + number
            self._measured[measure] = {age: n for age, n in found.items() if n}
        return self._measured[measure]

    def _amounts(self, measure: str) -> list[tuple[int, float]]:
        """(age, number) pairs that add up to a measure."""
        uses = [(self.age(e), e) for e in self.uses]
        match measure:
            case "events":
                return [(age, 1.0) for age, _ in uses]
            case "active":
                return [(age, 1.0) for age in {age for age, _ in uses}]
            case "user_days":
                return [(age, 1.0) for age, _ in {(age, e["user"]) for age, e in uses}]
            case "sessions":
                return [(age, float(starts)) for age, starts, _ in self._steps]
            case "minutes":
                timed = self._listed(self.settings.events.minutes)
                reported = [(self.age(e), e["value"] or 0.0) for e in timed]
                return [(age, minutes) for age, _, minutes in self._steps] + reported
            case "weekend" | "office":
                return [(age, 1.0) for age, e in uses if self._local(e) == measure]
        if measure in VALUES:
            listed = self._listed(getattr(self.settings.events, VALUES[measure]))
            return [(self.age(e), e["value"] or 0.0) for e in listed]
        return [(self.age(e), 1.0) for e in self._listed(self._names(measure))]

    def _names(self, measure: str) -> tuple[str, ...]:
        """The events that a listed measure counts."""
        for limit in self.settings.plans.limits:
            if measure == f"limit_{limit.name}":
                return limit.events
        return tuple(getattr(self.settings.events, measure))

    def _listed(self, names: tuple[str, ...]) -> list[Row]:
        return [e for e in self.events if e["event"] in names]

    @cached_property
    def _steps(self) -> list[tuple[int, bool, float]]:
        """Of each use: its age, whether it starts a session, minutes since the user's last."""
        last: dict[str, Any] = {}
        found = []
        for e in self.uses:
            gap = e["event_time"] - last[e["user"]] if e["user"] in last else None
            last[e["user"]] = e["event_time"]
            starts = gap is None or gap > PAUSE
            found.append((self.age(e), starts, 0.0 if starts else gap.total_seconds() / 60))
        return found

    def _local(self, event: Row) -> str:
        """Where in the working week a use lies, by the company's clocks."""
        calendar = self.settings.calendar
        local = event["event_time"].astimezone(ZoneInfo(calendar.zone))
        if local.weekday() >= 5:
            return "weekend"
        first, last = calendar.office_hours
        return "office" if first <= local.hour < last else "other"

    def total(self, measure: str, window: Window) -> float:
        """A daily measure, summed over a window."""
        return sum((n for age, n in self.daily(measure).items() if window.contains(age)), 0.0)

    def span(self, measure: str) -> list[int]:
        """The ages of the last `SPAN` days on which the measure is above 0, the latest first."""
        return sorted(age for age, n in self.daily(measure).items() if age < SPAN and n > 0)

    def keys(self, key: str, window: Window) -> Counter[str]:
        """How often each user or event occurs in a window."""
        if (key, window) not in self._counted:
            found = (name for age, name in self._occurrences(key) if window.contains(age))
            self._counted[key, window] = Counter(found)
        return self._counted[key, window]

    def _occurrences(self, key: str) -> list[tuple[int, str]]:
        """Age and name of every occurrence of a key."""
        if key not in self._occurred:
            self._occurred[key] = [(self.age(e), name) for e, name in self._named(key)]
        return self._occurred[key]

    def _named(self, key: str) -> list[tuple[Row, str]]:
        lists = self.settings.events
        if key == "user":
            return [(e, e["user"]) for e in self.uses if e["user"]]
        if key == "core_user":
            return [(e, e["user"]) for e in self._listed(lists.core_use_cases) if e["user"]]
        if key == "feature" and not lists.features:
            return [(e, e["event"]) for e in self.uses]
        if key.startswith("plan:"):
            names = self.settings.plans.features[key.removeprefix("plan:")]
        else:
            names = {
                "feature": lists.features,
                "core": lists.core_use_cases,
                "golden": lists.golden,
            }[key]
        return [(e, e["event"]) for e in self._listed(names)]

    def busiest(self, key: str, window: Window) -> str | None:
        """The key that occurs most, of equal ones the first by name."""
        counts = self.keys(key, window)
        return min(counts, key=lambda name: (-counts[name], name)) if counts else None
