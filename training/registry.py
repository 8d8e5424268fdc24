"""Runs, registered models and the one that is promoted: log, register, promote."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightgbm as lgb
from matplotlib.figure import Figure as Picture

from features.errors import InputError, NotReadyError, RefusedError
from features.settings import Settings
from features.workspace import Workspace, publish_json
from training import bundle
from training.gate import Verdict
from training.outcomes import chosen
from training.tracking import check_answers, connect, experiment, quietly, tags

CHAMPION = "champion"
JUDGED = "verdict"


@dataclass(frozen=True)
class Record:
    """Everything that one training run leaves behind."""

    outcome: str
    booster: lgb.Booster
    schema: Mapping[str, Any]
    card: Mapping[str, Any]
    verdict: Verdict
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    plots: Mapping[str, Picture]


@dataclass(frozen=True)
class Promotion:
    """What is now current: serving reads `folder`."""

    outcome: str
    version: str
    folder: Path
    conditions: tuple[str, ...]


def model_name(outcome: str) -> str:
    """The registered model's name.

    >>> model_name("churn")
    'goldpan-churn'
    """
    return f"goldpan-{outcome}"


@quietly()
def record(workspace: Workspace, result: Record) -> tuple[str, str]:
    """Log a run and register its model; returns (version, run id).

    The verdict's tag comes last: a version without it is what a killed run left, and is never
    promoted.
    """
    mlflow, client = connect(workspace)
    name = model_name(result.outcome)
    place = experiment(workspace, client, name)
    with mlflow.start_run(experiment_id=place, run_name=name, tags=tags(result.outcome)) as run:
        mlflow.log_params({k: str(v)[:500] for k, v in result.parameters.items()})
        mlflow.log_metrics(dict(result.metrics))
        requirements = [f"lightgbm=={lgb.__version__}"]
        logged = mlflow.lightgbm.log_model(
            result.booster, name="model", pip_requirements=requirements
        )
        version = _registered(client, name, logged.model_uri, run.info.run_id, logged.model_id)
        with TemporaryDirectory(dir=workspace.tmp) as made:
            _write(Path(made), result, version)
            mlflow.log_artifacts(made)
    passed = "passed" if result.verdict.passed else "refused"
    client.set_model_version_tag(name, version, JUDGED, passed)
    return version, str(run.info.run_id)


@quietly()
def promote(
    workspace: Workspace, settings: Settings, outcome: str, version: str | None = None
) -> Promotion:
    """Make a version (None: the newest that was judged) the one that serving reads.

    Bundle, pointer, alias, in this order; each step may be repeated, so a killed promotion is put
    right by the next. Raises NotReadyError when nothing was trained, InputError for an unknown
    version, RefusedError with the reasons when the gate refused it.
    """
    chosen(settings, [outcome])
    check_answers(workspace)
    _, client = connect(workspace)
    found = _version(client, outcome, version)
    with TemporaryDirectory(dir=workspace.tmp) as made:
        files = Path(made)
        card, schema, verdict = (
            _json(client.download_artifacts(found.run_id, f"{file}.json", str(files)))
            for file in ("card", "schema", "verdict")
        )
        judged = Verdict.from_dict(verdict)
        _refuse(outcome, str(found.version), judged)
        model = _model_text(workspace, f"models:/{found.name}/{found.version}", files)
    number = str(found.version)
    folder = bundle.export(workspace, outcome, number, model, schema, card)
    bundle.point(workspace, outcome, number)
    client.set_registered_model_alias(found.name, CHAMPION, number)
    return Promotion(outcome, number, folder, tuple(str(c) for c in judged.conditions))


def _registered(client: Any, name: str, uri: str, run_id: str, model_id: str) -> str:
    """The new version of the registered model, whose name is made at its first."""
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    made = client.create_model_version(name, uri, run_id=run_id, model_id=model_id)
    return str(made.version)


def _write(folder: Path, result: Record, version: str) -> None:
    publish_json(folder / "schema.json", result.schema)
    publish_json(folder / "card.json", {**result.card, "version": version})
    publish_json(folder / "verdict.json", result.verdict.as_dict())
    for name, picture in result.plots.items():
        picture.savefig(folder / f"{name}.png", dpi=144)


def _version(client: Any, outcome: str, version: str | None) -> Any:
    """The version asked for, or the newest one that has a verdict."""
    every = client.search_model_versions(f"name='{model_name(outcome)}'")
    judged = {str(v.version): v for v in every if JUDGED in v.tags}
    if not judged:
        raise NotReadyError(f"no trained model for outcome '{outcome}'",
                            do="Run goldpan train first.")  # fmt: skip
    newest = max(judged, key=int)
    if (wanted := version or newest) not in judged:
        raise InputError(f"version '{wanted}' of {model_name(outcome)}",
                         expected=f"one of {', '.join(sorted(judged, key=int))}",
                         do="Name one of these, or none for the newest.")  # fmt: skip
    return judged[wanted]


def _refuse(outcome: str, version: str, verdict: Verdict) -> None:
    if not verdict.passed:
        reasons = "".join(f"\n  {reason}" for reason in verdict.reasons)
        raise RefusedError(
            f"{len(verdict.reasons)} condition(s) that version {version} of "
            f"{model_name(outcome)} does not meet:{reasons}\n",
            do="It stays registered; what is being served was not changed.",
        )


def _model_text(workspace: Workspace, uri: str, into: Path) -> str:
    mlflow, _ = connect(workspace)
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into)))
    return next(folder.rglob("model.lgb")).read_text(encoding="utf-8")


def _json(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))
