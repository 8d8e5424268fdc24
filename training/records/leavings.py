"""What a training run leaves in MLflow: parameters, metrics, pictures, its origin."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from features.declare import Catalogue
from features.settings import Settings
from features.workspace import Workspace
from training.dataset import Dataset, schema
from training.fitting.calibrate import contributions
from training.fitting.fit import Fitted
from training.judging.assess import Assessment
from training.prepare import Task
from training.records import origin, plots
from training.records.card import card
from training.records.cases import cases
from training.records.registry import Record

PICTURED = 1_000
KEPT = ("lead_days", "horizon_days", "cut_off", "rows", "accounts", "positives", "protocol",
        "gap_days", "rounds", "simulated", "catalogue", "settings_hash")  # fmt: skip


def leavings(
    workspace: Workspace,
    settings: Settings,
    features: Catalogue,
    task: Task,
    fitted: Fitted,
    assessment: Assessment,
) -> Record:
    """Everything of one run."""
    data, split = task.data, task.split
    source = made_from(workspace, task.outcome.name, data)
    source["as_of"] = str(task.history.as_of) if task.history.as_of else None
    described = card(task.outcome, task.timing, data, split, fitted, assessment, settings, features)
    described |= {"code": source["code"], "lake": source["lake"], "dataset": source["dataset"]}
    told = drawn(task, features, fitted, assessment, settings)
    return Record(
        outcome=task.outcome.name,
        booster=fitted.booster,
        schema=schema(data.columns),
        card=described,
        verdict=assessment.verdict,
        parameters=parameters(fitted, described),
        metrics=metrics(assessment),
        plots=plots.pictures(told),
        origin=source,
        settings=origin.portable(settings),
        recipe={"parameters": fitted.parameters, "rounds": fitted.rounds},
        cases=cases(task, fitted, settings.training.seed, settings.training.threads),
    )


def made_from(workspace: Workspace, outcome: str, data: Dataset) -> dict[str, Any]:
    """`origin.json`: the code, the lake's versions and the digest of the data set."""
    return {
        "outcome": outcome,
        "code": origin.code(),
        "lake": origin.lake_then(workspace),
        "dataset": origin.dataset_digest(data),
    }


def parameters(fitted: Fitted, described: Mapping[str, Any]) -> dict[str, Any]:
    """What the run was told, what it chose and what it read, for MLflow."""
    read = {f"lake_{name}": state for name, state in described["lake"].items()}
    told = {"code": origin.code_in_words(described["code"]), "dataset": described["dataset"]}
    return fitted.parameters | {name: described[name] for name in KEPT} | told | read


def metrics(assessment: Assessment) -> dict[str, float]:
    """Every figure for MLflow: its value, `_low` and `_high`.

    A baseline's stand under its name, a slice's AUC under `slice_`, a cut-off's under `cut_off_N_`
    (1: the oldest).
    """
    groups = {"": assessment.figures}
    groups |= {f"{name}_": figures for name, figures in assessment.baselines.items()}
    groups |= {f"slice_{_key(n)}_": {"auc": f} for n, f in assessment.slices.items()}
    for number, cut in enumerate(assessment.backtest, 1):
        groups[f"cut_off_{number}_"] = cut.figures
        groups |= {f"cut_off_{number}_{n}_": f for n, f in cut.baselines.items()}
        groups[f"cut_off_{number}_seen_"] = {"auc": cut.seen} if cut.seen else {}
        groups[f"cut_off_{number}_unseen_"] = {"auc": cut.unseen} if cut.unseen else {}
    found = {f"{prefix}{name}": f for prefix, fs in groups.items() for name, f in fs.items()}
    flat = {key: value for name, f in found.items() for key, value in f.flat(name).items()}
    if assessment.agreement is not None:
        flat["agreement_names"] = assessment.agreement.names
        flat["agreement_weight"] = assessment.agreement.weight
    return {name: value for name, value in flat.items() if np.isfinite(value)}


def drawn(
    task: Task, features: Catalogue, fitted: Fitted, assessment: Assessment, settings: Settings
) -> plots.Drawn:
    """What the pictures show: the test rows, and contributions of a sample of them."""
    test = task.data.take(task.split.test)
    size = min(PICTURED, len(test.y))
    rng = np.random.default_rng(settings.training.seed)
    sample = test.X[rng.choice(len(test.y), size, replace=False)]
    names = {f.name: features.signals[f.signal].label for f in features.features}
    words = {f.name: f.meaning for f in features.features}
    return plots.Drawn(
        title=f"{task.outcome.name} in {task.timing.horizon_days} days",
        note="simulated data" if settings.company.simulated else "",
        test=test,
        probability=expit(assessment.margins["model"]),
        scores=assessment.margins,
        contributions=contributions(fitted.booster, sample, settings.training.threads)[:, :-1],
        values=sample,
        labels=[words[n] for n in task.data.names],
        signals=[names[n] for n in task.data.names],
        backtest=assessment.backtest,
        contact=settings.contact if task.outcome.kind == "churn" else None,
        currency=settings.company.currency,
    )


def _key(name: str) -> str:
    """A slice's name as MLflow takes it.

    >>> _key("plan team+")
    'plan_team'
    """
    words = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else " " for c in name)
    return "_".join(words.split())
