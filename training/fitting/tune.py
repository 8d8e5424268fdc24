"""Tuning: parameters searched for within a stated time, and taken only if they clearly win.

Every set is judged by the mean log loss over folds in time: each fold's held period lies behind its
fitting rows by the gap. The starting point is the first set tried. The best set is accepted only if
it is better than the starting point by more than one standard error of the paired difference, of
which the accounts are the units: their rows are not independent.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.settings import Training
from training.dataset import Dataset, Floats
from training.evaluate import log_losses
from training.fitting.calibrate import margins
from training.fitting.fit import early_stopped, parameters_for
from training.split import Window, thinned, windows

FOLDS = 3
SPAN = 0.45  # of the time, that the folds' held periods share
FEWEST = 20  # positives on either side of a fold's gap
MOST_ROWS = 30_000  # of a fold's fitting rows
START = {"num_leaves": 15, "min_data_in_leaf": 60, "feature_fraction": 0.4,
         "bagging_fraction": 0.8, "lambda_l1": 1e-3, "lambda_l2": 10.0, "path_smooth": 0.1,
         "min_gain_to_split": 1e-3}  # fmt: skip
"""Where the search starts; what the search space cannot hold exactly stands at its edge."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and its mean log loss over the folds."""

    parameters: Mapping[str, Any]
    loss: float


@dataclass(frozen=True)
class Tuned:
    """What the search decided: `changed` is empty where the stated parameters stay.

    `gain`: log loss of the starting point less that of the best set, with its standard `error`.
    """

    changed: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    gain: float = 0.0
    error: float = 0.0
    decision: str = "not tuned: no time was given"

    def recorded(self) -> dict[str, Any]:
        """For the run's parameters and the card: what was tried, what was decided."""
        best = min(self.trials, key=lambda t: t.loss, default=None)
        return {
            "decision": self.decision,
            "trials": len(self.trials),
            "gain": self.gain,
            "standard_error": self.error,
            "start": self.trials[0].loss if self.trials else None,
            "best": {**best.parameters, "log_loss": best.loss} if best else None,
        }


def tune(block: Dataset, gap_days: int, training: Training, minutes: float) -> Tuned:
    """Search for `minutes` on these rows (those that the model is fitted on, nothing later).

    Where the time does not hold two folds with 20 positives on either side of their gaps, nothing
    is tried.
    """
    if minutes <= 0:
        return Tuned()
    found = folds(block, gap_days)
    if len(found) < 2:
        return Tuned(decision=f"not tuned: {len(found)} of {FOLDS} folds in time hold {FEWEST} "
                     f"positives on both sides of a gap of {gap_days} days")  # fmt: skip
    deadline = time.monotonic() + 60 * minutes
    return decided(search(Judge(block, found, training), training.seed, deadline), block, found)


def folds(block: Dataset, gap_days: int) -> list[Window]:
    """Periods of the last part of the time, each with the rows before its gap."""
    periods = windows(block.as_of, gap_days, FOLDS, SPAN)
    return [w for w in periods if min(block.y[w.fit].sum(), block.y[w.test].sum()) >= FEWEST]


class Judge:
    """Log losses of a set of parameters on the held rows of every fold, fold after fold."""

    def __init__(self, block: Dataset, found: Sequence[Window], training: Training) -> None:
        self.training = training
        self.sides = [
            (block.take(thinned(block.as_of, w.fit, MOST_ROWS)), block.take(w.test)) for w in found
        ]

    def __call__(self, changed: Mapping[str, Any]) -> list[Floats]:
        """Each held row's log loss, one array a fold; rounds by stopping on the fold itself.

        Every set stops where it is best on the fold, so that none is favoured by it.
        """
        return [self._fold(learn, held, changed) for learn, held in self.sides]

    def _fold(self, learn: Dataset, held: Dataset, changed: Mapping[str, Any]) -> Floats:
        booster = early_stopped(learn, held, parameters_for(learn, self.training, changed))
        return log_losses(margins(booster, held.X, self.training.threads), held.y)


def search(
    judge: Callable[[Mapping[str, Any]], list[Floats]], seed: int, deadline: float
) -> list[tuple[dict[str, Any], list[Floats]]]:
    """The sets tried until the deadline (`time.monotonic`), the starting point first, and losses.

    The starting point is always tried, and one more.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(START)
    tried: list[tuple[dict[str, Any], list[Floats]]] = []
    while len(tried) < 2 or time.monotonic() < deadline:
        trial = study.ask()
        changed = {**suggested(trial), "learning_rate": 0.05}
        # The stated parameters themselves, that depend on the number of rows, are the start.
        losses = judge(changed if tried else {})
        tried.append((changed if tried else {}, losses))
        study.tell(trial, float(np.mean([fold.mean() for fold in losses])))
    return tried


def suggested(trial: Any) -> dict[str, Any]:
    """One set from the search space of the protocol; its depth stays what explanations allow."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 4, 63),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 500, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.15, 0.9),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 20, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.01, 100, log=True),
        "path_smooth": trial.suggest_float("path_smooth", 0.1, 100, log=True),
        "min_gain_to_split": trial.suggest_float("min_gain_to_split", 1e-3, 2, log=True),
    }


def decided(
    tried: Sequence[tuple[Mapping[str, Any], list[Floats]]],
    block: Dataset,
    found: Sequence[Window],
) -> Tuned:
    """Take the best set if it wins by more than one standard error, else the starting point."""
    trials = tuple(
        Trial(changed, float(np.mean([fold.mean() for fold in losses])))
        for changed, losses in tried
    )
    best = min(range(len(trials)), key=lambda i: trials[i].loss)
    pairs = zip(tried[0][1], tried[best][1], strict=True)
    gains = [start - ours for start, ours in pairs]
    gain = float(np.mean([fold.mean() for fold in gains]))
    error = standard_error(gains, [block.account[w.test] for w in found])
    wins = best > 0 and gain > error
    said = f"best of {len(trials)} sets gains {gain:.5f} of log loss, standard error {error:.5f}: "
    verdict = "taken" if wins else "the starting point stays"
    return Tuned(tried[best][0] if wins else {}, trials, gain, error, said + verdict)


def standard_error(gains: Sequence[Floats], accounts: Sequence[np.ndarray]) -> float:
    """The standard error of the mean over folds of the mean gain, by account.

    An account's gains are summed over its rows and folds first: its rows are one draw.

    >>> two = [np.array([1.0, 1.0, -1.0, -1.0])]
    >>> round(standard_error(two, [np.array([0, 0, 1, 1])]), 4)
    1.0
    """
    centred = [(g - g.mean()) / (len(g) * len(gains)) for g in gains]
    _, place = np.unique(np.concatenate(list(accounts)), return_inverse=True)
    sums = np.bincount(place, weights=np.concatenate(centred))
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
