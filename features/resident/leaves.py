"""The leaves of one account from its rollup rows: the calls of `features.kernel.leaves`, prepared.

What does not depend on the account (windows, columns, which events a key covers) is worked out
once; what is left for each account are the calls of compiled code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from features.algebra import (
    RING_DAYS,
    YEAR_BACK,
    DaysOver,
    DaysSince,
    Expression,
    Fact,
    LongestGap,
    LongestStreak,
    Streak,
    Sum,
    Total,
)
from features.kernel import windows
from features.kernel.keys import Reductions, reduced
from features.kernel.leaves import (
    OVER_KEYS,
    USER_COUNTS,
    Held,
    _measure_of_days,
    _spans,
    is_far,
    reductions,
)
from features.kernel.rows import Floats, Ints, Rollup
from features.kernel.windows import Spans
from features.resident.tape import Registers

Job = tuple[Ints, Spans]


class OverKeys(NamedTuple):
    """Leaves over the users, or over the events, of an account."""

    into: Ints
    spans: Spans
    leaves: Reductions


@dataclass(frozen=True)
class Over:
    """One `DaysOver`: its register, the column, that of the limit, and what it asks."""

    into: int
    far: bool
    column: int
    limit: int
    days: int
    share: float


class Leaves:
    """The leaves of some expressions, for accounts whose rollups are shaped as `like`."""

    def __init__(self, found: Sequence[Expression], like: Held, registers: Registers) -> None:
        self.registers = registers
        self.sums = [self._sums(found, like.daily, far) for far in (False, True)]
        self.days = self._days(found, like.daily)
        totals = [e for e in found if isinstance(e, Total)]
        self.totals = registers.add(totals)
        self.total_columns = [like.ever.column(e.measure) for e in totals]
        self.over = [self._over(e, like) for e in found if isinstance(e, DaysOver)]
        keyed = [e for e in found if type(e) in OVER_KEYS]
        users = [e for e in keyed if getattr(e, "key", "") in USER_COUNTS]
        self.by_user = self._keyed(users, like.users, like)
        self.by_event = self._keyed([e for e in keyed if e not in users], like.events, like)

    def fill(self, held: Held, r: Floats) -> None:
        """Put the leaves of one account, at one day, into the registers `r`."""
        daily, points = held.daily.rows, held.points
        for job in self.sums:
            if job is not None:
                r[job[0]] = windows.sums(daily, points, job[1])[:, 0]
        self._fill_days(held, r)
        if len(self.totals):
            r[self.totals] = windows.totals(held.ever.rows, points)[self.total_columns, 0]
        for one in self.over:
            rows = held.ever.rows if one.far else daily
            limit = r[one.limit : one.limit + 1]
            r[one.into] = windows.days_over(rows, points, one.column, one.days, limit, one.share)[0]
        for keyed, rollup in ((self.by_user, held.users), (self.by_event, held.events)):
            if keyed is not None:
                r[keyed.into] = reduced(rollup.rows, points, keyed.spans, keyed.leaves)[:, 0]

    def _sums(self, found: Sequence[Expression], daily: Rollup, far: bool) -> Job | None:
        sums = [e for e in found if isinstance(e, Sum) and (e.window.back >= YEAR_BACK) is far]
        if not sums:
            return None
        wanted = [(daily.column(e.measure), e.window) for e in sums]
        return self.registers.add(sums), _spans(wanted, YEAR_BACK if far else 0)

    def _days(self, found: Sequence[Expression], daily: Rollup) -> list[tuple[int, Ints, bool]]:
        """Of each measure its column, four registers, and whether more than the last day counts."""
        jobs = []
        for measure in dict.fromkeys(filter(None, map(_measure_of_days, found))):
            kinds = (DaysSince, LongestGap, LongestStreak, Streak)
            asked: list[Expression] = [kind(measure) for kind in kinds]
            more = any(e in found for e in asked[1:])
            into = self.registers.add(asked if more else asked[:1])
            jobs.append((daily.column(measure), into, more))
        return jobs

    def _fill_days(self, held: Held, r: Floats) -> None:
        for column, into, more in self.days:
            last, sets = windows.used_days(held.daily.rows, held.points, column)
            seen = int(last[0])
            r[into[0]] = float(held.points.as_of[0] - seen) if seen >= 0 else RING_DAYS + 1.0
            if more:
                r[into[1:]] = [part[0] for part in windows.runs_of_days(sets)]

    def _over(self, e: DaysOver, like: Held) -> Over:
        rollup = like.ever if is_far(e) else like.daily
        into, limit = self.registers.add([e, Fact(e.limit)])
        return Over(int(into), is_far(e), rollup.column(e.measure), int(limit), e.days, e.share)

    def _keyed(self, mine: Sequence[Expression], rollup: Rollup, like: Held) -> OverKeys | None:
        if not mine:
            return None
        return OverKeys(self.registers.add(mine), *reductions(mine, rollup, like))
