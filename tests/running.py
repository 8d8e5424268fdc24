"""The service as it runs in earnest: BentoML and its workers, started and stopped by `serve`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
from test_serving_world import ROOT, free_port

from features.workspace import Workspace

SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), workers=int(sys.argv[3]),
      ready=lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    url: str
    workspace: Workspace
    process: psutil.Process

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """A client that asks it directly."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, headers=headers)

    @property
    def port(self) -> int:
        """Where it listens, on the loopback."""
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        family = [
            p
            for p in self.process.children(recursive=True)
            if p.is_running() and p.status() != psutil.STATUS_ZOMBIE
        ]
        return [p for p in family if "_bentoml_impl.worker.service" in " ".join(p.cmdline())]

    def log(self) -> list[dict[str, Any]]:
        """Every line of its log, each of which must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines() if line]

    def log_text(self) -> str:
        """The log as it stands."""
        return (self.workspace.tmp / "service.log").read_text()


@contextmanager
def running(workspace: Workspace, workers: int = 1, **environment: str) -> Iterator[Running]:
    """A running service; it must end by SIGINT and leave no process behind."""
    arguments = [sys.executable, "-c", SERVE, str(workspace.root), str(free_port()), str(workers)]
    told = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=told, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the service did not start"
            service = Running(url, workspace, psutil.Process(process.pid))
            family = service.process.children(recursive=True)
            yield service
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
