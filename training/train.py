"""The job: observations → labels → split → fit → calibrate → evaluate → judge → register."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.catalog import catalogue
from features.declare import Catalogue
from features.errors import NotReadyError, RefusedError
from features.progress import Progress, silent
from features.settings import Outcome as Timing
from features.settings import Settings
from features.table import check_current, read_features
from features.workspace import Workspace
from training import registry
from training.assess import assess
from training.backtest import backtest
from training.dataset import Dataset, assemble, leaks
from training.evaluate import Figure
from training.fit import fit
from training.gate import Verdict
from training.labels import label
from training.leavings import leavings
from training.models import baselines
from training.observations import PAIR, History, read_history, schedule
from training.outcomes import OUTCOMES, Outcome, chosen, eligible, in_words
from training.split import Split, split
from training.tracking import check_answers

STEPS = ("fitting", "judging", "registering")
Refusal = Callable[[str, RefusedError], None]


@dataclass(frozen=True)
class TrainResult:
    """One trained model: its registered version, its figures beside the baselines', the verdict."""

    outcome: str
    version: str
    run_id: str
    verdict: Verdict
    figures: Mapping[str, Figure]
    baselines: Mapping[str, Mapping[str, Figure]]
    card: Mapping[str, Any]


def train(
    workspace: Workspace,
    settings: Settings,
    outcomes: Iterable[str] | None = None,
    progress: Progress = silent,
    refused: Refusal | None = None,
) -> list[TrainResult]:
    """Train, judge and register a model for each outcome (None: all that the settings declare).

    All rows are used, however many. Nothing is promoted. Raises NotReadyError before
    `goldpan build`, RefusedError (before anything is fitted) when an outcome cannot be learnt from
    these data; with `refused`, that is told of the outcome and the others are learnt.
    """
    timings = chosen(settings, outcomes)
    table = feature_table(workspace)
    check_current(workspace, settings)
    check_answers(workspace)
    history = read_history(workspace, settings)
    return learn_all(workspace, settings, timings, table, history, progress, refused)


def learn_all(
    workspace: Workspace,
    settings: Settings,
    timings: Mapping[str, Timing],
    table: pd.DataFrame,
    history: History,
    progress: Progress = silent,
    refused: Refusal | None = None,
) -> list[TrainResult]:
    """The job from a feature table and a history in memory."""
    features = catalogue(settings)
    progress(0, 0, "labelling")
    tasks = []
    for name, timing in timings.items():
        try:
            tasks.append(prepare(settings, features, name, timing, table, history))
        except RefusedError as error:
            if refused is None:
                raise
            refused(name, error)
    total = len(tasks) * len(STEPS)
    results = []
    for number, task in enumerate(tasks):

        def at(step: int, name: str = task.outcome.name, before: int = number) -> None:
            progress(before * len(STEPS) + step, total, f"{name}: {STEPS[step]}")

        results.append(learn(workspace, settings, features, task, at))
    progress(total, total, "trained")
    return results


def learn(
    workspace: Workspace, settings: Settings, features: Catalogue, task: Task, at: Any
) -> TrainResult:
    """Fit, judge, register: one outcome."""
    data, parts = task.data, task.split
    at(0)
    fitted = fit(data, parts, settings.training)
    at(1)
    suspects = leaks(data.take(parts.learn), {task.outcome.name, task.outcome.kind})
    rivals = baselines(data, task.outcome, settings.training)
    cut_offs = backtest(data, task.outcome, parts, settings)
    assessment = assess(data, parts, fitted, rivals, suspects, settings, cut_offs)
    at(2)
    made = leavings(workspace, settings, features, task, fitted, assessment)
    version, run_id = registry.record(workspace, made)
    return TrainResult(task.outcome.name, version, run_id, assessment.verdict, assessment.figures,
                       assessment.baselines, made.card)  # fmt: skip
