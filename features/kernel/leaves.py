"""The innermost parts of expressions from rollups in memory: one array a leaf, a number a point."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from features.algebra import (
    RING_DAYS,
    SPAN,
    YEAR_BACK,
    DaysOver,
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    LongestGap,
    LongestStreak,
    OfBusiest,
    OnlyIn,
    SinceBusiest,
    Streak,
    Sum,
    TopShare,
    Total,
    Window,
)
from features.kernel import keys, windows
from features.kernel.known import Facts
from features.kernel.rows import Floats, Ints, Points, Runs

Values = dict[Expression, Floats]
OVER_KEYS = {
    Distinct: keys.DISTINCT,
    OnlyIn: keys.ONLY_IN,
    TopShare: keys.TOP_SHARE,
    Entropy: keys.ENTROPY,
    OfBusiest: keys.OF_BUSIEST,
    SinceBusiest: keys.SINCE_BUSIEST,
    EventCount: keys.COUNT,
}
USER_COUNTS = {"user": "n", "core_user": "core"}


@dataclass(frozen=True)
class Arrays:
    """What the leaves of some accounts are computed from.

    `daily`: the account's measures within reach; `ever`: those of `Total` and of far `DaysOver`
    from the first day on; `users`, `events`: by user and by event. `events_of`: what the keys
    `feature`, `core`, `golden` and `plan:<name>` cover; `number_of`: event → its key.
    """

    points: Points
    daily: Runs
    ever: Runs
    users: Runs
    events: Runs
    events_of: Mapping[str, Sequence[str]]
    number_of: Mapping[str, int]


def innermost(expressions: Iterable[Expression]) -> list[Expression]:
    """The leaves of some expressions, each once, without the facts."""
    every = [leaf for e in expressions for leaf in e.walk() if not list(leaf.parts())]
    return [leaf for leaf in dict.fromkeys(every) if not isinstance(leaf, Fact)]


def computed(found: Sequence[Expression], held: Arrays, facts: Facts) -> Values:
    """The leaves by point; what nothing was seen of is 0 or NaN, as the algebra says."""
    sums = [e for e in found if isinstance(e, Sum)]
    values: Values = {}
    for far in (False, True):
        mine = [e for e in sums if (e.window.back >= YEAR_BACK) is far]
        values |= _sums(mine, held, YEAR_BACK if far else 0)
    values |= _days([e for e in found if _measure_of_days(e)], held)
    values |= _totals([e for e in found if isinstance(e, Total)], held)
    for e in found:
        if isinstance(e, DaysOver):
            values[e] = _days_over(e, held, facts)
    keyed = [e for e in found if type(e) in OVER_KEYS]
    by_user = [e for e in keyed if getattr(e, "key", "") in USER_COUNTS]
    by_event = [e for e in keyed if getattr(e, "key", "") not in USER_COUNTS]
    values |= _over_keys(by_user, held.users, held)
    return values | _over_keys(by_event, held.events, held)


@dataclass(frozen=True)
class Segments:
    """Ages cut where some window begins or ends: `of[a]` is the segment of age `nearest + a`."""

    of: Ints
    cuts: tuple[int, ...]

    @classmethod
    def between(cls, found: Iterable[Window], nearest: int = 0) -> "Segments":
        """The coarsest cuts of which every window is made."""
        ends = {(w.back - nearest, w.back + w.days - nearest) for w in found}
        cuts = tuple(sorted({0, *(age for pair in ends for age in pair)}))
        ages = np.arange(cuts[-1])
        return cls(np.searchsorted(cuts, ages, side="right").astype(np.int64) - 1, cuts)

    def covered(self, window: Window, nearest: int = 0) -> tuple[int, int]:
        """The first segment of a window and the one after its last."""
        low = window.back - nearest
        return self.cuts.index(low), self.cuts.index(low + window.days)


def _sums(mine: Sequence[Sum], held: Arrays, nearest: int) -> Values:
    if not mine:
        return {}
    segments = Segments.between((e.window for e in mine), nearest)
    spans = np.array([segments.covered(e.window, nearest) for e in mine], dtype=np.int64)
    names = sorted({e.measure for e in mine})
    daily, places = held.daily, [held.daily.column(name) for name in names]
    found = windows.sums(
        daily.first, daily.row, daily.day, daily.visible,
        np.ascontiguousarray(daily.values[:, places]), held.points.first, held.points.as_of,
        segments.of, len(segments.cuts) - 1, nearest,
        np.array([names.index(e.measure) for e in mine], dtype=np.int64),
        np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]),
    )  # fmt: skip
    return dict(zip(mine, found, strict=True))


def _measure_of_days(e: Expression) -> str:
    days = isinstance(e, DaysSince | LongestGap | LongestStreak | Streak)
    return e.measure if days else ""  # type: ignore[attr-defined]


def _days(mine: Sequence[Expression], held: Arrays) -> Values:
    """Days since the last use, pauses and streaks."""
    values: Values = {}
    for measure in dict.fromkeys(map(_measure_of_days, mine)):
        daily, points = held.daily, held.points
        last, sets = windows.used_days(
            daily.first, daily.row, daily.day, daily.visible, daily.values, daily.column(measure),
            points.first, points.as_of, RING_DAYS,
        )  # fmt: skip
        gap, longest, now = windows.runs_of_days(sets)
        since = np.where(last >= 0, points.as_of - last, RING_DAYS + 1).astype(np.float64)
        values |= {DaysSince(measure): since, LongestGap(measure): gap}
        values |= {LongestStreak(measure): longest, Streak(measure): now}
    return values


def _totals(mine: Sequence[Total], held: Arrays) -> Values:
    if not mine:
        return {}
    ever = held.ever
    found = windows.totals(
        ever.first, ever.row, ever.visible, ever.values, held.points.first, held.points.as_of
    )
    return {e: found[ever.column(e.measure)] for e in mine}


def _days_over(e: DaysOver, held: Arrays, facts: Facts) -> Floats:
    rows = held.ever if is_far(e) else held.daily
    return windows.days_over(
        rows.first, rows.row, rows.day, rows.visible, rows.values, rows.column(e.measure),
        held.points.first, held.points.as_of, e.days, facts[e.limit], e.share,
    )  # fmt: skip


def is_far(e: Expression) -> bool:
    """Whether a leaf looks further back than the windows do."""
    far = isinstance(e, DaysOver) and SPAN + e.days > RING_DAYS
    return far or isinstance(e, Total)


def _over_keys(mine: Sequence[Expression], rows: Runs, held: Arrays) -> Values:
    """The leaves over one rollup's keys."""
    if not mine:
        return {}
    wanted = list(dict.fromkeys((_count(e), w) for e in mine for w in _windows(e)))
    ring = Window(RING_DAYS)
    segments = Segments.between([*(w for _, w in wanted), ring])
    spans = np.array([segments.covered(w) for _, w in wanted], dtype=np.int64)
    place = {pair: i for i, pair in enumerate(wanted)}
    of = [[place[_count(e), w] for w in _windows(e)] for e in mine]
    members, covered = _members(mine, held)
    found = keys.reduced(
        rows.first, rows.key, rows.row, rows.day, rows.visible, rows.values,
        held.points.first, held.points.as_of, len(segments.of), segments.of, len(segments.cuts) - 1,
        np.array([rows.column(count) for count, _ in wanted], dtype=np.int64),
        np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]),
        np.array([OVER_KEYS[type(e)] for e in mine], dtype=np.int64), covered,
        np.array([w[0] for w in of], dtype=np.int64), np.array([w[-1] for w in of], dtype=np.int64),
        np.array([getattr(e, "at_least", 0) for e in mine], dtype=np.float64), members,
    )  # fmt: skip
    return dict(zip(mine, found, strict=True))


def _count(e: Expression) -> str:
    return USER_COUNTS.get(getattr(e, "key", ""), "n")


def _windows(e: Expression) -> list[Window]:
    """What is counted, then what it is compared with."""
    found = [getattr(e, field.name) for field in fields(e)]  # type: ignore[arg-type]
    return [w for w in found if isinstance(w, Window)]


def _members(mine: Sequence[Expression], held: Arrays) -> tuple[Floats, Ints]:
    """Which events (columns) each group of them (rows) covers, and each leaf's group."""
    if getattr(mine[0], "key", "") in USER_COUNTS:
        return np.empty((1, 0)), np.zeros(len(mine), dtype=np.int64)
    groups = [
        (e.event,) if isinstance(e, EventCount) else tuple(held.events_of[e.key])  # type: ignore[attr-defined]
        for e in mine
    ]
    different = list(dict.fromkeys(groups))
    members = np.zeros((len(different), max(1, len(held.number_of))))
    for row, names in enumerate(different):
        members[row, [held.number_of[n] for n in names if n in held.number_of]] = 1.0
    return members, np.array([different.index(g) for g in groups], dtype=np.int64)
