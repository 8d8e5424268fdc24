"""Combinations of leaves, in numpy: what `features.compute.sql` says in SQL; missing is NaN."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.algebra import (
    FAR_DAYS,
    AtLeast,
    ByPlan,
    DaysToReach,
    Expression,
    Fact,
    Growth,
    Largest,
    Linear,
    Mean,
    Ratio,
    Spread,
)
from features.kernel.known import Facts
from features.kernel.rows import Floats


def combined(
    e: Expression,
    values: Mapping[Expression, Floats],
    facts: Facts,
) -> Floats:
    """One expression from its leaves and comparisons (`values`) and the facts, by point."""
    if isinstance(e, Fact):
        return facts[e.name]
    if e in values:
        return values[e]
    parts = [combined(part, values, facts) for part in e.parts()]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if isinstance(e, ByPlan):
            return _by_plan(e.plans, parts, facts.plans)
        return _combination(e, parts)


def _combination(e: Expression, parts: list[Floats]) -> Floats:
    match e:
        case Ratio(times=times):
            return np.where(parts[1] != 0, parts[0] / parts[1] * times, np.nan)
        case Growth():
            return (parts[0] + 1.0) / (parts[1] + 1.0)
        case Largest():
            return np.asarray(np.fmax.reduce(parts))
        case Linear(weights):
            return _sum([w * x for w, x in zip(weights, parts, strict=True)])
        case Spread():
            mean = _sum(parts) / len(parts)
            return np.sqrt(_sum([(x - mean) * (x - mean) for x in parts]) / len(parts))
        case AtLeast(least=least):
            return np.where(np.isnan(parts[0]), np.nan, (parts[0] >= least).astype(np.float64))
        case DaysToReach(days=days):
            return _days_to_reach(parts[0], parts[1], parts[2], days)
        case Mean():
            count = _sum([(~np.isnan(x)).astype(np.float64) for x in parts])
            total = _sum([np.nan_to_num(x, nan=0.0) for x in parts])
            return np.where(count > 0, total / count, np.nan)
    raise TypeError(f"{e!r} is not part of the algebra")


def _sum(values: list[Floats]) -> Floats:
    """From the first to the last, as SQL adds them."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _by_plan(names: tuple[str, ...], parts: list[Floats], plans: NDArray[np.object_]) -> Floats:
    found = np.full(len(plans), np.nan)
    for name, part in zip(names, parts, strict=True):
        mine = plans == name
        found[mine] = part[mine]
    return found


def _days_to_reach(use: Floats, before: Floats, limit: Floats, days: int) -> Floats:
    slope = (use - before) / days
    rising = np.minimum((limit - use) / np.where(slope != 0, slope, np.nan), FAR_DAYS)
    found = np.where(slope > 0, rising, FAR_DAYS)
    return np.where(np.isnan(limit), np.nan, np.where(use >= limit, 0.0, found))
