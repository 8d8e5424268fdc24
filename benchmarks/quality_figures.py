"""Figures of scores on the same rows, resampled by account; differences are always paired."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.dataset import Dataset, Floats
from training.evaluate import Bootstrap, Figure, Ranking, figure, log_losses


@dataclass(frozen=True)
class Drawn:
    """One score's figures: the sample's own first, then one for each resample of accounts."""

    auc: Floats
    pr_auc: Floats
    log_loss: Floats


def drawn(margin: Floats, test: Dataset, sample: Bootstrap) -> Drawn:
    """The figures of log-odds on the test rows."""
    ranking = Ranking(margin, test.y)
    ranked = np.array([ranking.both(weights) for weights in sample.by_row()])
    rows = sample.sums(np.ones_like(test.y))
    loss = sample.sums(log_losses(margin, test.y)) / rows
    return Drawn(ranked[:, 0], ranked[:, 1], loss)


def shares(ours: Drawn, oracle: Drawn, constant: Drawn) -> tuple[Floats, Floats]:
    """ρ and R of each resample: the share of the oracle's ranking and of its log-loss gain.

    >>> two = np.array([0.8, 0.7]), np.array([0.3, 0.3]), np.array([0.10, 0.12])
    >>> best = np.array([0.9, 0.8]), np.array([0.3, 0.3]), np.array([0.08, 0.10])
    >>> none = np.array([0.5, 0.5]), np.array([0.1, 0.1]), np.array([0.12, 0.14])
    >>> [x.round(2).tolist() for x in shares(Drawn(*two), Drawn(*best), Drawn(*none))]
    [[0.75, 0.67], [0.5, 0.5]]
    """
    rho = (ours.auc - 0.5) / (oracle.auc - 0.5)
    gain = (constant.log_loss - ours.log_loss) / (constant.log_loss - oracle.log_loss)
    return rho, gain


@dataclass(frozen=True)
class Standing:
    """How far a log loss is from the best one, and the standard error of that distance."""

    best: str
    behind: float
    error: float

    @property
    def level(self) -> bool:
        """Whether it is within one standard error of the best, or the best itself."""
        return self.behind <= self.error


def standing(ours: str, scores: Mapping[str, Drawn]) -> Standing:
    """Where `ours` stands among all scores by log loss on the same rows and resamples.

    >>> def loss(*v): return Drawn(np.array(v), np.array(v), np.array(v))
    >>> found = standing("a", {"a": loss(2.0, 2.1, 1.9, 2.0), "b": loss(1.9, 1.8, 1.9, 2.0)})
    >>> found.best, round(found.behind, 3), found.level
    ('b', 0.1, True)
    """
    best = min(scores, key=lambda name: float(scores[name].log_loss[0]))
    apart = scores[ours].log_loss - scores[best].log_loss
    return Standing(best, float(apart[0]), float(np.std(apart[1:])))


def less(ours: Floats, theirs: Floats) -> Figure:
    """Ours less theirs, with the interval of the paired difference."""
    return figure(ours - theirs)


def verdict(apart: Figure, *, higher_is_better: bool) -> str:
    """What a paired difference says: better, worse, or not to be told apart.

    >>> verdict(Figure(-0.1, -0.2, -0.01), higher_is_better=False)
    'better'
    >>> verdict(Figure(-0.1, -0.2, 0.01), higher_is_better=True)
    'not to be told apart'
    """
    if apart.low <= 0 <= apart.high:
        return "not to be told apart"
    return "better" if (apart.low > 0) is higher_is_better else "worse"
