"""Single days of the last `SPAN`: pauses, streaks, and days near a limit.

The days on which something happened are the bits of one number (bit n: n days before the last), so
a run of days is a run of bits. A rolling sum is looked at day by day only where it can have reached
its limit.
"""

from collections.abc import Callable
from typing import Any

import ibis
from ibis import _

from features.algebra import SPAN, DaysOver, LongestGap, LongestStreak, Streak
from features.compute.windows import Windowed, windowed
from features.points import POINT

DOUBLINGS = (1, 2, 4, 8, 16)


def measured(t: ibis.Table, leaf: LongestGap | LongestStreak | Streak, name: str) -> ibis.Table:
    """The table with the set of days in column `name` replaced by what the leaf says of it."""
    if isinstance(leaf, Streak):
        up_to = [(t[name] & (2**k - 1)) == 2**k - 1 for k in range(1, SPAN + 1)]
        return t.mutate(**{name: _count(up_to)})
    if isinstance(leaf, LongestGap):
        pauses = _longest_run(t.mutate(**{name: _filled(t[name]) - t[name]}), name)
        return pauses.mutate(**{name: pauses[name] + 1.0})
    return _longest_run(t, name)


def _filled(bits: Any) -> Any:
    """All bits up to the highest: from the first day of the span with use to its last day."""
    return ibis.cases(*((bits >= 2**k, 2 ** (k + 1) - 1) for k in reversed(range(SPAN))))


def _longest_run(t: ibis.Table, name: str) -> ibis.Table:
    """The longest run of set bits: a run of k is one of p and another that ends with it, p <= k."""
    runs = {n: f"{name}__run_{n}" for n in DOUBLINGS}
    extended = t.mutate(**{runs[1]: t[name]})
    for n in DOUBLINGS[:-1]:
        shorter = extended[runs[n]]
        extended = extended.mutate(**{runs[2 * n]: shorter & (shorter >> n)})
    found = []
    for k in range(1, SPAN + 1):
        p = max(n for n in DOUBLINGS if n <= k)
        begun = extended[runs[p]]
        found.append((begun & (begun >> (k - p))) != 0)
    return extended.mutate(**{name: _count(found)}).drop(*runs.values())


def _count(conditions: list[Any]) -> Any:
    """How many of some conditions hold; null where they are."""
    total = conditions[0].cast("int64")
    for condition in conditions[1:]:
        total += condition.cast("int64")
    return total.cast("float64")


def days_over(
    leaf: DaysOver,
    name: str,
    facts: ibis.Table,
    rollup: ibis.Table,
    stage: Callable[[ibis.Table], ibis.Table],
) -> ibis.Table:
    """On how many days a rolling sum had reached a share of a limit: column `name`.

    Only points with a limit above 0 that some rolling sum can have reached have a row.
    """
    limited = facts.select(*POINT, threshold=leaf.share * facts[leaf.limit])
    limited = stage(limited.filter(_.threshold > 0))
    near = stage(_near(leaf, limited, rollup))
    rows = rollup.filter(rollup[leaf.measure] != 0).join(near, "account_id")
    age = rows.as_of_day - 1 - rows.day
    rows = rows.filter(
        (rows.visible_from <= rows.as_of_day) & (age >= 0) & (age < SPAN + leaf.days - 1)
    )
    columns = {"threshold": rows.threshold.max()}
    for a in range(SPAN):
        inside = (age >= a) & (age < a + leaf.days)
        columns[f"rolling_{a}"] = ibis.ifelse(inside, rows[leaf.measure], 0.0).sum()
    sums = rows.group_by(POINT).agg(**columns)
    reached = [sums[f"rolling_{a}"] >= sums.threshold for a in range(SPAN)]
    return sums.select(*POINT, **{name: _count(reached)})


def _near(leaf: DaysOver, limited: ibis.Table, rollup: ibis.Table) -> ibis.Table:
    """The points where whole weeks around some rolling sum add up to the threshold."""
    weeks = -(-(leaf.days + 6) // 7)
    around = [Windowed(leaf.measure, 7 * weeks, back) for back in range(0, SPAN, 7)]
    bounds = windowed(rollup, limited.select(POINT), around)
    joined = limited.join(bounds, POINT)
    most = ibis.greatest(*(joined[w.name].fill_null(0.0) for w in around))
    return joined.filter(most >= joined.threshold).select(*POINT, "threshold")
