"""Who belongs to an account: how many, since when, in which roles, and against its seats."""

from typing import Any

import ibis
from ibis import _

from features.algebra import SPAN
from features.facts.known import NEVER_DAY, at_points, moments, newest, unchanged_since, visible
from features.instants import DAY_US, microseconds
from features.points import POINT
from features.settings import Settings

NEAR = 0.8
"""The share of the seats from which on a day counts as near the limit."""


def people(points: ibis.Table, users: ibis.Table, settings: Settings) -> ibis.Table:
    """How many users were present, now and `SPAN` days ago, their roles, and days near the seats.

    In: `points` with the `seats` of each (null: not known). Of each user the row that was learnt
    last counts. Null where nobody was present; `seats_days_over` counts the midnights of the last
    `SPAN` days at which the users then present filled `NEAR` of today's seats, and is null where
    that never happened.
    """
    since = unchanged_since(points, users, "created_at")
    steps = _steps(_members(moments(since), users), settings)
    joined = at_points(since, steps).join(points.select(*POINT, "seats"), POINT)
    rows = joined.filter((_.from_day <= _.as_of_day) & (_.to_day > _.as_of_day - SPAN))
    now = rows.to_day > rows.as_of_day
    before = rows.from_day <= rows.as_of_day - SPAN
    first_day = ibis.greatest(rows.from_day, rows.as_of_day - SPAN + 1)
    days = ibis.least(rows.to_day, rows.as_of_day + 1) - first_day
    near = (rows.present >= NEAR * rows.seats).fill_null(False)
    counted = rows.group_by(POINT).agg(
        now=_where(now, rows.present),
        before=_where(before, rows.present),
        roles=_where(now, rows.roles),
        admins=_where(now, rows.admins),
        seats_days_over=ibis.ifelse(near, days, ibis.null()).sum().cast("float64"),
    )
    some = counted.now > 0
    return counted.select(
        *POINT,
        "seats_days_over",
        users_joined=counted.now.nullif(0.0),
        users_joined_before=counted.before.nullif(0.0),
        roles_held=ibis.ifelse(some, counted.roles, ibis.null()),
        admins=ibis.ifelse(some, counted.admins, ibis.null()),
    )


def _where(condition: Any, number: Any) -> Any:
    """The number of the one row where the condition holds."""
    return ibis.ifelse(condition, number, ibis.null()).max()


def _members(points: ibis.Table, users: ibis.Table) -> ibis.Table:
    """The users of each point's account and the days of their first and last midnight there."""
    who = ["account_id", "user_id"]
    twice = users.group_by(who).having(_.count() > 1).agg(n=_.count())
    once = visible(points, users.anti_join(twice, who), "created_at")
    again = visible(points, users.semi_join(twice, who), "created_at")
    rows = once.union(newest(again, [*POINT, "user_id"]).select(once.columns))
    dated = rows.select(
        *POINT,
        "role",
        from_day=(_.begins_us // DAY_US + 1).cast("int64"),
        to_day=(microseconds(_.left_at) // DAY_US + 1).cast("int64"),
    )
    return dated.filter(_.to_day.isnull() | (_.to_day > _.from_day))


def _steps(members: ibis.Table, settings: Settings) -> ibis.Table:
    """How many are present, how many admins and in how many roles, on days [from_day, to_day)."""
    came = members.select(*POINT, "role", day=members.from_day, change=ibis.literal(1.0))
    left = members.filter(_.to_day.notnull()).select(
        *POINT, "role", day=_.to_day, change=ibis.literal(-1.0)
    )
    moves = came.union(left).group_by([*POINT, "role", "day"]).agg(change=_.change.sum())
    in_role = moves.change.sum().over(_so_far([*POINT, "role"]))
    counted = moves.mutate(now=in_role, before=in_role - moves.change)
    filled = (counted.now > 0).cast("float64") - (counted.before > 0).cast("float64")
    is_admin = counted.role.isin(list(settings.people.admin_roles) or [""]).fill_null(False)
    daily = counted.group_by([*POINT, "day"]).agg(
        present=counted.change.sum(),
        admins=ibis.ifelse(is_admin, counted.change, 0.0).sum(),
        roles=ibis.ifelse(counted.role.notnull(), filled, 0.0).sum(),
    )
    following = ibis.window(group_by=POINT, order_by="day")
    return daily.select(
        *POINT,
        from_day=daily.day,
        to_day=daily.day.lead().over(following).fill_null(NEVER_DAY).cast("int64"),
        **{c: daily[c].sum().over(_so_far(POINT)) for c in ("present", "admins", "roles")},
    )


def _so_far(keys: list[str]) -> Any:
    return ibis.cumulative_window(group_by=keys, order_by="day")
