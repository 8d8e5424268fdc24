"""Random expressions of the whole algebra: odd windows and mixtures that no catalogue declares."""

import random
from collections.abc import Callable

from features.algebra import (
    RING_DAYS,
    SPAN,
    YEAR_BACK,
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
from features.declare import Feature

MEASURES = (
    "events", "user_days", "active", "sessions", "minutes", "weekend", "office", "logins",
    "core_use_cases", "golden", "notifications_shown", "notifications_clicked", "limit_reports",
    "limit_shares", "tickets", "severity", "answer_hours", "nps", "nps_score", "failed_payments",
)  # fmt: skip
KEYS = ("user", "user", "core_user", "feature", "core", "golden", "plan:team", "plan:business")
LIMITS = ("limit_reports", "limit_shares", "seats")
NUMBERS = ("seats", "mrr_now", "users_joined", "days_to_renewal", "age_days", "days_in_state")
AMONG = ((), ("plan_name",), ("size_band",), ("plan_name", "size_band"))


class Declarer:
    """Declares random features; `dice` decides."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def features(self, count: int) -> list[Feature]:
        """So many features; every kind of leaf and of combination comes again and again."""
        kinds = [*self._leaves(), *self._combinations()]
        made = (kinds[n % len(kinds)]() for n in range(count))
        return [
            Feature(f"random_{n}", "random", repr(e), "count", "random", None, 0, "act", e)
            for n, e in enumerate(made)
        ]

    def _window(self) -> Window:
        if self.dice.random() < 0.1:
            return Window(self.dice.randint(1, SPAN), YEAR_BACK)
        return self._near()

    def _near(self) -> Window:
        back = 7 * self.dice.choice([0, 0, 0, 1, 2, 4, 8, 12])
        days = self.dice.choice([1, 2, 6, 7, 8, 13, 14, 28, 29, 35, 56, 84, RING_DAYS])
        return Window(min(days, RING_DAYS - back), back)

    def _measure(self) -> str:
        return self.dice.choice(MEASURES)

    def _key(self) -> str:
        return self.dice.choice(KEYS)

    def _leaves(self) -> list[Callable[[], Expression]]:
        dice, window, near, key = self.dice, self._window, self._near, self._key
        return [
            lambda: Sum(self._measure(), window()),
            lambda: Sum(self._measure(), window()),
            lambda: DaysSince(self._measure()),
            lambda: Total(self._measure()),
            lambda: LongestGap(self._measure()),
            lambda: LongestStreak(self._measure()),
            lambda: Streak(self._measure()),
            lambda: DaysOver(
                self._measure(), dice.choice([1, 6, 7, 28, 63]), dice.choice(LIMITS),
                dice.choice([0.5, 0.8, 1.0]),
            ),
            lambda: Distinct(key(), window(), dice.choice([1, 1, 2, 3])),
            lambda: OnlyIn(key(), near(), near()),
            lambda: OfBusiest(key(), near(), near()),
            lambda: SinceBusiest(key(), near()),
            lambda: TopShare(key(), window()),
            lambda: Entropy(key(), window()),
            lambda: EventCount(dice.choice(["report", "share", "search"]), window()),
            lambda: Fact(dice.choice(NUMBERS)),
        ]  # fmt: skip

    def _leaf(self) -> Expression:
        return self.dice.choice(self._leaves())()

    def _part(self) -> Expression:
        """A leaf, or one combination of leaves."""
        if self.dice.random() < 0.7:
            return self._leaf()
        return Ratio(self._leaf(), self._leaf())

    def _some(self, count: int) -> tuple[Expression, ...]:
        return tuple(self._part() for _ in range(count))

    def _compared(self) -> Expression:
        """What accounts are compared in: never a fact, which only observed accounts have."""
        part = self._part()
        while any(isinstance(e, Fact | DaysOver) for e in part.walk()):
            part = self._part()
        return part

    def _combinations(self) -> list[Callable[[], Expression]]:
        dice, part, some, compared = self.dice, self._part, self._some, self._compared
        return [
            lambda: Ratio(part(), part(), dice.choice([1.0, 4.0, 1 / 28])),
            lambda: Growth(part(), part()),
            lambda: Largest(some(3)),
            lambda: Mean(some(3)),
            lambda: Linear((1.0, -2.0, 0.5), some(3)),
            lambda: Spread(some(4)),
            lambda: AtLeast(part(), dice.choice([0.0, 1.0, 2.5])),
            lambda: ByPlan(("free", "team"), some(2)),
            lambda: DaysToReach(part(), part(), Fact(dice.choice(LIMITS)), 28),
            lambda: PeerRank(compared(), ("population", *dice.choice(AMONG))),
            lambda: PeerMedian(compared(), ("population", *dice.choice(AMONG))),
            lambda: Mean((PeerRank(compared()), part())),
        ]
