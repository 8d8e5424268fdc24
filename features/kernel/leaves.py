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
from features.kernel.keys import Reductions, reduced
from features.kernel.known import Facts
from features.kernel.rows import Floats, Ints, Points, Rollup
from features.kernel.windows import Spans

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
class Held:
    """What the leaves of some accounts are computed from.

    `daily`: the account's measures within reach; `ever`: those of `Total` and of far `DaysOver`
    from the first day on; `users`, `events`: by user and by event. `events_of`: what the keys
    `feature`, `core`, `golden` and `plan:<name>` cover; `number_of`: event → its key.
    """

    points: Points
    daily: Rollup
    ever: Rollup
    users: Rollup
    events: Rollup
    events_of: Mapping[str, Sequence[str]]
    number_of: Mapping[str, int]


def innermost(expressions: Iterable[Expression]) -> list[Expression]:
    """The leaves of some expressions, each once, without the facts."""
    every = [leaf for e in expressions for leaf in e.walk() if not list(leaf.parts())]
    return [leaf for leaf in dict.fromkeys(every) if not isinstance(leaf, Fact)]


def computed(found: Sequence[Expression], held: Held, facts: Facts) -> Values:
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
    by_event = [e for e in keyed if _is_by_event(e)]
    values |= _over_keys(by_user, held.users, held)
    return values | _over_keys(by_event, held.events, held)


def _sums(mine: Sequence[Sum], held: Held, nearest: int) -> Values:
    if not mine:
        return {}
    spans = _spans([(held.daily.column(e.measure), e.window) for e in mine], nearest)
    return dict(zip(mine, windows.sums(held.daily.rows, held.points, spans), strict=True))


def _spans(wanted: Sequence[tuple[int, Window]], nearest: int = 0) -> Spans:
    """Windows of columns, over segments cut where some window begins or ends."""
    ends = [(w.back - nearest, w.back + w.days - nearest) for _, w in wanted]
    cuts = sorted({0, *(age for pair in ends for age in pair)})
    ages = np.arange(cuts[-1])
    segment_of = np.searchsorted(cuts, ages, side="right").astype(np.int64) - 1
    columns = _whole(column for column, _ in wanted)
    low, high = (_whole(cuts.index(end) for end in side) for side in zip(*ends, strict=True))
    return Spans(nearest, segment_of, columns, low, high)


def _whole(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _measure_of_days(e: Expression) -> str:
    days = isinstance(e, DaysSince | LongestGap | LongestStreak | Streak)
    return e.measure if days else ""  # type: ignore[attr-defined]


def _days(mine: Sequence[Expression], held: Held) -> Values:
    """Days since the last use, pauses and streaks."""
    values: Values = {}
    for measure in dict.fromkeys(map(_measure_of_days, mine)):
        daily, points = held.daily, held.points
        last, sets = windows.used_days(daily.rows, points, daily.column(measure))
        gap, longest, now = windows.runs_of_days(sets)
        since = np.where(last >= 0, points.as_of - last, RING_DAYS + 1).astype(np.float64)
        values |= {DaysSince(measure): since, LongestGap(measure): gap}
        values |= {LongestStreak(measure): longest, Streak(measure): now}
    return values


def _totals(mine: Sequence[Total], held: Held) -> Values:
    if not mine:
        return {}
    found = windows.totals(held.ever.rows, held.points)
    return {e: found[held.ever.column(e.measure)] for e in mine}


def _days_over(e: DaysOver, held: Held, facts: Facts) -> Floats:
    rollup = held.ever if is_far(e) else held.daily
    column, limit = rollup.column(e.measure), facts[e.limit]
    return windows.days_over(rollup.rows, held.points, column, e.days, limit, e.share)


def measured(found: Iterable[Expression]) -> tuple[list[str], list[str]]:
    """The measures that leaves read of the days within reach, and of all from the first day on."""
    every = [e for e in found if hasattr(e, "measure")]
    near, far = ({e.measure for e in every if is_far(e) is so} for so in (False, True))
    return sorted(near), sorted(far)


def numbered(found: Iterable[Expression], events_of: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The events that some leaf counts, each with its key."""
    names = {n for e in found if _is_by_event(e) for n in _covered(e, events_of)}
    return {event: i for i, event in enumerate(sorted(names))}


def is_far(e: Expression) -> bool:
    """Whether a leaf looks further back than the windows do."""
    far = isinstance(e, DaysOver) and SPAN + e.days > RING_DAYS
    return far or isinstance(e, Total)


def _over_keys(mine: Sequence[Expression], rollup: Rollup, held: Held) -> Values:
    """The leaves over one rollup's keys."""
    if not mine:
        return {}
    spans, leaves = reductions(mine, rollup, held)
    return dict(zip(mine, reduced(rollup.rows, held.points, spans, leaves), strict=True))


def reductions(mine: Sequence[Expression], rollup: Rollup, held: Held) -> tuple[Spans, Reductions]:
    """How leaves over one rollup's keys are computed, whichever accounts it holds."""
    wanted = list(dict.fromkeys((_count(e), w) for e in mine for w in _windows(e)))
    ring = [("n", Window(RING_DAYS))]  # as far back as a last day is looked for
    spans = _spans([(rollup.column(count), w) for count, w in [*wanted, *ring]])
    of = [[wanted.index((_count(e), w)) for w in _windows(e)] for e in mine]
    members, covered = _members(mine, held)
    return spans, Reductions(
        what=_whole(OVER_KEYS[type(e)] for e in mine),
        one=_whole(w[0] for w in of),
        other=_whole(w[-1] for w in of),
        covered=covered,
        least=np.array([getattr(e, "at_least", 0) for e in mine], dtype=np.float64),
        members=members,
    )


def _count(e: Expression) -> str:
    return USER_COUNTS.get(getattr(e, "key", ""), "n")


def _is_by_event(e: Expression) -> bool:
    return type(e) in OVER_KEYS and getattr(e, "key", "") not in USER_COUNTS


def _covered(e: Expression, events_of: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The events that a leaf by event counts."""
    return (e.event,) if isinstance(e, EventCount) else events_of[e.key]  # type: ignore[attr-defined]


def _windows(e: Expression) -> list[Window]:
    """What is counted, then what it is compared with."""
    found = [getattr(e, field.name) for field in fields(e)]  # type: ignore[arg-type]
    return [w for w in found if isinstance(w, Window)]


def _members(mine: Sequence[Expression], held: Held) -> tuple[Floats, Ints]:
    """Which events (columns) each group of them (rows) covers, and each leaf's group."""
    if getattr(mine[0], "key", "") in USER_COUNTS:
        return np.empty((1, 0)), np.zeros(len(mine), dtype=np.int64)
    groups = [tuple(_covered(e, held.events_of)) for e in mine]
    different = list(dict.fromkeys(groups))
    members = np.zeros((len(different), max(1, len(held.number_of))))
    for row, names in enumerate(different):
        members[row, [held.number_of[n] for n in names if n in held.number_of]] = 1.0
    return members, np.array([different.index(g) for g in groups], dtype=np.int64)
