"""scikit-learn's HistGradientBoosting, searched.

`python -m benchmarks.rivals.hist_gradient MATRIX OUT SECONDS THREADS`; scikit-learn takes its
threads from OMP_NUM_THREADS.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from benchmarks.rivals.exchange import Block, answer
from benchmarks.rivals.search import (
    SEED,
    Booster,
    Parameters,
    log_uniform,
    searched,
)

STEP, MOST_STEPS = 25, 40  # rounds are tried in steps: early stopping takes no rows of one's own


def draw(rng: np.random.Generator) -> Parameters:
    """Parameters in the ranges that people search."""
    return {
        "learning_rate": log_uniform(rng, 0.02, 0.2),
        "max_leaf_nodes": int(rng.integers(4, 64)),
        "min_samples_leaf": int(log_uniform(rng, 20, 500)),
        "l2_regularization": log_uniform(rng, 0.01, 100),
        "max_features": rng.uniform(0.15, 0.9),
    }


def stopped(given: Parameters, learn: Block, tune: Block, threads: int) -> tuple[float, int]:
    """Fit on, step by step, until the loss on the rows tuned with has risen twice in a row."""
    model = _model(given, STEP).set_params(warm_start=True)
    losses: list[float] = []
    here = shown(learn)
    for step in range(1, MOST_STEPS + 1):
        model.set_params(max_iter=step * STEP).fit(learn.X[here], learn.y)
        losses.append(log_loss(tune.y, model.predict_proba(tune.X[here])[:, 1]))
        if len(losses) - int(np.argmin(losses)) > 2:
            break
    best = int(np.argmin(losses))
    return losses[best], (best + 1) * STEP


def final(given: Parameters, rounds: int, fit: Block, asked: Block, threads: int) -> np.ndarray:
    """Fit so many rounds, and say the probabilities."""
    here = shown(fit)
    model = _model(given, rounds).fit(fit.X[here], fit.y)
    return np.asarray(model.predict_proba(asked.X[here]))[:, 1]


def shown(block: Block) -> list[str]:
    """The columns that show anything at all: it stops at one that is missing everywhere."""
    return list(block.X.columns[block.X.notna().any()])


def _model(given: Parameters, rounds: int) -> HistGradientBoostingClassifier:
    fixed = {"learning_rate": 0.05, "early_stopping": False, "random_state": SEED}
    return HistGradientBoostingClassifier(**{**fixed, "max_iter": rounds, **given})


if __name__ == "__main__":
    answer(lambda task: searched(Booster(draw, stopped, final), task))
