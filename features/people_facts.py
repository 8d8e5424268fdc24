"""Who belongs to an account: how many, since when, in which roles, and against its seats."""

from typing import Any

import ibis
from ibis import _

from features.algebra import SPAN
from features.instants import microseconds
from features.known import newest, visible
from features.rollups import DAY_US
from features.settings import Settings
from features.windows import POINT

NEAR = 0.8
"""The share of the seats from which on a day counts as near the limit."""


def members(points: ibis.Table, users: ibis.Table) -> ibis.Table:
    """The people of each point's account: of each user the row that was learnt last."""
    rows = newest(visible(points, users, "created_at"), [*POINT, "user_id"])
    return rows.select(
        *POINT, "user_id", "role", "midnight", "begins_us", left_us=microseconds(_.left_at)
    )


def people(points: ibis.Table, users: ibis.Table, settings: Settings) -> ibis.Table:
    """Present users, now and `SPAN` days ago, their roles and admins; null where there are none."""
    rows = members(points, users)
    now, before = _present(rows, 0), _present(rows, SPAN)
    admin = now & rows.role.isin(list(settings.people.admin_roles) or [""])
    counted = rows.group_by(POINT).agg(
        now=_sum(now),
        before=_sum(before),
        admin=_sum(admin.fill_null(False)),
        roles=ibis.ifelse(now, rows.role, ibis.null()).nunique().cast("float64"),
    )
    some = counted.now > 0
    return counted.select(
        *POINT,
        users_joined=counted.now.nullif(0.0),
        users_joined_before=counted.before.nullif(0.0),
        roles_held=ibis.ifelse(some, counted.roles, ibis.null()),
        admins=ibis.ifelse(some, counted.admin, ibis.null()),
    )


def joined(points: ibis.Table, users: ibis.Table) -> ibis.Table:
    """Only how many users are present, for points that are only compared with."""
    rows = members(points, users)
    counted = rows.group_by(POINT).agg(now=_sum(_present(rows, 0)))
    return counted.select(*POINT, users_joined=_.now.nullif(0.0))


def days_near_seats(seats: ibis.Table, users: ibis.Table) -> ibis.Table:
    """On how many of the last `SPAN` evenings the users present filled most of today's seats.

    In: `seats` with one row a point. Out: `seats_days_over`; points that never can have come so far
    have no row.
    """
    sold = seats.filter(_.seats > 0).select(*POINT, threshold=NEAR * _.seats)
    rows = members(sold, users)
    crowd = rows.group_by(POINT).agg(people=_.count()).join(sold, POINT)
    near = crowd.filter(_.people >= _.threshold).select(*POINT, "threshold")
    mine = rows.join(near, POINT)
    present = {f"present_{age}": _sum(_present(mine, age)) for age in range(SPAN)}
    daily = mine.group_by(POINT).agg(threshold=mine.threshold.max(), **present)
    over = [(daily[name] >= daily.threshold).cast("float64") for name in present]
    return daily.select(*POINT, seats_days_over=sum(over[1:], over[0]))


def _present(rows: ibis.Table, days_ago: int) -> Any:
    """Whether a user had joined and not left at the midnight so many days before `as_of`."""
    then = rows.midnight - days_ago * DAY_US
    return (rows.begins_us < then) & ~(rows.left_us < then).fill_null(False)


def _sum(condition: Any) -> Any:
    return condition.cast("float64").sum()
