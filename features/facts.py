"""What is known about an account at an observation: profile, company, plan, people, milestones.

A row of a contract table is visible at `as_of` when its fact began before it and was known by then.
"""

from dataclasses import dataclass
from typing import Any

import ibis
import pyarrow as pa
from ibis import _

from features.rollups import DAY_US, microseconds
from features.settings import Settings
from features.windows import POINT

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


@dataclass(frozen=True)
class Records:
    """The contract tables that facts are read from, and the per-event rollup for milestones."""

    accounts: ibis.Table
    users: ibis.Table
    subscriptions: ibis.Table
    account_event_day: ibis.Table


def facts(points: ibis.Table, records: Records, settings: Settings) -> ibis.Table:
    """All facts for each point, one row a point; null where nothing is known."""
    parts = [
        _profile(points, records.accounts),
        _people(points, records.users),
        _commercial(points, records.subscriptions, settings),
        _milestones(points, records, settings),
    ]
    return _completed(_beside(points, parts), settings)


def populations(points: ibis.Table, records: Records, settings: Settings) -> ibis.Table:
    """Only the population of each point: prospect, customer or former."""
    table = _beside(points, [_commercial(points, records.subscriptions, settings)])
    return table.select(*POINT, population=_population(table))


def _beside(points: ibis.Table, parts: list[ibis.Table]) -> ibis.Table:
    table = points.select(*POINT)
    for part in parts:
        table = table.left_join(part, POINT).drop([f"{c}_right" for c in POINT])
    return table


def _visible(points: ibis.Table, rows: ibis.Table, time: str) -> ibis.Table:
    """Each point with the rows of its account that it may see; times as microseconds."""
    timed = rows.mutate(begins_us=microseconds(rows[time]), known_us=microseconds(rows.known_at))
    joined = points.select(*POINT).join(timed, "account_id")
    midnight = joined.as_of_day.cast("int64") * DAY_US
    return joined.filter((joined.begins_us < midnight) & (joined.known_us <= midnight))


def _latest(rows: ibis.Table, keys: list[str], order: list[Any]) -> ibis.Table:
    ranked = rows.mutate(place=ibis.row_number().over(group_by=keys, order_by=order))
    return ranked.filter(_.place == 0).drop("place")


def _profile(points: ibis.Table, accounts: ibis.Table) -> ibis.Table:
    rows = _visible(points, accounts, "created_at")
    newest = _latest(rows, POINT, [ibis.desc("known_us"), ibis.desc("row_id")])
    midnight = newest.as_of_day.cast("int64") * DAY_US
    return newest.select(
        *POINT, "industry", "country", "channel", "employees",
        is_internal=_.is_internal.fill_null(False),
        created_day=(_.begins_us // DAY_US).cast("int64"),
        age_days=(midnight - newest.begins_us).cast("float64") / DAY_US,
    )  # fmt: skip


def _people(points: ibis.Table, users: ibis.Table) -> ibis.Table:
    rows = _visible(points, users, "created_at")
    return rows.group_by(POINT).agg(users_joined=_.user_id.nunique().cast("float64"))


def _commercial(points: ibis.Table, subscriptions: ibis.Table, settings: Settings) -> ibis.Table:
    """The account's plan, revenue and dates, from the state of each of its subscriptions."""
    rows = _visible(points, subscriptions, "effective_at").mutate(
        rank=plan_rank(_.plan, settings), term_us=microseconds(_.term_end)
    )
    order = [ibis.desc("begins_us"), ibis.desc("known_us"), ibis.desc("row_id")]
    states = _latest(rows, [*POINT, "subscription_id"], order)
    running = states.filter(_.status.isin(["active", "trial"]) & ~_lapsed(states, settings))
    paying = running.filter(is_paid(running, settings))
    main = _latest(
        running, POINT, [ibis.desc(_.rank.fill_null(-1)), ibis.desc("mrr"), _.subscription_id]
    )
    current = main.select(
        *POINT, "plan", "seats", "billing_months", "discount", "term_us", "term_end",
        plan_rank=_.rank.cast("float64"), in_trial=(_.status == "trial").cast("float64"),
    )  # fmt: skip
    revenue = paying.group_by(POINT).agg(mrr=_.mrr.sum(), paying=_.count() > 0)
    ever = rows.filter(is_paid(rows, settings)).group_by(POINT).agg(first_paid_us=_.begins_us.min())
    joined = ever
    for part in (revenue, current, _announced(points, subscriptions)):
        joined = joined.outer_join(part, POINT)
        joined = joined.mutate(
            **{c: ibis.coalesce(joined[c], joined[f"{c}_right"]) for c in POINT}
        ).drop([f"{c}_right" for c in POINT])
    return joined


def is_paid(rows: ibis.Table, settings: Settings) -> Any:
    """Whether a subscription row is one that somebody pays for."""
    free = list(settings.plans.free)
    paid = rows.status == "active"
    return paid & ~rows.plan.isin(free) if free else paid


def plan_rank(plan: Any, settings: Settings) -> Any:
    """A plan's place on the ladder, from 0; null for an add-on."""
    return plan.cases(*((name, i) for i, name in enumerate(settings.plans.ladder)))


def _lapsed(states: ibis.Table, settings: Settings) -> Any:
    days = settings.subscriptions.lapse_after_days
    if days is None:
        return ibis.literal(False)
    midnight = states.as_of_day.cast("int64") * DAY_US
    return (states.term_us + days * DAY_US < midnight).fill_null(False)


def _announced(points: ibis.Table, subscriptions: ibis.Table) -> ibis.Table:
    """Whether a cancellation that lies ahead is already known."""
    timed = subscriptions.mutate(
        begins_us=microseconds(_.effective_at), known_us=microseconds(_.known_at)
    )
    joined = points.select(*POINT).join(timed.filter(_.status == "cancelled"), "account_id")
    midnight = joined.as_of_day.cast("int64") * DAY_US
    ahead = joined.filter((joined.known_us <= midnight) & (joined.begins_us >= midnight))
    return ahead.group_by(POINT).agg(cancel_announced=_.count() > 0)


def _milestones(points: ibis.Table, records: Records, settings: Settings) -> ibis.Table:
    """The milestones reached, as known then, and the day in whose evening each was."""
    reached = reached_milestones(records.account_event_day, settings)
    joined = points.select(*POINT).join(reached, "account_id").filter(_.visible_from <= _.as_of_day)
    days = {
        f"reached_{m.name}": (
            ibis.ifelse(joined.milestone == m.name, joined.visible_from - 1, ibis.null()).max()
        )
        for m in settings.milestones
    }
    return joined.group_by(POINT).agg(milestones_reached=_.count().cast("float64"), **days)


def reached_milestones(by_event: ibis.Table, settings: Settings) -> ibis.Table:
    """account_id, milestone and the first `as_of` day that sees it reached: visible_from."""
    if not settings.milestones:
        return by_event.limit(0).select(
            "account_id", milestone=_.event, visible_from=_.visible_from
        )
    parts = []
    for milestone in settings.milestones:
        mine = by_event.filter(_.event == milestone.event)
        daily = mine.group_by(["account_id", "visible_from"]).agg(n=_.n.sum())
        so_far = daily.n.sum().over(
            ibis.cumulative_window(group_by="account_id", order_by="visible_from")
        )
        enough = daily.mutate(so_far=so_far).filter(_.so_far >= milestone.count)
        parts.append(
            enough.group_by("account_id").agg(
                milestone=ibis.literal(milestone.name), visible_from=_.visible_from.min()
            )
        )
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _population(t: ibis.Table) -> Any:
    """Customers pay now, former customers did once, prospects never have."""
    return ibis.cases(
        (t.paying.fill_null(False), "customer"),
        (t.first_paid_us.notnull(), "former"),
        else_="prospect",
    )


def _completed(t: ibis.Table, settings: Settings) -> ibis.Table:
    """Facts that follow from the parts: population, tenure, the plan's limits, days to steps."""
    midnight = t.as_of_day.cast("int64") * DAY_US
    population = _population(t)
    prospect_plan = settings.plans.free[0] if settings.plans.free else None
    plan = (
        ibis.ifelse(population == "prospect", t.plan.fill_null(prospect_plan), t.plan)
        if prospect_plan
        else t.plan
    )
    mrr = t.mrr.fill_null(0.0)
    days_to = {
        f"days_to_{m.name}": (t[f"reached_{m.name}"] - t.created_day).cast("float64")
        for m in settings.milestones
    }
    limits = {
        f"limit_{limit.name}": plan.cases(*((p, float(v)) for p, v in limit.by_plan.items()))
        for limit in settings.plans.limits
    }
    return t.mutate(
        population=population,
        plan=plan,
        plan_name=plan,
        plan_rank=plan_rank(plan, settings).cast("float64"),
        mrr=mrr,
        mrr_now=mrr,
        is_internal=t.is_internal.fill_null(False),
        cancel_announced=t.cancel_announced.fill_null(False),
        in_trial=t.in_trial.fill_null(0.0),
        days_to_renewal=(t.term_us - midnight).cast("float64") / DAY_US,
        tenure_days=(midnight - t.first_paid_us).cast("float64") / DAY_US,
        term_end=t.term_end.cast("date"),
        milestones_reached=t.milestones_reached.fill_null(0.0),
        **days_to,
        **limits,
    )
