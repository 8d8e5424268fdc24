"""What a model has seen: the range that each of its features kept to in the rows it learnt from.

An account whose facts lie outside for many features is unlike the data, and what the model says of
it is an extrapolation.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dataset import Column

INSIDE = 0.99
"""The share of the training rows that a feature's usual values hold."""
TAIL, RARE = 0.005, 0.01
"""The share left out at each end, and of which a category or a missing value is unusual."""
AT = 0.99
"""The share of the training rows that are, by definition, not unlike the training rows."""


def seen(
    X: NDArray[np.float32], columns: tuple[Column, ...], used: Iterable[int]
) -> dict[str, Any]:
    """The card's part `seen`: the usual values of every feature in `used` (places of columns).

    A number is usual between `low` and `high`, a category among `codes`; that it is missing is
    usual where `missing` says so. `most`: as many features at most are unusual at once in 99 % of
    the rows; an account with more is unlike them.
    """
    outside = np.zeros(len(X), dtype=np.int64)
    told = []
    for place in used:
        usual, strange = _usual(X[:, place], columns[place].vocabulary is not None)
        told.append({"name": columns[place].name, **usual})
        outside += strange
    most = int(np.quantile(outside, AT, method="higher")) if len(X) else 0
    return {"inside": INSIDE, "at": AT, "most": most, "features": told}


def _usual(x: NDArray[np.float32], category: bool) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """What is usual of one column, and which rows are not so."""
    missing = np.isnan(x)
    may_miss = bool(missing.mean() >= RARE)
    here = x[~missing]
    if category:
        codes, counts = np.unique(here, return_counts=True)
        common = codes[counts >= RARE * len(x)]
        usual: dict[str, Any] = {"codes": [int(code) for code in common]}
        strange = ~np.isin(x, common)
    elif here.size:
        low, high = np.quantile(here, [TAIL, 1 - TAIL], method="inverted_cdf").astype(float)
        usual = {"low": float(low), "high": float(high)}
        strange = (x < low) | (x > high)
    else:
        usual, strange = {"low": 0.0, "high": 0.0}, ~missing
    return usual | {"missing": may_miss}, np.where(missing, not may_miss, strange)
