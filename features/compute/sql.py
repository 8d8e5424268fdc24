"""The algebra compiled to ibis: the same expressions run on DuckDB, Spark and warehouses."""

from collections.abc import Sequence
from functools import reduce
from hashlib import sha256
from operator import add
from typing import Any

import ibis

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
)
from features.compute.leaves import column

ZERO_WHEN_NOTHING = (
    Sum, Total, LongestStreak, Streak, Distinct, OnlyIn, Entropy, EventCount
)  # fmt: skip
MISSING_WHEN_NOTHING = (LongestGap, OfBusiest, SinceBusiest, TopShare, Fact)


def compile_expression(e: Expression, t: ibis.Table) -> Any:
    """One expression over a table that has its leaves as columns; comparisons are looked up."""
    if isinstance(e, ZERO_WHEN_NOTHING):
        return t[column(e)].fill_null(0.0)
    if isinstance(e, MISSING_WHEN_NOTHING):
        return t[column(e)]
    match e:
        case DaysSince():
            return t[column(e)].fill_null(float(RING_DAYS + 1))
        case DaysOver():
            return _days_over(e, t)
        case PeerRank() | PeerMedian():
            return t[peer_column(e)]
        case ByPlan(plans, of):
            return t.plan_name.cases(
                *((p, compile_expression(x, t)) for p, x in zip(plans, of, strict=True))
            )
    return _combined(e, [compile_expression(x, t) for x in e.parts()])


def _combined(e: Expression, parts: list[Any]) -> Any:
    """A combination, from its parts in the order of its fields."""
    match e:
        case Ratio(times=times):
            return parts[0] / parts[1].nullif(0) * times
        case Growth():
            return (parts[0] + 1.0) / (parts[1] + 1.0)
        case Largest():
            return reduce(ibis.greatest, parts)  # Spark's own wants two at least
        case Linear(weights):
            return _sum([w * x for w, x in zip(weights, parts, strict=True)])
        case Spread():
            mean = _sum(parts) / len(parts)
            return (_sum([(x - mean) * (x - mean) for x in parts]) / len(parts)).sqrt()
        case AtLeast(least=least):
            return ibis.cases((parts[0] >= least, 1.0), (parts[0] < least, 0.0))
        case DaysToReach(days=days):
            return _days_to_reach(parts[0], parts[1], parts[2], days)
        case Mean():
            count = _sum([x.notnull().cast("float64") for x in parts])
            return _sum([x.fill_null(0.0) for x in parts]) / count.nullif(0)
    raise TypeError(f"{e!r} is not part of the algebra")


def _sum(values: Sequence[Any]) -> Any:
    return reduce(add, values)


def _days_over(e: DaysOver, t: ibis.Table) -> Any:
    """Every day reaches a limit of 0; what has no row in the leaf's table reached none."""
    limit = t[e.limit]
    return ibis.cases(
        (limit.isnull(), ibis.null("float64")),
        (e.share * limit <= 0, float(SPAN)),
        else_=t[column(e)].fill_null(0.0),
    )


def _days_to_reach(use: Any, before: Any, limit: Any, days: int) -> Any:
    slope = (use - before) / days
    return ibis.cases(
        (limit.isnull(), ibis.null("float64")),
        (use >= limit, 0.0),
        (slope > 0, ibis.least((limit - use) / slope.nullif(0), FAR_DAYS)),
        else_=FAR_DAYS,
    )


def peer_column(e: PeerRank | PeerMedian) -> str:
    """The name of the column that holds a comparison with peers."""
    return f"{type(e).__name__.lower()}_{sha256(repr(e).encode()).hexdigest()[:16]}"
