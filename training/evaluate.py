"""The figures of a model on rows that it never saw, with intervals by account."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.dataset import Dataset, Floats, Mask

LEVELS = (2.5, 97.5)


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """The three numbers, for the card."""
        return asdict(self)

    def flat(self, name: str) -> dict[str, float]:
        """The three as MLflow takes them: under the name, and with `_low` and `_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of whole accounts: `weights` is resamples × accounts, the same for every model.

    The first row holds ones: the sample itself.
    """

    weights: NDArray[np.float32]
    account: NDArray[np.int64]

    @classmethod
    def of(cls, account: NDArray[np.int64], resamples: int, seed: int) -> "Bootstrap":
        """Draw as many accounts as there are, with replacement, `resamples` times."""
        _, place = np.unique(account, return_inverse=True)
        n = int(place.max()) + 1
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
        return cls(np.vstack([np.ones(n), drawn]).astype(np.float32), place)

    def sums(self, values: Floats) -> Floats:
        """The weighted sum of a row-wise value, for each resample."""
        by_account = np.bincount(self.account, weights=values, minlength=self.weights.shape[1])
        return self.weights.astype(np.float64) @ by_account

    def by_row(self) -> Iterator[Floats]:
        """Each resample's weight of each row, one resample at a time."""
        return (w[self.account].astype(np.float64) for w in self.weights)

    def take(self, rows: Mask) -> "Bootstrap":
        """The same resamples of these rows alone."""
        return Bootstrap(self.weights, self.account[rows])


def figure(draws: Floats) -> Figure:
    """The first draw is the sample's own value, the others give the interval."""
    spread = draws[1:][np.isfinite(draws[1:])]
    low, high = np.percentile(spread, LEVELS) if len(spread) else (np.nan, np.nan)
    return Figure(float(draws[0]), float(low), float(high))


def log_losses(margin: Floats, y: Floats) -> Floats:
    """Each row's log loss, from log-odds.

    >>> log_losses(np.array([0.0, 0.0]), np.array([0.0, 1.0])).round(4).tolist()
    [0.6931, 0.6931]
    """
    return np.logaddexp(0.0, margin) - y * margin


class Ranking:
    """AUC and average precision of one ordering under many weightings; it sorts once."""

    def __init__(self, score: Floats, y: Floats) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.ends = np.append(np.nonzero(np.diff(ranked))[0], len(ranked) - 1)
        self.y = y[self.order]

    def both(self, weights: Floats) -> tuple[float, float]:
        """(AUC, average precision) with these row weights; ties share their ranks.

        >>> Ranking(np.array([3.0, 2, 1]), np.array([1.0, 0, 1])).both(np.ones(3))
        (0.5, 0.8333333333333333)
        """
        w = weights[self.order]
        all_ = np.cumsum(w)[self.ends]
        ones = np.cumsum(w * self.y)[self.ends]
        hits = np.diff(ones, prepend=0.0)
        zeros = all_ - ones
        misses = np.diff(zeros, prepend=0.0)
        if not ones[-1] or not zeros[-1]:
            return np.nan, np.nan
        auc = float((hits * (zeros[-1] - zeros + misses / 2)).sum() / (ones[-1] * zeros[-1]))
        precision = np.divide(ones, all_, out=np.zeros_like(ones), where=all_ > 0)
        return auc, float((hits * precision).sum() / ones[-1])


def aucs(score: Floats, y: Floats, sample: Bootstrap) -> Floats:
    """The AUC of one ordering, for each resample."""
    ranking = Ranking(score, y)
    return np.array([ranking.both(weights)[0] for weights in sample.by_row()])


@dataclass(frozen=True)
class Draws:
    """The resampled figures of one model: first value the sample's own."""

    auc: Floats
    pr_auc: Floats
    log_loss: Floats
    skill: Floats
    lift: Floats
    precision: Floats
    calibration_slope: Floats
    calibration_intercept: Floats
    observed_expected: Floats

    def figures(self) -> dict[str, Figure]:
        """Name → figure."""
        names = {"skill": "log_loss_skill", "lift": "lift_top_decile",
                 "precision": "precision_at_capacity"}  # fmt: skip
        return {names.get(k, k): figure(v) for k, v in self.__dict__.items()}


def draws(
    margin: Floats, test: Dataset, sample: Bootstrap, *, prevalence: float, capacity: int
) -> Draws:
    """All figures of one model on the test rows, for each resample.

    `margin`: log-odds; `prevalence`: the share of positives in training, what a constant would
    say. The top decile and the team's choice are those of the whole test period.
    """
    y = test.y
    ranking = Ranking(margin, y)
    ranked = np.array([ranking.both(w) for w in sample.by_row()])
    rows, ones = sample.sums(np.ones_like(y)), sample.sums(y)
    loss = sample.sums(log_losses(margin, y)) / rows
    constant = np.full_like(y, np.log(prevalence / (1 - prevalence)))
    listed, chosen = top(margin, 0.1), within_capacity(margin, test.as_of, capacity)
    slope, intercept = recalibration(margin, y, sample)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Draws(
            auc=ranked[:, 0],
            pr_auc=ranked[:, 1],
            log_loss=loss,
            skill=1 - loss / (sample.sums(log_losses(constant, y)) / rows),
            lift=share_of_ones(sample, y, listed) / (ones / rows),
            precision=share_of_ones(sample, y, chosen),
            calibration_slope=slope,
            calibration_intercept=intercept,
            observed_expected=ones / sample.sums(expit(margin)),
        )


def top(score: Floats, share: float) -> Mask:
    """The rows with the highest scores, this share of them, at least one.

    >>> top(np.arange(20.0), 0.1).nonzero()[0].tolist()
    [18, 19]
    """
    return highest(score, max(1, round(share * len(score))))


def within_capacity(score: Floats, as_of: NDArray[np.datetime64], capacity: int) -> Mask:
    """The `capacity` highest scores of each day; of the whole period where days hold no more."""
    days, place, sizes = np.unique(as_of, return_inverse=True, return_counts=True)
    if np.median(sizes) <= capacity:
        return highest(score, min(capacity, len(score)))
    chosen = np.zeros(len(score), dtype=bool)
    for day in range(len(days)):
        rows = np.nonzero(place == day)[0]
        chosen[rows[highest(score[rows], capacity)]] = True
    return chosen


def recalibration(margin: Floats, y: Floats, sample: Bootstrap) -> tuple[Floats, Floats]:
    """Slope and intercept of a logistic regression of y on the margin (1 and 0: calibrated).

    The sample's own fit by Newton; each resample by one step from it.
    """
    middle = margin.mean()
    x = margin - middle
    if x.std() < 1e-9:
        nothing = np.full(len(sample.weights), np.nan)
        return nothing, nothing
    theta = np.array([1.0, middle])
    for _ in range(25):
        theta = theta + np.clip(_steps(x, y, theta, sample, 1)[0], -2, 2)
    steps = _steps(x, y, theta, sample, len(sample.weights))
    slope = theta[0] + steps[:, 0]
    return slope, theta[1] + steps[:, 1] - slope * middle


def _steps(x: Floats, y: Floats, theta: Floats, sample: Bootstrap, resamples: int) -> Floats:
    """Newton's step from theta under each of the first resamples."""
    p = expit(theta[0] * x + theta[1])
    curve = p * (1 - p)
    few = sample if resamples > 1 else Bootstrap(sample.weights[:1], sample.account)
    g = np.stack([few.sums(x * (y - p)), few.sums(y - p)], axis=1)
    a, b, c = few.sums(curve * x * x) + 1e-9, few.sums(curve * x), few.sums(curve) + 1e-9
    hessian = np.stack([np.stack([a, b], axis=1), np.stack([b, c], axis=1)], axis=1)
    return np.asarray(np.linalg.solve(hessian, g[:, :, None])[:, :, 0], dtype=np.float64)


def difference(ours: Floats, theirs: Floats) -> Figure:
    """Ours less theirs, resample by resample."""
    return figure(ours - theirs)


def share_of_ones(sample: Bootstrap, y: Floats, rows: Mask) -> Floats:
    """The share of positives among some rows, for each resample."""
    return sample.sums(y * rows) / sample.sums(rows.astype(np.float64))


def highest(score: Floats, count: int) -> Mask:
    """The `count` rows with the highest scores."""
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[:count]] = True
    return chosen
