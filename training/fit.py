"""Fitting: how many rounds, then three boosters averaged, then the calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.model_selection import GroupKFold

from features.settings import Training
from training.calibrate import Affine, affine, average, fold, margins
from training.dataset import Dataset, Floats
from training.models import booster_parameters
from training.split import Split

MOST_ROUNDS = 600
PATIENCE = 40
SEEDS = 3
FOLDS = 5
REFIT_FOLDS = 3


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

    Four blocks: rounds by early stopping on the tuning block, calibration on its own block.
    Development and test: both from five folds grouped by account within development.
    """
    block = data.take(split.fit)
    parameters = parameters_for(block, training, changed)
    if split.folded:
        rounds, unseen = folded(block, parameters)
        calibration = affine(unseen, block.y)
        mean = averaged(block, parameters, rounds)
    else:
        rounds = stopped(data, split, parameters)
        mean = averaged(block, parameters, rounds)
        held = data.take(split.blocks["calibrate"])
        calibration = affine(margins(mean, held.X, training.threads), held.y)
    return Fitted(fold(mean, calibration), rounds, calibration, parameters)


def refit(block: Dataset, training: Training, changed: Mapping[str, Any] | None = None) -> Fitted:
    """One booster on these rows alone: rounds and calibration from three folds of accounts.

    For the backtest: a third of the cost of `fit`, and no block of time is held back, as in a
    retraining on the newest rows.
    """
    parameters = parameters_for(block, training, changed)
    rounds, unseen = folded(block, parameters, REFIT_FOLDS)
    booster = lgb.train(parameters, _dataset(block, parameters), rounds)
    calibration = affine(unseen, block.y)
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
        seed=training.seed,
    )
    return stated | dict(changed or {})


def stopped(data: Dataset, split: Split, parameters: dict[str, Any]) -> int:
    """Rounds by early stopping on the tuning block, a tenth more for the refit with it."""
    train, tune = data.take(split.blocks["train"]), data.take(split.blocks["tune"])
    learn = _dataset(train, parameters)
    booster = lgb.train(
        parameters,
        learn,
        MOST_ROUNDS,
        valid_sets=[learn.create_valid(tune.X, label=tune.y)],
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )
    return max(1, round(1.1 * booster.best_iteration))


def folded(block: Dataset, parameters: dict[str, Any], count: int = FOLDS) -> tuple[int, Floats]:
    """Rounds of the least mean log loss over the folds, and each row's margin out of its fold."""
    folds = list(GroupKFold(count).split(block.X, groups=block.account))
    result = lgb.cv(
        parameters,
        _dataset(block, parameters),
        MOST_ROUNDS,
        folds=folds,
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        return_cvbooster=True,
    )
    boosters = result["cvbooster"]
    unseen = np.empty(len(block.y))
    for booster, (_, held) in zip(boosters.boosters, folds, strict=True):
        unseen[held] = booster.predict(
            block.X[held], raw_score=True, num_iteration=boosters.best_iteration
        )
    return max(1, round(1.1 * boosters.best_iteration)), unseen


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
