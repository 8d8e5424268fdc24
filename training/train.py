"""The job: observations → labels → split → fit → calibrate → evaluate → judge → register."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from features.catalog import catalogue
from features.declare import Catalogue
from features.errors import RefusedError
from features.progress import Progress, silent
from features.settings import Outcome as Timing
from features.settings import Settings, Training
from features.table import check_current
from features.workspace import Workspace
from training.evaluate import Figure
from training.fitting.backtest import backtest, shortfall
from training.fitting.calibrate import margins
from training.fitting.fit import Fitted, fit
from training.fitting.hazard import When, follow
from training.fitting.horizons import Horizon, described, horizons
from training.fitting.horizons import metrics as horizon_metrics
from training.fitting.models import baselines
from training.fitting.tune import Tuned, tune
from training.judging.assess import assess
from training.judging.gate import Verdict
from training.leaks import Rebuild, alarms, rebuilding
from training.observations import History, read_history
from training.outcomes import chosen
from training.prepare import Task, feature_table, prepare
from training.records import registry
from training.records.leavings import leavings
from training.records.registry import Record
from training.records.tracking import check_answers

STEPS = ("tuning", "fitting", "following", "testing back", "judging", "registering")
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
    *,
    tune_minutes: float = 0.0,
    as_of: dt.date | None = None,
) -> list[TrainResult]:
    """Train, judge and register a model for each outcome (None: all that the settings declare).

    All rows are used, however many. Nothing is promoted. `tune_minutes`: how long parameters may be
    searched for, together for all outcomes (0: the stated ones). `as_of`: as if today were that
    day; nothing that was not known on its midnight is used.

    Raises NotReadyError before `goldpan build`, RefusedError (before anything is fitted) when an
    outcome cannot be learnt from these data; with `refused`, that is told of the outcome and the
    others are learnt.
    """
    timings = chosen(settings, outcomes)
    table = feature_table(workspace)
    check_current(workspace, settings)
    check_answers(workspace)
    history = read_history(workspace, settings, as_of)
    rebuild = rebuilding(workspace, settings)
    return learn_all(workspace, settings, timings, table, history, progress, refused,
                     tune_minutes=tune_minutes, rebuild=rebuild)  # fmt: skip


def learn_all(
    workspace: Workspace,
    settings: Settings,
    timings: Mapping[str, Timing],
    table: pd.DataFrame,
    history: History,
    progress: Progress = silent,
    refused: Refusal | None = None,
    *,
    tune_minutes: float = 0.0,
    rebuild: Rebuild | None = None,
) -> list[TrainResult]:
    """The job from a feature table and a history in memory.

    `rebuild`: makes suspects again a week earlier, where the grid has no such rows.
    """
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

        share = tune_minutes / len(tasks)
        results.append(learn(workspace, settings, features, task, at, share, rebuild))
    progress(total, total, "trained")
    return results


def learn(
    workspace: Workspace,
    settings: Settings,
    features: Catalogue,
    task: Task,
    at: Callable[[int], None],
    tune_minutes: float = 0.0,
    rebuild: Rebuild | None = None,
) -> TrainResult:
    """Tune, fit, follow, test back, judge, register: one outcome."""
    data, parts, training = task.data, task.split, settings.training
    at(0)
    tuned = tune(data.take(parts.fit), parts.gap_days, training, tune_minutes)
    at(1)
    fitted = fit(data, parts, training, tuned.changed)
    at(2)
    when = follow(task.watch, parts, data, training)
    at(3)
    cut_offs = backtest(data, task.outcome, parts, settings, tuned.changed)
    at(4)
    words = {task.outcome.name, task.outcome.kind}
    suspects = alarms(data, parts.learn, task.rows, words, rebuild)
    rivals = baselines(data, task.outcome, training)
    assessment = assess(data, parts, fitted, rivals, suspects, settings, cut_offs)
    timed = told(when, task, fitted, training)
    at(5)
    made = leavings(workspace, settings, features, task, fitted, assessment)
    made = completed(made, tuned, when, task.window, timed, shortfall(data, parts))
    version, run_id = registry.record(workspace, made)
    return TrainResult(task.outcome.name, version, run_id, assessment.verdict, assessment.figures,
                       assessment.baselines, made.card)  # fmt: skip


def told(when: When | None, task: Task, fitted: Fitted, training: Training) -> tuple[Horizon, ...]:
    """Each horizon's figures on the test rows; none without a model of when."""
    if when is None:
        return ()
    data, parts = task.data, task.split
    watch = task.watch.take(task.watch.data.as_of >= data.as_of[parts.test].min())
    direct = margins(fitted.booster, watch.data.X, training.threads)
    seen = np.isin(watch.data.account, np.unique(data.account[parts.fit]))
    return horizons(when, watch, direct, task.window, training, seen)


def completed(
    made: Record,
    tuned: Tuned,
    when: When | None,
    window: tuple[int, int],
    timed: tuple[Horizon, ...],
    short: str,
) -> Record:
    """What a run leaves, with when, the tuning's decision, and why there are fewer cut-offs."""
    told_too = {"when": described(when, timed), "tuning": tuned.recorded(), "backtest_note": short}
    parameters = {"tuning": tuned.decision, "tuning_trials": len(tuned.trials)}
    return replace(
        made,
        card={**made.card, **told_too},
        parameters={**made.parameters, **parameters, **({"backtest_note": short} if short else {})},
        metrics={**made.metrics, **horizon_metrics(timed)},
        when=when.booster if when else None,
        when_schema=when.described(window) if when else None,
    )
