"""Windows over an account's daily measures, compiled: sums, last days, sets of days.

Every function goes over accounts, and over the observations of each; a row is seen from
`visible <= as_of` on, and lies `as_of - 1 - day` days back.
"""

import numpy as np
from numba import njit

from features.algebra import SPAN
from features.kernel.rows import Floats, Ints

NOTHING = np.nan


@njit(cache=True, nogil=True)
def sums(
    first_run: Ints,
    run_row: Ints,
    day: Ints,
    visible: Ints,
    values: Floats,
    first_point: Ints,
    as_of: Ints,
    segment_of: Ints,
    segments: int,
    nearest: int,
    measure: Ints,
    low: Ints,
    high: Ints,
) -> Floats:
    """Windows (rows of the result) by points: each the sum of its measure over its segments.

    Days are cut into `segments` by age: age `nearest + a` lies in segment `segment_of[a]`. Window
    `w` covers the segments `low[w]` up to `high[w]` (exclusive) of column `measure[w]`.
    """  # fmt: skip
    out = np.zeros((len(measure), len(as_of)))
    columns = values.shape[1]
    held = np.zeros((columns, segments))
    reach = len(segment_of)
    for account in range(len(first_point) - 1):
        if first_run[account] == first_run[account + 1]:
            continue
        begin, end = run_row[first_run[account]], run_row[first_run[account + 1]]
        for point in range(first_point[account], first_point[account + 1]):
            latest = as_of[point] - 1 - nearest
            while begin < end and day[begin] <= latest - reach:
                begin += 1
            if begin == end or day[begin] > latest:
                continue
            held[:] = 0.0
            _hold(begin, end, day, visible, values, latest, as_of[point], segment_of, held)
            for window in range(len(measure)):
                total = 0.0
                for segment in range(low[window], high[window]):
                    total += held[measure[window], segment]
                out[window, point] = total
    return out


@njit(cache=True, nogil=True)
def _hold(
    row: int,
    end: int,
    day: Ints,
    visible: Ints,
    values: Floats,
    latest: int,
    as_of: int,
    segment_of: Ints,
    held: Floats,
) -> None:
    """Sum the rows seen by then into the segments of their ages."""  # fmt: skip
    while row < end and day[row] <= latest:
        if visible[row] <= as_of:
            segment = segment_of[latest - day[row]]
            for column in range(values.shape[1]):
                held[column, segment] += values[row, column]
        row += 1


@njit(cache=True, nogil=True)
def totals(
    first_run: Ints, run_row: Ints, visible: Ints, values: Floats, first_point: Ints, as_of: Ints
) -> Floats:
    """Columns by points: the sum of all rows seen by then."""
    out = np.zeros((values.shape[1], len(as_of)))
    for account in range(len(first_point) - 1):
        begin, end = run_row[first_run[account]], run_row[first_run[account + 1]]
        for point in range(first_point[account], first_point[account + 1]):
            for row in range(begin, end):
                if visible[row] <= as_of[point]:
                    for column in range(values.shape[1]):
                        out[column, point] += values[row, column]
    return out


@njit(cache=True, nogil=True)
def used_days(
    first_run: Ints,
    run_row: Ints,
    day: Ints,
    visible: Ints,
    values: Floats,
    column: int,
    first_point: Ints,
    as_of: Ints,
    reach: int,
) -> tuple[Ints, Ints]:
    """The last day with the measure above 0 (-1: none in reach), and the last `SPAN` days' set.

    Bit n of a set is the n-th day back from the last before `as_of`.
    """  # fmt: skip
    last = np.full(len(as_of), -1)
    sets = np.zeros(len(as_of), dtype=np.int64)
    for account in range(len(first_point) - 1):
        if first_run[account] == first_run[account + 1]:
            continue
        begin, end = run_row[first_run[account]], run_row[first_run[account + 1]]
        for point in range(first_point[account], first_point[account + 1]):
            latest = as_of[point] - 1
            while begin < end and day[begin] <= latest - reach:
                begin += 1
            row = begin
            while row < end and day[row] <= latest:
                today, total = day[row], 0.0
                while row < end and day[row] == today:
                    if visible[row] <= as_of[point]:
                        total += values[row, column]
                    row += 1
                if total > 0:
                    last[point] = today
                    if latest - today < SPAN:
                        sets[point] |= 1 << (latest - today)
    return last, sets


@njit(cache=True, nogil=True)
def runs_of_days(sets: Ints) -> tuple[Floats, Floats, Floats]:
    """Of each set of days: the longest pause, the longest streak, and the streak up to now."""
    gap, longest = np.full(len(sets), NOTHING), np.zeros(len(sets))
    now = np.zeros(len(sets))
    for point in range(len(sets)):
        bits, streak, pause, open_pause = sets[point], 0, 0, 0
        for back in range(SPAN):
            if bits >> back & 1:
                streak += 1
                longest[point] = max(longest[point], streak)
                pause = max(pause, open_pause)
                open_pause = 0
                if streak == back + 1:
                    now[point] = streak
            else:
                streak = 0
                open_pause += 1
        if bits:
            gap[point] = pause + 1
    return gap, longest, now


@njit(cache=True, nogil=True)
def days_over(
    first_run: Ints,
    run_row: Ints,
    day: Ints,
    visible: Ints,
    values: Floats,
    column: int,
    first_point: Ints,
    as_of: Ints,
    days: int,
    limit: Floats,
    share: float,
) -> Floats:
    """On how many of the last `SPAN` days the sum over `days` days had reached a share of a limit.

    NaN where there is no limit; every day reaches one of 0.
    """  # fmt: skip
    out = np.full(len(as_of), NOTHING)
    reach = SPAN + days - 1
    daily = np.zeros(reach)
    for account in range(len(first_point) - 1):
        begin = run_row[first_run[account]]
        end = run_row[first_run[account + 1]]
        for point in range(first_point[account], first_point[account + 1]):
            threshold = share * limit[point]
            if np.isnan(threshold):
                continue
            if threshold <= 0:
                out[point] = SPAN
                continue
            latest, total = as_of[point] - 1, 0.0
            daily[:] = 0.0
            for row in range(begin, end):
                age = latest - day[row]
                if 0 <= age < reach and visible[row] <= as_of[point]:
                    daily[age] += values[row, column]
                    total += max(values[row, column], 0.0)
            out[point] = _reached(daily, days, threshold) if total >= threshold else 0.0
    return out


@njit(cache=True, nogil=True)
def _reached(daily: Floats, days: int, threshold: float) -> float:
    count = 0.0
    for back in range(SPAN):
        total = 0.0
        for age in range(back, back + days):
            total += daily[age]
        count += total >= threshold
    return count
