"""Effects with intervals that know that an account's observations belong together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.special import expit
from scipy.stats import chi2, norm
from statsmodels.stats.multitest import multipletests

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Z = 1.959964
FALSE_DISCOVERIES = 0.05
SEARCHED_AT = 0.04
"""What is promised, and the stricter level that keeps it: p-values from few outcomes are not exact,
and a promise of 5 % that is kept half of the time is none."""
ITERATIONS, NEAR = 30, 1e-8
STEEPEST = 20.0


@dataclass(frozen=True)
class Effect:
    """A ratio with its 95 % interval and p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Fit:
    """A logistic fit: coefficients and their covariance, clustered by account."""

    beta: Floats
    covariance: Floats

    def ratio(self, place: int) -> Effect:
        """The odds ratio of one column."""
        return ratio(float(self.beta[place]), float(np.sqrt(self.covariance[place, place])))

    def wald(self, places: list[int]) -> float:
        """The p-value of the hypothesis that all these coefficients are 0."""
        b = self.beta[places]
        inner = self.covariance[np.ix_(places, places)]
        return float(chi2.sf(b @ np.linalg.pinv(inner) @ b, len(places)))


def ratio(log_value: float, error: float) -> Effect:
    """A ratio from its logarithm and the standard error of that.

    >>> found = ratio(0.0, 0.5)
    >>> found.value, round(found.low, 2), round(found.high, 2), found.p
    (1.0, 0.38, 2.66, 1.0)
    """
    ends = np.exp(np.clip([log_value, log_value - Z * error, log_value + Z * error], -9, 9))
    p = 2 * norm.sf(abs(log_value) / error) if error > 0 else 1.0
    value, low, high = (float(e) for e in ends)
    return Effect(value, low, high, float(p))


def logistic(
    X: Floats, y: Floats, account: Ints, ridge: Floats, start: Floats | None = None
) -> Fit:
    """Fit log-odds linear in X (with its constant) by Newton's method.

    `ridge`: the penalty of each coefficient, 0 for those whose effect is asked for. `account`
    (numbers from 0, sorted) gives the clusters of the sandwich covariance.
    """
    beta = np.zeros(X.shape[1]) if start is None else start.copy()
    for _ in range(ITERATIONS):
        p = expit(X @ beta)
        step = solve(_bend(X, p, ridge), X.T @ (y - p) - ridge * beta, assume_a="pos")
        beta = np.clip(beta + step, -STEEPEST, STEEPEST)
        if np.abs(step).max() < NEAR:
            break
    p = expit(X @ beta)
    inverse = np.linalg.inv(_bend(X, p, ridge))
    return Fit(beta, _covariance(np.asarray(inverse), sums_by(account, X * (y - p)[:, None])))


def _covariance(inverse: Floats, scores: Floats) -> Floats:
    """The sandwich of the clusters' scores, no error smaller than the model's own.

    With few outcomes the sandwich alone is too small: it called 6 % of shuffled outcomes findings.
    """
    clusters = len(scores)
    sandwich = inverse @ (scores.T @ scores) @ inverse * clusters / max(clusters - 1, 1)
    wider = np.sqrt(np.maximum(inverse.diagonal() / sandwich.diagonal(), 1))
    return np.asarray(sandwich * wider[:, None] * wider)


def _bend(X: Floats, p: Floats, ridge: Floats) -> Floats:
    weight = np.maximum(p * (1 - p), 1e-12)
    return np.asarray((X * weight[:, None]).T @ X + np.diag(ridge + 1e-9))


def sums_by(account: Ints, values: Floats) -> Floats:
    """Sums over each account's rows; the rows of an account stand together.

    >>> sums_by(np.array([0, 0, 1]), np.array([1.0, 2.0, 5.0])).tolist()
    [3.0, 5.0]
    """
    first = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    return np.asarray(np.add.reduceat(values, first, axis=0))


def risk_ratio(exposed: Floats, y: Floats, account: Ints) -> Effect:
    """Share of positives among the exposed over that among the others; clustered by account."""
    rates, parts = [], []
    for mine in (exposed > 0, exposed <= 0):
        rate = y[mine].mean() if mine.any() else 0.0
        if rate <= 0:
            return Effect(float("nan"), float("nan"), float("nan"), 1.0)
        rates.append(rate)
        parts.append(mine * (y - rate) / (mine.sum() * rate))
    error = np.sqrt((sums_by(account, parts[0] - parts[1]) ** 2).sum())
    return ratio(float(np.log(rates[0] / rates[1])), float(error))


def share(y: Floats, account: Ints) -> Effect:
    """A share with its interval (on the log-odds scale), clustered by account; p is of no use."""
    n, rate = len(y), (y.sum() + 0.5) / (len(y) + 1)
    error = np.sqrt((sums_by(account, y - y.mean()) ** 2).sum() + 0.25) / n
    width = Z * error / (rate * (1 - rate))
    middle = np.log(rate / (1 - rate))
    return Effect(float(y.mean()), float(expit(middle - width)), float(expit(middle + width)), 1.0)


def discoveries(p: Any) -> tuple[NDArray[np.bool_], Floats]:
    """Which p-values are discoveries at a false discovery rate of at most 5 %, and their q-values.

    Benjamini and Hochberg (1995), at 4 %.

    >>> found, q = discoveries([0.001, 0.04, 0.5])
    >>> found.tolist(), q.round(3).tolist()
    ([True, False, False], [0.003, 0.06, 0.5])
    """
    if not len(p):
        return np.zeros(0, dtype=bool), np.zeros(0)
    found, q, _, _ = multipletests(p, alpha=SEARCHED_AT, method="fdr_bh")
    return found, q
