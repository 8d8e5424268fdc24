"""Whether as many outcomes happen as are announced, in tenths of the rows by probability."""

import numpy as np
from scipy.stats import beta

from training.dataset import Floats

BINS = 10


def binned(p: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean prediction, observed share and its 95 % interval (Jeffreys) in tenths by prediction."""
    expected, ones, sizes = _tenths(p, y)
    low, high = beta.ppf([[0.025], [0.975]], ones + 0.5, sizes - ones + 0.5)
    return expected, ones / sizes, np.where(ones > 0, low, 0.0), high


def bins(p: Floats, y: Floats) -> list[dict[str, float]]:
    """The same for the card, with the rows of each; the lowest tenth first.

    >>> [(b["rows"], b["observed"]) for b in bins(np.linspace(0, 1, 20), np.ones(20))][:2]
    [(2, 1.0), (2, 1.0)]
    """
    names = ("predicted", "observed", "low", "high")
    told = np.column_stack(binned(p, y)).tolist()
    sizes = _tenths(p, y)[2].astype(int).tolist()
    return [
        dict(zip(names, row, strict=True)) | {"rows": n} for row, n in zip(told, sizes, strict=True)
    ]


def _tenths(p: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean prediction, positives and rows of each tenth."""
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    expected = np.array([p[part].mean() for part in parts])
    return expected, np.array([y[q].sum() for q in parts]), np.array([float(len(q)) for q in parts])
