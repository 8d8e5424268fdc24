"""Combinations of leaves as a list of instructions: what `features.kernel.combine` says, compiled.

Numbers lie in registers, one for each different expression; an instruction makes one of others that
stand before it. Run for one account it takes microseconds where numpy takes some for each step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from features.algebra import (
    FAR_DAYS,
    AtLeast,
    ByPlan,
    DaysToReach,
    Expression,
    Growth,
    Largest,
    Linear,
    Mean,
    Ratio,
    Spread,
)
from features.kernel.compiled import compiled
from features.kernel.rows import Floats, Ints

RATIO, GROWTH, LARGEST, LINEAR, SPREAD, AT_LEAST, DAYS_TO_REACH, MEAN, BY_PLAN = range(9)
CODES: dict[type[Expression], int] = {
    Ratio: RATIO, Growth: GROWTH, Largest: LARGEST, Linear: LINEAR, Spread: SPREAD,
    AtLeast: AT_LEAST, DaysToReach: DAYS_TO_REACH, Mean: MEAN, ByPlan: BY_PLAN,
}  # fmt: skip


class Tape(NamedTuple):
    """Instruction `i` puts `what[i]` of the registers `of[first[i]:first[i + 1]]` into `into[i]`.

    `weight` belongs to each of those registers, `number` to the instruction.
    """

    what: Ints
    into: Ints
    first: Ints
    of: Ints
    weight: Floats
    number: Floats


@dataclass
class Registers:
    """Which register holds which expression; the first is the number of the account's plan."""

    of: dict[Expression, int] = field(default_factory=dict)
    plans: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """How many registers there are."""
        return len(self.of) + 1

    def add(self, expressions: Iterable[Expression]) -> Ints:
        """The registers of some expressions, new ones for those that have none."""
        return np.array([self.of.setdefault(e, len(self)) for e in expressions], dtype=np.int64)

    def plan(self, name: str | None) -> float:
        """The number of a plan; of one that no expression names, one that none asks for."""
        return float(self.plans.index(name)) if name in self.plans else -1.0


def taped(wanted: Iterable[Expression], registers: Registers) -> Tape:
    """The instructions that make some expressions of what has registers; they get some too."""
    made: list[Expression] = []

    def make(e: Expression) -> None:
        if e not in registers.of:
            for part in e.parts():
                make(part)
            registers.add([e])
            made.append(e)

    for e in wanted:
        make(e)
    parts = [list(e.parts()) for e in made]
    weights = [w for e, mine in zip(made, parts, strict=True) for w in _weights(e, mine, registers)]
    return Tape(
        what=_whole(CODES[type(e)] for e in made),
        into=registers.add(made),
        first=np.cumsum([0, *(len(mine) for mine in parts)]).astype(np.int64),
        of=registers.add(part for mine in parts for part in mine),
        weight=np.array(weights, dtype=np.float64),
        number=np.array([_number(e) for e in made], dtype=np.float64),
    )


def _whole(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _weights(e: Expression, parts: Sequence[Expression], registers: Registers) -> Sequence[float]:
    if isinstance(e, Linear):
        return e.weights
    if isinstance(e, ByPlan):
        registers.plans += [name for name in e.plans if name not in registers.plans]
        return [registers.plan(name) for name in e.plans]
    return [0.0] * len(parts)


def _number(e: Expression) -> float:
    number: Mapping[type[Expression], Callable[[], float]] = {
        Ratio: lambda: e.times,  # type: ignore[attr-defined]
        AtLeast: lambda: e.least,  # type: ignore[attr-defined]
        DaysToReach: lambda: float(e.days),  # type: ignore[attr-defined]
    }
    return number[type(e)]() if type(e) in number else 0.0


@compiled
def play(tape: Tape, r: Floats) -> None:
    """Carry out the instructions on the registers `r`."""
    for i in range(len(tape.what)):
        first, last = tape.first[i], tape.first[i + 1]
        x = np.empty(last - first)
        for j in range(first, last):
            x[j - first] = r[tape.of[j]]
        weight = tape.weight[first:last]
        r[tape.into[i]] = _made(tape.what[i], x, weight, tape.number[i], r[0])


@compiled
def _made(what: int, x: Floats, weight: Floats, number: float, plan: float) -> float:
    if what == LINEAR:
        return _weighed(x, weight)
    if what == SPREAD:
        return _spread(x)
    if what == LARGEST:
        return _largest(x)
    if what == MEAN:
        return _mean(x)
    if what == BY_PLAN:
        return _by_plan(x, weight, plan)
    return _of_few(what, x, number)


@compiled
def _of_few(what: int, x: Floats, number: float) -> float:
    """What is made of one, two or three numbers."""
    if what == RATIO:
        return x[0] / x[1] * number if x[1] != 0 else np.nan
    if what == GROWTH:
        return _over(x[0] + 1.0, x[1] + 1.0)
    if what == DAYS_TO_REACH:
        return _days_to_reach(x[0], x[1], x[2], number)
    return np.nan if np.isnan(x[0]) else 1.0 if x[0] >= number else 0.0


@compiled
def _by_plan(x: Floats, weight: Floats, plan: float) -> float:
    for i in range(len(x)):
        if weight[i] == plan:
            return x[i]
    return np.nan


@compiled
def _over(above: float, below: float) -> float:
    """A quotient as IEEE has it: what is divided by nothing is without bound, or missing."""
    if below != 0:
        return above / below
    return above * np.inf


@compiled
def _largest(x: Floats) -> float:
    most = x[0]
    for i in range(1, len(x)):
        if np.isnan(most) or x[i] > most:
            most = x[i]
    return most


@compiled
def _weighed(x: Floats, weight: Floats) -> float:
    total = weight[0] * x[0]
    for i in range(1, len(x)):
        total += weight[i] * x[i]
    return total


@compiled
def _spread(x: Floats) -> float:
    mean = x[0]
    for i in range(1, len(x)):
        mean += x[i]
    mean /= len(x)
    total = (x[0] - mean) * (x[0] - mean)
    for i in range(1, len(x)):
        total += (x[i] - mean) * (x[i] - mean)
    return np.sqrt(total / len(x))


@compiled
def _mean(x: Floats) -> float:
    count, total = 0.0, 0.0
    for i in range(len(x)):
        if not np.isnan(x[i]):
            count += 1.0
            total += x[i]
    return total / count if count > 0 else np.nan


@compiled
def _days_to_reach(use: float, before: float, limit: float, days: float) -> float:
    if np.isnan(limit):
        return np.nan
    if use >= limit:
        return 0.0
    slope = (use - before) / days
    return min((limit - use) / slope, FAR_DAYS) if slope > 0 else FAR_DAYS
