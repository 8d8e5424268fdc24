"""MLflow, set up for one workspace: quiet, without telemetry, nothing outside the workspace."""

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from features.errors import InputError
from features.workspace import Workspace

ADDRESS = "MLFLOW_TRACKING_URI"
QUIET = ("mlflow", "alembic", "git")
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def store(workspace: Workspace) -> str:
    """Where runs are kept: `MLFLOW_TRACKING_URI`, or SQLite in the workspace."""
    return os.environ.get(ADDRESS) or f"sqlite:///{_root(workspace)}/mlflow.db"


@contextmanager
def quietly() -> Iterator[None]:
    """Pass over what MLflow and its dependencies warn each other of; no user can act on it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)(\.|$)")
        yield


def connect(workspace: Workspace) -> tuple[ModuleType, Any]:
    """MLflow (imported here: it takes seconds) and a client, both at this workspace's store."""
    os.environ.update({k: v for k, v in SWITCHES.items() if k not in os.environ})
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow
    import mlflow.lightgbm

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    workspace.mlflow.mkdir(parents=True, exist_ok=True)
    uri, said = store(workspace), os.environ.get(ADDRESS)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if (
        said is None
    ):  # MLflow sets it; the next workspace would then take this one's store for asked
        os.environ.pop(ADDRESS, None)
    return mlflow, mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


@quietly()
def check_answers(workspace: Workspace) -> None:
    """Raise InputError when `MLFLOW_TRACKING_URI` names a store that does not answer.

    Asked before hours of work, and once: MLflow by itself would go on asking for minutes.
    """
    if not (uri := os.environ.get(ADDRESS)):
        return
    try:
        with _impatient():
            connect(workspace)[1].search_experiments(max_results=1)
    except Exception as error:  # of MLflow, SQLAlchemy, requests: all mean the same here
        raise InputError(
            f"no MLflow store that answers at {_without_secrets(uri)}, which {ADDRESS} names",
            expected="a running server, or a file: or sqlite: address",
            do=f"Start it or correct {ADDRESS}; without it, runs are kept in the workspace.",
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Let MLflow ask once and wait ten seconds."""
    former = dict(os.environ)
    os.environ.update(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_HTTP_REQUEST_TIMEOUT="10")
    try:
        yield
    finally:
        for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
            os.environ.pop(name, None)
            if name in former:
                os.environ[name] = former[name]


def _without_secrets(uri: str) -> str:
    """An address without the name and password that it may hold.

    >>> _without_secrets("https://me:secret@mlflow.example:5000/x")
    'https://mlflow.example:5000/x'
    """
    return re.sub(r"//[^/@]*@", "//", uri)


def experiment(workspace: Workspace, client: Any, name: str) -> str:
    """The id of the experiment of this name, made if need be; artefacts stay in the workspace."""
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    ours = store(workspace).startswith("sqlite:")
    place = (_root(workspace) / "artifacts" / name).as_uri() if ours else None
    return str(client.create_experiment(name, artifact_location=place))


def tags(outcome: str) -> Mapping[str, str]:
    """A run's tags; MLflow would else write down who ran it and from where."""
    return {
        "mlflow.user": "goldpan",
        "mlflow.source.name": "goldpan train",
        "mlflow.source.type": "JOB",
        "outcome": outcome,
    }


def _root(workspace: Workspace) -> Any:
    return workspace.mlflow.resolve()
