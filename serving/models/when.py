"""When: the risk of the outcome by each of several days, from the bundle's `when.txt`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.incidence import Floats, agreeing, hazards

FILES = ("when.txt", "when.json")
STRETCH = "stretch"


@dataclass(frozen=True)
class When:
    """A booster of the hazard in each stretch of days; `offsets`: log-odds, one a stretch.

    `window`: the days (from, to] that the model's own score is about; None in bundles of before
    the curve was made to agree with the score.
    """

    booster: Any
    days: tuple[int, ...]
    offsets: NDArray[np.float64]
    window: tuple[int, int] | None = None
    lock: Lock = field(default_factory=Lock, repr=False)

    def hazards(self, rows: NDArray[np.float32], log_odds: Floats) -> Floats:
        """Rows of the model and their scores → the hazards summed to each of `days`, rising."""
        stretches = len(self.days)
        wide = np.empty((len(rows) * stretches, rows.shape[1] + 1), dtype=np.float32)
        wide[:, :-1] = np.repeat(rows, stretches, axis=0)
        wide[:, -1] = np.tile(np.arange(stretches, dtype=np.float32), len(rows))
        with self.lock:
            raw = self.booster.predict(wide, raw_score=True, num_threads=1)
        margins = np.asarray(raw, dtype=np.float64).reshape(-1, stretches) + self.offsets
        summed = hazards(margins)
        if self.window is None:
            return summed
        return agreeing(summed, log_odds, self.days, self.window)


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
    return When(booster, days, offsets, _window(told["window"]) if "window" in told else None)


def _window(told: Sequence[int]) -> tuple[int, int]:
    first, last = map(int, told)
    if not 0 <= first < last:
        raise ValueError("a window in when.json that is not from one day to a later one")
    return first, last
