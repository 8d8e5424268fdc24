"""Starts the service as a child process, waits until it answers, and leaves nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships none; BentoML brings it

from features.errors import GoldpanError, InputError, NotReadyError
from features.turns import alone
from features.workspace import Workspace
from serving.api.logs import WHY
from serving.intake.beside import refreshing
from serving.ledger.database import opened
from serving.ledger.keys import any_valid
from serving.models import canary
from serving.models.integrity import read_verified
from serving.models.model import promoted
from serving.scoring.accounts import FILES, SCORE_AGAIN, current_snapshot

HOST, PORT = "127.0.0.1", 3000
LOOPBACK = ("127.0.0.1", "::1")
BOOT_SECONDS = 90.0
STOP_SECONDS = 15.0
SOURCE = Path(__file__).resolve().parent.parent


def serve(
    workspace: Workspace,
    host: str = HOST,
    port: int = PORT,
    workers: int = 1,
    *,
    settings: Path | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the promoted models until SIGINT or SIGTERM; `ready` is called with the URL.

    With the company's `settings`, events that come in make scores fresh; without, they are kept and
    wait for `goldpan ingest`. Raises NotReadyError before anything was promoted or scored,
    InputError for a damaged file, a host that others can reach while there is no key, or a port
    that is taken, GoldpanError where the workspace is served already.
    """
    check(workspace, host, port)
    opened(workspace).dispose()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with (
        alone(workspace, "serve"),
        _told_to_stop() as told,
        _child(workspace, host, port, workers) as child,
    ):
        _wait_until_ready(child, url, told, _log(workspace))
        if not told:
            ready(url)
        beside = environment(workspace, workers)
        with refreshing(workspace, settings, beside, SOURCE) as look:
            while not told and child.poll() is None:
                look()
                time.sleep(0.1)
    if not told:
        raise NotReadyError(f"a service that ended by itself ({_tail(_log(workspace))})")


def check(workspace: Workspace, host: str, port: int) -> None:
    """Everything that can be known to be wrong before a process is started."""
    for name, folder in promoted(workspace).items():
        _check_bundle(workspace, name, folder)
    read_verified(current_snapshot(workspace), FILES, do=SCORE_AGAIN)
    if host not in LOOPBACK and not any_valid(opened(workspace)):
        raise InputError(
            f"host {host} and no valid key in the ledger",
            expected=f"{' or '.join(LOOPBACK)}, or a key that somebody else could call with",
            do="`goldpan key create --name NAME --scope score` makes one.",
        )
    _check_port(host, port)


def _check_bundle(workspace: Workspace, name: str, folder: Path) -> None:
    """Try a promoted bundle, once for all workers; raises what is wrong with it.

    Where an earlier version is sound, the workers answer by that one, and say so in `/readyz` and
    in the log.
    """
    try:
        canary.tried(workspace, folder)
    except GoldpanError:
        if not any(canary.sound(workspace, name)):
            raise


def environment(workspace: Workspace, workers: int) -> dict[str, str]:
    """The child's environment: our code importable, BentoML quiet and inside the workspace."""
    home, tmp = workspace.tmp / "bentoml", workspace.tmp / "service"
    for folder in (home, tmp):
        folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "GOLDPAN_WORKSPACE": str(workspace.root.resolve()),
        "GOLDPAN_WORKERS": str(workers),
        "BENTOML_HOME": str(home.resolve()),
        "TMPDIR": str(tmp.resolve()),
        "PROMETHEUS_MULTIPROC_DIR": str((tmp / "prometheus").resolve()),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_QUIET": "True",
        "GOLDPAN_PREPARED": "1",
    }


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {port} on {host}, which cannot be used ({error})",
                expected="a free port",
                do="Stop what uses it, or name another with --port.",
            ) from None


@contextmanager
def _child(
    workspace: Workspace, host: str, port: int, workers: int
) -> Iterator[subprocess.Popen[bytes]]:
    """BentoML in a session of its own; it and its workers are gone when the block ends."""
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Scoring"]
    command += ["--working-dir", str(SOURCE), "--host", host, "--port", str(port)]
    settings = environment(workspace, workers)
    with _log(workspace).open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own command, no shell
            command, env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=SOURCE, start_new_session=True,
        )  # fmt: skip
    try:
        yield child
    except BaseException:
        _stop(child, 0.0)
        raise
    else:
        _stop(child, STOP_SECONDS)
    finally:
        shutil.rmtree(settings["TMPDIR"], ignore_errors=True)


def _stop(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask BentoML to end and let requests finish; then end what is left of its processes."""
    # The workers are in groups of their own, so that killing BentoML's would miss them.
    family = _family(child)
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    family |= _family(child)
    child.kill()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()


def _family(child: subprocess.Popen[bytes], *, recursive: bool = True) -> set[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return set(psutil.Process(child.pid).children(recursive=recursive))
    return set()


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives."""
    told: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)

    former = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _wait_until_ready(child: subprocess.Popen[bytes], url: str, told: list[int], log: Path) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    workers: set[psutil.Process] = set()
    while not told and time.monotonic() < deadline:
        if child.poll() is not None:
            raise NotReadyError(f"a service that ended while it started ({_tail(log)})")
        report = _readiness(url)
        if report is not None:
            _refuse_failed(report)
            return
        if any(_ended(worker) for worker in workers):
            # BentoML would start it again every ten seconds, for ever.
            raise NotReadyError(f"a worker that cannot start ({_tail(log)})")
        workers |= _family(child, recursive=False)
        time.sleep(0.1)
    if not told:
        raise NotReadyError(f"no answer from the service in {BOOT_SECONDS:.0f} s ({_tail(log)})")


def _refuse_failed(report: dict[str, Any]) -> None:
    if why := "; ".join(m["detail"] for m in report["models"] if m["status"] == "failed"):
        raise NotReadyError(f"a service that cannot answer: {why}")


def _ended(worker: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(worker.status() == psutil.STATUS_ZOMBIE)
    return True


def _readiness(url: str) -> dict[str, Any] | None:
    """What `/readyz` says; None while nobody listens."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/readyz", timeout=5) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))
    except OSError:
        return None


def _log(workspace: Workspace) -> Path:
    return workspace.tmp / "service.log"


def _tail(log: Path) -> str:
    """What the log says last: why a worker cannot start, where it says so, or its last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    told = [why for line in lines if (why := _why(line))] or lines
    return f"the end of {log}: {told[-1]}" if told else f"{log} is empty"


def _why(line: str) -> str:
    with suppress(ValueError, AttributeError):
        return str(json.loads(line).get(WHY, ""))
    return ""
