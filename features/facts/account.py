"""What is known about an account at an observation: profile, company, plan, people, milestones.

A row of a contract table is visible at `as_of` when its fact began before it, was known by then,
and still held for the account (`features.facts.known`).
"""

from dataclasses import dataclass
from typing import Any

import ibis
import pyarrow as pa

from features.algebra import SPAN
from features.facts.journeys import milestones
from features.facts.known import at_points, beside, moments, newest, unchanged_since, visible
from features.facts.people import NEAR, people
from features.facts.subscriptions import commercial, plan_rank
from features.instants import DAY_US
from features.points import POINT
from features.settings import Settings

CONTEXT = {
    "population": pa.string(),
    "plan": pa.string(),
    "mrr": pa.float64(),
    "term_end": pa.date32(),
    "cancel_announced": pa.bool_(),
    "is_internal": pa.bool_(),
    "age_days": pa.float32(),
}
"""Columns of the feature table that say who the account is; not features."""
PROFILE = ("industry", "country", "channel", "employees", "is_internal")
"""What a row of accounts tells."""
SIZE_BANDS = ((2, "0-1"), (5, "2-4"), (10, "5-9"), (25, "10-24"), (100, "25-99"))
LARGEST = "100+"


@dataclass(frozen=True)
class Records:
    """The contract tables that facts are read from, and the per-event rollup for milestones.

    The contract tables carry `known_us` and `until_us`: the instants (int64, microseconds) from
    which and until which a row is known as this account's.
    """

    accounts: ibis.Table
    users: ibis.Table
    subscriptions: ibis.Table
    account_event_day: ibis.Table


def facts(points: ibis.Table, records: Records, settings: Settings) -> ibis.Table:
    """All facts for each point, one row a point; null where nothing is known."""
    bought = commercial(points, records.subscriptions, settings)
    parts = [
        _profile(points, records.accounts),
        people(_with_seats(points, bought), records.users, settings),
        bought,
        milestones(points, records.account_event_day, settings),
    ]
    return _completed(beside(points, parts), settings)


def populations(points: ibis.Table, records: Records, settings: Settings) -> ibis.Table:
    """The facts by which peers are chosen: population, plan_name and size_band, one row a point."""
    bought = commercial(points, records.subscriptions, settings)
    present = people(_with_seats(points, bought), records.users, settings)
    table = beside(points, [bought, present])
    return table.select(
        *POINT,
        population=_population(table),
        plan_name=_plan(table, settings),
        size_band=_size_band(table),
    )


def _with_seats(points: ibis.Table, bought: ibis.Table) -> ibis.Table:
    return beside(points, [bought.select(*POINT, "seats")])


def _profile(points: ibis.Table, accounts: ibis.Table) -> ibis.Table:
    since = unchanged_since(points, accounts, "created_at")
    rows = newest(visible(moments(since), accounts, "created_at"), POINT)
    return at_points(since, rows.select(*POINT, *PROFILE, "begins_us"))


def _population(t: ibis.Table) -> Any:
    """Customers pay now, former customers did once, prospects never have."""
    return ibis.cases(
        (t.paying.fill_null(False), "customer"),
        (t.first_paid_us.notnull(), "former"),
        else_="prospect",
    )


def _plan(t: ibis.Table, settings: Settings) -> Any:
    """The plan; of prospects without a subscription the first free one."""
    if not settings.plans.free:
        return t.plan
    is_prospect = _population(t) == "prospect"
    return ibis.ifelse(is_prospect, t.plan.fill_null(settings.plans.free[0]), t.plan)


def _size_band(t: ibis.Table) -> Any:
    size = t.users_joined.fill_null(0.0)
    return ibis.cases(*((size < below, name) for below, name in SIZE_BANDS), else_=LARGEST)


def _completed(t: ibis.Table, settings: Settings) -> ibis.Table:
    """Facts that follow from the parts: population, tenure, the plan's limits, days to steps."""
    midnight = t.as_of_day.cast("int64") * DAY_US
    plan = _plan(t, settings)
    mrr = t.mrr.fill_null(0.0)
    limits = {
        f"limit_{limit.name}": plan.cases(*((p, float(v)) for p, v in limit.by_plan.items()))
        for limit in settings.plans.limits
    }
    return t.mutate(
        population=_population(t),
        plan=plan,
        plan_name=plan,
        plan_rank=plan_rank(plan, settings).cast("float64"),
        mrr=mrr,
        mrr_now=mrr,
        age_days=_age_days(t, midnight),
        is_internal=t.is_internal.fill_null(False),
        cancel_announced=t.cancel_announced.fill_null(False),
        in_trial=t.in_trial.fill_null(0.0),
        days_to_renewal=(t.term_us - midnight).cast("float64") / DAY_US,
        tenure_days=(midnight - t.first_paid_us).cast("float64") / DAY_US,
        days_in_state=_days_in_state(t, midnight),
        term_end=t.term_end.cast("date"),
        size_band=_size_band(t),
        seats_days_over=_seats_days_over(t),
        upgrades_so_far=t.upgrades_so_far.fill_null(0.0),
        downgrades_so_far=t.downgrades_so_far.fill_null(0.0),
        **_journeys(t, settings),
        **limits,
    )


def _age_days(t: ibis.Table, midnight: Any) -> Any:
    return (midnight - t.begins_us).cast("float64") / DAY_US


def _days_in_state(t: ibis.Table, midnight: Any) -> Any:
    """Since the main subscription came into its status; else since the last one ended."""
    since_us = ibis.coalesce(t.main_began_us, t.ended_us)
    return ibis.coalesce((midnight - since_us).cast("float64") / DAY_US, _age_days(t, midnight))


def _seats_days_over(t: ibis.Table) -> Any:
    """No seats sold are filled on every day; what has no count never came near."""
    return ibis.cases(
        (t.seats.isnull(), ibis.null("float64")),
        (NEAR * t.seats <= 0, float(SPAN)),
        else_=t.seats_days_over.fill_null(0.0),
    )


def _journeys(t: ibis.Table, settings: Settings) -> dict[str, Any]:
    days_to = {
        f"days_to_{m.name}": (t[f"reached_{m.name}"] - t.begins_us // DAY_US).cast("float64")
        for m in settings.milestones
    }
    steps = {f"steps_{j.name}": t[f"steps_{j.name}"].fill_null(0.0) for j in settings.journeys}
    return days_to | steps | {"milestones_reached": t.milestones_reached.fill_null(0.0)}
