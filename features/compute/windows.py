"""Windows over daily rollups, for many observations at once.

Windows are sums of week bins. For an observation on day A, bin 0 is `[A - 7, A)`, bin 1 the week
before, and so on; a window of `7 q + r` days is q whole bins and the last r days of the next. Bins
are cut once for every weekday on which an account is observed, each is handed to the observations
that it can matter to, and one grouped pass does the rest. Rows that are not settled (they came
late, or are taken back later) are few: they are joined to the observations that may see them, and
what they add up to on a day then is a bin of that one day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import _

from features.points import POINT


@dataclass(frozen=True)
class Windowed:
    """A rollup column reduced over `days` days that end `back` days (whole weeks) before `as_of`.

    Reducers: `sum`; `last`, the last day with the column above 0; `days`, the set of such days as
    an int64 whose bit n is the n-th day back from the window's end.
    """

    column: str
    days: int
    back: int = 0
    reducer: str = "sum"

    @property
    def name(self) -> str:
        """The name of the column that holds it."""
        return f"{self.column}__{self.reducer}_{self.days}_{self.back}"

    @property
    def reach(self) -> int:
        """How many days before `as_of` it begins."""
        return self.back + self.days

    def tail(self, days: int) -> str:
        """The name of a bin's column for its last `days` days; 7 is the whole week."""
        return f"{self.column}__{self.reducer}__{days}"

    def whole(self) -> range:
        """The bins that it covers wholly, counted back from `as_of`."""
        return range(self.back // 7, self.back // 7 + self.days // 7)

    def reduced(self, values: Any) -> Any:
        """The values of parts put together."""
        return getattr(values, {"sum": "sum", "last": "max", "days": "bit_or"}[self.reducer])()


def windowed(
    rollup: ibis.Table, points: ibis.Table, wanted: Iterable[Windowed], key: str | None = None
) -> ibis.Table:
    """Reduce a rollup over windows for each point, as known then.

    In: `rollup` with account_id, [key], day, visible_from, settled and the wanted columns; `points`
    with account_id and as_of_day. Out: one row per point [and key] that has rows in reach, one
    column per wanted window (float64; `days` int64), null where a window holds no row.
    """
    wanted = list(dict.fromkeys(wanted))
    keys = [key] if key else []
    tails = sorted({item.tail(days) for item in wanted for days in _tail_days(item)})
    columns = [*POINT, *keys, "shift", *tails]
    parts = _in_time(rollup, points, wanted, keys).select(columns)
    parts = parts.union(_late(rollup, points, wanted, keys).select(columns))
    reduced = {item.name: item.reduced(_from_bins(parts, item)) for item in wanted}
    return parts.group_by([*POINT, *keys]).agg(**reduced)


def phased(points: ibis.Table) -> ibis.Table:
    """The weekdays on which each account is observed: account_id, phase, first and last as_of."""
    return points.group_by(["account_id", (_.as_of_day % 7).name("phase")]).agg(
        first_as_of=_.as_of_day.min(), last_as_of=_.as_of_day.max()
    )


def _in_time(
    rollup: ibis.Table, points: ibis.Table, wanted: list[Windowed], keys: list[str]
) -> ibis.Table:
    """What was settled the morning after, in week bins, each beside the points it matters to."""
    reach = max(item.reach for item in wanted)
    rows = rollup.filter(_.settled).join(phased(points), "account_id")
    rows = rows.filter((_.day >= _.first_as_of - reach) & (_.day < _.last_as_of))
    cut = rows.mutate(bin=(_.day - _.phase) // 7, left=6 - (_.day - _.phase) % 7)
    values = {tail: item.reduced(value) for tail, (item, value) in _tails(cut, wanted).items()}
    bins = cut.group_by(["account_id", *keys, "phase", "bin"]).agg(**values)
    spread = bins.cross_join(ibis.array(_shifts(wanted)).unnest().name("shift").as_table())
    dated = spread.mutate(as_of_day=((_.bin + 1 + _["shift"]) * 7 + _.phase).cast("int64"))
    return dated.mutate(shift=dated["shift"].cast("int64")).semi_join(points, POINT)


def _late(
    rollup: ibis.Table, points: ibis.Table, wanted: list[Windowed], keys: list[str]
) -> ibis.Table:
    """What was not settled, as it stood at each point that sees it, in bins of one day."""
    reach = max(item.reach for item in wanted)
    rows = rollup.filter(~_.settled).join(points, "account_id")
    rows = rows.filter(
        (_.visible_from <= _.as_of_day) & (_.day < _.as_of_day) & (_.day >= _.as_of_day - reach)
    )
    sums = {item.column: rows[item.column].sum() for item in wanted}
    daily = rows.group_by([*POINT, *keys, "day"]).agg(**sums)
    cut = daily.mutate(shift=(_.as_of_day - 1 - _.day) // 7, left=(_.as_of_day - 1 - _.day) % 7)
    return cut.mutate(**{tail: value for tail, (_item, value) in _tails(cut, wanted).items()})


def _tail_days(item: Windowed) -> set[int]:
    return {7 if item.days >= 7 else item.days % 7, item.days % 7 or 7}


def _shifts(wanted: list[Windowed]) -> list[int]:
    """The bins, counted back from `as_of`, that some window needs: no bin is spread further."""
    needed = {bin_ for item in wanted for bin_ in item.whole()}
    return sorted(needed | {item.whole().stop for item in wanted if item.days % 7})


def _tails(cut: ibis.Table, wanted: list[Windowed]) -> dict[str, tuple[Windowed, Any]]:
    """Name of a bin's column → how it is put together, and each row's part in it."""
    found: dict[str, tuple[Windowed, Any]] = {}
    for item in wanted:
        value = _valued(cut, item)
        for days in _tail_days(item):
            part = value if days == 7 else ibis.ifelse(cut.left < days, value, ibis.null())
            found[item.tail(days)] = item, part
    return found


def _valued(cut: ibis.Table, item: Windowed) -> Any:
    """The number to reduce: the column itself, its day where it is above 0, or its day's bit."""
    number = cut[item.column]
    if item.reducer == "sum":
        return number
    if item.reducer == "last":
        return ibis.ifelse(number > 0, cut.day.cast("float64"), ibis.null())
    bit = cut.left.cases(*((n, 2**n) for n in range(7))).cast("int64")
    return ibis.ifelse(number > 0, bit, ibis.null())


def _from_bins(parts: ibis.Table, item: Windowed) -> Any:
    """What a bin adds to a window; null where it lies outside."""
    shift, whole = parts["shift"], item.whole()
    cases = []
    if item.reducer == "days":
        cases += [(shift == n, parts[item.tail(7)] * 128 ** (n - whole.start)) for n in whole]
    elif whole:
        cases.append(((shift >= whole.start) & (shift < whole.stop), parts[item.tail(7)]))
    if rest := item.days % 7:
        scale = 128 ** len(whole) if item.reducer == "days" else 1
        cases.append((shift == whole.stop, parts[item.tail(rest)] * scale))
    return ibis.cases(*cases)


def totals(rollup: ibis.Table, points: ibis.Table, measures: Iterable[str]) -> ibis.Table:
    """Sums over all days before `as_of`, as known then: POINT and one column a measure.

    A row counts from the first point that may see it, so the sums run over the weeks of each
    weekday on which an account is observed; nothing is reread for each point.
    """
    measures = sorted(measures)
    rows = rollup.filter(ibis.or_(*(rollup[m] != 0 for m in measures)))
    seen = rows.join(phased(points), "account_id")
    week = (seen.visible_from - seen.phase + 6) // 7
    changes = seen.select("account_id", "phase", *measures, week=week)
    none = {m: ibis.literal(0.0) for m in measures}
    at = points.mutate(phase=_.as_of_day % 7, week=_.as_of_day // 7, **none)
    rows = changes.union(at.select(changes.columns))
    weekly = rows.group_by(["account_id", "phase", "week"]).agg(
        **{m: rows[m].sum() for m in measures}
    )
    so_far = ibis.cumulative_window(group_by=["account_id", "phase"], order_by="week")
    return weekly.select(
        "account_id",
        as_of_day=(_.week * 7 + _.phase).cast("int64"),
        **{m: weekly[m].sum().over(so_far) for m in measures},
    )
