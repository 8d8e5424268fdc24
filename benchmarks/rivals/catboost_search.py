"""CatBoost, searched: `python -m benchmarks.rivals.catboost_search MATRIX OUT SECONDS THREADS`."""

import numpy as np
from catboost import CatBoostClassifier

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
        "learning_rate": log_uniform(rng, 0.03, 0.2),
        "depth": int(rng.integers(3, 8)),
        "l2_leaf_reg": log_uniform(rng, 0.5, 100),
        "rsm": rng.uniform(0.15, 0.9),
        "random_strength": log_uniform(rng, 0.1, 10),
        "bagging_temperature": rng.uniform(0, 1),
    }


def stopped(given: Parameters, learn: Block, tune: Block, threads: int) -> tuple[float, int]:
    """Fit with early stopping."""
    model = _model(given, MOST_ROUNDS, threads)
    held = (tune.X, tune.y)
    model.fit(learn.X, learn.y, eval_set=held, early_stopping_rounds=PATIENCE)
    return float(model.best_score_["validation"]["Logloss"]), int(model.best_iteration_) + 1


def final(given: Parameters, rounds: int, fit: Block, asked: Block, threads: int) -> np.ndarray:
    """Fit so many rounds, and say the probabilities."""
    model = _model(given, rounds, threads).fit(fit.X, fit.y)
    return np.asarray(model.predict_proba(asked.X))[:, 1]


def _model(given: Parameters, rounds: int, threads: int) -> CatBoostClassifier:
    fixed = {"learning_rate": 0.05, "random_seed": SEED, "thread_count": threads}
    quiet = {"verbose": False, "allow_writing_files": False}
    return CatBoostClassifier(**{**fixed, **quiet, "iterations": rounds, **given})


if __name__ == "__main__":
    answer(lambda task: searched(Booster(draw, stopped, final), task))
