import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from asked import Asked
from click.testing import CliRunner
from postgres import database, with_postgres
from test_events_api import Intake, copied
from test_serving_world import ROOT, served

from features import lake
from features.erasing.erasure import noted
from features.errors import InputError
from features.events import CONTRACT
from features.workspace import LakeThen, Workspace
from goldpan import main
from serving.ledger.database import METADATA, VARIABLE
from serving.ledger.shown import keep_shown
from serving.scoring.batch import score
from tests.reference_known import World
from tests.worlds import load


def goldpan(workspace: Workspace, *words: str) -> Any:
    """What the command prints; asserts nothing."""
    told = ["--workspace", str(workspace.root), "--settings", str(ROOT / "goldpan.toml")]
    return CliRunner().invoke(main, [words[0], *told, *words[1:]])


POST = """
import json, sys
from pathlib import Path
from test_events_api import Intake
intake = Intake(Path(sys.argv[1]))
for call in json.load(sys.stdin):
    intake.post(call)
"""


def child(code: str, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run code with this tree's modules and those of the tests, and wait for its end."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False, text=True, **more)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The serving tests' company, and an account of whom everything was told by HTTP.

    A guest turns out to be its user; another of its users is also somebody else's; a call of theirs
    was refused. Whoever took the calls has ended.
    """
    root = tmp_path_factory.mktemp("company") / "copy"
    place = Workspace(copied(served().workspace, root))
    other = lake.read_table(place, "accounts", ["account_id"])["account_id"][0].as_py()
    track = {"type": "track", "event": "login"}
    calls = [
        {"type": "group", "userId": "u_gone", "groupId": "acc_gone", "traits": {"name": "Gone"}},
        {"type": "group", "userId": "u_both", "groupId": "acc_gone"},
        {"type": "group", "userId": "u_both", "groupId": other},
        track | {"userId": "u_gone"},
        track | {"anonymousId": "guest_gone"},
        {"type": "identify", "userId": "u_gone", "anonymousId": "guest_gone"},
        track | {"userId": "u_both", "context": {"groupId": "acc_gone"}},
        track | {"userId": "u_both", "context": {"groupId": other}},
        {"type": "track", "userId": "u_gone"},
    ]
    assert child(POST, str(place.root), input=json.dumps(calls)).returncode == 0
    return root


@pytest.fixture
def workspace(company: Path, tmp_path: Path) -> Workspace:
    """A copy of it to erase from."""
    return Workspace(Path(shutil.copytree(company, tmp_path / "copy")))


def told_of(workspace: Workspace, ids: list[str]) -> list[str]:
    """The files of the whole workspace that still name one of the ids."""
    found = []
    pattern = re.compile("|".join(map(re.escape, ids)).encode())
    for path in workspace.root.rglob("*"):
        if not path.is_file() or "raw" in path.parts:
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        if pattern.search(content):
            found.append(str(path.relative_to(workspace.root)))
    return found


def counts(workspace: Workspace) -> dict[str, int]:
    """The rows of each table of the lake."""
    names = [*CONTRACT, "dead_letters"]
    return {name: lake.read_table(workspace, name).num_rows for name in names}


IDS = ["acc_gone", "u_gone", "guest_gone"]
GONE = {"events": 3, "accounts": 1, "users": 2, "subscriptions": 0, "identities": 1,
        "dead_letters": 1}  # fmt: skip


def test_an_account_is_erased_from_every_file(workspace: Workspace) -> None:
    """Its events, users, dead letters and their history are in no file any more; others stay.

    What waited in a journal is found too. A user who belongs to another account as well keeps what
    they did there.
    """
    before = counts(workspace)
    ran = goldpan(workspace, "erase", "--account", "acc_gone", "--yes")
    assert ran.exit_code == 0, ran.output
    assert told_of(workspace, IDS) == []
    after = counts(workspace)
    kept = {"events": 1, "users": 1}  # u_both's, in the other account
    assert {n: after[n] - before[n] for n in after} == {n: kept.get(n, 0) for n in after}
    told = dict(re.findall(r"^ *(\w+) +(\d+) *$", ran.output, re.MULTILINE))
    assert {name: int(told[name]) for name in GONE} == GONE
    assert noted(workspace) is None
    then = Workspace(workspace.root, LakeThen(workspace.lake, (("events", 0),)))
    with pytest.raises(InputError, match="version 0 of events, which an erasure took"):
        lake.read_table(then, "events")
    again = goldpan(workspace, "erase", "--account", "acc_gone", "--yes")
    assert (again.exit_code, "no account acc_gone in the lake" in again.output) == (2, True)


def test_a_person_is_erased_in_whichever_accounts(workspace: Workspace) -> None:
    """The account and its other users stay; so does what nobody can tell to be theirs alone."""
    ran = goldpan(workspace, "erase", "--user", "u_both", "--yes")
    assert ran.exit_code == 0, ran.output
    assert told_of(workspace, ["u_both"]) == []
    events = lake.read_table(workspace, "events", ["user_id"])["user_id"].to_pylist()
    assert events.count("u_gone") == 1
    accounts = lake.read_table(workspace, "accounts", ["account_id"])["account_id"].to_pylist()
    assert "acc_gone" in accounts


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=with_postgres)])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The database that the ledger lies in: the file of the workspace, or a real server's."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            monkeypatch.setenv(VARIABLE, stack.enter_context(database()))
        yield request.param


def test_the_ledger_forgets_an_account(workspace: Workspace, kind: str) -> None:
    """Its scores, reviews and kept answers are gone from the database; others stay.

    From SQLite's file they are gone as bytes too.

    The tables that are left serve: they build and score, and the account has no score.
    """
    asked = Asked(workspace, "score", "read")
    state = asked.state.snapshot
    assert state is not None
    gone, stays = state.table.ids[:2]
    for account in (gone, stays):
        named = {"idempotency-key": f"k-{account}"}
        answer = asked.ask("POST", "/v1/scores", json={"accounts": [account]}, headers=named)
        assert answer.status_code == 200
        model = answer.json()["results"][0]["scores"][0]["model"]
        asked.post(f"/v1/accounts/{account}/reviews", 201, model=model, verdict="agree")
    keep_shown(asked.ledger, "churn", dt.date(2026, 7, 1), {gone: ["+use"], stays: ["-use"]})
    ran = goldpan(workspace, "erase", "--account", gone, "--yes")
    assert ran.exit_code == 0, ran.output
    with asked.ledger.connect() as connection:
        for name in ("scores", "reviews", "reasons_shown"):
            left = connection.scalars(sa.select(METADATA.tables[name].c.account_id))
            assert gone not in (names := set(left))
            assert stays in names
        kept = connection.scalars(sa.select(METADATA.tables["idempotency"].c.name))
        assert list(kept) == [f"k-{stays}"]
    if kind == "sqlite":
        assert gone.encode() not in (workspace.root / "ledger.db").read_bytes()
    assert not (workspace.scores / "current").exists()
    score(workspace, served().settings)
    asked.renew()
    asked.refused(404, "unknown-account", "POST", "/v1/scores", json={"accounts": [gone]})
    assert asked.post("/v1/scores", accounts=[stays])["results"]


KILLED = """
import os, signal, sys
from features.erasing import erasure
import importlib
owner = importlib.import_module(sys.argv[1])
def die(*args, **more): os.kill(os.getpid(), signal.SIGKILL)
count = [int(sys.argv[3])]
real = getattr(owner, sys.argv[2])
def counted(*args, **more):
    if not count[0]: die()
    count[0] -= 1
    return real(*args, **more)
setattr(owner, sys.argv[2], counted)
from goldpan import main
main(["erase", "--workspace", sys.argv[4], "--settings", "goldpan.toml", "--account", "acc_gone",
      "--yes"])
"""
STEPS = [
    ("features.erasing.erasure", "replace_parts", 0),
    pytest.param("features.erasing.erasure", "forget_history", 2, marks=pytest.mark.slow),
    ("serving.ledger.erasing", "_compact", 0),
]


@pytest.mark.parametrize(("owner", "name", "times"), STEPS)
def test_an_erasure_that_is_killed_is_completed_by_the_next(
    workspace: Workspace, owner: str, name: str, times: int
) -> None:
    """Wherever the kill falls: whoever erases next, whom ever, first completes what was begun."""
    killed = child(KILLED, owner, name, str(times), str(workspace.root), capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert told_of(workspace, IDS) != []
    ran = goldpan(workspace, "erase", "--account", "acc_gone", "--yes")
    assert ran.exit_code == 0, ran.output
    assert "Completing an erasure that was cut off: account acc_gone" in ran.output
    assert told_of(workspace, IDS) == []
    assert not list(workspace.lake.glob(".*"))


INGEST = """
import os, signal, sys
from pathlib import Path
import features.lake
from tests.ingest_world import COLUMNS, events, run
def die(*args, **more): os.kill(os.getpid(), signal.SIGKILL)
features.lake.DeltaTable.create_write_transaction = die
run(Path(sys.argv[1]), events("clicks.csv", columns=COLUMNS | {"user_id": "user"}))
"""


def test_what_a_killed_first_ingest_left_goes_too(tmp_path: Path) -> None:
    """Files that were moved into a table which has no rows yet belong to no commit of it."""
    known = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    user = {"user_id": "u_gone", "account_id": "a", "created_at": known, "known_at": known}
    workspace = Workspace(tmp_path / "ws")
    load(World(users=[user | {"row_id": "r"}]), workspace)
    rows = "at,who,what,user\n2026-02-03T00:00:00Z,a,open,u_gone\n"
    (tmp_path / "clicks.csv").write_text(rows)
    assert child(INGEST, str(tmp_path)).returncode == -signal.SIGKILL
    assert any(place.startswith("lake/events/") for place in told_of(workspace, ["u_gone"]))
    ran = goldpan(workspace, "erase", "--user", "u_gone", "--yes")
    assert ran.exit_code == 0, ran.output
    assert told_of(workspace, ["u_gone"]) == []


def test_a_service_that_takes_events_must_be_stopped_before(workspace: Workspace) -> None:
    """What it writes meanwhile could name them again: nothing is erased."""
    intake = Intake(workspace.root)
    assert intake.post({"type": "track", "userId": "u_gone", "event": "login"}).status_code == 200
    ran = goldpan(workspace, "erase", "--account", "acc_gone", "--yes")
    assert (ran.exit_code, "Stop it, and erase again" in ran.output) == (2, True)
    wrong = goldpan(workspace, "erase", "--yes")
    assert (wrong.exit_code, "expected one of them" in wrong.output) == (2, True)
