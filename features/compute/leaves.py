"""The innermost parts of expressions: what rollups say about each observation, one column a leaf.

Each rollup is gone through once for all leaves that read it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import ibis
import pyarrow as pa

from features.algebra import (
    RING_DAYS,
    SPAN,
    DaysOver,
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    LongestGap,
    LongestStreak,
    OfBusiest,
    OnlyIn,
    SinceBusiest,
    Streak,
    Sum,
    TopShare,
    Total,
    Window,
)
from features.compute import days
from features.compute.windows import Windowed, totals, windowed
from features.facts.known import beside
from features.points import POINT

Stage = Callable[[ibis.Table], ibis.Table]
Runs = LongestGap | LongestStreak | Streak
Busiest = OfBusiest | SinceBusiest


@dataclass(frozen=True)
class Rollups:
    """The rollups of `rollups.daily`: what windows reach, and in `ever` one of them whole."""

    account_day: ibis.Table
    account_event_day: ibis.Table
    user_day: ibis.Table
    ever: ibis.Table


def leaves(
    expressions: Iterable[Expression],
    points: ibis.Table,
    rollups: Rollups,
    facts: ibis.Table,
    events_of: Mapping[str, Sequence[str]],
    stage: Stage,
) -> ibis.Table:
    """The innermost parts of the expressions for each point: the facts, then one column a leaf.

    `facts` has one row a point; `events_of` says which events the keys `feature`, `core`, `golden`
    and `plan:<name>` cover; `stage` keeps an intermediate table so that it is computed once.
    """
    every = [leaf for e in expressions for leaf in e.walk() if not list(leaf.parts())]
    found = [leaf for leaf in dict.fromkeys(every) if not isinstance(leaf, Fact)]
    tables = [
        *_account_tables(found, points, rollups, facts, stage),
        *_key_tables(found, points, _users(rollups), stage),
        *_key_tables(found, points, _events(found, rollups, events_of), stage),
    ]
    return beside(facts, tables)


def column(leaf: Expression) -> str:
    """The name of the column that holds a leaf.

    >>> column(Distinct("user", Window(28)))
    'distinct__user__28_0__1'
    """
    if isinstance(leaf, Fact):
        return leaf.name
    values = [getattr(leaf, field.name) for field in fields(leaf)]  # type: ignore[arg-type]
    said = [f"{v.days}_{v.back}" if isinstance(v, Window) else str(v) for v in values]
    return "__".join([type(leaf).__name__.lower(), *said])


def _account_tables(
    found: list[Expression], points: ibis.Table, rollups: Rollups, facts: ibis.Table, stage: Stage
) -> list[ibis.Table]:
    """The tables with the leaves that read the account's daily measures."""
    rollup = rollups.account_day
    over = [e for e in found if isinstance(e, DaysOver)]
    wanted = {e: w for e in found if (w := _measured(e)) is not None}
    tables = []
    for far in (False, True):  # windows a year back are few: not worth spreading every measure
        mine = {e: w for e, w in wanted.items() if (w.reach > RING_DAYS) is far}
        if mine:
            tables += _measures(mine, stage(windowed(rollup, points, mine.values())), stage)
    if total := [e for e in found if isinstance(e, Total)]:
        sums = totals(rollups.ever, points, {e.measure for e in total})
        tables.append(stage(sums.select(*POINT, **{column(e): sums[e.measure] for e in total})))
    for e in over:  # the first days of the span look back further than the ring with long limits
        daily = rollup if SPAN + e.days <= RING_DAYS else rollups.ever
        tables.append(stage(days.days_over(e, column(e), facts, daily, stage)))
    return tables


def _measured(leaf: Expression) -> Windowed | None:
    """The window of an account's measure that a leaf reads."""
    match leaf:
        case Sum(measure, window):
            return Windowed(measure, window.days, window.back)
        case DaysSince(measure):
            return Windowed(measure, RING_DAYS, reducer="last")
        case LongestGap(measure) | LongestStreak(measure) | Streak(measure):
            return Windowed(measure, SPAN, reducer="days")
    return None


def _measures(
    wanted: Mapping[Expression, Windowed], table: ibis.Table, stage: Stage
) -> list[ibis.Table]:
    """The leaves as columns, from their windows; runs of days apart, for they take some steps."""
    columns: dict[str, Any] = {}
    for leaf, window in wanted.items():
        value = table[window.name]
        columns[column(leaf)] = table.as_of_day - value if isinstance(leaf, DaysSince) else value
    runs = {column(leaf): leaf for leaf in wanted if isinstance(leaf, Runs)}
    plain = {name: value for name, value in columns.items() if name not in runs}
    tables = [table.select(*POINT, **plain)]
    if runs:
        sets = table.select(*POINT, **{name: columns[name] for name in runs})
        for name, leaf in runs.items():
            sets = days.measured(sets, leaf, name)
        tables.append(stage(sets))
    return tables


@dataclass(frozen=True)
class Keys:
    """A rollup by a key (the user, the event), and what the algebra's keys mean on it.

    `counts`: key of the algebra → the column that counts it. `covered`: key → the numbers of the
    rollup's keys that it covers; a key left out covers all.
    """

    rollup: ibis.Table
    by: str
    counts: Mapping[str, str]
    covered: Mapping[str, Sequence[int]]

    def n(self, per_key: ibis.Table, key: str, window: Window) -> Any:
        """How often each key that counts occurs in a window; null for the others and for 0."""
        n = per_key[self.window(key, window).name]
        counts = n > 0
        if key in self.covered:
            counts &= per_key[self.by].isin(list(self.covered[key]) or [-1])
        return ibis.ifelse(counts, n, ibis.null())

    def window(self, key: str, window: Window, reducer: str = "sum") -> Windowed:
        """The windowed column that counts a key."""
        return Windowed(self.counts[key], window.days, window.back, reducer)

    def needs(self, leaf: Expression) -> list[Windowed]:
        """All windowed columns that a leaf reads."""
        key = getattr(leaf, "key", None) or f"event:{leaf.event}"  # type: ignore[attr-defined]
        values = [getattr(leaf, field.name) for field in fields(leaf)]  # type: ignore[arg-type]
        needed = [self.window(key, v) for v in values if isinstance(v, Window)]
        last = [self.window(key, Window(RING_DAYS), "last")]
        return needed + last * isinstance(leaf, SinceBusiest)


def _users(rollups: Rollups) -> Keys:
    named = rollups.user_day.filter(rollups.user_day.user_id != "")
    return Keys(named, "user_id", {"user": "n", "core_user": "core"}, {})


def _events(
    found: list[Expression], rollups: Rollups, events_of: Mapping[str, Sequence[str]]
) -> Keys:
    """The events that some leaf counts, each also as a key of its own; by numbers, in order."""
    single = {f"event:{e.event}": [e.event] for e in found if isinstance(e, EventCount)}
    keys = {getattr(e, "key", "") for e in found}
    named = {key: names for key, names in events_of.items() if key in keys} | single
    events = sorted({event for names in named.values() for event in names})
    number = {event: i for i, event in enumerate(events)}
    numbers = {
        "event": pa.array(events, pa.string()),
        "_number": pa.array(range(len(events)), pa.int32()),
    }
    both = rollups.account_event_day.join(ibis.memtable(pa.table(numbers)), "event")
    rows = both.mutate(event=both["_number"])
    covered = {key: [number[event] for event in names] for key, names in named.items()}
    return Keys(rows, "event", dict.fromkeys(covered, "n"), covered)


def _key_tables(
    found: list[Expression], points: ibis.Table, keys: Keys, stage: Stage
) -> list[ibis.Table]:
    """The tables with the leaves that reduce over one rollup's keys, from one pass over it."""
    mine = [
        e for e in found if (getattr(e, "key", "") in keys.counts or _own_key(e) in keys.counts)
    ]
    if not mine:
        return []
    windows = sorted({w for e in mine for w in keys.needs(e)}, key=lambda w: w.name)
    per_key = windowed(keys.rollup, points, windows, keys.by)
    plain = [e for e in mine if not isinstance(e, Busiest)]
    busiest = dict.fromkeys((e.key, e.busiest_in) for e in mine if isinstance(e, Busiest))
    if busiest and (plain or len(busiest) > 1):
        per_key = stage(per_key)
    tables = [
        _of_busiest([e for e in mine if isinstance(e, Busiest) and (e.key, e.busiest_in) == which],
                    per_key, keys, stage)
        for which in busiest
    ]  # fmt: skip
    reduced = {column(e): _reduced(e, per_key, keys) for e in plain}
    return [stage(per_key.group_by(POINT).agg(**reduced)), *tables] if plain else tables


def _own_key(leaf: Expression) -> str:
    return f"event:{leaf.event}" if isinstance(leaf, EventCount) else ""


def _reduced(leaf: Expression, per_key: ibis.Table, keys: Keys) -> Any:
    """One row per key reduced to one number."""
    match leaf:
        case EventCount(event, window):
            (number,) = keys.covered[f"event:{event}"]
            n = per_key[keys.window(f"event:{event}", window).name]
            return (n * (per_key[keys.by] == number).cast("float64")).sum()
        case Distinct(key, window, at_least):
            return _how_many(keys.n(per_key, key, window) >= at_least)
        case OnlyIn(key, window, other):
            there = keys.n(per_key, key, window).notnull()
            return _how_many(there & keys.n(per_key, key, other).isnull())
        case TopShare(key, window):
            x = keys.n(per_key, key, window)
            return x.max() / x.sum()
        case Entropy(key, window):
            # ln S - (sum of x ln x) / S; greatest() because rounding can leave -1e-17.
            x = keys.n(per_key, key, window)
            return ibis.greatest(x.sum().ln() - (x * x.ln()).sum() / x.sum(), 0.0)
    raise TypeError(f"{leaf!r} does not reduce over keys")


def _how_many(condition: Any) -> Any:
    return ibis.ifelse(condition, 1.0, 0.0).sum()


def _of_busiest(
    mine: Sequence[Busiest], per_key: ibis.Table, keys: Keys, stage: Stage
) -> ibis.Table:
    """The leaves about the busiest key of one window: of equally busy ones the first by name."""
    n = keys.n(per_key, mine[0].key, mine[0].busiest_in)
    counted = per_key.mutate(busy=n).filter(n.notnull())
    most = counted.group_by(POINT).agg(most=counted.busy.max())
    level = counted.join(most, POINT)
    level = stage(level.filter(level.busy == level.most))
    first = level.group_by(POINT).agg(**{keys.by: level[keys.by].min()})
    one = level.join(first, [*POINT, keys.by])
    columns = {column(e): _about(e, one, keys) for e in mine}
    return stage(one.select(*POINT, **columns))


def _about(leaf: Busiest, one: ibis.Table, keys: Keys) -> Any:
    if isinstance(leaf, OfBusiest):
        return one[keys.window(leaf.key, leaf.window).name].fill_null(0.0)
    return one.as_of_day - one[keys.window(leaf.key, Window(RING_DAYS), "last").name]
