"""What a feature is: a measure over a window, reduced, and the few ways to combine such parts.

An expression is plain data. `sql.py` compiles it; documentation and reasons read it. Each window
ends at an observation's `as_of` (midnight UTC): it holds days `[as_of - back - days, as_of - back)`
of the events with `event_time < as_of` that were known at `as_of`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

RING_DAYS = 90
"""How far back a window may reach; what happened earlier is seen only through facts and totals."""
YEAR_BACK = 364
"""52 whole weeks: the one look further back, at the same weekdays of a year before."""
SPAN = 28
"""How far back single days are looked at, for pauses, streaks and days near a limit."""
FAR_DAYS = 365.0
"""A limit that will not be reached within a year is so far away."""


@dataclass(frozen=True)
class Window:
    """`days` whole days that end `back` days before `as_of`.

    >>> Window(28, back=28).contains(age=27), Window(28, back=28).contains(age=28)
    (False, True)
    """

    days: int
    back: int = 0

    def __post_init__(self) -> None:
        near = 1 <= self.days + self.back <= RING_DAYS
        last_year = self.back == YEAR_BACK and 1 <= self.days <= SPAN
        if self.days < 1 or self.back % 7 or not (near or last_year):
            raise ValueError(
                f"{self}: windows reach 1 to {RING_DAYS} days back, in whole weeks, or are the "
                f"{SPAN} days of a year before (back={YEAR_BACK})"
            )

    def contains(self, age: int) -> bool:
        """Whether a day lies in the window; `age` 0 is the last whole day before `as_of`."""
        return self.back <= age < self.back + self.days


class Expression:
    """A number per (account, as_of)."""

    def parts(self) -> Iterator["Expression"]:
        """The expressions directly inside this one."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Expression):
                    yield item

    def walk(self) -> Iterator["Expression"]:
        """The expression and all inside it."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True)
class Sum(Expression):
    """A daily measure of the account, summed over a window; 0 where nothing happened."""

    measure: str
    window: Window


@dataclass(frozen=True)
class DaysSince(Expression):
    """Days from the last day with the measure above 0 to `as_of`; `RING_DAYS + 1` when not seen."""

    measure: str


@dataclass(frozen=True)
class Total(Expression):
    """A daily measure of the account, summed over all days before `as_of`."""

    measure: str


@dataclass(frozen=True)
class LongestGap(Expression):
    """The most days from one day with the measure to the next, or to `as_of`, in the last `SPAN`.

    From Monday to Friday it is 4. Missing when no day of the span has the measure.
    """

    measure: str


@dataclass(frozen=True)
class LongestStreak(Expression):
    """The most days in a row with the measure, within the last `SPAN` days; 0 for none."""

    measure: str


@dataclass(frozen=True)
class Streak(Expression):
    """The days in a row with the measure up to the last before `as_of`; at most `SPAN`."""

    measure: str


@dataclass(frozen=True)
class DaysOver(Expression):
    """On how many of the last `SPAN` days a rolling sum had reached a share of a limit.

    The rolling sum of a day is the measure over the `days` whole days that end with it; the limit
    is the fact as of now. Missing where there is no limit.
    """

    measure: str
    days: int
    limit: str
    share: float


@dataclass(frozen=True)
class Distinct(Expression):
    """How many keys occur at least `at_least` times in a window.

    Keys: `user` (by uses), `core_user` (users, by completed core use cases), `feature`, `core`,
    `golden` (events of these lists), `plan:<name>` (features that the plan includes).
    """

    key: str
    window: Window
    at_least: int = 1


@dataclass(frozen=True)
class OnlyIn(Expression):
    """How many keys occur in a window and not in another: new ones, or lost ones."""

    key: str
    window: Window
    other: Window


@dataclass(frozen=True)
class OfBusiest(Expression):
    """How often the key that was busiest in `busiest_in` occurs in a window.

    Of equally busy ones the first by name. Missing when nothing happened in `busiest_in`.
    """

    key: str
    window: Window
    busiest_in: Window


@dataclass(frozen=True)
class SinceBusiest(Expression):
    """Days from the last day of the key that was busiest in `busiest_in` to `as_of`.

    The champion gone quiet. Missing when nothing happened in `busiest_in`.
    """

    key: str
    busiest_in: Window


@dataclass(frozen=True)
class TopShare(Expression):
    """The share of the busiest key in a window; missing when nothing happened."""

    key: str
    window: Window


@dataclass(frozen=True)
class Entropy(Expression):
    """Shannon entropy (nats) of how the uses in a window spread over the keys; 0 for none."""

    key: str
    window: Window


@dataclass(frozen=True)
class EventCount(Expression):
    """How often one event happened in a window."""

    event: str
    window: Window


@dataclass(frozen=True)
class Fact(Expression):
    """Something known about the account at `as_of`: its plan, its age, its renewal date."""

    name: str


@dataclass(frozen=True)
class Ratio(Expression):
    """One number over another; missing where the lower one is 0 or missing."""

    above: Expression
    below: Expression
    times: float = 1.0


@dataclass(frozen=True)
class Growth(Expression):
    """`(now + 1) / (before + 1)`: above 1 is growth; the 1 keeps small counts quiet."""

    now: Expression
    before: Expression


@dataclass(frozen=True)
class Largest(Expression):
    """The largest of some numbers; missing ones do not count."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Linear(Expression):
    """A weighted sum of numbers: differences, slopes; missing where one of them is."""

    weights: tuple[float, ...]
    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Spread(Expression):
    """The population standard deviation of some numbers; missing where one of them is."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class AtLeast(Expression):
    """1 where a number is at least so large, else 0; missing where it is."""

    of: Expression
    least: float


@dataclass(frozen=True)
class ByPlan(Expression):
    """One number for each plan: that of the account's plan; missing for plans not listed."""

    plans: tuple[str, ...]
    of: tuple[Expression, ...]


@dataclass(frozen=True)
class DaysToReach(Expression):
    """Days until `use` reaches `limit` if it goes on rising as in the last `days` days.

    0 when it is reached already, `FAR_DAYS` when it does not rise or would take longer; missing
    where there is no limit. `before` is what `use` was `days` days ago.
    """

    use: Expression
    before: Expression
    limit: Expression
    days: int


@dataclass(frozen=True)
class PeerRank(Expression):
    """Where the account stands among its peers of the day, 0 to 100.

    Peers are all accounts that agree in the facts `among` on that day (of the same population:
    prospects, customers, former customers): `100 x (peers below + half of those equal, itself
    included) / peers`. Numbers are compared at 6 decimals. A missing number counts as 0: an account
    that was shown no notification answered none.
    """

    of: Expression
    among: tuple[str, ...] = ("population",)


@dataclass(frozen=True)
class PeerMedian(Expression):
    """The median of a number over the account's peers of the day, itself included.

    Peers and missing numbers as in `PeerRank`.
    """

    of: Expression
    among: tuple[str, ...] = ("population",)


@dataclass(frozen=True)
class Mean(Expression):
    """The mean of some numbers; missing ones do not count."""

    of: tuple[Expression, ...]
