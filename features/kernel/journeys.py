"""Which milestones accounts have reached, compiled: what `features.facts.journeys` says in SQL."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.instants import NEVER
from features.kernel.compiled import compiled
from features.kernel.order import Floats, Ints
from features.kernel.rows import Points, Rollup, Rows, rollup


class Steps(NamedTuple):
    """Milestones: the key of each one's event among the rows, and how often it has to happen."""

    key: Ints
    enough: Floats


def in_order_seen(rows: pa.Table, lowest: int, accounts: int) -> Rollup:
    """Rows by event of some accounts, each event's in the order in which they are seen.

    `rows`: account_id and key (numbers), visible_from and n.
    """
    placed = rows.append_column("day", rows["visible_from"])
    return rollup(placed, ("n",), lowest, accounts)


@compiled
def reached(rows: Rows, points: Points, steps: Steps) -> Ints:
    """A row a milestone, by point: the day in whose evening it was first reached, as seen then.

    NEVER where it is not reached.
    """
    found = np.full((len(steps.key), len(points.as_of)), NEVER)
    for account in range(len(points.first) - 1):
        begin, end = points.first[account], points.first[account + 1]
        for run in range(rows.first[account], rows.first[account + 1]):
            for step in range(len(steps.key)):
                if steps.key[step] == rows.key[run]:
                    mine = found[step, begin:end]
                    _count(rows, run, points.as_of[begin:end], steps.enough[step], mine)
    return found


@compiled
def _count(rows: Rows, run: int, as_of: Ints, enough: float, found: Ints) -> None:
    """Add up an event's rows from midnight to midnight: what turned out another's is taken off."""
    row, end = rows.row[run], rows.row[run + 1]
    total, first = 0.0, NEVER
    for point in range(len(as_of)):
        while row < end and rows.visible[row] <= as_of[point]:
            total += rows.values[row, 0]
            row += 1
            done = row == end or rows.visible[row] != rows.visible[row - 1]
            if done and total >= enough:
                first = min(first, rows.visible[row - 1] - 1)
        if total >= enough:
            found[point] = first
