"""What an account has bought, as known at an observation: plan, money, dates, past changes."""

from typing import Any

import ibis
from ibis import _

from features.facts.known import (
    at_points,
    beside,
    first,
    known_rows,
    moments,
    unchanged_since,
    visible,
)
from features.instants import DAY_US, microseconds
from features.points import POINT
from features.settings import Settings

SUBSCRIPTION = [*POINT, "subscription_id"]


def commercial(points: ibis.Table, subscriptions: ibis.Table, settings: Settings) -> ibis.Table:
    """The account's plan, revenue and dates, from the state of each of its subscriptions."""
    since = unchanged_since(
        points, subscriptions, "effective_at", [_lapse_us(subscriptions, settings)]
    )
    return at_points(since, _at_moments(moments(since), subscriptions, settings))


def _at_moments(points: ibis.Table, subscriptions: ibis.Table, settings: Settings) -> ibis.Table:
    """The same on days on which something changed."""
    states = _states(points, subscriptions, settings)
    running = states.filter(states.running)
    order = [ibis.desc(_.rank.fill_null(-1)), ibis.desc("mrr"), _.subscription_id]
    main = first(running, POINT, order).select(
        *POINT, "plan", "seats", "billing_months", "discount", "term_us", "term_end",
        main_began_us=_.began_us, plan_rank=_.rank.cast("float64"),
        in_trial=(_.status == "trial").cast("float64"),
    )  # fmt: skip
    ended_us = ibis.ifelse(states.status == "cancelled", states.began_us, states.term_us)
    together = states.group_by(POINT).agg(
        mrr=ibis.ifelse(states.paying, states.mrr, ibis.null()).sum(),
        paying=states.paying.cast("int64").max() > 0,
        first_paid_us=states.first_paid_us.min(),
        upgrades_so_far=states.upgrades.sum(),
        downgrades_so_far=states.downgrades.sum(),
        ended_us=ended_us.max(),
    )
    found = beside(points, [together, main, _announced(points, subscriptions, settings)])
    return found.mutate(cancel_announced=_.paying & _.cancel_announced)


def _states(points: ibis.Table, subscriptions: ibis.Table, settings: Settings) -> ibis.Table:
    """Each subscription's newest row, with what the rows before it add up to."""
    rows = _changes(visible(points, subscriptions, "effective_at"), settings)
    so_far = ibis.cumulative_window(group_by=SUBSCRIPTION, order_by="place")
    states = rows.mutate(
        began_us=ibis.ifelse(rows.begins_run, rows.begins_us, ibis.null()).max().over(so_far),
        first_paid_us=ibis.ifelse(rows.paid, rows.begins_us, ibis.null()).min().over(so_far),
        upgrades=rows.up.sum().over(so_far),
        downgrades=rows.down.sum().over(so_far),
    ).filter(_.is_last)
    running = states.status.isin(["active", "trial"]) & ~_lapsed(states, settings)
    return states.mutate(running=running, paying=running & states.paid)


def _changes(rows: ibis.Table, settings: Settings) -> ibis.Table:
    """The rows of each subscription in their order, and what changed with each."""
    timed = rows.mutate(
        rank=plan_rank(rows.plan, settings),
        term_us=microseconds(rows.term_end),
        paid=is_paid(rows, settings),
        order_us=microseconds(rows.known_at),
    )
    order = ibis.window(group_by=SUBSCRIPTION, order_by=["begins_us", "order_us", "row_id"])
    placed = timed.mutate(
        place=ibis.row_number().over(order),
        is_last=timed.row_id.lead().over(order).isnull(),
        **{f"{c}_before": timed[c].lag().over(order) for c in ("status", "rank", "seats", "mrr")},
    )
    active = (placed.status == "active") & (placed.status_before == "active")
    return placed.mutate(
        begins_run=placed.status_before.isnull() | (placed.status_before != placed.status),
        up=(active & _moved(placed, 1)).fill_null(False).cast("float64"),
        down=(active & _moved(placed, -1)).fill_null(False).cast("float64"),
    )


def _moved(rows: ibis.Table, sign: int) -> Any:
    """Whether a row stands higher (sign 1) or lower than the one before it.

    On another step of the ladder; or on the same with other seats at another price.
    """
    same = (rows["rank"] == rows.rank_before) | (rows["rank"].isnull() & rows.rank_before.isnull())
    moved = {c: sign * (rows[c] - rows[f"{c}_before"]) > 0 for c in ("rank", "seats", "mrr")}
    return moved["rank"].fill_null(False) | (same & moved["seats"] & moved["mrr"]).fill_null(False)


def is_paid(rows: ibis.Table, settings: Settings) -> Any:
    """Whether a subscription row is one that somebody pays for."""
    free = list(settings.plans.free)
    paid = rows.status == "active"
    return paid & ~rows.plan.isin(free) if free else paid


def plan_rank(plan: Any, settings: Settings) -> Any:
    """A plan's place on the ladder, from 0; null for an add-on."""
    return plan.cases(*((name, i) for i, name in enumerate(settings.plans.ladder))).cast("int64")


def _lapsed(states: ibis.Table, settings: Settings) -> Any:
    if settings.subscriptions.lapse_after_days is None:
        return ibis.literal(False)
    return (_lapse_us(states, settings) < states.midnight).fill_null(False)


def _lapse_us(rows: ibis.Table, settings: Settings) -> Any:
    """When a term that nobody renewed is over."""
    days = settings.subscriptions.lapse_after_days or 0
    return microseconds(rows.term_end) + days * DAY_US


def _announced(points: ibis.Table, subscriptions: ibis.Table, settings: Settings) -> ibis.Table:
    """Whether, by what is known, an instant lies ahead at which nothing is paid for.

    What of each subscription holds at an instant is its last row up to it, as in `history`.
    """
    rows = known_rows(points, subscriptions, "effective_at").mutate(
        order_us=microseconds(_.known_at)
    )
    pays = (is_paid(rows, settings) & ~_lapsed(rows, settings)).cast("int64")
    order = ibis.window(group_by=SUBSCRIPTION, order_by=["begins_us", "order_us", "row_id"])
    more = rows.mutate(more=pays - pays.lag().over(order).fill_null(0))
    instants = more.group_by([*POINT, "midnight", "begins_us"]).agg(more=_.more.sum())
    so_far = ibis.cumulative_window(group_by=POINT, order_by="begins_us")
    paid = instants.mutate(paid=instants.more.sum().over(so_far))
    ends = (paid.begins_us >= paid.midnight) & (paid.paid == 0)
    return paid.group_by(POINT).agg(cancel_announced=ends.cast("int64").max() > 0)
