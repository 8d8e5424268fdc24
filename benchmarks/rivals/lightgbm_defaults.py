"""LightGBM as it comes, 100 rounds: what most people run first.

`python -m benchmarks.rivals.lightgbm_defaults MATRIX OUT SECONDS THREADS`
"""

import lightgbm as lgb
import numpy as np

from benchmarks.rivals.exchange import Task, answer


def defaults(task: Task) -> tuple[np.ndarray, str]:
    """One fit, nothing tuned."""
    model = lgb.LGBMClassifier(n_jobs=task.threads, verbosity=-1).fit(task.fit.X, task.fit.y)
    return np.asarray(model.predict_proba(task.asked.X))[:, 1], "nothing tuned"


if __name__ == "__main__":
    answer(defaults)
