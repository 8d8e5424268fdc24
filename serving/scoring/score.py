"""Probabilities → grades, ranks, intervals, curves; contributions → parts by signal. All pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.incidence import median, risks
from serving.models.model import Model

TOLD_DAYS = (30, 60, 90)


def by_signal(model: Model, contributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """All windows of a signal summed: (n, features + 1) → (n, signals), the base left out."""
    groups, signals = model.group_of, len(model.signals)
    # Row by row, so that a row's sums do not depend, to the bit, on the rows beside it.
    return np.stack([np.bincount(groups, row[:-1], signals) for row in contributions])


def grade(model: Model, probability: float) -> str:
    """A, B, C or D: where the probability stands among the model's out-of-time test scores.

    A is above the quantile `grades.a` of the card's reference scores, and so on.
    """
    return letter(thresholds(model), probability)


def letter(above: list[float], probability: float) -> str:
    """The grade of a probability, from where an A, a B and a C begin.

    >>> letter([0.5, 0.3, 0.1], 0.3), letter([0.5, 0.3, 0.1], 0.1)
    ('C', 'D')
    """
    return next(
        (name for name, least in zip("ABC", above, strict=True) if probability > least), "D"
    )


def thresholds(model: Model) -> list[float]:
    """The probabilities above which an A, a B and a C begin."""
    return [reference_quantile(model.quantiles, model.card["grades"][name]) for name in "abc"]


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


def interval(model: Model, log_odds: float) -> tuple[float, float] | None:
    """The 95 % interval of a probability, from the band in the card; None where there is none.

    It covers what the test period left open about the calibration: how many of all accounts with
    this score have the outcome. It does not cover a world that has changed since, nor say which of
    those accounts have it. The probability lies inside.
    """
    if not (band := model.card.get("interval")):
        return None
    knots = band["log_odds"]
    low, high = (float(np.interp(log_odds, knots, band[side])) for side in ("low", "high"))
    # Beyond the knots the band stands still; what is stated goes on.
    return float(expit(min(low, log_odds))), float(expit(max(high, log_odds)))


def how_soon(
    model: Model, rows: NDArray[np.float32], log_odds: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """For each row the risk by 30, 60 and 90 days, and when it reaches a half, if it does.

    Empty where the model tells no when. `log_odds`: what the model says of the rows; within its own
    window the curve says the same.
    """
    if model.when is None or not len(rows):
        return [{} for _ in rows]
    told = [(k, day) for k, day in enumerate(model.when.days) if day in TOLD_DAYS]
    summed = model.when.hazards(rows, log_odds)
    halves = median(summed, model.when.days)
    return [
        {
            **({"curve": [{"days": day, "risk": row[k]} for k, day in told]} if told else {}),
            **({"median_days": half} if half is not None else {}),
        }
        for row, half in zip(risks(summed).tolist(), halves, strict=True)
    ]
