"""What a feature is: a measure over a window, reduced, and the few ways to combine such parts.

An expression is plain data. `sql.py` compiles it; documentation and reasons read it. Each window
ends at an observation's `as_of` (midnight UTC): it holds days `[as_of - back - days, as_of - back)`
of the events with `event_time < as_of` that were known at `as_of`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

RING_DAYS = 90
"""How far back a window may reach; what happened earlier is seen only through facts."""


@dataclass(frozen=True)
class Window:
    """`days` whole days that end `back` days before `as_of`.

    >>> Window(28, back=28).contains(age=27), Window(28, back=28).contains(age=28)
    (False, True)
    """

    days: int
    back: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.days + self.back <= RING_DAYS or self.back % 7:
            raise ValueError(f"{self}: windows reach 1 to {RING_DAYS} days back, in whole weeks")

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
class Distinct(Expression):
    """How many keys (`user`, `feature`, `core`) occur at least `at_least` times in a window."""

    key: str
    window: Window
    at_least: int = 1


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
class PeerRank(Expression):
    """Where the account stands among its peers of the day, 0 to 100.

    Peers are all accounts of the same population (prospects, customers, former customers) on that
    day: `100 x (peers below + half of those equal, itself included) / peers`. A missing number
    counts as 0: an account that was shown no notification answered none.
    """

    of: Expression


@dataclass(frozen=True)
class Mean(Expression):
    """The mean of some numbers; missing ones do not count."""

    of: tuple[Expression, ...]
