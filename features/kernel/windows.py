"""Windows over an account's daily measures, compiled: sums, last days, sets of days.

Every function goes over accounts, and over the observations of each. A row is seen from
`visible <= as_of` on; its age is the number of whole days between its day and `as_of`.
"""

from typing import NamedTuple

import numpy as np

from features.algebra import RING_DAYS, SPAN
from features.kernel.compiled import compiled
from features.kernel.rows import Floats, Ints, Points, Rows


class Spans(NamedTuple):
    """Windows, each made of segments of age.

    Age `nearest + a` lies in segment `segment_of[a]`; window `w` covers the segments `low[w]` up to
    `high[w]` (exclusive) of measure `column[w]`.
    """

    nearest: int
    segment_of: Ints
    column: Ints
    low: Ints
    high: Ints


@compiled
def sums(rows: Rows, points: Points, spans: Spans) -> Floats:
    """Windows by points: the sum of each window's measure over its segments."""
    out = np.zeros((len(spans.column), len(points.as_of)))
    held = np.zeros((rows.values.shape[1], spans.segment_of[-1] + 1))
    for account in range(len(points.first) - 1):
        begin, end = rows.row[rows.first[account]], rows.row[rows.first[account + 1]]
        for point in range(points.first[account], points.first[account + 1]):
            latest = points.as_of[point] - 1 - spans.nearest
            begin = from_reach(rows, begin, end, latest - len(spans.segment_of))
            if begin == end or rows.day[begin] > latest:
                continue
            held[:] = 0.0
            _hold(rows, begin, end, latest, points.as_of[point], spans.segment_of, held)
            for w in range(len(spans.column)):
                out[w, point] = between(held[spans.column[w]], spans.low[w], spans.high[w])
    return out


@compiled
def from_reach(rows: Rows, begin: int, end: int, too_early: int) -> int:
    """The first row, from `begin` on, of a day after `too_early`."""
    while begin < end and rows.day[begin] <= too_early:
        begin += 1
    return begin


@compiled
def between(held: Floats, low: int, high: int) -> float:
    """The sum of some segments."""
    total = 0.0
    for segment in range(low, high):
        total += held[segment]
    return total


@compiled
def _hold(
    rows: Rows, row: int, end: int, latest: int, as_of: int, segment_of: Ints, held: Floats
) -> None:
    """Sum the rows seen by then into the segments of their ages."""
    while row < end and rows.day[row] <= latest:
        if rows.visible[row] <= as_of:
            segment = segment_of[latest - rows.day[row]]
            for column in range(len(held)):
                held[column, segment] += rows.values[row, column]
        row += 1


@compiled
def totals(rows: Rows, points: Points) -> Floats:
    """Columns by points: the sum of all rows seen by then."""
    out = np.zeros((rows.values.shape[1], len(points.as_of)))
    for account in range(len(points.first) - 1):
        begin, end = rows.row[rows.first[account]], rows.row[rows.first[account + 1]]
        for point in range(points.first[account], points.first[account + 1]):
            for row in range(begin, end):
                if rows.visible[row] <= points.as_of[point]:
                    for column in range(len(out)):
                        out[column, point] += rows.values[row, column]
    return out


@compiled
def used_days(rows: Rows, points: Points, column: int) -> tuple[Ints, Ints]:
    """The last day with the measure above 0 (-1: none in the ring), and the last `SPAN` days' set.

    Bit n of a set is the day of age n.
    """
    last = np.full(len(points.as_of), -1)
    sets = np.zeros(len(points.as_of), dtype=np.int64)
    for account in range(len(points.first) - 1):
        begin, end = rows.row[rows.first[account]], rows.row[rows.first[account + 1]]
        for point in range(points.first[account], points.first[account + 1]):
            latest = points.as_of[point] - 1
            begin = from_reach(rows, begin, end, latest - RING_DAYS)
            row = begin
            while row < end and rows.day[row] <= latest:
                day, total = rows.day[row], 0.0
                while row < end and rows.day[row] == day:
                    if rows.visible[row] <= points.as_of[point]:
                        total += rows.values[row, column]
                    row += 1
                if total > 0:
                    last[point] = day
                    if latest - day < SPAN:
                        sets[point] |= 1 << (latest - day)
    return last, sets


@compiled
def runs_of_days(sets: Ints) -> tuple[Floats, Floats, Floats]:
    """Of each set of days: the longest pause, the longest streak, and the streak up to now.

    >>> [float(found[0]) for found in runs_of_days(np.array([0b1011]))]
    [2.0, 2.0, 2.0]
    """
    gap, longest = np.full(len(sets), np.nan), np.zeros(len(sets))
    now = np.zeros(len(sets))
    for point in range(len(sets)):
        streak, pause, longest_pause = 0, 0, 0
        for age in range(SPAN):
            if sets[point] >> age & 1:
                streak += 1
                longest[point] = max(longest[point], streak)
                longest_pause, pause = max(longest_pause, pause), 0
                if streak == age + 1:
                    now[point] = streak
            else:
                streak = 0
                pause += 1
        if sets[point]:
            gap[point] = longest_pause + 1
    return gap, longest, now


@compiled
def days_over(
    rows: Rows, points: Points, column: int, days: int, limit: Floats, share: float
) -> Floats:
    """On how many of the last `SPAN` days the sum over `days` days had reached a share of a limit.

    NaN where there is no limit; every day reaches one of 0.
    """
    out = np.full(len(points.as_of), np.nan)
    daily = np.zeros(SPAN + days - 1)
    for account in range(len(points.first) - 1):
        begin, end = rows.row[rows.first[account]], rows.row[rows.first[account + 1]]
        for point in range(points.first[account], points.first[account + 1]):
            threshold = share * limit[point]
            if threshold <= 0:
                out[point] = SPAN
            elif threshold > 0:  # a missing limit is neither
                daily[:] = 0.0
                for row in range(begin, end):
                    age = points.as_of[point] - 1 - rows.day[row]
                    if 0 <= age < len(daily) and rows.visible[row] <= points.as_of[point]:
                        daily[age] += rows.values[row, column]
                out[point] = _reached(daily, days, threshold)
    return out


@compiled
def _reached(daily: Floats, days: int, threshold: float) -> float:
    """The days on which a rolling sum is there; none, where all together are not."""
    count, most = 0.0, 0.0
    for age in range(len(daily)):
        most += max(daily[age], 0.0)
    if most >= threshold:
        for age in range(SPAN):
            count += between(daily, age, age + days) >= threshold
    return count
