"""Which rows of a contract table an observation may see, and on which days that changes."""

from collections.abc import Sequence
from typing import Any

import ibis
from ibis import _

from features.instants import DAY_US, microseconds
from features.points import POINT

NEVER_DAY = 10_000_000
"""A day after every day."""


def visible(points: ibis.Table, rows: ibis.Table, time: str) -> ibis.Table:
    """Each point with the rows of its account that it may see, and the point's `midnight`.

    In: `rows` with `known_us` and `until_us`. A row counts at midnights after its fact began
    (`time`, as `begins_us`), from when it was known, and before it no longer held for the account.
    """
    dated = _dated(points, rows, time)
    return dated.filter(
        (_.begins_us < _.midnight) & (_.known_us <= _.midnight) & (_.midnight < _.until_us)
    )


def known_rows(points: ibis.Table, rows: ibis.Table, time: str) -> ibis.Table:
    """The same with the rows that are known but whose fact lies ahead."""
    return _dated(points, rows, time).filter((_.known_us <= _.midnight) & (_.midnight < _.until_us))


def _dated(points: ibis.Table, rows: ibis.Table, time: str) -> ibis.Table:
    timed = rows.mutate(begins_us=microseconds(rows[time]))
    joined = points.select(*POINT).join(timed, "account_id")
    return joined.mutate(midnight=joined.as_of_day.cast("int64") * DAY_US)


def newest(rows: ibis.Table, keys: list[str]) -> ibis.Table:
    """Of the rows of each key, the one that we learnt last."""
    return first(rows, keys, [ibis.desc(microseconds(rows.known_at)), ibis.desc("row_id")])


def first(rows: ibis.Table, keys: list[str], order: list[Any]) -> ibis.Table:
    """The first row of each key in an order."""
    ranked = rows.mutate(place=ibis.row_number().over(group_by=keys, order_by=order))
    return ranked.filter(_.place == 0).drop("place")


def beside(points: ibis.Table, parts: Sequence[ibis.Table]) -> ibis.Table:
    """The points with the columns of each part; null where it has no row."""
    table = points
    for i, part in enumerate(parts):
        table = table.left_join(part, POINT, rname=f"{{name}}_{i}")
    return table.drop([f"{c}_{i}" for c in POINT for i in range(len(parts))])


def unchanged_since(
    points: ibis.Table, rows: ibis.Table, time: str, more: Sequence[Any] = ()
) -> ibis.Table:
    """The latest day, up to each point, on which what its account's rows say changed: `since`.

    Records change on few days, so what follows from them is worked out for those `moments` and
    holds for all points until the next. `more`: further instants (microseconds) after which
    something changes. Points before the first change have no row.
    """
    began, known = microseconds(rows[time]), (rows.known_us, rows.until_us)
    days = [_after(us) for us in (began, *more)] + [_after(us - 1) for us in known]
    dated = [rows.select("account_id", since=day) for day in days]
    changes = ibis.union(*dated).filter(_.since.notnull()).distinct()
    following = ibis.window(group_by="account_id", order_by="since")
    spans = changes.mutate(next=changes.since.lead().over(following))
    joined = points.select(*POINT).join(spans, "account_id")
    inside = (joined.since <= joined.as_of_day) & (joined.as_of_day < joined.next).fill_null(True)
    return joined.filter(inside).select(*POINT, "since")


def _after(us: Any) -> Any:
    """The day of the first midnight after an instant."""
    return (us // DAY_US + 1).cast("int64")


def moments(since: ibis.Table) -> ibis.Table:
    """The days on which something changed, as points."""
    return since.select("account_id", as_of_day=_.since).distinct()


def at_points(since: ibis.Table, table: ibis.Table) -> ibis.Table:
    """What holds at moments, for the points that it holds for until the next."""
    dated = table.rename(since="as_of_day")
    return since.join(dated, ["account_id", "since"]).drop("since")
