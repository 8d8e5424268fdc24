"""FLAML within its time: `python -m benchmarks.rivals.flaml_search MATRIX OUT SECONDS THREADS`."""

import numpy as np
from flaml import AutoML

from benchmarks.rivals.exchange import Task, answer
from benchmarks.rivals.search import SEED


def flaml(task: Task) -> tuple[np.ndarray, str]:
    """Its choice among its learners, by log loss on the rows tuned with; refitted on all."""
    automl = AutoML()
    automl.fit(
        task.learn.X, task.learn.y, X_val=task.tune.X, y_val=task.tune.y, task="classification",
        metric="log_loss", time_budget=task.seconds, n_jobs=task.threads, seed=SEED, verbose=0,
    )  # fmt: skip
    return np.asarray(automl.predict_proba(task.asked.X))[:, 1], f"chose {automl.best_estimator}"


if __name__ == "__main__":
    answer(flaml)
