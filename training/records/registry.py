"""Runs and registered models in MLflow: what a run leaves, and how it is found again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightgbm as lgb
from matplotlib.figure import Figure as Picture

from features.errors import InputError, NotReadyError
from features.workspace import Workspace, publish_json, publish_text
from training.judging.gate import Verdict
from training.records import card_pages
from training.records.tracking import check_answers, connect, experiment, quietly, tags

CHAMPION = "champion"
JUDGED = "verdict"
DPI = 120
KEPT = ("card.json", "schema.json", "verdict.json", "recipe.json", "when.txt", "when.json",
        "cases.json")  # fmt: skip


@dataclass(frozen=True)
class Record:
    """Everything that one training run leaves behind.

    `origin`, `settings` and `recipe`: from what and how it was made, so that it can be made again.
    `when`: the booster of how soon, with its schema, where there is one. `cases`: past observations
    with their outcomes, to compare with.
    """

    outcome: str
    booster: lgb.Booster
    schema: Mapping[str, Any]
    card: Mapping[str, Any]
    verdict: Verdict
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    plots: Mapping[str, Picture]
    origin: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    when: lgb.Booster | None = None
    when_schema: Mapping[str, Any] | None = None
    cases: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Candidate:
    """A registered version as it was logged: LightGBM's text and its JSON files."""

    outcome: str
    version: str
    run_id: str
    model: str
    files: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict:
        """What the gate said of it when it was trained."""
        return Verdict.from_dict(self.files["verdict.json"])


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
        _without_path(workspace, logged.model_id)
        version = _registered(client, name, logged.model_uri, run.info.run_id, logged.model_id)
        with TemporaryDirectory(dir=workspace.tmp) as made:
            _write(Path(made), result, version)
            mlflow.log_artifacts(made)
    passed = "passed" if result.verdict.passed else "refused"
    client.set_model_version_tag(name, version, JUDGED, passed)
    return version, str(run.info.run_id)


def _registered(client: Any, name: str, uri: str, run_id: str, model_id: str) -> str:
    """The new version of the registered model, whose name is made at its first."""
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    made = client.create_model_version(name, uri, run_id=run_id, model_id=model_id)
    return str(made.version)


def _without_path(workspace: Workspace, model_id: str) -> None:
    """Take the place on this machine, which MLflow writes down, out of a model kept here."""
    for path in workspace.mlflow.glob(f"artifacts/*/models/{model_id}/artifacts/MLmodel"):
        text = path.read_text(encoding="utf-8")
        publish_text(path, re.sub(r"(?m)^artifact_path: .*$", "artifact_path: model", text))


def _write(folder: Path, result: Record, version: str) -> None:
    described = {**result.card, "version": version}
    told = {
        "schema": result.schema,
        "card": described,
        "verdict": result.verdict.as_dict(),
        "origin": result.origin,
        "settings": result.settings,
        "recipe": result.recipe,
    }
    for name, value in told.items():
        publish_json(folder / f"{name}.json", value)
    for name, picture in result.plots.items():
        picture.savefig(folder / f"{name}.png", dpi=DPI)
    images = {name: (folder / f"{name}.png").read_bytes() for name in result.plots}
    page = card_pages.page(described, result.verdict)
    publish_text(folder / "card.md", card_pages.markdown(page, images))
    publish_text(folder / "card.html", card_pages.html(page, images))
    if result.when is not None:
        publish_text(folder / "when.txt", result.when.model_to_string())
        publish_json(folder / "when.json", result.when_schema)
    if result.cases is not None:
        publish_json(folder / "cases.json", result.cases)


@quietly()
def candidate(workspace: Workspace, outcome: str, version: str | None = None) -> Candidate:
    """A version (None: the newest that was judged), its files downloaded.

    Raises NotReadyError when nothing was trained, InputError for an unknown version.
    """
    check_answers(workspace)
    _, client = connect(workspace)
    found = _version(client, outcome, version)
    with TemporaryDirectory(dir=workspace.tmp) as made:
        files = _files(client, found.run_id, KEPT, Path(made))
        model = _model_text(workspace, f"models:/{found.name}/{found.version}", Path(made))
    return Candidate(outcome, str(found.version), str(found.run_id), model, files)


@quietly()
def run_files(workspace: Workspace, run_id: str, names: Sequence[str]) -> dict[str, Any]:
    """JSON artefacts of a run by its id, or the first letters of it.

    Raises InputError when there is no such run, or when it lacks one of them.
    """
    check_answers(workspace)
    _, client = connect(workspace)
    known = runs(client)
    fitting = [r for r in known if r.startswith(run_id)] if run_id else []
    if len(fitting) != 1:
        raise InputError(
            f"run '{run_id}', which is {'no run' if not fitting else 'the start of several runs'}",
            expected=f"one of {', '.join(r[:12] for r in known[:8]) or 'none so far'}",
            do="Take it from MLflow or from what `goldpan train` printed.",
        )
    with TemporaryDirectory(dir=workspace.tmp) as made:
        files = _files(client, fitting[0], names, Path(made))
    if lacking := [name for name in names if name not in files]:
        raise InputError(f"run '{fitting[0]}' without {', '.join(lacking)}",
                         expected="a run that ended, of this version of Goldpan",
                         do="Train anew.")  # fmt: skip
    return files


def runs(client: Any) -> list[str]:
    """The ids of all runs of ours, newest first."""
    places = [e.experiment_id for e in client.search_experiments()]
    found = client.search_runs(places, order_by=["attributes.start_time DESC"], max_results=1000)
    return [str(r.info.run_id) for r in found if r.data.tags.get("outcome")]


@quietly()
def mark(workspace: Workspace, outcome: str, version: str, **values: str) -> None:
    """Put tags on a version."""
    _, client = connect(workspace)
    for key, value in values.items():
        client.set_model_version_tag(model_name(outcome), version, key, value)


@quietly()
def champion(workspace: Workspace, outcome: str) -> str | None:
    """The version that MLflow's alias names."""
    _, client = connect(workspace)
    if not client.search_registered_models(f"name='{model_name(outcome)}'"):
        return None
    alias = client.get_registered_model(model_name(outcome)).aliases.get(CHAMPION)
    return None if alias is None else str(alias)


@quietly()
def crown(workspace: Workspace, outcome: str, version: str) -> None:
    """Move the alias `champion` to a version."""
    _, client = connect(workspace)
    client.set_registered_model_alias(model_name(outcome), CHAMPION, version)


def _files(client: Any, run_id: str, names: Sequence[str], into: Path) -> dict[str, Any]:
    """The artefacts of these names that a run has: JSON as values, others as text."""
    there = {str(a.path) for a in client.list_artifacts(run_id)}
    found: dict[str, Any] = {}
    for name in [n for n in names if n in there]:
        text = Path(client.download_artifacts(run_id, name, str(into))).read_text(encoding="utf-8")
        found[name] = json.loads(text) if name.endswith(".json") else text
    return found


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


def _model_text(workspace: Workspace, uri: str, into: Path) -> str:
    mlflow, _ = connect(workspace)
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into)))
    return next(folder.rglob("model.lgb")).read_text(encoding="utf-8")
