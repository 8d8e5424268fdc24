"""Rows of many accounts at once: column after column, by the functions that a build uses."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.algebra import Expression
from features.compute.peers import comparisons
from features.kernel.combine import combined
from features.kernel.known import Facts
from features.kernel.leaves import Held, Values, computed, innermost
from features.kernel.rows import Floats, Ints, Points
from features.resident.peers import Standing


class Columns:
    """Computes some expressions for many accounts; `standing` tells what is compared in them."""

    def __init__(self, every: Sequence[Expression], standing: Standing) -> None:
        self.every, self.standing = every, standing
        self.of = [of for of, _ in standing.of]
        self.compared = innermost(self.of)
        self.found = innermost([*every, *self.of])
        alone = [*self.of, *(e for e in every if not comparisons(e))]
        self.steps = _steps(alone)

    def stood(self, held: Held, facts: Facts) -> Floats:
        """What accounts are compared by: a line for each comparison."""
        return self._lines(computed(self.compared, held, facts), facts)

    def alone(self, held: Held, facts: Facts) -> tuple[Values, Floats]:
        """All that needs no peers, and what is compared, as `stood` tells it."""
        values = computed(self.found, held, facts)
        for e in self.steps:
            values[e] = combined(e, values, facts)
        return values, self._lines(values, facts)

    def numbers(self, values: Values, placed: Sequence[Floats], facts: Facts) -> list[Floats]:
        """The expressions in single precision, in their order; `placed`: each comparison."""
        values |= dict(zip(self.standing.compared, placed, strict=True))
        return [combined(e, values, facts).astype(np.float32) for e in self.every]

    def _lines(self, values: Mapping[Expression, Floats], facts: Facts) -> Floats:
        return np.array([combined(of, values, facts) for of in self.of])


def _steps(wanted: Sequence[Expression]) -> list[Expression]:
    """What some expressions are made of and they themselves, each after its parts; no leaves."""
    walked = [e for whole in wanted for e in reversed(list(whole.walk()))]
    return [e for e in dict.fromkeys(walked) if list(e.parts())]


def points(numbers: Ints, accounts: int, day: int) -> Points:
    """One observation of each of these (sorted) of so many accounts."""
    first = np.searchsorted(numbers, np.arange(accounts + 1)).astype(np.int64)
    return Points(first, np.full(len(numbers), day))
