"""Which rows of a contract table an observation may see."""

from typing import Any

import ibis
from ibis import _

from features.instants import microseconds
from features.rollups import DAY_US
from features.windows import POINT


def visible(points: ibis.Table, rows: ibis.Table, time: str) -> ibis.Table:
    """Each point with the rows of its account that it may see, and the point's `midnight`.

    In: `rows` with `known_us` and `until_us`. A row counts at midnights after its fact began
    (`time`, as `begins_us`), from when it was known, and before it no longer held for the account.
    """
    timed = rows.mutate(begins_us=microseconds(rows[time]))
    joined = points.select(*POINT).join(timed, "account_id")
    dated = joined.mutate(midnight=joined.as_of_day.cast("int64") * DAY_US)
    return dated.filter(
        (_.begins_us < _.midnight) & (_.known_us <= _.midnight) & (_.midnight < _.until_us)
    )


def newest(rows: ibis.Table, keys: list[str]) -> ibis.Table:
    """Of the rows of each key, the one that we learnt last."""
    return first(rows, keys, [ibis.desc(microseconds(rows.known_at)), ibis.desc("row_id")])


def first(rows: ibis.Table, keys: list[str], order: list[Any]) -> ibis.Table:
    """The first row of each key in an order."""
    ranked = rows.mutate(place=ibis.row_number().over(group_by=keys, order_by=order))
    return ranked.filter(_.place == 0).drop("place")


def beside(points: ibis.Table, parts: list[ibis.Table]) -> ibis.Table:
    """The points with the columns of each part; null where it has no row."""
    table = points.select(*POINT)
    for part in parts:
        table = table.left_join(part, POINT).drop([f"{c}_right" for c in POINT])
    return table
