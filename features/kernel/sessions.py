"""What users do by day, as it became known: sessions, minutes and uses.

`features.rollups.daily` says what is meant, and says it in SQL.
"""

from typing import NamedTuple

import numpy as np

from features.kernel.compiled import compiled
from features.kernel.events import LAST, Events, Flags
from features.kernel.order import Floats, Ints, changes, order_by
from features.rollups.daily import GAP_US

N, WEEKEND, OFFICE, SESSIONS, MINUTES, ACTIVE = range(6)


class Uses(NamedTuple):
    """Uses in order: by `pair` (a user in an account), then by time."""

    pair: Ints
    time: Ints
    day: Ints
    visible: Ints
    until: Ints
    weekend: Floats
    office: Floats


class Spent(NamedTuple):
    """Changes of what a pair did on a day; `numbers`: a column each of N, WEEKEND and so on."""

    pair: Ints
    day: Ints
    visible: Ints
    numbers: Floats


class Days(NamedTuple):
    """The days of pairs: which uses each has (`begin` up to the next), and whether it came late."""

    pair: Ints
    day: Ints
    begin: Ints
    late: Flags


def uses_of(events: Events, pair: Ints, week: tuple[Floats, Floats]) -> Uses:
    """The events in the order of `Uses`; `week`: as `working_week` tells."""
    in_time = bool((events.time[1:] >= events.time[:-1]).all())
    order = order_by([pair] if in_time else [pair, events.time])
    days = (events.day[order], events.visible[order], events.until[order])
    return Uses(pair[order], events.time[order], *days, week[0][order], week[1][order])


def spent(uses: Uses) -> list[Spent]:
    """What each pair did on each day: on days that came in time, and on the others."""
    if not len(uses.pair):
        return []
    days = _days(uses)
    again = _late(days)
    return [_on_time(uses, days, again), _corrected(uses, days, again)]


def _days(uses: Uses) -> Days:
    begin = np.flatnonzero(changes(uses.pair) | changes(uses.day))
    late = (uses.visible > uses.day + 1) | (uses.until < LAST)
    return Days(uses.pair[begin], uses.day[begin], begin, np.logical_or.reduceat(late, begin))


def _late(days: Days) -> Flags:
    """Whether the sums of a day changed after its morning.

    An event that comes late or goes again changes its own day and, across midnight, the next.
    """
    return days.late | (_follows(days) & np.append(False, days.late[:-1]))


def _follows(days: Days) -> Flags:
    """Whether the pair's day before is there too."""
    return ~changes(days.pair) & ~changes(days.day - np.arange(len(days.day)))


def _on_time(uses: Uses, days: Days, again: Flags) -> Spent:
    """The days whose events all came in time: visible the morning after."""
    gap = np.diff(uses.time, prepend=uses.time[:1])
    goes_on = ~changes(uses.pair) & (gap <= GAP_US)
    counted = np.diff(np.append(days.begin, len(uses.pair)))
    numbers = np.empty((len(days.begin), 6))
    numbers[:, N], numbers[:, ACTIVE] = counted, 1.0
    numbers[:, WEEKEND] = np.add.reduceat(uses.weekend, days.begin)
    numbers[:, OFFICE] = np.add.reduceat(uses.office, days.begin)
    numbers[:, SESSIONS] = counted - np.add.reduceat(goes_on.astype(np.int64), days.begin)
    numbers[:, MINUTES] = np.add.reduceat(np.where(goes_on, gap, 0), days.begin) / 60e6
    mine = ~again
    return Spent(days.pair[mine], days.day[mine], days.day[mine] + 1, numbers[mine])


def _corrected(uses: Uses, days: Days, again: Flags) -> Spent:
    """What each version of a late day adds to the version before it."""
    end = np.append(days.begin[1:], len(uses.pair))
    before = np.where(_follows(days), np.append(0, days.begin[:-1]), days.begin)
    which, visible, numbers = versions(uses, before[again], days.begin[again], end[again])
    return Spent(days.pair[again][which], days.day[again][which], visible, numbers)


@compiled
def versions(uses: Uses, before: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints, Floats]:
    """The changes of some days: which day, from which midnight on, how much.

    Day `i` has the uses `begin[i]:end[i]`; those from `before[i]` on bear on its sessions.
    """
    room = 0
    for i in range(len(begin)):
        room += 1 + 2 * (end[i] - before[i])
    which, visible = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
    changed = np.empty((room, 6))
    found = 0
    for i in range(len(begin)):
        state = np.zeros(6)
        for version in _mornings(uses, before[i], end[i], uses.day[begin[i]] + 1):
            now = _state(uses, before[i], begin[i], end[i], version)
            change = now - state
            state = now
            if change.any():
                which[found], visible[found], changed[found] = i, version, change
                found += 1
    return which[:found], visible[:found], changed[:found]


@compiled
def _mornings(uses: Uses, before: int, end: int, first: int) -> Ints:
    """The midnights at which more, or less, was known of some uses, from the first on."""
    moments = [first]
    for i in range(before, end):
        if uses.visible[i] > first:
            moments.append(uses.visible[i])
        if first < uses.until[i] < LAST:
            moments.append(uses.until[i])
    return np.unique(np.array(moments))


@compiled
def _state(uses: Uses, before: int, begin: int, end: int, version: int) -> Floats:
    """What was known of a day at a midnight."""
    state, last, minutes = np.zeros(6), -1, 0
    for i in range(before, end):
        if uses.visible[i] <= version < uses.until[i]:
            goes_on = last >= 0 and uses.time[i] - uses.time[last] <= GAP_US
            if i >= begin:
                state[N] += 1
                state[WEEKEND] += uses.weekend[i]
                state[OFFICE] += uses.office[i]
                state[SESSIONS] += not goes_on
                minutes += uses.time[i] - uses.time[last] if goes_on else 0
            last = i
    state[MINUTES] = minutes / 60e6
    state[ACTIVE] = state[N] > 0
    return state
