"""When: the risk of the outcome by each of several days, from the bundle's `when.txt`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILES = ("when.txt", "when.json")
STRETCH = "stretch"


@dataclass(frozen=True)
class When:
    """A booster of the hazard in each stretch of days; `offsets`: log-odds, one a stretch."""

    booster: Any
    days: tuple[int, ...]
    offsets: NDArray[np.float64]
    lock: Lock = field(default_factory=Lock, repr=False)

    def risks(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Rows of the model → the chance that the outcome has come by each of `days`, rising."""
        stretches = len(self.days)
        wide = np.empty((len(rows) * stretches, rows.shape[1] + 1), dtype=np.float32)
        wide[:, :-1] = np.repeat(rows, stretches, axis=0)
        wide[:, -1] = np.tile(np.arange(stretches, dtype=np.float32), len(rows))
        with self.lock:
            raw = self.booster.predict(wide, raw_score=True, num_threads=1)
        margins = np.asarray(raw, dtype=np.float64).reshape(-1, stretches) + self.offsets
        # 1 less the product of (1 - hazard), without losing small hazards.
        return np.asarray(-np.expm1(np.cumsum(-np.logaddexp(0.0, margins), axis=1)))


def assemble(booster: Any, told: Mapping[str, Any], features: Sequence[Mapping[str, Any]]) -> When:
    """The parts of `when.txt` and `when.json` as one.

    Raises ValueError when they do not fit each other or the model's own features.
    """
    *shared, last = told["features"]
    days, offsets = tuple(told["edges"]), np.asarray(told["offsets"], dtype=np.float64)
    if shared != list(features) or last["name"] != STRETCH:
        raise ValueError("when.json with other features than schema.json")
    if booster.num_feature() != len(features) + 1 or not 0 < len(days) == len(offsets):
        raise ValueError("when.txt that does not fit when.json")
    if not np.isfinite(offsets).all() or list(days) != sorted({*days}):
        raise ValueError("offsets or days in when.json that are not as they should be")
    return When(booster, days, offsets)
