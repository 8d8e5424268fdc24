"""Who belongs to accounts, compiled: what `features.facts.people` says in SQL."""

import numpy as np

from features.algebra import SPAN
from features.facts.people import NEAR
from features.kernel.compiled import compiled
from features.kernel.order import Floats, Ints
from features.kernel.records import Users
from features.kernel.rows import Points

NOW, BEFORE, ROLES, ADMINS, NEAR_SEATS = range(5)


@compiled
def present(users: Users, who: Ints, points: Points, seats: Floats, is_admin: Ints) -> Floats:
    """Users by point: a row each for how many now and `SPAN` days before, and so on.

    `who`: the account of the records that each account of the points is; `is_admin`: 1 for the
    roles that run an account. `NEAR_SEATS` counts the days on which users filled that of the seats.
    """
    found = np.zeros((5, len(points.as_of)))
    change = np.zeros(SPAN + 2)
    held_at = np.full(len(is_admin) + 1, -1)
    for account in range(len(who)):
        begin, end = users.first[who[account]], users.first[who[account] + 1]
        for point in range(points.first[account], points.first[account + 1]):
            change[:] = 0.0
            as_of, last = points.as_of[point], -1
            for row in range(begin, end):
                if users.seen[row] <= as_of < users.until[row]:
                    last = row
                if row + 1 == end or users.user[row + 1] != users.user[row]:
                    if last >= 0:
                        _count(users, last, as_of, change)
                        _roles(users, last, point, as_of, is_admin, held_at, found)
                    last = -1
            _sum(change, seats[point], point, found)
    return found


@compiled
def _count(users: Users, row: int, as_of: int, change: Floats) -> None:
    """Let a user be there from the day of joining to that of leaving, of the last days."""
    first = as_of - SPAN
    low, high = max(users.joined[row], first), min(users.left[row], as_of + 1)
    if low < high:
        change[low - first] += 1.0
        change[high - first] -= 1.0


@compiled
def _roles(
    users: Users, row: int, point: int, as_of: int, is_admin: Ints, held_at: Ints, found: Floats
) -> None:
    """Count the role of a user who is there now."""
    role = users.role[row]
    if role < 0 or not users.joined[row] <= as_of < users.left[row]:
        return
    found[ADMINS, point] += is_admin[role]
    if held_at[role] != point:
        held_at[role] = point
        found[ROLES, point] += 1.0


@compiled
def _sum(change: Floats, seats: float, point: int, found: Floats) -> None:
    """How many are there on each of the last days, and on how many of these near the seats."""
    there = change[0]
    found[BEFORE, point] = there
    for day in range(1, SPAN + 1):
        there += change[day]
        if there >= NEAR * seats:
            found[NEAR_SEATS, point] += 1.0
    found[NOW, point] = there
