"""What was predicted against what happened, in tenths of the test rows."""

from typing import NamedTuple

import numpy as np
from scipy.stats import beta

from training.dataset import Floats

BINS = 10


class Bins(NamedTuple):
    """Of each bin: mean prediction, observed share, its 95 % interval, and rows; each (bins,)."""

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    rows: Floats


def bins(p: Floats, y: Floats) -> Bins:
    """Tenths of the rows by prediction; the interval is Jeffreys', as if rows were independent.

    >>> found = bins(np.array([0.1, 0.3]), np.array([0.0, 1.0]))
    >>> found.predicted.tolist(), found.observed.tolist(), found.rows.tolist()
    ([0.1, 0.3], [0.0, 1.0], [1, 1])
    """
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    expected = np.array([p[part].mean() for part in parts])
    ones, sizes = np.array([y[part].sum() for part in parts]), np.array([len(q) for q in parts])
    low, high = beta.ppf([[0.025], [0.975]], ones + 0.5, sizes - ones + 0.5)
    return Bins(expected, ones / sizes, np.where(ones > 0, low, 0.0), high, sizes)


def told(found: Bins) -> list[dict[str, float]]:
    """The bins as a card holds them, lowest prediction first."""
    rows = zip(*(column.tolist() for column in found), strict=True)
    return [dict(zip(Bins._fields, row, strict=True)) for row in rows]
