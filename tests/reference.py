"""The features again: slow, obvious, plain Python over the raw rows of a few accounts.

It shares nothing with the pipeline but the declarations: the settings, the algebra and the
catalogue. Whatever the pipeline says, a person can check here by reading. What is known at a
midnight is in `reference_known.py`, the facts in `reference_facts.py`, measures and keys in
`reference_account.py`.
"""

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date
from typing import Any

from features.algebra import (
    FAR_DAYS,
    RING_DAYS,
    SPAN,
    AtLeast,
    ByPlan,
    DaysOver,
    DaysSince,
    DaysToReach,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    Growth,
    Largest,
    Linear,
    LongestGap,
    LongestStreak,
    Mean,
    OfBusiest,
    OnlyIn,
    PeerMedian,
    PeerRank,
    Ratio,
    SinceBusiest,
    Spread,
    Streak,
    Sum,
    TopShare,
    Total,
    Window,
)
from features.settings import Settings
from tests.reference_account import Account
from tests.reference_known import Knowledge

NEAR = Window(RING_DAYS)


class Day:
    """One midnight: all accounts, of all worlds, that are known then and stand side by side."""

    def __init__(self, worlds: Iterable[Knowledge], settings: Settings, day: date) -> None:
        self.observers = {
            account: Observer(world, settings, account, day, self)
            for world in worlds
            for account in world.on(day).accounts
        }
        self._peers: dict[Any, dict[Any, list[float]]] = {}

    def peers(self, of: Expression, among: tuple[str, ...], group: tuple[Any, ...]) -> list[float]:
        """The rounded numbers of all accounts that agree in `among`, sorted."""
        key = (of, among)
        if key not in self._peers:
            groups = self._peers[key] = {}
            for observer in self.observers.values():
                groups.setdefault(observer.group(among), []).append(observer.compared(of))
            for numbers in groups.values():
                numbers.sort()
        return self._peers[key][group]


class Observer(Account):
    """An account beside its peers of the day, and what every expression says of it."""

    def __init__(
        self, knowledge: Knowledge, settings: Settings, account: str, day: date, beside: Day
    ) -> None:
        super().__init__(knowledge, settings, account, day)
        self.beside = beside

    def value(self, e: Expression) -> Any:
        """Any expression of the algebra; None where it is missing."""
        match e:
            case Sum(measure, window):
                return self.total(measure, window)
            case Total(measure):
                return sum(self.daily(measure).values(), 0.0)
            case DaysSince(measure):
                ages = [a for a, n in self.daily(measure).items() if a < RING_DAYS and n > 0]
                return float(min(ages, default=RING_DAYS) + 1)
            case LongestGap() | LongestStreak() | Streak() | DaysOver():
                return self._of_span(e)
            case Distinct() | OnlyIn() | OfBusiest() | SinceBusiest() | TopShare() | Entropy():
                return self._of_keys(e)
            case EventCount(event, window):
                ages = [self.age(x) for x in self.events if x["event"] == event]
                return float(sum(window.contains(age) for age in ages))
            case Fact(name):
                return self.facts[name]
            case PeerRank() | PeerMedian():
                return self._of_peers(e)
            case DaysToReach() | ByPlan():
                return self._of_plan(e)
        return self._combined(e)

    def _of_peers(self, e: Expression) -> float:
        """Where the account stands among its peers of the day, and what they stand at."""
        match e:
            case PeerRank(of, among):
                mine = self.compared(of)
                others = self.beside.peers(of, among, self.group(among))
                below, upto = bisect_left(others, mine), bisect_right(others, mine)
                return 100 * (below + (upto - below) / 2) / len(others)
            case PeerMedian(of, among):
                return statistics.median(self.beside.peers(of, among, self.group(among)))
        raise TypeError(e)

    def _of_span(self, e: Expression) -> float | None:
        """Pauses, streaks and days near a limit, within the last `SPAN` days."""
        match e:
            case DaysOver(measure, days, limit, share):
                most = self.facts[limit]
                if most is None:
                    return None
                sums = [self._rolling(measure, age, days) for age in range(SPAN)]
                return float(sum(s >= share * most for s in sums))
            case LongestGap(measure):
                ages = self.span(measure)
                later = [-1, *ages]
                return (
                    float(max(b - a for a, b in zip(later, ages, strict=False))) if ages else None
                )
            case LongestStreak(measure):
                on = set(self.span(measure))
                return float(max((_run(on, age) for age in on), default=0))
            case Streak(measure):
                return float(_run(set(self.span(measure)), 0))
        raise TypeError(e)

    def _rolling(self, measure: str, age: int, days: int) -> float:
        """The measure over the `days` days that end with the day of an age."""
        daily = self.daily(measure)
        return sum(daily.get(a, 0.0) for a in range(age, age + days))

    def _of_keys(self, e: Expression) -> float | None:
        """What is said of users and events."""
        match e:
            case Distinct(key, window, at_least):
                return float(sum(n >= at_least for n in self.keys(key, window).values()))
            case OnlyIn(key, window, other):
                return float(len(set(self.keys(key, window)) - set(self.keys(key, other))))
            case OfBusiest(key, window, busiest_in):
                name = self.busiest(key, busiest_in)
                return None if name is None else float(self.keys(key, window)[name])
            case SinceBusiest(key, busiest_in):
                name = self.busiest(key, busiest_in)
                ages = [a for a, n in self._occurrences(key) if n == name and NEAR.contains(a)]
                return None if name is None else float(min(ages) + 1)
            case TopShare(key, window):
                counts = self.keys(key, window)
                return max(counts.values()) / counts.total() if counts else None
            case Entropy(key, window):
                counts = self.keys(key, window)
                shares = [n / counts.total() for n in counts.values()]
                return max(0.0, -sum(p * math.log(p) for p in shares))
        raise TypeError(e)

    def _of_plan(self, e: Expression) -> float | None:
        """What depends on the plan and its limits."""
        match e:
            case ByPlan(plans, of):
                plan = self.facts["plan_name"]
                return self.value(of[plans.index(plan)]) if plan in plans else None
            case DaysToReach(use, before, limit, days):
                now, then, most = self.value(use), self.value(before), self.value(limit)
                if most is None:
                    return None
                if now is not None and now >= most:
                    return 0.0
                if now is None or then is None or now <= then:
                    return FAR_DAYS
                return min(FAR_DAYS, (most - now) / ((now - then) / days))
        raise TypeError(e)

    def _combined(self, e: Expression) -> float | None:
        """Numbers made of numbers."""
        match e:
            case Ratio(above, below, times):
                top, bottom = self.value(above), self.value(below)
                return None if top is None or not bottom else top / bottom * times
            case Growth(now, before):
                top, bottom = self.value(now), self.value(before)
                return None if top is None or bottom is None else (top + 1) / (bottom + 1)
            case AtLeast(of, least):
                number = self.value(of)
                return None if number is None else float(number >= least)
        values = [self.value(x) for x in e.of]  # type: ignore[attr-defined]
        there = [v for v in values if v is not None]
        whole = len(there) == len(values)
        match e:
            case Largest():
                return max(there, default=None)
            case Mean():
                return sum(there) / len(there) if there else None
            case Linear(weights):
                return sum(w * v for w, v in zip(weights, there, strict=True)) if whole else None
            case Spread():
                return statistics.pstdev(there) if whole else None
        raise TypeError(e)

    def group(self, among: tuple[str, ...]) -> tuple[Any, ...]:
        """What an account must agree in to be a peer."""
        return tuple(self.facts[name] for name in among)

    def compared(self, e: Expression) -> float:
        """A number as it is compared with peers': 0 where missing, at 6 decimals."""
        number = self.value(e) or 0.0
        return math.copysign(math.floor(abs(number) * 1e6 + 0.5) / 1e6, number) + 0.0


def _run(ages: set[int], age: int) -> int:
    """How many days in a row, from that of an age backwards, are among some ages."""
    length = 0
    while age + length in ages:
        length += 1
    return length
