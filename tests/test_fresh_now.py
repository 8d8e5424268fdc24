import asyncio
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from asked import Asked, state_of
from test_events_api import SETTINGS, Intake, copied
from test_events_fresh import built, someone, started, track
from test_serving_world import served

from features.workspace import Workspace
from serving.intake import fresh, wire
from serving.intake.fresh import Refresher, next_midnight
from serving.intake.listening import Listening, why_not
from serving.intake.listening import told as told_to
from serving.intake.overlay import only
from serving.intake.refresher import turn
from serving.intake.wire import NotFreshError, rows_now


@contextmanager
def service(root: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """The service with its refresher; killed with all its processes when the block ends."""
    with started(root) as (client, process):
        top = psutil.Process(process.pid)
        yield client, top
        for one in [*top.children(recursive=True), top]:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def score_now(client: httpx.Client, *accounts: str) -> Any:
    """The answer about accounts as they are now; waits until somebody can give it."""
    deadline = time.monotonic() + 120
    while True:
        body = {"accounts": list(accounts), "fresh": True}
        answer = client.post("/v1/scores", json=body)
        assert answer.status_code == 200, answer.text
        if answer.json()["fresh"]:
            return answer.json()
        assert answer.json()["not_fresh"]
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def assert_as_built(answer: Any, workspace: Workspace, folder: Path) -> None:
    """Every score is that of the row which a build makes now, to the bit: its id says so."""
    accounts = [result["account_id"] for result in answer["results"]]
    rows = built(workspace, accounts, folder)
    now = asyncio.run(rows_now(workspace, accounts))
    assert now.equals(rows.replace_schema_metadata())
    state = only(state_of(workspace), rows)
    assert state.snapshot is not None
    row_of = state.snapshot.table.row_of
    scores = [(r["account_id"], score) for r in answer["results"] for score in r["scores"]]
    assert scores
    for account, score in scores:
        expected = state.scorers[score["model"]].scores([row_of[account]])
        assert [score["score_id"]] == list(expected.ids)
        assert [score["probability"]] == expected.chances.tolist()


def refresher_of(top: psutil.Process) -> psutil.Process:
    """The process that makes scores fresh."""
    [found] = [p for p in top.children() if "serving.intake.refresher" in p.cmdline()]
    return found


def test_a_fresh_score_is_of_all_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    """Posted and at once asked for: an event, one that comes late, and one after a kill -9.

    Each answer is what a build of everything makes of the account at that moment, to the bit.
    """
    workspace = Workspace(copied(served().workspace, tmp_path / "copy"))
    (_, one), (_, two) = someone(3), someone(4)
    late = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    with service(workspace.root) as (client, top):
        before = score_now(client, one, two)
        for place, call in enumerate((track(3), track(4, timestamp=late))):
            assert client.post("/v1/events", json=call).status_code == 200
            after = score_now(client, one, two)
            assert after["as_of"] == next_midnight().isoformat()
            assert ids(after)[place] != ids(before)[place]
            before = after
        assert_as_built(after, workspace, tmp_path)
        assert stat.S_IMODE(wire.folder_of(workspace).stat().st_mode) == 0o700
        assert stat.S_IMODE((wire.folder_of(workspace) / "socket").stat().st_mode) == 0o600
        refresher_of(top).kill()
        assert client.post("/v1/events", json=track(3, event="login")).status_code == 200
        night = client.post("/v1/scores", json={"accounts": [one], "fresh": True}).json()
        assert (night["fresh"], night["not_fresh"]) == (False, wire.NOBODY)
        after = score_now(client, one, two)
        assert ids(after) != ids(before)
        assert_as_built(after, workspace, tmp_path)


def ids(answer: Any) -> list[list[str]]:
    """For each account the ids of its scores."""
    return [[score["score_id"] for score in result["scores"]] for result in answer["results"]]


@pytest.mark.slow
def test_a_service_that_was_killed_makes_its_fresh_scores_from_the_lake_again(
    tmp_path: Path,
) -> None:
    """What was acknowledged just before `kill -9` of all its processes counts after the start."""
    workspace = Workspace(copied(served().workspace, tmp_path / "copy"))
    (_, one), (_, two) = someone(3), someone(4)
    with service(workspace.root) as (client, _):
        before = score_now(client, one, two)
        assert client.post("/v1/events", json=track(3)).status_code == 200
    with service(workspace.root) as (client, _):
        after = score_now(client, one, two)
        assert ids(after) != ids(before)
        assert_as_built(after, workspace, tmp_path)


@contextmanager
def answered_by(workspace: Workspace, answer: Any) -> Iterator[Listening]:
    """An ear whose questions `answer` sees to, in a thread."""
    with Listening(workspace) as ear:
        ear.ready = True
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                answer(ear.questions(0.05))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield ear
        finally:
            ended.set()
            thread.join()


def test_who_asks_for_fresh_and_cannot_have_it_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody there, one that is starting, one that refuses, one that takes too long."""
    asked = Asked(Workspace(copied(served().workspace, tmp_path / "copy")), "score")
    body = {"accounts": [someone()[1]], "fresh": True}

    def why() -> str:
        told = asked.post("/v1/scores", **body)
        assert (told["fresh"], told["as_of"]) == (False, "2026-07-01")
        assert told["results"][0]["scores"]
        return str(told["not_fresh"])

    assert why() == wire.NOBODY
    with Listening(asked.workspace):
        assert "is starting" in why()
    with answered_by(asked.workspace, lambda qs: [q.tell(why_not("found /srv/a/b")) for q in qs]):
        assert why() == "found b"
    monkeypatch.setattr(wire, "WAITS_SECONDS", 0.3)
    with answered_by(asked.workspace, lambda qs: None):
        assert why() == "no rows within 0 seconds"
    problem = asked.refused(404, "unknown-account", "POST", "/v1/scores",
                            json={"accounts": ["acc_nobody"], "fresh": True})  # fmt: skip
    assert problem.detail.endswith(f"; nor can it be looked up now: {wire.NOBODY}.")
    plain = asked.post("/v1/scores", accounts=body["accounts"])
    assert not {"fresh", "not_fresh"} & plain.keys()


def test_a_new_accounts_fresh_score_and_one_that_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account of a minute ago has a score, by rows from memory; an unknown one is an error.

    The night's snapshot knows neither, and the socket's path may be longer than the system takes.
    """
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    intake = Intake(copied(served().workspace, deep))
    group = {"type": "group", "userId": "new", "groupId": "acc_new", "traits": {"name": "N"}}
    asked = Asked(intake.workspace, "score")
    refresher = Refresher(intake.workspace, SETTINGS)
    refresher.warm_up()
    monkeypatch.setattr(wire, "WAITS_SECONDS", 60.0)

    def answer(questions: Any) -> None:
        accounts = {a for q in questions for a in q.accounts}
        if questions:
            told_to(questions, refresher.rows_now(accounts))

    assert intake.post(group).status_code == 200
    with answered_by(intake.workspace, answer):
        found = asked.post("/v1/scores", accounts=["acc_new", "acc_nobody"], fresh=True)
        assert [r["account_id"] for r in found["results"]] == ["acc_new"]
        assert [e["account_id"] for e in found["errors"]] == ["acc_nobody"]
        assert found["fresh"] is True
        held = refresher.resident.state
        again = asked.post("/v1/scores", accounts=["acc_new"], fresh=True)
        assert refresher.resident.state is held
        assert again["results"] == [found["results"][0] | {"scores": again["results"][0]["scores"]}]
        asked.refused(404, "unknown-account", "POST", "/v1/scores",
                      json={"accounts": ["acc_nobody"], "fresh": True})  # fmt: skip
    refresher.close()


def test_at_midnight_what_is_held_moves_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made anew, nobody waits for it, and the rows are a build's of the new day."""
    intake = Intake(copied(served().workspace, tmp_path / "copy"))
    accounts = [someone(place)[1] for place in range(3)]
    refresher = Refresher(intake.workspace, SETTINGS)
    refresher.warm_up()
    assert intake.post(track(1)).status_code == 200
    refresher.round()
    held, tomorrow = refresher.resident.state, next_midnight() + timedelta(days=1)
    assert not refresher.is_of_yesterday()
    monkeypatch.setattr(fresh, "next_midnight", lambda: tomorrow)
    assert refresher.is_of_yesterday()
    with Listening(intake.workspace) as ear:
        ear.ready = True
        turn(refresher, ear)
    assert not refresher.is_of_yesterday()
    assert refresher.resident.state is held
    expected = built(intake.workspace, accounts, tmp_path, tomorrow)
    assert refresher.rows_now(accounts).equals(expected.replace_schema_metadata())
    refresher.close()


def test_readiness_tells_of_events_that_wait(tmp_path: Path) -> None:
    """Without a process that takes them into the lake it says so, and what would."""
    intake = Intake(copied(served().workspace, tmp_path / "copy"))
    asked = Asked(intake.workspace)
    assert asked.get("/readyz")["events"] == {"status": "in_the_lake", "bytes_waiting": 0}
    assert intake.post(track()).status_code == 200
    events = asked.get("/readyz")["events"]
    assert (events["status"], events["bytes_waiting"] > 100) == ("waiting", True)
    assert "goldpan ingest" in events["detail"]
    with Listening(intake.workspace):
        told = asked.get("/readyz")["events"]
        assert told == {"status": "on_their_way", "bytes_waiting": events["bytes_waiting"]}
    intake.collect()
    assert asked.get("/readyz")["events"]["status"] == "in_the_lake"


def test_words_that_are_no_answer_are_nobodys(tmp_path: Path) -> None:
    """Whatever else listens there, a caller gets an error of ours, in time."""
    workspace = Workspace(tmp_path)
    with pytest.raises(NotFreshError, match="no process"):
        asyncio.run(rows_now(workspace, ["a"]))
    with answered_by(workspace, lambda qs: [q.tell(b"") for q in qs]), pytest.raises(NotFreshError):
        asyncio.run(rows_now(workspace, ["a"]))
