"""XGBoost, searched: `python -m benchmarks.rivals.xgboost_search MATRIX OUT SECONDS THREADS`."""

import numpy as np
import xgboost as xgb

from benchmarks.rivals.exchange import Block, answer
from benchmarks.rivals.search import (
    MOST_ROUNDS,
    PATIENCE,
    SEED,
    Booster,
    Parameters,
    log_uniform,
    searched,
)


def draw(rng: np.random.Generator) -> Parameters:
    """Parameters in the ranges that people search."""
    return {
        "learning_rate": log_uniform(rng, 0.02, 0.2),
        "max_depth": int(rng.integers(2, 9)),
        "min_child_weight": log_uniform(rng, 1, 100),
        "subsample": rng.uniform(0.5, 1),
        "colsample_bytree": rng.uniform(0.15, 0.9),
        "reg_lambda": log_uniform(rng, 0.01, 100),
        "reg_alpha": log_uniform(rng, 1e-3, 20),
    }


def stopped(given: Parameters, learn: Block, tune: Block, threads: int) -> tuple[float, int]:
    """Fit with early stopping."""
    held = xgb.DMatrix(tune.X, tune.y)
    model = xgb.train(
        _whole(given, threads), xgb.DMatrix(learn.X, learn.y), MOST_ROUNDS,
        evals=[(held, "tune")], early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    return float(model.best_score), int(model.best_iteration) + 1


def final(given: Parameters, rounds: int, fit: Block, asked: Block, threads: int) -> np.ndarray:
    """Fit so many rounds, and say the probabilities."""
    model = xgb.train(_whole(given, threads), xgb.DMatrix(fit.X, fit.y), rounds)
    return np.asarray(model.predict(xgb.DMatrix(asked.X)))


def _whole(given: Parameters, threads: int) -> Parameters:
    fixed = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist"}
    return {**fixed, "learning_rate": 0.05, "nthread": threads, "seed": SEED, **given}


if __name__ == "__main__":
    answer(lambda task: searched(Booster(draw, stopped, final), task))
