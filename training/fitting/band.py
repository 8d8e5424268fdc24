"""How sure a stated probability is: a band around the calibration, from out-of-time rows.

The band answers: of all accounts with this score, how many have the outcome? It holds what the
test period leaves open about the level and the slope of the calibration, whole accounts drawn
again. It does not hold what a curve would add to a straight calibration, a world that changes
after the test period, or how one account differs from others of its score: the outcome of one
account is 0 or 1, and no band around a probability says which.
"""

from typing import Any

import numpy as np
from scipy.special import logit
from scipy.stats import t as student

from training.dataset import Dataset, Floats
from training.evaluate import Bootstrap, recalibration
from training.fitting.few import LEVEL, outcomes

PERCENTILES = np.arange(0, 101, 5)
BEYOND = 12.0  # log-odds that no score reaches
ONE_SIGMA = (15.87, 84.13)  # percentiles: a few wild resamples of few outcomes move no band
FEWEST = 2  # accounts with the outcome and without it, for a band to exist


def band(margin: Floats, test: Dataset, resamples: int, seed: int) -> dict[str, Any] | None:
    """The card's `interval`: log-odds as stated → the lower and upper log-odds, at some knots.

    The knots lie where the scores of the test period do: the band is narrow there, and between two
    knots far apart a straight line would make it wide.

    `margin`: the model's log-odds of the test rows, which it did not see. Each resample of accounts
    gives a calibration; Student's t with the scarcer accounts (less one) as degrees of freedom
    makes up for few of them, as for the other figures (`training.fitting.few`). What the model
    states lies inside always: where the test period contradicts it, the band reaches from the one
    to the other. None where too few accounts had the outcome, or nearly all.
    """
    scarcer = min(outcomes(test), outcomes(test.relabelled(1 - test.y)))
    if scarcer < FEWEST:
        return None
    knots = np.unique([-BEYOND, *np.percentile(margin, PERCENTILES).clip(-BEYOND, BEYOND), BEYOND])
    lines = _lines(knots, margin, test, Bootstrap.of(test.account, resamples, seed))
    middle = lines[0]
    low, high = np.percentile(lines[1:], ONE_SIGMA, axis=0)
    spread = (high - low) / 2 * np.sqrt(scarcer / (scarcer - 1))
    reach = student.ppf(LEVEL, scarcer - 1) * spread
    return {
        "level": 2 * LEVEL - 1,
        "accounts": len(np.unique(test.account)),
        "accounts_with_outcome": outcomes(test),
        "log_odds": knots.tolist(),
        "low": np.minimum(knots, middle - reach).tolist(),
        "high": np.maximum(knots, middle + reach).tolist(),
    }


def _lines(knots: Floats, margin: Floats, test: Dataset, sample: Bootstrap) -> Floats:
    """Each resample's calibrated log-odds at the knots; the sample's own first."""
    slope, intercept = recalibration(margin, test.y, sample)
    if np.isnan(slope[0]):  # one score for everybody: only the level can be told
        ones, rows = sample.sums(test.y), sample.sums(np.ones_like(test.y))
        level = logit((ones + 0.5) / (rows + 1.0)) - margin.mean()
        slope, intercept = np.ones_like(level), level
    return np.asarray(slope[:, None] * knots + intercept[:, None], dtype=np.float64)
