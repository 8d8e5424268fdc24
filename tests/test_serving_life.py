"""The life of a running service: without its registry, unpickling nothing, killed, told to end."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from serving_process import Load, Service, copied, running, under_load, until
from test_serving_world import ROOT, seal, served

from features.workspace import publish_text
from serving.models.swap import Keeper
from serving.scoring.accounts import current_snapshot, load_snapshot

HOOK = """
import os, sys
def note(event, arguments):
    if event == "pickle.find_class":
        with open(os.environ["GOLDPAN_TEST_AUDIT"], "a") as file:
            print(event, arguments, file=file)
sys.addaudithook(note)
with open(os.environ["GOLDPAN_TEST_AUDIT"] + ".watched", "a") as file:
    print(os.getpid(), file=file)
"""
WORKERS = 2
REQUESTS = 1_000
RATE = 30.0
STOP_SECONDS = 15.0


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which every Python process notes what is unpickled in it."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "sitecustomize.py").write_text(HOOK)
    return {"PYTHONPATH": str(folder), "GOLDPAN_TEST_AUDIT": str(folder / "found")}


@pytest.fixture(scope="module")
def service(audited: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers on the promoted models and the scores alone; no MLflow store is there."""
    workspace = copied(served().workspace.root, tmp_path_factory.mktemp("life") / "workspace")
    assert not workspace.mlflow.exists()
    with running(workspace, WORKERS, MLFLOW_TRACKING_URI="http://127.0.0.1:1", **audited) as found:
        yield found


def bodies(service: Service, count: int = 1) -> list[dict[str, object]]:
    """Requests about every account, `count` accounts in each."""
    ids = list(load_snapshot(current_snapshot(service.workspace)).table.ids)
    twice = ids + ids
    return [{"accounts": twice[start : start + count]} for start in range(len(ids))]


def test_nothing_is_unpickled_from_the_start_through_a_thousand_requests(
    service: Service, audited: dict[str, str]
) -> None:
    """The audit hook is in every worker and hears of nothing, with the registry out of reach."""
    asked = bodies(service)
    answers = [
        service.client.post("/v1/scores", json=asked[i % len(asked)]) for i in range(REQUESTS)
    ]
    assert {answer.status_code for answer in answers} == {200}
    watched = Path(audited["GOLDPAN_TEST_AUDIT"] + ".watched").read_text().split()
    assert {str(worker.pid) for worker in service.workers()} <= set(watched)
    assert not Path(audited["GOLDPAN_TEST_AUDIT"]).exists()


def test_the_audit_hook_hears_of_what_is_unpickled(audited: dict[str, str], tmp_path: Path) -> None:
    """Without this, the test above could not fail."""
    told = audited | {"GOLDPAN_TEST_AUDIT": str(tmp_path / "found")}
    (tmp_path / "it").write_bytes(pickle.dumps(Path("x")))
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "it")], env={**os.environ, **told}, check=True
    )
    assert "pathlib" in (tmp_path / "found").read_text()


class Malicious:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return open, (str(self.path), "w")


def test_models_that_are_pickles_are_refused_unread(tmp_path: Path) -> None:
    """In every one of pickle's protocols the last good model goes on, and nothing is run."""
    workspace = copied(served().workspace.root, tmp_path / "workspace")
    keeper = Keeper(workspace)
    keeper.look()
    first = workspace.bundles / "churn" / "1"
    manifest = json.loads((first / "manifest.json").read_text())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        version = f"{protocol + 2}"
        folder = workspace.bundles / "churn" / version
        folder.mkdir()
        for name in ("schema.json", "card.json"):
            (folder / name).write_bytes((first / name).read_bytes())
        content = pickle.dumps(Malicious(tmp_path / "run"), protocol)
        (folder / "model.txt").write_bytes(content)
        seal(folder, manifest | {"version": version})
        publish_text(folder.parent / "current", version + "\n")
        keeper.look()
        assert "churn" in keeper.state.kept
        assert keeper.state.scorers["churn"].model.version == "1"
    assert not (tmp_path / "run").exists()


def mutate(tmp_path: Path, count: int, seed: int) -> dict[str, int]:
    """Promote mutated models in a process of their own, which must live."""
    workspace = copied(served().workspace.root, tmp_path / "workspace")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "mutated_models.py"), str(workspace.root),
         str(count), str(seed)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def test_mutated_models_crash_nothing_and_the_last_good_one_answers(tmp_path: Path) -> None:
    """40 texts that LightGBM dies of, hangs on, refuses or takes: a score after each."""
    found = mutate(tmp_path, 40, seed=1)
    assert found["refused"] + found["taken"] == 40
    assert found["refused"] >= 20


@pytest.mark.slow
def test_four_hundred_mutated_models_crash_nothing(tmp_path: Path) -> None:
    """The same with 400, as many as were measured to kill a careless reader 215 times."""
    found = mutate(tmp_path, 400, seed=2)
    assert found["refused"] + found["taken"] == 400


def gone(process: psutil.Process) -> bool:
    """Whether a process runs no more, though its parent may not have noticed yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_killed_worker_costs_no_more_than_what_it_was_answering(service: Service) -> None:
    """Kill -9 of one worker of two under load: errors ≤ in flight, and there are two again.

    In flight is what was open when the signal was sent, or was sent until the worker was gone.
    """
    killed, log = service.workers()[0], service.workspace.tmp / "service.log"
    in_flight: list[int] = []

    def kill(load: Load) -> None:
        until(lambda: len(load.answers) > RATE)
        begun = load.begun - load.open
        killed.kill()
        until(lambda: gone(killed))
        time.sleep(0.1)  # its other threads end after its first, and its sockets with them
        in_flight.append(load.begun - begun)
        until(lambda: log.read_text().count("model churn 1 answers") == WORKERS + 1)

    load = under_load(service, bodies(service), RATE, kill)
    (most,) = in_flight
    assert len(load.errors) <= most < RATE, load.errors
    workers = {worker.pid for worker in service.workers()}
    assert len(workers) == WORKERS
    assert killed.pid not in workers


def test_told_to_end_the_service_answers_what_it_has_begun(service: Service) -> None:
    """SIGTERM with four requests half sent: four answers, and an end within 15 s."""
    family = psutil.Process(service.process.pid).children(recursive=True)
    headers = {**service.client.headers, "content-type": "application/json"}
    answers: list[int] = []
    told = threading.Event()
    text = json.dumps({"accounts": [body["accounts"][0] for body in bodies(service)] * 5})

    def halves() -> Iterator[bytes]:
        yield text[:50].encode()
        told.wait(30)
        yield text[50:].encode()

    def ask() -> None:
        with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
            answers.append(client.post(f"{service.url}/v1/scores", content=halves()).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    service.client.close()
    for thread in threads:
        thread.start()
    until(lambda: accepted(service) == len(threads))
    time.sleep(0.2)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    told.set()
    assert service.process.wait(STOP_SECONDS) == 0
    for thread in threads:
        thread.join(5)
    assert answers == [200] * len(threads)
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def accepted(service: Service) -> int:
    """How many connections the workers have accepted."""
    port = int(service.url.rpartition(":")[2])
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for worker in service.workers()
        for connection in worker.net_connections()
    )
