"""A real service in a process of its own, and load on it, for the tests of its life."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from test_serving_world import ROOT, authorization, free_port

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
class Service:
    """A running service: its URL, its process (ours, not BentoML's), a client with a key."""

    workspace: Workspace
    url: str
    process: subprocess.Popen[str]
    client: httpx.Client

    def workers(self) -> list[psutil.Process]:
        """The processes that answer: the children of BentoML's, which is the child of ours."""
        return [
            worker
            for bento in psutil.Process(self.process.pid).children()
            for worker in bento.children()
            if worker.status() != psutil.STATUS_ZOMBIE
        ]

    def asking(self, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """A client of another key, or of none."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, headers=headers)

    @property
    def port(self) -> int:
        """Where it listens, on the loopback."""
        return int(self.url.rpartition(":")[2])

    def log(self) -> list[dict[str, Any]]:
        """Every line of its log, each of which must be a JSON object."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def log_text(self) -> str:
        """The log as it stands."""
        return (self.workspace.tmp / "service.log").read_text()

    def report(self) -> dict[str, Any]:
        """What /readyz says."""
        return dict(self.client.get("/readyz").json())

    def version(self, model: str) -> str:
        """The version of a model that answers."""
        [told] = [m for m in self.report()["models"] if m["name"] == model]
        return str(told["model_version"])


@contextmanager
def running(workspace: Workspace, workers: int = 1, **environment: str) -> Iterator[Service]:
    """A service on the workspace; it is gone, with all its processes, when the block ends."""
    root = workspace.root
    arguments = [sys.executable, "-c", SERVE, str(root), str(free_port()), str(workers)]
    path = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(ROOT)]))
    settings = {**os.environ, **environment, "PYTHONPATH": path}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=settings, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (workspace.tmp / "service.log").read_text()
        with httpx.Client(
            base_url=url, timeout=60, trust_env=False, headers=authorization(root=root)
        ) as client:
            try:
                yield Service(workspace, url, process, client)
            finally:
                process.terminate()
                process.wait(40)


@dataclass
class Load:
    """What came of a load: the bodies of good answers, everything else in words, and delays."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    begun: int = 0
    open: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        """One request, noted."""
        began = time.perf_counter()
        self.begun += 1
        self.open += 1
        try:
            answer = await client.post("/v1/scores", json=body)
            if answer.status_code == 200:
                self.answers.append(answer.json())
            else:
                self.errors.append(f"{answer.status_code} {answer.text}")
        except httpx.HTTPError as error:
            self.errors.append(repr(error))
        finally:
            self.open -= 1
            self.seconds.append(time.perf_counter() - began)


def under_load(
    service: Service,
    bodies: list[dict[str, Any]],
    rate: float,
    meanwhile: Callable[[Load], Any],
) -> Load:
    """Ask at a steady rate, whatever the answers take, while `meanwhile` runs in a thread."""

    async def loaded() -> Load:
        load, tasks = Load(), set[asyncio.Task[None]]()
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        async with httpx.AsyncClient(
            base_url=service.url, timeout=60, trust_env=False, limits=limits,
            headers=dict(service.client.headers),
        ) as client:  # fmt: skip
            work = asyncio.create_task(asyncio.to_thread(meanwhile, load))
            began, sent = time.perf_counter(), 0
            while not work.done():
                task = asyncio.create_task(load.ask(client, bodies[sent % len(bodies)]))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
                await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
            await asyncio.gather(*tasks)
            await work
        return load

    return asyncio.run(loaded())


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until something holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def copied(root: Path, to: Path) -> Workspace:
    """The promoted models and the scores of a workspace, in another one."""
    import shutil

    for name in ("bundles", "scores"):
        shutil.copytree(root / name, to / name)
    return Workspace(to)
