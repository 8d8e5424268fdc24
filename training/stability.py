"""Whether the model would give the same reasons had it learnt from other accounts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.settings import Training
from training.calibrate import contributions
from training.dataset import Dataset, Floats
from training.fit import Fitted, averaged

ROWS = 1_000
TOP = 3


def agreement(
    fitted: Fitted,
    block: Dataset,
    test: Dataset,
    signals: Sequence[str],
    training: Training,
    refits: int = 1,
) -> float:
    """The mean share of each row's three strongest signals that a refit names too.

    `block`: the rows the model was fitted on; each refit learns from a bootstrap of its accounts,
    with the same parameters and rounds. `signals`: the signal of each column. Columns of one signal
    are summed first. Calibration changes no order, so refits are not calibrated.
    """
    rng = np.random.default_rng(training.seed)
    rows = rng.choice(len(test.y), min(ROWS, len(test.y)), replace=False)
    ours = strongest(contributions(fitted.booster, test.X[rows], training.threads), signals)
    shares = []
    for _ in range(refits):
        other = averaged(resampled(block, rng), fitted.parameters, fitted.rounds)
        theirs = strongest(contributions(other, test.X[rows], training.threads), signals)
        shares.append(overlap(ours, theirs))
    return float(np.mean(shares))


def resampled(block: Dataset, rng: np.random.Generator) -> Dataset:
    """As many accounts as there are, drawn with replacement, each with all its rows."""
    names, place = np.unique(block.account, return_inverse=True)
    times = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
    rows = np.repeat(np.arange(len(place)), times[place])
    return Dataset(block.X[rows], block.y[rows], block.account[rows], block.as_of[rows],
                   block.mrr[rows], block.columns)  # fmt: skip


def strongest(parts: Floats, signals: Sequence[str]) -> NDArray[np.intp]:
    """Rows × 3: the signals with the largest absolute sums of contributions (base column last).

    >>> strongest(np.array([[0.1, 0.2, -0.9, 0.4, 0.5, 7.0]]), ["a", "a", "b", "c", "d"]).tolist()
    [[1, 3, 2]]
    """
    names = list(dict.fromkeys(signals))
    member = np.array([[signal == name for name in names] for signal in signals], dtype=float)
    sums = np.abs(parts[:, :-1] @ member)
    return np.argsort(-sums, axis=1, kind="stable")[:, :TOP]


def overlap(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """The mean share of a row's names that the other row has too.

    >>> overlap(np.array([[0, 1, 2]]), np.array([[2, 5, 0]])).__round__(3)
    0.667
    """
    return float((one[:, :, None] == other[:, None, :]).any(axis=2).mean())
