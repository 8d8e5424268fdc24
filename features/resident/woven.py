"""Rows of a rollup with others among them, compiled: what changed goes into what is held."""

import numpy as np
from numpy.typing import NDArray

from features.kernel.compiled import compiled
from features.kernel.rows import Floats, Ints, Rows

Flags = NDArray[np.bool_]
NO_KEY = 2**62


def woven(old: Rows, kept: Flags, key_of: Ints, new: Rows) -> Rows:
    """The rows of `old` that are kept and those of `new`, in their order.

    Both are of the same accounts; `key_of`: what each key of `old` is among those of `new`, in the
    same order. Of rows that agree in account, key, day and morning those of `old` come first.
    """
    return Rows(*_woven(old, kept, key_of, new))


@compiled
def _woven(
    old: Rows, kept: Flags, key_of: Ints, new: Rows
) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
    accounts, many = len(old.first) - 1, np.sum(kept) + len(new.day)
    most = len(old.key) + len(new.key)
    first = np.zeros(accounts + 1, dtype=np.int64)
    key, row = np.empty(most, dtype=np.int64), np.zeros(most + 1, dtype=np.int64)
    day, visible = np.empty(many, dtype=np.int64), np.empty(many, dtype=np.int64)
    values = np.empty((many, new.values.shape[1]))
    runs = rows = 0
    for account in range(accounts):
        i, j = old.first[account], new.first[account]
        while i < old.first[account + 1] or j < new.first[account + 1]:
            mine = key_of[old.key[i]] if i < old.first[account + 1] else NO_KEY
            other = new.key[j] if j < new.first[account + 1] else NO_KEY
            begin, end = (old.row[i], old.row[i + 1]) if mine <= other else (0, 0)
            start, stop = (new.row[j], new.row[j + 1]) if other <= mine else (0, 0)
            key[runs] = min(mine, other)
            row[runs] = rows
            while begin < end or start < stop:
                if begin < end and not kept[begin]:
                    begin += 1
                elif start == stop or (begin < end and _is_first(old, begin, new, start)):
                    rows = _copied(old, begin, day, visible, values, rows)
                    begin += 1
                else:
                    rows = _copied(new, start, day, visible, values, rows)
                    start += 1
            runs += rows > row[runs]
            i, j = i + (mine <= other), j + (other <= mine)
        first[account + 1] = runs
    row[runs] = rows
    return first, key[:runs].copy(), row[: runs + 1].copy(), day, visible, values


@compiled
def _is_first(old: Rows, i: int, new: Rows, j: int) -> bool:
    """Whether a row of `old` does not come after one of `new`."""
    if old.day[i] != new.day[j]:
        return old.day[i] < new.day[j]
    return old.visible[i] <= new.visible[j]


@compiled
def _copied(rows: Rows, i: int, day: Ints, visible: Ints, values: Floats, at: int) -> int:
    """The next place, after a row was copied to this one."""
    day[at], visible[at] = rows.day[i], rows.visible[i]
    for column in range(values.shape[1]):
        values[at, column] = rows.values[i, column]
    return at + 1
