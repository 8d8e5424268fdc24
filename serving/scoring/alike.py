"""Whether an account is like the rows that a model learnt from, by the card's `seen`. Pure.

A feature is unusual outside what 99 % of the training rows held. An account is unlike them when
more features are unusual at once than in 99 % of those rows; what the model says of it is then an
extrapolation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Alike:
    """Which of the features looked at are unusual; `most`: so many are still like the others."""

    unusual: tuple[str, ...]
    of: int
    most: int

    @property
    def unlike(self) -> bool:
        """Whether the account is unlike the training rows."""
        return len(self.unusual) > self.most


def alike(card: Mapping[str, Any], names: Sequence[str], row: Sequence[float]) -> Alike | None:
    """How a model's row (its features `names`) stands to its training rows; None on older cards.

    >>> age = {"name": "age", "low": 0.0, "high": 30.0, "missing": False}
    >>> alike({"seen": {"most": 0, "features": [age]}}, ["age"], [31.0]).unlike
    True
    """
    if not (seen := card.get("seen")):
        return None
    value = dict(zip(names, row, strict=True))
    unusual = tuple(f["name"] for f in seen["features"] if _strange(f, value[f["name"]]))
    return Alike(unusual, len(seen["features"]), int(seen["most"]))


def _strange(feature: Mapping[str, Any], value: float) -> bool:
    if math.isnan(value):
        return not feature["missing"]
    if "codes" in feature:
        return int(value) not in feature["codes"]
    return not feature["low"] <= value <= feature["high"]
