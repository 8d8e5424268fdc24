"""What accounts have bought, compiled: what `features.facts.subscriptions` says in SQL."""

from typing import NamedTuple

import numpy as np

from features.instants import DAY_US, LONG_AGO, NEVER
from features.kernel.compiled import compiled
from features.kernel.events import Flags
from features.kernel.order import Floats, Ints
from features.kernel.records import ACTIVE, CANCELLED, TRIAL, Bought
from features.kernel.rows import Points


class Ladder(NamedTuple):
    """What plans are, by their numbers: the step of the ladder (-1: an add-on), free or not.

    `grace`: for how many microseconds a term that nobody renewed goes on; -1: for ever.
    """

    rank: Ints
    free: Flags
    grace: int


class Commercial(NamedTuple):
    """What points see: the row of the main subscription (-1: none runs), since when, and so on.

    Instants that are not are LONG_AGO (`ended`) or NEVER (`first_paid`).
    """

    main: Ints
    began: Ints
    ended: Ints
    first_paid: Ints
    paying: Flags
    announced: Flags
    mrr: Floats
    upgrades: Floats
    downgrades: Floats


@compiled
def commercial(bought: Bought, who: Ints, points: Points, ladder: Ladder) -> Commercial:
    """The commercial facts by point; `who`: the records' number of each account of the points."""
    n = len(points.as_of)
    found = Commercial(
        np.full(n, -1), np.full(n, LONG_AGO), np.full(n, LONG_AGO), np.full(n, NEVER),
        np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_),
        np.zeros(n), np.zeros(n), np.zeros(n),
    )  # fmt: skip
    for account in range(len(who)):
        begin, end = bought.first[who[account]], bought.first[who[account] + 1]
        for point in range(points.first[account], points.first[account + 1]):
            _look(bought, ladder, begin, end, points.as_of[point], point, found)
    return found


@compiled
def _look(
    bought: Bought, ladder: Ladder, begin: int, end: int, as_of: int, point: int, found: Commercial
) -> None:
    """Go through an account's rows, subscription after subscription, as a midnight sees them."""
    last, began = -1, LONG_AGO
    for row in range(begin, end):
        if bought.seen[row] <= as_of < bought.until[row]:
            if last < 0 or bought.status[row] != bought.status[last]:
                began = bought.begins[row]
            is_active = bought.status[row] == ACTIVE
            if is_active and last >= 0 and bought.status[last] == ACTIVE:
                move = _moved(
                    ladder.rank[bought.plan[last]], ladder.rank[bought.plan[row]],
                    bought.seats[row] - bought.seats[last], bought.mrr[row] - bought.mrr[last],
                )  # fmt: skip
                found.upgrades[point] += move > 0
                found.downgrades[point] += move < 0
            if is_active and not ladder.free[bought.plan[row]]:
                found.first_paid[point] = min(found.first_paid[point], bought.begins[row])
            last = row
        if row + 1 == end or bought.subscription[row + 1] != bought.subscription[row]:
            if last >= 0:
                _stand(bought, ladder, last, began, as_of * DAY_US, point, found)
            last = -1
    found.announced[point] = found.paying[point] and _ends(bought, ladder, begin, end, as_of)


@compiled
def _ends(bought: Bought, ladder: Ladder, begin: int, end: int, as_of: int) -> bool:
    """Whether, by what a midnight knows, an instant lies ahead at which nothing is paid for."""
    for row in range(begin, end):
        known, instant = bought.known[row] <= as_of < bought.until[row], bought.begins[row]
        ahead = known and instant >= as_of * DAY_US
        if ahead and not _pays(bought, ladder, begin, end, as_of, instant):
            return True
    return False


@compiled
def _pays(bought: Bought, ladder: Ladder, begin: int, end: int, as_of: int, instant: int) -> bool:
    """Whether some subscription is paid for at an instant ahead."""
    pays = False
    for row in range(begin, end):
        if bought.begins[row] <= instant and bought.known[row] <= as_of < bought.until[row]:
            paid = bought.status[row] == ACTIVE and not ladder.free[bought.plan[row]]
            pays = paid and not _lapsed(bought.term[row], ladder.grace, as_of * DAY_US)
        if pays and (row + 1 == end or bought.subscription[row + 1] != bought.subscription[row]):
            return True
    return False


@compiled
def _moved(former: int, now: int, seats: float, mrr: float) -> int:
    """1 where a row stands higher than the one before it, -1 where lower, else 0.

    By their steps of the ladder, and how many more seats and how much more revenue it has.
    """
    if former != now:
        return 0 if former < 0 or now < 0 else 1 if now > former else -1
    return 1 if seats > 0 and mrr > 0 else -1 if seats < 0 and mrr < 0 else 0


@compiled
def _stand(
    bought: Bought, ladder: Ladder, row: int, began: int, midnight: int, point: int,
    found: Commercial,
) -> None:  # fmt: skip
    """Take in a subscription by its last row and the instant in which it came into its status."""
    status, term = bought.status[row], bought.term[row]
    if status == CANCELLED:
        found.ended[point] = max(found.ended[point], began)
    elif term != NEVER:
        found.ended[point] = max(found.ended[point], term)
    if status not in (TRIAL, ACTIVE) or _lapsed(term, ladder.grace, midnight):
        return
    plan, mrr = bought.plan[row], bought.mrr[row]
    if status == ACTIVE and not ladder.free[plan]:
        found.paying[point] = True
        found.mrr[point] += mrr
    main = found.main[point]
    higher = main < 0 or ladder.rank[plan] > ladder.rank[bought.plan[main]]
    alike = main >= 0 and ladder.rank[plan] == ladder.rank[bought.plan[main]]
    if higher or (alike and mrr > bought.mrr[main]):
        found.main[point], found.began[point] = row, began


@compiled
def _lapsed(term: int, grace: int, midnight: int) -> bool:
    return grace >= 0 and term != NEVER and term + grace < midnight
