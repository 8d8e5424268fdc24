"""AutoGluon within its time, by its learners on tables without neural networks.

`python -m benchmarks.rivals.autogluon_search MATRIX OUT SECONDS THREADS PRESET`. With
`medium_quality` it tunes on the rows tuned with; with `best_quality` it stacks models over folds
grouped by account, so that its own scores do not see an account twice.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor

from benchmarks.rivals.exchange import Block, Task, answer

LABEL, GROUP = "_label", "_fold"
FOLDS = 5
MEDIUM = "medium_quality"


def autogluon(task: Task, preset: str) -> tuple[np.ndarray, str]:
    """Fit with a preset; every column is named anew, as it forbids some signs."""
    with TemporaryDirectory() as folder:
        asks: dict[str, Any] = {"label": LABEL, "eval_metric": "log_loss", "problem_type": "binary"}
        grouped = {} if preset == MEDIUM else {"groups": GROUP}
        predictor = TabularPredictor(path=str(Path(folder) / "ag"), verbosity=0, **asks, **grouped)
        predictor.fit(
            presets=preset, time_limit=task.seconds, num_cpus=task.threads, num_gpus=0,
            dynamic_stacking=False,
            **_rows(task, preset),
        )  # fmt: skip
        p = predictor.predict_proba(_named(task.asked))
        return p[1].to_numpy(), f"chose {predictor.model_best}"


def _rows(task: Task, preset: str) -> dict[str, pd.DataFrame]:
    if preset == MEDIUM:
        return {"train_data": _labelled(task.learn), "tuning_data": _labelled(task.tune)}
    rows = _labelled(task.fit)
    rows[GROUP] = task.fit.account % FOLDS
    return {"train_data": rows}


def _labelled(block: Block) -> pd.DataFrame:
    return _named(block).assign(**{LABEL: block.y.astype(int)})


def _named(block: Block) -> pd.DataFrame:
    return block.X.set_axis([f"c{i}" for i in range(block.X.shape[1])], axis=1)


if __name__ == "__main__":
    chosen = sys.argv.pop()
    answer(lambda task: autogluon(task, chosen))
