"""Few positives: when to refuse, and intervals that hold what they promise with few accounts.

What counts is accounts with the outcome: the rows of one account tell one story. Under 20 of them
in the rows to learn from, training refuses. Up to 300 positives the booster is held tightly
(`models.booster_parameters`); its intervals are those here, as for all models.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from features.errors import RefusedError
from training.dataset import Dataset, Floats
from training.evaluate import Draws, Figure
from training.split import Split

FLOOR = 20  # accounts with the outcome among the rows to fit on
LEVEL = 0.975


def check(data: Dataset, split: Split, name: str) -> None:
    """Raise RefusedError, with what would be needed, when too few accounts had the outcome."""
    found = outcomes(data.take(split.fit))
    if found >= FLOOR:
        return
    days = data.as_of[split.fit]
    span = int((days.max() - days.min()).astype(int)) + 1
    pace = f"about {span * (FLOOR - found) / found:,.0f} more days" if found else "more"
    raise RefusedError(
        f"{found} account{'' if found == 1 else 's'} with outcome '{name}' in the {len(days):,} "
        f"rows to learn from ({days.min()} to {days.max()})",
        expected=f"at least {FLOOR}: with fewer, a model is a guess that no figure can judge",
        do=f"Bring {pace} of history at this pace, or lengthen outcomes.{name}.horizon_days; until "
        "then the CBI rule ranks the accounts.",
    )


def outcomes(data: Dataset) -> int:
    """How many accounts have a positive row.

    >>> empty = np.zeros((3, 0), np.float32)
    >>> days = np.array(["2024-01-01"] * 3, "datetime64[D]")
    >>> outcomes(Dataset(empty, np.array([1.0, 1, 0]), np.array([0, 0, 1]), days, np.ones(3), ()))
    1
    """
    return len(np.unique(data.account[data.y == 1]))


def intervals(drawn: Draws, test: Dataset) -> dict[str, Figure]:
    """The figures whose intervals a decision rests on, with those that hold for few accounts."""
    accounts = outcomes(test)
    return {
        "auc": auc_interval(drawn.auc, accounts),
        "observed_expected": ratio_interval(drawn.observed_expected, accounts),
    }


def auc_interval(draws: Floats, accounts: int) -> Figure:
    """An AUC with its 95 % interval from bootstrap draws, the sample's own value first.

    Student's t on the logit scale, with the accounts with the outcome (less one) as degrees of
    freedom. The percentiles of the draws are too narrow where these are few: of 95 % they held
    87-95 with 10 to 20 accounts, this 94-98.

    >>> str(auc_interval(np.array([0.7, 0.65, 0.75, 0.7]), 200))
    '0.700 (0.592 to 0.789)'
    """
    return _interval(draws, accounts, lambda v: logit(np.clip(v, 1e-3, 1 - 1e-3)), expit)


def ratio_interval(draws: Floats, accounts: int) -> Figure:
    """The same for a ratio such as observed over expected, on the scale of its logarithm."""
    return _interval(draws, accounts, lambda v: np.log(np.maximum(v, 1e-3)), np.exp)


def _interval(
    draws: Floats, accounts: int, scale: Callable[[Floats], Floats], back: Callable[..., Floats]
) -> Figure:
    value, others = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    if accounts < 2 or len(others) < 2:
        return Figure(value, np.nan, np.nan)
    spread = scale(others).std(ddof=1) * np.sqrt(accounts / (accounts - 1))
    reach = student.ppf(LEVEL, accounts - 1) * spread
    middle = scale(draws[:1])[0]
    return Figure(value, float(back(middle - reach)), float(back(middle + reach)))
