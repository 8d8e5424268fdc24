"""When: the risk of an outcome by each of several days, from its chance in each stretch. Pure.

Training judges the very numbers that serving tells. A stretch reaches from one of `days` to the
next, the first from 0; within it the hazard is taken as constant. The chance that the outcome has
come by day d is 1 less exp(-H(d)), where H is the cumulative hazard.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def hazards(margins: Floats) -> Floats:
    """Log-odds of the outcome in each stretch, if not before → the hazards summed to its end.

    Rows × stretches, rising in each row.
    """
    return np.cumsum(np.logaddexp(0.0, margins), axis=1)


def risks(summed: Floats) -> Floats:
    """Summed hazards → the risk by the end of each stretch.

    >>> risks(hazards(np.array([[0.0, 0.0, -50.0]]))).round(6).tolist()
    [[0.5, 0.75, 0.75]]
    """
    return -np.expm1(-summed)


def agreeing(
    summed: Floats, log_odds: Floats, days: tuple[int, ...], window: tuple[int, int]
) -> Floats:
    """The same hazards times one factor a row, with which they say what the score says.

    `log_odds`: each row's score, the chance of the outcome after `window[0]` and at most
    `window[1]` days, if none came before. Behind the last of `days` its hazard goes on.

    >>> even = hazards(np.array([[0.0, 0.0]]))
    >>> risks(agreeing(even, np.array([0.0]), (10, 20), (5, 10))).round(4).tolist()
    [[0.75, 0.9375]]
    """
    within = (summed * _inside(days, window)).sum(axis=1)
    return np.asarray(summed * (np.logaddexp(0.0, log_odds) / within)[:, None])


def median(summed: Floats, days: Sequence[int]) -> list[float | None]:
    """Days until the risk reaches one half, None where it does not within `days`.

    >>> median(np.array([[2.0, 3.0], [0.1, 0.2]]) * np.log(2.0), (10, 20))
    [5.0, None]
    """
    ends = np.array([0, *days], dtype=np.float64)
    grown = np.column_stack([np.zeros(len(summed)), summed])
    half = np.log(2.0)
    return [float(np.interp(half, row, ends)) if row[-1] >= half else None for row in grown]


@cache
def _inside(days: tuple[int, ...], window: tuple[int, int]) -> Floats:
    """The weights by which the hazards summed to each of `days` make those within a window."""
    return _up_to(days, window[1]) - _up_to(days, window[0])


def _up_to(days: Sequence[int], day: int) -> Floats:
    """The weights by which the hazards summed to each of `days` make those summed to a day."""
    ends = np.array([0, *days], dtype=np.float64)
    stretch = int(np.clip(np.searchsorted(ends, day), 1, len(days)))
    share = (day - ends[stretch - 1]) / (ends[stretch] - ends[stretch - 1])
    found = np.zeros(len(ends))
    found[stretch - 1], found[stretch] = 1 - share, share
    return found[1:]
