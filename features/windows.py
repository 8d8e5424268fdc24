"""Windows over daily rollups, for many observations at once.

Windows are sums of week bins. For an observation on day A, bin 0 is `[A - 7, A)`, bin 1 the week
before, and so on; a window of `7 q + r` days is q whole bins and the last r days of the next. Bins
are cut once for every weekday on which an account is observed, each bin is handed to the thirteen
observations that it can matter to, and one grouped sum per window does the rest. Rows that became
visible late are few: they are joined to the observations that may see them, one by one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import _

from features.algebra import RING_DAYS, Window

BINS = RING_DAYS // 7 + 1
POINT = ["account_id", "as_of_day"]


@dataclass(frozen=True)
class Windowed:
    """A sum, or the last day, of a rollup column over a window: one column of a windowed table."""

    column: str
    window: Window
    reducer: str = "sum"

    @property
    def name(self) -> str:
        """The name of the column that holds it."""
        return f"{self.column}__{self.reducer}_{self.window.days}_{self.window.back}"


RING = Window(RING_DAYS)


def windowed(
    rollup: ibis.Table, points: ibis.Table, wanted: Iterable[Windowed], key: str | None = None
) -> ibis.Table:
    """Sum a rollup over windows for each point, as known then.

    In: `rollup` with account_id, [key], day, visible_from and the wanted columns; `points` with
    account_id and as_of_day. Out: one row per point [and key] that has anything in the last
    `RING_DAYS`, one float64 column per wanted window.
    """
    wanted = list(dict.fromkeys(wanted))
    keys = [*POINT, key] if key else POINT
    parts = _binned(rollup, points, wanted, key).union(_late(rollup, points, wanted, key))
    return parts.group_by(keys).agg(
        **{
            w.name: parts[w.name].sum() if w.reducer == "sum" else parts[w.name].max()
            for w in wanted
        }
    )


def _binned(
    rollup: ibis.Table, points: ibis.Table, wanted: list[Windowed], key: str | None
) -> ibis.Table:
    """What became visible in time, by week bins."""
    own = ["account_id", key] if key else ["account_id"]
    phases = points.select("account_id", phase=_.as_of_day % 7).distinct()
    in_time = rollup.filter(_.visible_from == _.day + 1).join(phases, "account_id")
    shifted = in_time.mutate(bin=(_.day - _.phase) // 7, left=6 - (_.day - _.phase) % 7)
    bins = shifted.group_by([*own, "phase", "bin"]).agg(**_bin_columns(shifted, wanted))
    shifts = ibis.range(BINS).unnest().name("shift").as_table()
    spread = bins.cross_join(shifts).mutate(
        as_of_day=((_.bin + 1 + _["shift"]) * 7 + _.phase).cast("int64")
    )
    seen = spread.semi_join(points, POINT)
    columns = {w.name: _from_bins(seen, w) for w in wanted}
    return seen.group_by([*POINT, *own[1:]]).agg(**columns)


def _bin_columns(shifted: ibis.Table, wanted: list[Windowed]) -> dict[str, Any]:
    """Per bin and column: the whole week, and its last r days for each window with a tail."""
    columns: dict[str, Any] = {}
    for item in wanted:
        value = _valued(shifted, item)
        for days in {7, item.window.days % 7} - {0}:
            part = value if days == 7 else ibis.ifelse(shifted.left < days, value, ibis.null())
            columns[_tail(item, days)] = part.sum() if item.reducer == "sum" else part.max()
    return columns


def _valued(rows: ibis.Table, item: Windowed) -> Any:
    """The number to reduce: the column itself, or the day on which it was above 0."""
    if item.reducer == "sum":
        return rows[item.column]
    return ibis.ifelse(rows[item.column] > 0, rows.day.cast("float64"), ibis.null())


def _tail(item: Windowed, days: int) -> str:
    return f"{item.column}__{item.reducer}__{days}"


def _from_bins(seen: ibis.Table, item: Windowed) -> Any:
    weeks, rest = divmod(item.window.days, 7)
    first = item.window.back // 7
    shift = seen["shift"]
    cases = []
    if weeks:
        cases.append(((shift >= first) & (shift < first + weeks), seen[_tail(item, 7)]))
    if rest:
        cases.append((shift == first + weeks, seen[_tail(item, rest)]))
    value = ibis.cases(*cases)
    return value.sum() if item.reducer == "sum" else value.max()


def _late(
    rollup: ibis.Table, points: ibis.Table, wanted: list[Windowed], key: str | None
) -> ibis.Table:
    """What became visible late, joined to each point that may see it."""
    late = rollup.filter(_.visible_from > _.day + 1)
    rows = late.join(points, "account_id").filter(
        (_.visible_from <= _.as_of_day) & (_.day < _.as_of_day) & (_.day >= _.as_of_day - RING_DAYS)
    )
    age = rows.as_of_day - 1 - rows.day
    columns = {}
    for item in wanted:
        inside = (age >= item.window.back) & (age < item.window.back + item.window.days)
        value = ibis.ifelse(inside, _valued(rows, item), ibis.null())
        columns[item.name] = value.sum() if item.reducer == "sum" else value.max()
    return rows.group_by([*POINT, key] if key else POINT).agg(**columns)
