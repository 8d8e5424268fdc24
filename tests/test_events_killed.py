import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from test_events_api import SETTINGS, TRACK, Intake, copied
from test_serving_world import ROOT, authorization, free_port, served

from features.lake import read_table
from features.workspace import Workspace
from serving.intake.collect import collected
from serving.intake.frames import framed, whole
from serving.intake.waiting import waiting

STEPS = {
    "copied": ("serving.intake.collect", "publish_json"),
    "noted": ("serving.intake.collect", "_ingested"),
    "before the letters": ("features.sources.ingest:DeadLetterBox", "commit"),
    "before the rows": ("features.sources.ingest:Staging", "commit"),
    "files moved": ("features.lake:DeltaTable", "create_write_transaction"),
    "before the count": ("features.sources.ingest", "_note"),
    "refused noted": ("serving.intake.collect", "append_rows"),
}
CHILD = """
import importlib, os, signal, sys
from pathlib import Path
sys.path.insert(0, "tests")
from test_events_api import SETTINGS
from features.workspace import Workspace
from serving.intake.collect import collected

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

place, _, inside = sys.argv[2].partition(":")
owner = importlib.import_module(place)
setattr(getattr(owner, inside) if inside else owner, sys.argv[3], die)
collected(Workspace(Path(sys.argv[1])), SETTINGS)
"""
WORKER = """
import asyncio, sys
from pathlib import Path
import uvicorn
from features.workspace import Workspace
from serving.api.app import create_app
from serving.api.backing import Backing
from serving.ledger.database import opened
from serving.state import State

workspace = Workspace(Path(sys.argv[1]))
app = create_app(Backing(State, opened(workspace), workspace))
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


OFTEN = ("noted", "files moved", "before the count")


@pytest.mark.parametrize(
    "step", [s if s in OFTEN else pytest.param(s, marks=pytest.mark.slow) for s in STEPS]
)
def test_a_collector_that_is_killed_is_completed_by_the_next(tmp_path: Path, step: str) -> None:
    """Killed anywhere, what was acknowledged stands in the lake once, and nothing is left over."""
    intake = Intake(tmp_path)
    batch = [TRACK | {"messageId": f"m-{i}"} for i in range(3)]
    batch += [{"type": "group", "userId": "u1", "groupId": "a1"}, {"type": "track"}]
    intake.post({"batch": batch})
    command = [sys.executable, "-c", CHILD, str(tmp_path), *STEPS[step]]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=120, env=ours())
    assert done.returncode == -signal.SIGKILL
    intake.collect()
    assert sorted(row["message_id"] for row in intake.rows()) == [f"a test:m-{i}" for i in range(3)]
    assert [len(intake.rows(t)) for t in ("users", "accounts")] == [1, 1]
    assert {row["raw"] for row in intake.rows("dead_letters")} == {'{"type": "track"}'}
    assert len(intake.rows("dead_letters")) == 1
    assert not waiting(intake.workspace)
    assert list((tmp_path / "intake" / "calls").iterdir()) == []


def test_what_leaves_the_intake_is_on_the_disk_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of a new journal's folders before the answer; the lake before calls are deleted.

    Everything in the lake, files and folders, was synced after it was last changed.
    """
    synced: dict[Path, int] = {}
    real_sync, real_unlink = os.fsync, Path.unlink

    def sync(handle: int) -> None:
        real_sync(handle)
        synced[Path(f"/proc/self/fd/{handle}").resolve()] = time.time_ns()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.suffix in (".jsonl", ".refused") and path.name[0] != "." and path.exists():
            lake = tmp_path / "lake"
            there = [lake, *lake.rglob("*")]
            assert [p for p in there if synced.get(p, 0) < p.stat().st_mtime_ns] == []
            deleted.append(path.suffix)
        real_unlink(path, missing_ok)

    deleted: list[str] = []
    intake = Intake(tmp_path)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "unlink", unlink)
    group = {"type": "group", "userId": "u1", "groupId": "a1"}
    for call in (TRACK, {"type": "track"}, group, TRACK | {"timestamp": TIME}):
        assert intake.post({"batch": [call]}).status_code in (200, 422)
        assert {tmp_path, tmp_path / "intake", tmp_path / "intake" / "journals"} <= synced.keys()
        intake.collect()
    assert deleted == [".jsonl", ".refused", ".jsonl", ".jsonl"]


def ours() -> dict[str, str]:
    """The environment of a child that runs this tree's code."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_record_that_was_cut_off_is_left_out_and_its_file_forgotten(tmp_path: Path) -> None:
    """Of a dead writer's file the whole records count; the torn one was never acknowledged."""
    folder = tmp_path / "intake" / "journals"
    folder.mkdir(parents=True)
    one, two = (json.dumps(TRACK | {"messageId": f"x:{i}", "timestamp": TIME, "receivedAt": TIME})
                for i in range(2))  # fmt: skip
    content = framed([one.encode(), two.encode()])
    (folder / "1-torn.journal").write_bytes(content[:-1])
    workspace = Workspace(tmp_path)
    collected(workspace, SETTINGS)
    assert [r["message_id"] for r in read_table(workspace, "events").to_pylist()] == ["x:0"]
    assert list(folder.iterdir()) == []


TIME = "2026-03-01T09:00:00Z"


def test_a_bit_that_flipped_ends_what_is_believed() -> None:
    """Every single flipped bit of a record is found by its checksum."""
    content = framed([b"first", b"second"])
    for place in range(13, len(content)):
        for bit in range(8):
            broken = bytearray(content)
            broken[place] ^= 1 << bit
            assert [record for _, record in whole(bytes(broken))] == [b"first"]


class Sender(threading.Thread):
    """Sends events until the service is gone; knows which were acknowledged."""

    def __init__(self, url: str, headers: dict[str, str], name: str) -> None:
        super().__init__()
        self.url, self.headers, self.prefix = url, headers, name
        self.acknowledged: list[str] = []
        self.tried: list[str] = []

    def run(self) -> None:
        """Send one after the other."""
        with httpx.Client(headers=self.headers, trust_env=False, timeout=10) as client:
            for number in range(100_000):
                name = f"{self.prefix}-{number}"
                self.tried.append(name)
                try:
                    answer = client.post(f"{self.url}/v1/events", json=TRACK | {"messageId": name})
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.acknowledged.append(name)


def kill_while_sending(command: list[str], url: str, headers: Any, round_: int) -> list[Sender]:
    """Start a service, send to it from four threads, and kill it and its children meanwhile."""
    with subprocess.Popen(command, env=ours(), cwd=ROOT, start_new_session=True) as process:
        wait_until_it_answers(url, process)
        senders = [Sender(url, headers, f"{round_}-{i}") for i in range(4)]
        for sender in senders:
            sender.start()
        deadline = time.monotonic() + 60
        while not any(s.acknowledged for s in senders) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.04 * (round_ % 7))
        family = psutil.Process(process.pid).children(recursive=True)
        for one in [*family, psutil.Process(process.pid)]:
            one.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    return senders


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/livez", trust_env=False, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the service did not start")


def check_kept(workspace: Workspace, senders: list[Sender]) -> None:
    """Nothing that was acknowledged is lost, and nothing is there twice."""
    found = [r for r in read_table(workspace, "events", ["message_id"])["message_id"].to_pylist()
             if r and r.startswith("a test:")]  # fmt: skip
    kept = {name.removeprefix("a test:") for name in found}
    acknowledged = {name for sender in senders for name in sender.acknowledged}
    assert len(found) == len(kept)
    assert acknowledged - kept == set()
    assert kept - {name for sender in senders for name in sender.tried} == set()
    assert len(acknowledged) > 0


def killed_often(tmp_path: Path, rounds: int) -> int:
    """Kill the intake so many times, collecting in between every few; how many were kept."""
    workspace = Workspace(tmp_path)
    headers = authorization("events", root=tmp_path)
    senders: list[Sender] = []
    for round_ in range(rounds):
        port = free_port()
        command = [sys.executable, "-c", WORKER, str(tmp_path), str(port)]
        senders += kill_while_sending(command, f"http://127.0.0.1:{port}", headers, round_)
        if round_ % 3 == 2:
            collected(workspace, SETTINGS)
    collected(workspace, SETTINGS)
    check_kept(workspace, senders)
    return sum(len(sender.acknowledged) for sender in senders)


def test_the_intake_killed_while_events_come_loses_none_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    """Five times `kill -9` of the process that takes events: none lost, none twice."""
    killed_often(tmp_path, 5)


@pytest.mark.slow
def test_the_intake_killed_fifty_times_loses_none_that_it_acknowledged(tmp_path: Path) -> None:
    """The same fifty times, at other moments."""
    print(killed_often(tmp_path, 50), "acknowledged")


SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), workers=2)
"""


def test_the_whole_service_killed_while_events_come_loses_none(tmp_path: Path) -> None:
    """BentoML with two workers, each with a journal of its own, killed with all its processes."""
    root = copied(served().workspace, tmp_path / "copy")
    headers = authorization("events", root=root)
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(root), str(port)]
    senders = kill_while_sending(command, f"http://127.0.0.1:{port}", headers, 6)
    collected(Workspace(root), SETTINGS)
    check_kept(Workspace(root), senders)
