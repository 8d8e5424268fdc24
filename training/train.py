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


@dataclass(frozen=True)
class Task:
    """One outcome, ready to be learnt."""

    outcome: Outcome
    timing: Timing
    data: Dataset
    split: Split


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


def prepare(
    settings: Settings,
    features: Catalogue,
    name: str,
    timing: Timing,
    table: pd.DataFrame,
    history: History,
) -> Task:
    """Observations, labels, split and matrix of one outcome."""
    rows = labelled(settings, name, timing, table, history)
    return task_of(settings, features, name, timing, rows)


def labelled(
    settings: Settings, name: str, timing: Timing, table: pd.DataFrame, history: History
) -> pd.DataFrame:
    """The rows that one outcome learns from and is judged on, with their label, by as_of."""
    outcome = OUTCOMES[name]
    rows = observed(table, schedule(history, timing, name), name)
    rows = rows[eligible(outcome, rows, settings, timing)]
    found = label(rows, history.changes, outcome, timing, history.until)
    if found.empty:
        raise RefusedError(
            f"no observations for outcome '{name}' among {len(table)} rows of the feature table",
            expected=f"{in_words(outcome, timing)}, on the days that outcomes.{name} asks for",
            do="Check the mapping of the subscriptions and [plans] in the settings.",
        )
    return found.sort_values(["as_of", "account_id"], ignore_index=True)


def task_of(
    settings: Settings, features: Catalogue, name: str, timing: Timing, rows: pd.DataFrame
) -> Task:
    """Split and matrix of labelled rows."""
    y = rows["label"].to_numpy(dtype=np.float64)
    gap = timing.lead_days + timing.horizon_days
    parts = split(rows["as_of"].to_numpy(dtype="datetime64[D]"), y, gap, name)
    return Task(OUTCOMES[name], timing, assemble(rows, features.features, name, parts.learn), parts)


def observed(table: pd.DataFrame, asked: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of the feature table for the observations of an outcome, none of them lacking."""
    rows = table.merge(asked, on=PAIR)
    if lacking := len(asked) - len(rows):
        raise NotReadyError(
            f"a feature table without {lacking:,} of the {len(asked):,} observations of outcome "
            f"'{name}'",
            expected=f"all that outcomes.{name} asks for now",
            do="Run `goldpan build` again.",
        )
    return rows


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


def feature_table(workspace: Workspace) -> pd.DataFrame:
    """The feature table of the training observations; as_of becomes datetime64, midnight UTC."""
    table = read_features(workspace).to_pandas(date_as_object=False)
    return table.assign(as_of=table["as_of"].astype("datetime64[us]"))
