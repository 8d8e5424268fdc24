"""Probabilities → grades and ranks; contributions → parts by signal. Pure functions."""

import numpy as np
from numpy.typing import NDArray

from serving.models.model import Model


def by_signal(model: Model, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """All windows of a signal summed: (n, features + 1) → (n, signals), the base left out."""
    groups, signals = model.group_of, len(model.signals)
    # Row by row, so that a row's sums do not depend, to the bit, on the rows beside it.
    return np.stack([np.bincount(groups, row[:-1], signals) for row in contributions])


def grade(model: Model, probability: float) -> str:
    """A, B, C or D: where the probability stands among the model's out-of-time test scores.

    A is above the quantile `grades.a` of the card's reference scores, and so on.
    """
    for letter in "abc":
        if probability > reference_quantile(model.quantiles, model.card["grades"][letter]):
            return letter.upper()
    return "D"


def reference_quantile(quantiles: NDArray[np.float64], share: float) -> float:
    """The score below which `share` of the reference lies, from its 101 percentiles.

    >>> reference_quantile(np.linspace(0, 0.5, 101), 0.9)
    0.45
    """
    return float(np.interp(share * 100, np.arange(len(quantiles)), quantiles))


def rank(ordered: NDArray[np.float64], probability: float) -> dict[str, int]:
    """The place of a probability among its peers' (ascending); 1 is the highest, equals share it.

    >>> rank(np.array([0.1, 0.2, 0.2, 0.7]), 0.2)
    {'position': 2, 'of': 4}
    """
    above = len(ordered) - int(np.searchsorted(ordered, probability, side="right"))
    return {"position": above + 1, "of": len(ordered)}
