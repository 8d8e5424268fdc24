"""Fitting: how many rounds, then three boosters averaged, then the calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from features.settings import Training
from training.dataset import Dataset, Floats
from training.fitting.calibrate import INTERCEPT_ONLY_UNDER, Affine, affine, average, fold, margins
from training.fitting.models import booster_parameters
from training.split import Split

Rows = NDArray[np.int64]
Folds = Sequence[tuple[Rows, Rows]]

MOST_ROUNDS = 600
PATIENCE = 40
MORE = 1.1  # rounds of a refit on more rows than the rounds were chosen on
SEEDS = 3
FOLDS, FOLDS_OF_FEW = 3, 5


@dataclass(frozen=True)
class Fitted:
    """A calibrated booster and how it came about."""

    booster: lgb.Booster
    rounds: int
    calibration: Affine
    parameters: dict[str, Any]


def fit(
    data: Dataset, split: Split, training: Training, changed: Mapping[str, Any] | None = None
) -> Fitted:
    """Choose the rounds, fit three seeds on all of `split.fit`, average and calibrate.

    `changed`: parameters that take the place of the stated ones (a tuned set).

    Development and test: both from folds grouped by account within development, five of them
    where positives are few. Four blocks: rounds by early stopping on the tuning block, calibration
    on its own block.
    """
    block = data.take(split.fit)
    parameters = parameters_for(block, training, changed)
    if split.folded:
        count = FOLDS if block.y.sum() >= INTERCEPT_ONLY_UNDER else FOLDS_OF_FEW
        rounds, rows, unseen = folded(block, parameters, grouped(block, count))
        calibration = affine(unseen, block.y[rows])
        mean = averaged(block, parameters, rounds)
    else:
        train, tune = data.take(split.blocks["train"]), data.take(split.blocks["tune"])
        rounds = max(1, round(MORE * early_stopped(train, tune, parameters).best_iteration))
        mean = averaged(block, parameters, rounds)
        held = data.take(split.blocks["calibrate"])
        calibration = affine(margins(mean, held.X, training.threads), held.y)
    return Fitted(fold(mean, calibration), rounds, calibration, parameters)


def refit(block: Dataset, training: Training, changed: Mapping[str, Any] | None = None) -> Fitted:
    """One booster on these rows alone; rounds and calibration from folds of accounts held out.

    For the backtest: no block of time is held back, as in a retraining on the newest rows, and of
    three folds only as many are fitted as it takes to hold 300 positives.
    """
    parameters = parameters_for(block, training, changed)
    folds = grouped(block, FOLDS)
    held = np.cumsum([block.y[rows].sum() for _, rows in folds])
    wanted = 1 + int(np.searchsorted(held[:-1], INTERCEPT_ONLY_UNDER))
    rounds, rows, unseen = folded(block, parameters, folds[:wanted])
    booster = lgb.train(parameters, _dataset(block, parameters), rounds)
    calibration = affine(unseen, block.y[rows])
    return Fitted(fold(booster, calibration), rounds, calibration, parameters)


def parameters_for(
    block: Dataset, training: Training, changed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The stated parameters for so many rows and positives, with what was tuned in their place."""
    stated = booster_parameters(
        block.columns,
        training,
        rows=len(block.y),
        positives=int(block.y.sum()),
        accounts=len(np.unique(block.account[block.y == 1])),
        seed=training.seed,
    )
    return stated | dict(changed or {})


def early_stopped(learn: Dataset, held: Dataset, parameters: dict[str, Any]) -> lgb.Booster:
    """A booster whose rounds end where the log loss on the held rows is least."""
    binned = _dataset(learn, parameters)
    return lgb.train(
        parameters,
        binned,
        MOST_ROUNDS,
        valid_sets=[binned.create_valid(held.X, label=held.y)],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )


def grouped(block: Dataset, count: int) -> Folds:
    """Rows to fit on and rows held out, so often; no account is on both sides."""
    return list(GroupKFold(count).split(block.X, groups=block.account))


def folded(block: Dataset, parameters: dict[str, Any], folds: Folds) -> tuple[int, Rows, Floats]:
    """Rounds of the least mean log loss over the folds; the rows held out and their margins."""
    result = lgb.cv(
        parameters,
        _dataset(block, parameters),
        MOST_ROUNDS,
        folds=folds,
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        return_cvbooster=True,
    )
    found = result["cvbooster"]
    unseen = [
        booster.predict(block.X[held], raw_score=True, num_iteration=found.best_iteration)
        for booster, (_, held) in zip(found.boosters, folds, strict=True)
    ]
    rounds = max(1, round(MORE * found.best_iteration))
    return rounds, np.concatenate([held for _, held in folds]), np.concatenate(unseen)


def averaged(block: Dataset, parameters: dict[str, Any], rounds: int) -> lgb.Booster:
    """Three boosters that differ by their seeds, as one."""
    learn = _dataset(block, parameters)
    seeds = [parameters["bagging_seed"] + k for k in range(SEEDS)]
    changed = [{"bagging_seed": s, "feature_fraction_seed": s} for s in seeds]
    return average([lgb.train(parameters | seed, learn, rounds) for seed in changed])


def _dataset(block: Dataset, parameters: dict[str, Any]) -> lgb.Dataset:
    return lgb.Dataset(
        block.X, label=block.y, feature_name=block.names, params=parameters, free_raw_data=False
    ).construct()
