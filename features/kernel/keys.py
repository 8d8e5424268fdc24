"""Windows by key (the user, the event) and what they reduce to, compiled.

For each account: how often each key occurs in each window at each observation, then one number per
leaf over all keys that count.
"""

from typing import NamedTuple

import numpy as np

from features.algebra import RING_DAYS
from features.kernel.compiled import compiled
from features.kernel.rows import Floats, Ints, Points, Rows
from features.kernel.windows import Spans, between, from_reach

DISTINCT, ONLY_IN, TOP_SHARE, ENTROPY, OF_BUSIEST, SINCE_BUSIEST, COUNT = range(7)


class Reductions(NamedTuple):
    """Leaves over keys: `what[e]` is done with window `one[e]`, and compared with `other[e]`.

    It is done over the keys marked in row `covered[e]` of `members` (keys across); over all of
    them where that has no columns. `least[e]`: how often a key must occur to be counted.
    """

    what: Ints
    one: Ints
    other: Ints
    covered: Ints
    least: Floats
    members: Floats


@compiled
def reduced(rows: Rows, points: Points, spans: Spans, leaves: Reductions) -> Floats:
    """Leaves by points."""
    out = np.zeros((len(leaves.what), len(points.as_of)))
    measures, only = rows.values.shape[1], _only(leaves)
    place = np.empty(leaves.members.shape[1], dtype=np.int64)
    held, today = np.zeros((measures, spans.segment_of[-1] + 1)), np.zeros(measures)
    for account in range(len(points.first) - 1):
        first, last = points.first[account], points.first[account + 1]
        if first == last:
            continue
        runs, end = rows.first[account], rows.first[account + 1]
        days = points.as_of[first:last]
        counts = np.zeros((len(days), len(spans.column), end - runs))
        seen = np.full((len(days), measures, end - runs), -1)
        place[:] = -1
        for i in range(end - runs):
            _count(rows, runs + i, days, spans, held, today, counts[:, :, i], seen[:, :, i])
            if len(place):
                place[rows.key[runs + i]] = i
        found = out[:, first:last]
        _alone(leaves, only, place, counts, found)
        _together(leaves, only, rows.key[runs:end], counts, seen, spans.column, days, found)
    return out


@compiled
def _alone(leaves: Reductions, only: Ints, place: Ints, counts: Floats, found: Floats) -> None:
    """The leaves that count one key, which is the account's in a place, or in none (-1)."""
    for e in range(len(only)):
        if only[e] >= 0 and place[only[e]] >= 0:
            for p in range(len(counts)):
                found[e, p] = max(counts[p, leaves.one[e], place[only[e]]], 0.0)


@compiled
def _together(
    leaves: Reductions, only: Ints, keys: Ints, counts: Floats, seen: Ints, column: Ints,
    days: Ints, found: Floats,
) -> None:  # fmt: skip
    """The leaves over several keys."""
    mine, many, group = np.arange(len(keys)), 0, -1
    for e in range(len(only)):
        if only[e] >= 0:
            continue
        if leaves.covered[e] != group:
            group = leaves.covered[e]
            many = _counting(leaves.members, group, keys, mine)
        one, other = leaves.one[e], leaves.other[e]
        for p in range(len(days)):
            found[e, p] = _leaf(
                leaves.what[e], counts[p, one], counts[p, other], mine[:many], leaves.least[e],
                seen[p, column[other]], days[p],
            )  # fmt: skip


@compiled
def _only(leaves: Reductions) -> Ints:
    """For each leaf that counts one key alone that key; -1 for the others."""
    only = np.full(len(leaves.what), -1)
    for e in range(len(leaves.what)):
        if leaves.what[e] == COUNT:
            mine = np.flatnonzero(leaves.members[leaves.covered[e]] > 0)
            only[e] = mine[0] if len(mine) == 1 else -1
    return only


@compiled
def _counting(members: Floats, group: int, keys: Ints, mine: Ints) -> int:
    """How many of an account's keys a leaf is about; they are put into `mine`."""
    if not members.shape[1]:
        return len(keys)
    many = 0
    for i in range(len(keys)):
        if members[group, keys[i]] > 0:
            mine[many] = i
            many += 1
    return many


@compiled
def _count(
    rows: Rows, run: int, days: Ints, spans: Spans,
    held: Floats, today: Floats, counts: Floats, seen: Ints,
) -> None:  # fmt: skip
    """One key's windows at each point, and the last day in the ring with any of each measure."""
    begin, end = rows.row[run], rows.row[run + 1]
    for p in range(len(days)):
        latest = days[p] - 1
        begin = from_reach(rows, begin, end, latest - len(spans.segment_of))
        if begin == end or rows.day[begin] > latest:
            continue
        held[:] = 0.0
        _hold(rows, begin, end, days[p], spans.segment_of, held, today, seen[p])
        for w in range(len(spans.column)):
            counts[p, w] = between(held[spans.column[w]], spans.low[w], spans.high[w])


@compiled
def _hold(
    rows: Rows, row: int, end: int, as_of: int,
    segment_of: Ints, held: Floats, today: Floats, seen: Ints,
) -> None:  # fmt: skip
    """Sum the rows seen by then into the segments of their ages, day by day."""
    latest = as_of - 1
    while row < end and rows.day[row] <= latest:
        day = rows.day[row]
        today[:] = 0.0
        while row < end and rows.day[row] == day:
            if rows.visible[row] <= as_of:
                for c in range(len(today)):
                    today[c] += rows.values[row, c]
            row += 1
        for c in range(len(today)):
            held[c, segment_of[latest - day]] += today[c]
            if today[c] > 0 and latest - day < RING_DAYS:
                seen[c] = day


@compiled
def _leaf(
    what: int, x: Floats, y: Floats, mine: Ints, least: float, seen: Ints, as_of: int
) -> float:
    """One number over the keys that count; NaN where nothing was seen and 0 would say else."""
    if what == COUNT:
        return _sum(x, mine)
    if what == DISTINCT:
        return _distinct(x, mine, least)
    if what == ONLY_IN:
        return _only_in(x, y, mine)
    if what in (TOP_SHARE, ENTROPY):
        return _spread(what, x, mine)
    busiest = _busiest(y, mine)
    if busiest < 0:
        return np.nan
    if what == OF_BUSIEST:
        return max(x[busiest], 0.0)
    return float(as_of - seen[busiest]) if seen[busiest] >= 0 else np.nan


@compiled
def _sum(x: Floats, mine: Ints) -> float:
    total = 0.0
    for i in mine:
        if x[i] > 0:
            total += x[i]
    return total


@compiled
def _distinct(x: Floats, mine: Ints, least: float) -> float:
    total = 0.0
    for i in mine:
        total += x[i] > 0 and x[i] >= least
    return total


@compiled
def _only_in(x: Floats, y: Floats, mine: Ints) -> float:
    total = 0.0
    for i in mine:
        total += x[i] > 0 and y[i] <= 0
    return total


@compiled
def _spread(what: int, x: Floats, mine: Ints) -> float:
    """The share of the busiest key; or the entropy, ln S - (sum of x ln x) / S."""
    total, most, weighed = _sum(x, mine), 0.0, 0.0
    if total <= 0:
        return 0.0 if what == ENTROPY else np.nan
    for i in mine:
        if x[i] > 0:
            most = max(most, x[i])
            weighed += x[i] * np.log(x[i]) if what == ENTROPY else 0.0
    if what == TOP_SHARE:
        return most / total
    return max(np.log(total) - weighed / total, 0.0)  # rounding can leave -1e-17


@compiled
def _busiest(x: Floats, mine: Ints) -> int:
    """The first of the keys that occur most; -1 where none does."""
    busiest, most = -1, 0.0
    for i in mine:
        if x[i] > most:
            busiest, most = i, x[i]
    return busiest
