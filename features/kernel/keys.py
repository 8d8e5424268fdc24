"""Windows by key (the user, the event) and what they reduce to, compiled.

For each account: how often each key occurs in each window at each observation, then one number per
leaf over all keys that count.
"""

import numpy as np
from numba import njit

from features.algebra import RING_DAYS
from features.kernel.rows import Floats, Ints

DISTINCT, ONLY_IN, TOP_SHARE, ENTROPY, OF_BUSIEST, SINCE_BUSIEST, COUNT = range(7)


@njit(cache=True, nogil=True)
def reduced(
    first_run: Ints,
    run_key: Ints,
    run_row: Ints,
    day: Ints,
    visible: Ints,
    values: Floats,
    first_point: Ints,
    as_of: Ints,
    reach: int,
    segment_of: Ints,
    segments: int,
    column: Ints,
    low: Ints,
    high: Ints,
    what: Ints,
    covered: Ints,
    one: Ints,
    other: Ints,
    least: Floats,
    members: Floats,
) -> Floats:
    """Leaves by points.

    Windows: `column[w]` of the values over the segments `low[w]` up to `high[w]`. Leaves: `what[e]`
    is done with window `one[e]` (and `other[e]`) over the keys in row `covered[e]` of `members`
    (keys across; without columns, all keys count).
    """  # fmt: skip
    out = np.zeros((len(what), len(as_of)))
    for account in range(len(first_point) - 1):
        runs = first_run[account + 1] - first_run[account]
        mine = slice(first_point[account], first_point[account + 1])
        points = as_of[mine]
        counts = np.zeros((len(points), len(low), runs))
        seen = np.full((len(points), values.shape[1], runs), -1)
        for i in range(runs):
            run = first_run[account] + i
            _count(
                run_row[run], run_row[run + 1], day, visible, values, points, reach,
                segment_of, segments, column, low, high, i, counts, seen,
            )  # fmt: skip
        keys = run_key[first_run[account] : first_run[account + 1]]
        for leaf in range(len(what)):
            counts_here = np.ones(runs)
            if members.shape[1]:
                for i in range(runs):
                    counts_here[i] = members[covered[leaf], keys[i]]
            for p in range(len(points)):
                out[leaf, mine.start + p] = _leaf(
                    what[leaf], counts[p, one[leaf]], counts[p, other[leaf]], seen[p, column[other[leaf]]],
                    counts_here,
                    least[leaf], points[p],
                )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def _count(
    begin: int,
    end: int,
    day: Ints,
    visible: Ints,
    values: Floats,
    points: Ints,
    reach: int,
    segment_of: Ints,
    segments: int,
    column: Ints,
    low: Ints,
    high: Ints,
    i: int,
    counts: Floats,
    seen: Ints,
) -> None:
    """One key's windows at each point, and its last day in reach."""  # fmt: skip
    held, today = np.zeros((values.shape[1], segments)), np.zeros(values.shape[1])
    for p in range(len(points)):
        latest = points[p] - 1
        while begin < end and day[begin] <= latest - reach:
            begin += 1
        if begin == end or day[begin] > latest:
            continue
        held[:] = 0.0
        _hold(begin, end, day, visible, values, points[p], segment_of, held, today, seen[p, :, i])
        for window in range(len(low)):
            counts[p, window, i] = _between(held[column[window]], low[window], high[window])


@njit(cache=True, nogil=True)
def _hold(
    row: int,
    end: int,
    day: Ints,
    visible: Ints,
    values: Floats,
    as_of: int,
    segment_of: Ints,
    held: Floats,
    today: Floats,
    seen: Ints,
) -> None:
    """Sum the rows seen by then into their segments; `seen`: the last day with any in the ring."""
    latest = as_of - 1
    while row < end and day[row] <= latest:
        age = latest - day[row]
        today[:] = 0.0
        while row < end and latest - day[row] == age:
            if visible[row] <= as_of:
                for c in range(len(today)):
                    today[c] += values[row, c]
            row += 1
        for c in range(len(today)):
            held[c, segment_of[age]] += today[c]
            if today[c] > 0 and age < RING_DAYS:
                seen[c] = latest - age


@njit(cache=True, nogil=True)
def _between(held: Floats, low: int, high: int) -> float:
    total = 0.0
    for segment in range(low, high):
        total += held[segment]
    return total


@njit(cache=True, nogil=True)
def _leaf(
    what: int, x: Floats, y: Floats, seen: Ints, counts: Floats, least: float, as_of: int
) -> float:
    """One number over the keys that count; NaN for nothing where 0 would say something else."""
    if what == COUNT:
        return _sum(x, counts)
    if what == DISTINCT:
        return _distinct(x, counts, least)
    if what == ONLY_IN:
        return _only_in(x, y, counts)
    if what in (TOP_SHARE, ENTROPY):
        total = _sum(x, counts)
        if total <= 0:
            return 0.0 if what == ENTROPY else np.nan
        return _entropy(x, counts, total) if what == ENTROPY else _most(x, counts) / total
    busiest = _busiest(y, counts)
    if busiest < 0:
        return np.nan
    if what == OF_BUSIEST:
        return max(x[busiest], 0.0)
    return float(as_of - seen[busiest]) if seen[busiest] >= 0 else np.nan


@njit(cache=True, nogil=True)
def _sum(x: Floats, counts: Floats) -> float:
    total = 0.0
    for i in range(len(x)):
        if counts[i] > 0 and x[i] > 0:
            total += x[i]
    return total


@njit(cache=True, nogil=True)
def _distinct(x: Floats, counts: Floats, least: float) -> float:
    total = 0.0
    for i in range(len(x)):
        total += counts[i] > 0 and x[i] > 0 and x[i] >= least
    return total


@njit(cache=True, nogil=True)
def _only_in(x: Floats, y: Floats, counts: Floats) -> float:
    total = 0.0
    for i in range(len(x)):
        total += counts[i] > 0 and x[i] > 0 and y[i] <= 0
    return total


@njit(cache=True, nogil=True)
def _most(x: Floats, counts: Floats) -> float:
    most = 0.0
    for i in range(len(x)):
        if counts[i] > 0:
            most = max(most, x[i])
    return most


@njit(cache=True, nogil=True)
def _entropy(x: Floats, counts: Floats, total: float) -> float:
    """Ln S - (sum of x ln x) / S, never below 0: rounding can leave -1e-17."""
    spread = 0.0
    for i in range(len(x)):
        if counts[i] > 0 and x[i] > 0:
            spread += x[i] * np.log(x[i])
    return max(np.log(total) - spread / total, 0.0)


@njit(cache=True, nogil=True)
def _busiest(x: Floats, counts: Floats) -> int:
    """The first of the keys that occur most; -1 where none does."""
    busiest, most = -1, 0.0
    for i in range(len(x)):
        if counts[i] > 0 and x[i] > most:
            busiest, most = i, x[i]
    return busiest
