"""The features again: slow, obvious, plain Python over one account's raw rows.

It shares nothing with the pipeline but the declarations of the catalogue. Whatever the pipeline
says, a person can check here by reading.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from features.algebra import (
    RING_DAYS,
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    Growth,
    Largest,
    Mean,
    PeerRank,
    Ratio,
    Sum,
    TopShare,
    Window,
)
from features.settings import Settings

PAUSE = timedelta(minutes=30)
Row = dict[str, Any]


@dataclass(repr=False)
class World:
    """The rows of the four tables, as a source would deliver them."""

    accounts: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    subscriptions: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"World({len(self.accounts)} accounts, {len(self.events)} events)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis would print every row."""
        printer.text(repr(self))


def midnight(day: date) -> datetime:
    """The instant an observation is made at."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def visible(rows: list[Row], account: str, as_of: datetime, time: str) -> list[Row]:
    """An account's rows whose fact began before `as_of` and was known by then."""
    mine = [r for r in rows if r["account_id"] == account]
    return [r for r in mine if r[time] < as_of and r["known_at"] <= as_of]


class Observer:
    """What can be said of one account at one midnight."""

    def __init__(self, world: World, settings: Settings, account: str, day: date) -> None:
        self.settings, self.account, self.day, self.as_of = settings, account, day, midnight(day)
        self.events = visible(world.events, account, self.as_of, "event_time")
        self.accounts = visible(world.accounts, account, self.as_of, "created_at")
        self.users = visible(world.users, account, self.as_of, "created_at")
        self.subscriptions = visible(world.subscriptions, account, self.as_of, "effective_at")
        self.all_subscriptions = [r for r in world.subscriptions if r["account_id"] == account]

    def inside(self, window: Window, events: list[Row]) -> list[Row]:
        """The events of a window: whole days, the last of them `back` days before."""
        end = self.as_of - timedelta(days=window.back)
        return [e for e in events if end - timedelta(days=window.days) <= e["event_time"] < end]

    def uses(self) -> list[Row]:
        """The events that count as use."""
        lists = self.settings.events
        quiet = {*lists.passive, *lists.notifications_shown}
        return [e for e in self.events if e["event"] not in quiet]

    def steps(self) -> list[tuple[Row, bool, float]]:
        """Each use with whether it starts a session and the minutes since the user's last."""
        last: dict[str, datetime] = {}
        found = []
        for e in sorted(self.uses(), key=lambda e: e["event_time"]):
            user = e["user_id"] or ""
            gap = e["event_time"] - last[user] if user in last else None
            last[user] = e["event_time"]
            starts = gap is None or gap > PAUSE
            found.append((e, starts, 0.0 if gap is None or starts else gap.total_seconds() / 60))
        return found

    def measure(self, name: str, window: Window) -> float:
        """A daily measure of the account, summed over a window."""
        if name in ("events", "active", "user_days"):
            uses = self.inside(window, self.uses())
            days = {e["event_time"].date() for e in uses}
            pairs = {(e["user_id"] or "", e["event_time"].date()) for e in uses}
            return float({"events": len(uses), "active": len(days), "user_days": len(pairs)}[name])
        if name in ("sessions", "minutes"):
            steps = self.steps()
            own = {id(e) for e in self.inside(window, [s[0] for s in steps])}
            if name == "sessions":
                return float(sum(starts for e, starts, _ in steps if id(e) in own))
            timed = [e for e in self.inside(window, self.events)
                     if e["event"] in self.settings.events.minutes]  # fmt: skip
            reported = sum(e["value"] or 0.0 for e in timed)
            return sum(m for e, _, m in steps if id(e) in own) + reported
        return float(sum(e["event"] in self.listed(name) for e in self.inside(window, self.events)))

    def listed(self, measure: str) -> tuple[str, ...]:
        """The events that a listed measure counts."""
        for limit in self.settings.plans.limits:
            if measure == f"limit_{limit.name}":
                return limit.events
        return tuple(getattr(self.settings.events, measure))

    def keys(self, key: str, window: Window) -> Counter[str]:
        """How often each user or event occurs in a window."""
        if key == "user":
            users = (e["user_id"] for e in self.inside(window, self.uses()))
            return Counter(u for u in users if u)
        lists = self.settings.events
        names = lists.features if key == "feature" else lists.core_use_cases
        events = self.inside(window, self.events)
        return Counter(e["event"] for e in events if e["event"] in names)

    def value(self, e: Expression, peers: list["Observer"]) -> Any:  # noqa: C901 - one case each
        """Any expression of the algebra; `peers` are all accounts of the day, this one included."""
        match e:
            case Sum(measure, window):
                return self.measure(measure, window)
            case DaysSince(measure):
                ages = (age for age in range(RING_DAYS) if self._on(measure, age))
                return float(next(ages, RING_DAYS) + 1)
            case Distinct(key, window, at_least):
                return float(sum(n >= at_least for n in self.keys(key, window).values()))
            case TopShare(key, window):
                counts = self.keys(key, window)
                return max(counts.values()) / counts.total() if counts else None
            case Entropy(key, window):
                counts = self.keys(key, window)
                shares = [n / counts.total() for n in counts.values()]
                return max(0.0, -sum(p * math.log(p) for p in shares))
            case EventCount(event, window):
                events = self.inside(window, self.events)
                return float(sum(x["event"] == event for x in events))
            case Fact(name):
                return self.facts()[name]
            case Ratio(above, below, times):
                top, bottom = self.value(above, peers), self.value(below, peers)
                return None if top is None or not bottom else top / bottom * times
            case Growth(now, before):
                return (self.value(now, peers) + 1) / (self.value(before, peers) + 1)
            case Largest(of):
                values = [v for x in of if (v := self.value(x, peers)) is not None]
                return max(values, default=None)
            case Mean(of):
                values = [v for x in of if (v := self.value(x, peers)) is not None]
                return sum(values) / len(values) if values else None
            case PeerRank(of):
                mine = round(self.value(of, peers) or 0.0, 6)
                population = self.facts()["population"]
                same = [p for p in peers if p.facts()["population"] == population]
                others = [round(p.value(of, peers) or 0.0, 6) for p in same]
                below, equal = sum(o < mine for o in others), sum(o == mine for o in others)
                return 100 * (below + equal / 2) / len(others)
        raise TypeError(e)

    def _on(self, measure: str, age: int) -> bool:
        """Whether the measure is above 0 on the day `age` whole days before the last."""
        start = self.as_of - timedelta(days=age + 1)
        day = [e for e in self.events if start <= e["event_time"] < start + timedelta(days=1)]
        names = None if measure == "events" else self.listed(measure)
        uses = {id(e) for e in self.uses()}
        return any(id(e) in uses if names is None else e["event"] in names for e in day)

    def facts(self) -> dict[str, Any]:
        """Everything known of the account as such."""
        if not hasattr(self, "_facts"):
            self._facts = {**self._profile(), **self._commercial(), **self._milestones()}
            for limit in self.settings.plans.limits:
                self._facts[f"limit_{limit.name}"] = limit.by_plan.get(self._facts["plan"])
            self._facts["plan_name"] = self._facts["plan"]
            self._facts["mrr_now"] = self._facts["mrr"]
        return self._facts

    def _profile(self) -> dict[str, Any]:
        newest = max(self.accounts, key=lambda r: (r["known_at"], r["row_id"]), default={})
        names = ("industry", "country", "channel", "employees")
        facts = {name: newest.get(name) for name in names}
        facts["is_internal"] = bool(newest.get("is_internal"))
        born = newest.get("created_at")
        facts["age_days"] = None if born is None else (self.as_of - born) / timedelta(days=1)
        facts["created"] = None if born is None else born.date()
        people = {r["user_id"] for r in self.users}
        return facts | {"users_joined": float(len(people)) if people else None}

    def _commercial(self) -> dict[str, Any]:
        plans, lapse = self.settings.plans, self.settings.subscriptions.lapse_after_days
        rows = sorted(
            self.subscriptions, key=lambda r: (r["effective_at"], r["known_at"], r["row_id"])
        )
        states = list({r["subscription_id"]: r for r in rows}.values())
        running = [r for r in states if r["status"] != "cancelled"]
        if lapse is not None:
            grace = timedelta(days=lapse)
            running = [
                r for r in running if not (r["term_end"] and r["term_end"] + grace < self.as_of)
            ]
        paid = [r for r in rows if r["status"] == "active" and r["plan"] not in plans.free]
        paying = [r for r in running if r["status"] == "active" and r["plan"] not in plans.free]
        rank = {p: i for i, p in enumerate(plans.ladder)}
        best = sorted(
            running, key=lambda r: (-rank.get(r["plan"], -1), -r["mrr"], r["subscription_id"])
        )
        main = best[0] if best else {}
        population = "customer" if paying else "former" if paid else "prospect"
        plan = main.get("plan")
        if plan is None and population == "prospect" and plans.free:
            plan = plans.free[0]
        end, day = main.get("term_end"), timedelta(days=1)
        first = min((r["effective_at"] for r in paid), default=None)
        ahead = [
            r for r in self.all_subscriptions
            if r["status"] == "cancelled" and r["known_at"] <= self.as_of <= r["effective_at"]
        ]  # fmt: skip
        return {
            "population": population,
            "plan": plan,
            "mrr": float(sum(r["mrr"] for r in paying)),
            "plan_rank": None if plan not in rank else float(rank[plan]),
            "in_trial": float(main.get("status") == "trial"),
            "seats": main.get("seats"),
            "discount": main.get("discount"),
            "billing_months": main.get("billing_months"),
            "term_end": end.date() if end else None,
            "days_to_renewal": None if end is None else (end - self.as_of) / day,
            "tenure_days": None if first is None else (self.as_of - first) / day,
            "cancel_announced": bool(ahead),
        }

    def _milestones(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"milestones_reached": 0.0}
        born = self._profile()["created"]
        for milestone in self.settings.milestones:
            name = f"days_to_{milestone.name}"
            facts[name] = None
            seen = sorted(
                max(e["event_time"].date(), _morning(e["known_at"]) - timedelta(days=1))
                for e in self.events if e["event"] == milestone.event
            )  # fmt: skip
            if len(seen) >= milestone.count:
                facts["milestones_reached"] += 1
                if born:
                    facts[name] = float((seen[milestone.count - 1] - born).days)
        return facts


def _morning(moment: datetime) -> date:
    """The first day whose midnight is not before `moment`."""
    day = moment.date()
    return day if moment == midnight(day) else day + timedelta(days=1)
