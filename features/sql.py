"""The algebra compiled to ibis: the same expressions run on DuckDB, Spark and warehouses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis
from ibis import _

from features.algebra import (
    RING_DAYS,
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    Growth,
    Largest,
    Mean,
    PeerRank,
    Ratio,
    Sum,
    TopShare,
    Window,
)
from features.windows import POINT, RING, Windowed, windowed


@dataclass(frozen=True)
class Rollups:
    """The three rollups of `features.rollups`, as ibis tables."""

    account_day: ibis.Table
    account_event_day: ibis.Table
    user_day: ibis.Table


def leaves(
    expressions: Iterable[Expression],
    points: ibis.Table,
    rollups: Rollups,
    facts: ibis.Table,
    events_of: dict[str, list[str]],
    stage: Callable[[ibis.Table], ibis.Table],
) -> ibis.Table:
    """The innermost parts of the expressions for each point: one column a leaf.

    `facts` has one row a point; `events_of` says which events the keys 'feature' and 'core' cover;
    `stage` keeps an intermediate table so that it is computed once.
    """
    found = dict.fromkeys(leaf for e in expressions for leaf in e.walk() if not list(leaf.parts()))
    tables = [_account_leaves(found, points, rollups), _user_leaves(found, points, rollups)]
    tables.append(_event_leaves(found, points, rollups, events_of, stage))
    joined = facts
    for table in (t for t in tables if t is not None):
        joined = joined.left_join(stage(table), POINT).drop([f"{c}_right" for c in POINT])
    return joined


def column(leaf: Expression) -> str:
    """The name of the column that holds a leaf."""
    match leaf:
        case Sum(measure, window):
            return Windowed(measure, window).name
        case DaysSince(measure):
            return f"{measure}__since"
        case Fact(name):
            return name
        case Distinct(key, window, at_least):
            return f"{key}__distinct_{window.days}_{window.back}_{at_least}"
        case TopShare(key, window) | Entropy(key, window):
            return f"{key}__{type(leaf).__name__.lower()}_{window.days}_{window.back}"
        case EventCount(event, window):
            return f"event__{event}__{window.days}_{window.back}"
    raise TypeError(f"{leaf!r} is no leaf of the algebra")


def _account_leaves(
    found: Iterable[Expression], points: ibis.Table, rollups: Rollups
) -> ibis.Table | None:
    wanted = [Windowed(e.measure, e.window) for e in found if isinstance(e, Sum)]
    since = [Windowed(e.measure, RING, "last") for e in found if isinstance(e, DaysSince)]
    if not wanted + since:
        return None
    table = windowed(rollups.account_day, points, wanted + since)
    ages = {f"{w.column}__since": (table.as_of_day - table[w.name]) for w in since}
    return table.mutate(**ages)


def _user_leaves(
    found: Iterable[Expression], points: ibis.Table, rollups: Rollups
) -> ibis.Table | None:
    named = rollups.user_day.filter(_.user_id != "")
    return _keyed(found, "user", named, points, "user_id", lambda t: t)


def _event_leaves(
    found: Iterable[Expression],
    points: ibis.Table,
    rollups: Rollups,
    events_of: dict[str, list[str]],
    stage: Callable[[ibis.Table], ibis.Table],
) -> ibis.Table | None:
    """Reduce per-event windows: distinct features and core use cases, entropy, single counts."""
    mine = [e for e in found if getattr(e, "key", "") in events_of or isinstance(e, EventCount)]
    if not mine:
        return None
    windows = {e.window for e in mine}  # type: ignore[attr-defined]
    per_event = stage(
        windowed(
            rollups.account_event_day,
            points,
            [Windowed("n", w) for w in sorted_windows(windows)],
            "event",
        )
    )
    columns: dict[str, Any] = {}
    for leaf in mine:
        if isinstance(leaf, EventCount):
            n = per_event[Windowed("n", leaf.window).name]
            columns[column(leaf)] = ibis.ifelse(per_event.event == leaf.event, n, 0.0).sum()
        else:
            names = events_of[leaf.key]  # type: ignore[attr-defined]
            covered = per_event.event.isin(names) if names else ibis.literal(False)
            columns[column(leaf)] = _reduced(per_event, leaf, covered)
    return per_event.group_by(POINT).agg(**columns)


def sorted_windows(windows: Iterable[Window]) -> list[Window]:
    """Windows in a stable order, so that the compiled text is the same on every run."""
    return sorted(windows, key=lambda w: (w.back, w.days))


def _keyed(
    found: Iterable[Expression],
    key: str,
    rollup: ibis.Table,
    points: ibis.Table,
    by: str,
    stage: Callable[[ibis.Table], ibis.Table],
) -> ibis.Table | None:
    mine = [e for e in found if getattr(e, "key", "") == key]
    if not mine:
        return None
    windows = sorted_windows({e.window for e in mine})  # type: ignore[attr-defined]
    per_key = windowed(rollup, points, [Windowed("n", w) for w in windows], by)
    return per_key.group_by(POINT).agg(**{column(e): _reduced(per_key, e, True) for e in mine})


def _reduced(per_key: ibis.Table, leaf: Expression, covered: Any) -> Any:
    """Reduce one row per key to one number; `covered` says which keys count."""
    n = per_key[Windowed("n", leaf.window).name]  # type: ignore[attr-defined]
    x = ibis.ifelse(covered & (n > 0) if covered is not True else n > 0, n, ibis.null())
    match leaf:
        case Distinct(_key, _window, at_least):
            return (x >= at_least).sum().fill_null(0).cast("float64")
        case TopShare():
            return x.max() / x.sum()
        case Entropy():
            # ln S - (sum of x ln x) / S; greatest() because rounding can leave -1e-17.
            return ibis.greatest(x.sum().ln() - (x * x.ln()).sum() / x.sum(), 0.0).fill_null(0.0)
    raise TypeError(f"{leaf!r} does not reduce over keys")


def compile_expression(e: Expression, t: ibis.Table) -> Any:
    """One expression over a table that has its leaves as columns; a peer rank is looked up."""
    match e:
        case Sum() | EventCount() | Distinct() | Entropy():
            return t[column(e)].fill_null(0.0)
        case DaysSince():
            return t[column(e)].fill_null(float(RING_DAYS + 1))
        case TopShare() | Fact():
            return t[column(e)]
        case Ratio(above, below, times):
            bottom = compile_expression(below, t).nullif(0)
            return compile_expression(above, t) / bottom * times
        case Growth(now, before):
            return (compile_expression(now, t) + 1.0) / (compile_expression(before, t) + 1.0)
        case Largest(of):
            # Spark's greatest() wants two.
            return reduce(ibis.greatest, (compile_expression(x, t) for x in of))
        case PeerRank():
            return t[peer_column(e)]
        case Mean(of):
            return _mean([compile_expression(x, t) for x in of])
    raise TypeError(f"{e!r} is not part of the algebra")


def _mean(values: list[Any]) -> Any:
    total = reduce(lambda a, b: a + b, (v.fill_null(0.0) for v in values))
    count = reduce(lambda a, b: a + b, (v.notnull().cast("float64") for v in values))
    return total / count.nullif(0)


def peer_column(e: PeerRank) -> str:
    """The name of the column that holds a peer rank."""
    return "peer__" + "__".join(
        dict.fromkeys(
            f"{type(p).__name__.lower()}_{column(p)}"
            if not list(p.parts())
            else type(p).__name__.lower()
            for p in e.of.walk()
        )
    )


def peer_values(panel: ibis.Table, ranks: Iterable[PeerRank]) -> ibis.Table:
    """What is ranked: the numbers of each point of the panel, rounded so that ties are ties."""
    values = {peer_column(r): compile_expression(r.of, panel) for r in ranks}
    rounded = {name: value.fill_null(0.0).round(6) for name, value in values.items()}
    return panel.select(*POINT, "population", **rounded)


def peer_ranks(panel: ibis.Table, points: ibis.Table, ranks: Iterable[PeerRank]) -> ibis.Table:
    """Rank the points among their peers of the panel (same day and population), 0 to 100.

    In: `panel` as `peer_values` makes it. Out: account_id, as_of_day, one column a rank.
    """
    result = panel.semi_join(points, POINT)
    for name in dict.fromkeys(peer_column(r) for r in ranks):
        groups = panel.group_by(["as_of_day", "population", name]).agg(equal=_.count())
        ordered = ibis.cumulative_window(group_by=["as_of_day", "population"], order_by=name)
        whole = ibis.window(group_by=["as_of_day", "population"])
        up_to, all_of_them = groups.equal.sum().over(ordered), groups.equal.sum().over(whole)
        rank = groups.select("as_of_day", "population", name,
                             rank=100.0 * (up_to - groups.equal / 2.0) / all_of_them)  # fmt: skip
        joined = result.join(rank, ["as_of_day", "population", name])
        kept = [c for c in result.columns if c != name]
        result = joined.select(*kept, **{name: joined["rank"]})
    return result.drop("population")
