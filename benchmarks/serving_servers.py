"""The servers that are compared: started, waited for, measured, ended."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.serving_load import Target
from benchmarks.serving_world import MODEL
from features.workspace import Workspace
from serving.ledger.database import opened
from serving.ledger.keys import create
from serving.models.model import promoted_folder
from serving.scoring.accounts import current_snapshot, load_snapshot
from serving.scoring.scorer import bind

OURS, BARE, MLFLOW = "goldpan serve", "uvicorn + FastAPI, bare", "mlflow models serve *"
COLD = "goldpan serve, nothing remembered"
ROOT = Path(__file__).parent.parent
START_SECONDS = 180.0
UNLIMITED = {"GOLDPAN_RATE": "1000000", "GOLDPAN_BURST": "1000000"}  # one key asks for everybody
SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), workers=int(sys.argv[3]))
"""


@dataclass(frozen=True)
class Server:
    """A server that answers; `workers` of its processes do the work."""

    name: str
    workers: int
    target: Target
    process: psutil.Process

    def cpu(self) -> dict[int, float]:
        """User and system seconds so far of each of its processes."""
        found = {}
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        return found

    def megabytes(self, pids: list[int]) -> float:
        """The resident memory of some of its processes, on average."""
        return sum(psutil.Process(pid).memory_info().rss for pid in pids) / len(pids) / 2**20


def bodies(workspace: Workspace) -> list[dict[str, object]]:
    """A request about each account to which the model applies."""
    return [{"accounts": [account]} for account in accounts(workspace)]


def accounts(workspace: Workspace) -> list[str]:
    """The accounts to which the model applies."""
    snapshot = load_snapshot(current_snapshot(workspace))
    scorer = bind(load(workspace), snapshot)
    ids = snapshot.table.ids
    return [ids[row] for row in range(len(ids)) if scorer.why_not(row) is None]


def load(workspace: Workspace):
    """The promoted model."""
    from serving.models.model import load_bundle

    return load_bundle(promoted_folder(workspace, MODEL))


@contextmanager
def cold(workspace: Workspace, workers: int) -> Iterator[Server]:
    """The same, every answer made anew: as when each account is asked about once."""
    with ours(workspace, workers, COLD, {"GOLDPAN_REMEMBERED": "0"}) as server:
        yield server


@contextmanager
def ours(
    workspace: Workspace, workers: int, name: str = OURS, more: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The service as `goldpan serve` starts it, asked with a key."""
    key, _ = create(opened(workspace), "a benchmark", ["score"])
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(workspace.root), str(port), str(workers)]
    url = f"http://127.0.0.1:{port}"
    target = Target(f"{url}/v1/scores", bodies(workspace), {"authorization": f"Bearer {key}"})
    ready = f"{url}/readyz"
    with _started(name, workers, command, target, ready, workspace, more) as server:
        yield server


@contextmanager
def bare(workspace: Workspace, workers: int) -> Iterator[Server]:
    """Uvicorn with `benchmarks/serving_bare.py`, tuned as ours is."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.serving_bare:app", "--port", str(port),
               "--workers", str(workers), "--loop", "uvloop", "--http", "httptools",
               "--no-access-log", "--log-level", "warning"]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    target = Target(f"{url}/v1/scores", bodies(workspace))
    with _started(BARE, workers, command, target, f"{url}/openapi.json", workspace) as server:
        yield server


@contextmanager
def mlflow(workspace: Workspace, workers: int) -> Iterator[Server]:
    """MLflow's own server of the same booster; it tells probabilities, no reasons."""
    folder = _logged(workspace)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder),
               "--port", str(port), "--workers", str(workers), "--env-manager",
               "local"]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    target = Target(f"{url}/invocations", _rows(workspace))
    with _started(MLFLOW, workers, command, target, f"{url}/ping", workspace) as server:
        yield server


def _logged(workspace: Workspace) -> Path:
    folder = workspace.tmp / "mlflow-model"
    if not folder.exists():
        import mlflow.lightgbm

        booster = load(workspace).booster
        mlflow.lightgbm.save_model(booster, str(folder), pip_requirements=["lightgbm"])
    return folder


def _rows(workspace: Workspace) -> list[dict[str, object]]:
    """The accounts' features; 0 for what is missing, for which JSON's tables have no number."""
    model = load(workspace)
    return [
        {"dataframe_split": {"columns": model.names, "data": [row]}}
        for row in filled(workspace).tolist()
    ]


def filled(workspace: Workspace) -> np.ndarray:
    """The model's rows of the accounts that are asked about, 0 for what is missing."""
    snapshot = load_snapshot(current_snapshot(workspace))
    scorer = bind(load(workspace), snapshot)
    which = np.array([snapshot.table.row_of[account] for account in accounts(workspace)])
    return np.nan_to_num(scorer.encoder.rows(snapshot.table, which))


@contextmanager
def _started(
    name: str,
    workers: int,
    command: list[str],
    target: Target,
    url: str,
    workspace: Workspace,
    more: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    # MLflow starts uvicorn by its name.
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    settings = {"PATH": programs, "PYTHONPATH": path,
                "GOLDPAN_WORKSPACE": str(workspace.root.resolve()),
                "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
                "MLFLOW_DISABLE_TELEMETRY": "true", **UNLIMITED, **(more or {})}  # fmt: skip
    with (workspace.tmp / "benchmark.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(process, url, workspace.tmp / "benchmark.log")
        yield Server(name, workers, target, psutil.Process(process.pid))
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until it answers; SystemExit with the end of its log when it does not."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, urllib.error.URLError), direct.open(url, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"a server that does not start:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.kill()
    process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
