"""Which milestones an account had reached, as known at an observation, and when."""

import ibis
import pyarrow as pa
from ibis import _

from features.facts.known import NEVER_DAY
from features.points import POINT
from features.settings import Settings


def milestones(points: ibis.Table, by_event: ibis.Table, settings: Settings) -> ibis.Table:
    """The milestones reached, as known then, and the day in whose evening each first was."""
    reached = reached_milestones(by_event, settings)
    joined = points.select(*POINT).join(reached, "account_id")
    rows = joined.filter((_.visible_from <= _.as_of_day) & (_.as_of_day < _.until_day))
    days = {
        f"reached_{m.name}": ibis.ifelse(rows.milestone == m.name, rows.first_day, None).max()
        for m in settings.milestones
    }
    steps = {
        f"steps_{j.name}": rows.milestone.isin(list(j.steps)).cast("float64").sum()
        for j in settings.journeys
    }
    return rows.group_by(POINT).agg(milestones_reached=_.count().cast("float64"), **days, **steps)


def reached_milestones(by_event: ibis.Table, settings: Settings) -> ibis.Table:
    """When each account is seen to have reached each milestone.

    Columns: account_id, milestone, visible_from and until_day (it is seen at `as_of` days from the
    one to before the other: events can turn out to be another account's), first_day: the day in
    whose evening it was first reached.
    """
    named = [(m.name, m.event, m.count) for m in settings.milestones] or [("", "", 0)]
    columns = [pa.array(values) for values in zip(*named, strict=True)]
    wanted = ibis.memtable(pa.table(columns, names=["milestone", "event", "enough"]))
    counted = by_event.join(wanted, "event")
    keys = ["account_id", "milestone"]
    daily = counted.group_by([*keys, "visible_from"]).agg(n=_.n.sum(), enough=_.enough.max())
    order = ibis.window(group_by=keys, order_by="visible_from")
    so_far = daily.n.sum().over(ibis.cumulative_window(group_by=keys, order_by="visible_from"))
    states = daily.mutate(reached=so_far >= daily.enough)
    turns = states.mutate(before=states.reached.lag().over(order).fill_null(False)).filter(
        _.reached != _.before
    )
    spans = turns.mutate(
        until_day=turns.visible_from.lead().over(order).fill_null(NEVER_DAY).cast("int64"),
        first_day=turns.visible_from.min().over(group_by=keys) - 1,
    ).filter(_.reached)
    return spans.select(*keys, "visible_from", "until_day", "first_day")
