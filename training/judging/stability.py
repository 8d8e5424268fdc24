"""Whether the model would give the same reasons had it learnt from other accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np

from features.settings import Training
from training.dataset import Dataset, Floats
from training.fitting.calibrate import contributions
from training.fitting.fit import Fitted

ROWS = 1_000
TOP = 3


@dataclass(frozen=True)
class Agreement:
    """How much of each row's three strongest signals a refit names too.

    `names`: the share of the names. `weight`: the share of their contributions, so that a close
    race for the third place counts for little.
    """

    names: float
    weight: float


def agreement(
    fitted: Fitted, block: Dataset, test: Dataset, signals: Sequence[str], training: Training
) -> Agreement:
    """Compare the model's reasons with those of one refit on a bootstrap of accounts.

    `block`: the rows the model was fitted on; `signals`: the signal of each column, whose columns
    are summed first. The refit has the model's parameters and rounds and one seed; it is not
    calibrated, since that changes no order.
    """
    rng = np.random.default_rng(training.seed)
    rows = rng.choice(len(test.y), min(ROWS, len(test.y)), replace=False)
    other = once(resampled(block, rng), fitted.parameters, fitted.rounds)
    ours, theirs = (
        np.abs(by_signal(contributions(booster, test.X[rows], training.threads), signals))
        for booster in (fitted.booster, other)
    )
    return agreed(ours, theirs)


def once(block: Dataset, parameters: Mapping[str, Any], rounds: int) -> lgb.Booster:
    """One booster of these rows."""
    given = dict(parameters)
    learn = lgb.Dataset(block.X, label=block.y, feature_name=block.names, params=given)
    return lgb.train(given, learn, rounds)


def resampled(block: Dataset, rng: np.random.Generator) -> Dataset:
    """As many accounts as there are, drawn with replacement, each with all its rows."""
    names, place = np.unique(block.account, return_inverse=True)
    times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
    rows = np.repeat(np.arange(len(place)), times[place])
    return block.take(rows)


def by_signal(parts: Floats, signals: Sequence[str]) -> Floats:
    """Rows × signals: the sums of contributions (the base, last column, left out).

    >>> by_signal(np.array([[1.0, -3.0, 0.5, 7.0]]), ["use", "use", "seats"]).tolist()
    [[-2.0, 0.5]]
    """
    names = list(dict.fromkeys(signals))
    member = np.array([[signal == name for name in names] for signal in signals], dtype=float)
    return np.asarray(parts[:, :-1] @ member, dtype=np.float64)


def agreed(ours: Floats, theirs: Floats) -> Agreement:
    """Of each row's three largest of ours, what share is among the three largest of theirs.

    >>> ours = np.array([[5.0, 3.0, 1.9, 2.0]])
    >>> agreed(ours, np.array([[5.0, 3.0, 2.0, 1.9]]))
    Agreement(names=0.6666666666666666, weight=0.8)
    """
    mine, other = (np.argsort(-sums, axis=1, kind="stable")[:, :TOP] for sums in (ours, theirs))
    both = (mine[:, :, None] == other[:, None, :]).any(axis=2)
    sizes = np.take_along_axis(ours, mine, axis=1)
    return Agreement(float(both.mean()), float((both * sizes).sum() / max(sizes.sum(), 1e-12)))
