import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from asked import state_of
from test_events_api import SETTINGS, Intake, copied
from test_serving_world import ROOT, authorization, free_port, served

from features import lake
from features.build import build
from features.errors import GoldpanError
from features.turns import alone
from features.workspace import Workspace
from serving.intake import overlay
from serving.intake.fresh import Refresher, next_midnight
from serving.scoring.accounts import current_snapshot
from serving.scoring.batch import score

NEXT = next_midnight().isoformat()


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    """An intake over a copy of the serving tests' world."""
    return Intake(copied(served().workspace, tmp_path / "copy"))


def someone(place: int = 0) -> tuple[str, str]:
    """A user and their account."""
    users = lake.read_table(served().workspace, "users", ["user_id", "account_id"]).to_pylist()
    known = {u["account_id"]: u["user_id"] for u in users}
    account = sorted(known)[place]
    return known[account], account


def track(place: int = 0, **more: Any) -> dict[str, Any]:
    """A call that names its account."""
    user, account = someone(place)
    call = {"type": "track", "userId": user, "event": "report_created"}
    return call | {"context": {"groupId": account}} | more


def built(
    workspace: Workspace, accounts: list[str], folder: Path, day: date | None = None
) -> pa.Table:
    """What a build of everything makes of accounts as of a day, or of the next midnight."""
    asked = pd.DataFrame({"account_id": accounts, "as_of": day or next_midnight()})
    return pq.read_table(build(workspace, SETTINGS, asked, out=folder / "built.parquet"))


def test_fresh_rows_are_what_a_build_makes_of_all_accounts(intake: Intake, tmp_path: Path) -> None:
    """Round after round, by kept statements and kept peers, every cell is equal to the bit.

    New users, a new account, an event without its account, one that comes late and one by a guest
    who turns out to be somebody are among them; accounts that nothing was learnt of have no row.
    """
    (user, account), (other, its_account) = someone(0), someone(1)
    late = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    rounds = [
        ([track(0), track(0, event="login")], {account}),
        ([{"type": "track", "userId": other, "event": "login"}], {its_account}),
        ([track(2, timestamp=late)], {someone(2)[1]}),
        (
            [
                {"type": "group", "userId": "new", "groupId": "acc_new", "traits": {"name": "N"}},
                {"type": "track", "anonymousId": "guest", "event": "search_used"},
                track(0),
            ],
            {"acc_new", account},
        ),
        ([{"type": "identify", "userId": user, "anonymousId": "guest"}], {account}),
    ]
    refresher = Refresher(intake.workspace, SETTINGS)
    every = set[str]()
    try:
        for calls, touched in rounds:
            assert intake.post({"batch": calls}).status_code == 200
            assert refresher.round() == len(touched)
            every |= touched
    finally:
        refresher.close()
    rows = overlay.read(intake.workspace)
    assert rows is not None
    assert set(rows["account_id"].to_pylist()) == every
    rows = rows.drop_columns([overlay.MADE_OF])
    # Rows of earlier rounds stand among the peers of then; that of the last among those of now.
    mine = rows.filter(pa.compute.equal(rows["account_id"], account))
    assert mine.equals(built(intake.workspace, [account], tmp_path).replace_schema_metadata())


def test_a_state_with_fresh_rows_answers_from_them_and_the_rest_from_the_night(
    intake: Intake,
) -> None:
    """The overlay takes the place of its rows only; ranks count the night's accounts."""
    _, account = someone(0)
    state = state_of(intake.workspace)
    snapshot = state.snapshot
    assert snapshot is not None
    night = pq.read_table(current_snapshot(intake.workspace) / "features.parquet")
    row = night.filter(pa.compute.equal(night["account_id"], account))
    day = pa.array([date(2026, 7, 2)], pa.date32())
    row = row.set_column(1, "as_of", day)
    place = row.schema.get_field_index("events_28d")
    row = row.set_column(place, "events_28d", pa.array([4321.0], pa.float32()))
    stamp = overlay.version_of(current_snapshot(intake.workspace))[1]
    overlay.publish(intake.workspace, row.append_column(overlay.MADE_OF, pa.array([stamp])))
    fresh = overlay.combined(intake.workspace, state)
    assert fresh.snapshot is not None
    table, before = fresh.snapshot.table, snapshot.table
    mine = table.row_of[account]
    assert (table.day(mine), table.as_of) == ("2026-07-02", "2026-07-01")
    assert table.facts(mine)["events_28d"] == 4321.0
    others = [i for i in range(len(table.ids)) if i != mine]
    assert np.array_equal(table.matrix[others], before.matrix[others], equal_nan=True)
    assert table.ids == before.ids
    for name, scorer in fresh.scorers.items():
        assert np.array_equal(scorer.peers, state.scorers[name].peers)


def test_a_row_that_a_snapshot_has_overtaken_is_left_out(intake: Intake) -> None:
    """A later day wins; on the same day the one that was made of more, of whichever table."""
    assert overlay.newer(("2026-07-02", "x@1"), ("2026-07-01", "x@9"))
    assert not overlay.newer(("2026-07-01", "x@9"), ("2026-07-02", "x@1"))
    assert overlay.newer(("2026-07-01", "x@10"), ("2026-07-01", "x@9"))
    assert not overlay.newer(("2026-07-01", "x@10"), ("2026-07-01", "y@9"))
    night = ("2026-07-01", "x@9 a@3 u@1 ")
    for tables, ahead in (
        ("x@9 a@3 u@1 ", False),
        ("x@9 a@10 u@1 ", True),  # an account
        ("x@9 a@3 u@1 i@0", True),  # the first alias of all
        ("x@8 a@4 u@1 ", False),  # the night knew of later events
        ("x@9 a@3  ", False),
        ("x@10", True),  # written before rows told of more than the events
        ("x@9", False),
    ):
        assert overlay.newer(("2026-07-01", tables), night) is ahead
    assert not overlay.newer(("2026-07-01", "x@9 a@3 u@1 "), ("2026-07-01", "unknown"))


def test_an_account_without_an_event_is_known_though_the_night_had_that_day(
    intake: Intake,
) -> None:
    """A round that brings a new account alone, after a snapshot of the same day."""
    refresher = Refresher(intake.workspace, SETTINGS)
    assert intake.post(track(0)).status_code == 200
    refresher.round()
    score(intake.workspace, SETTINGS, as_of=next_midnight(), shown=False)
    group = {"type": "group", "userId": "new", "groupId": "acc_new", "traits": {"name": "N"}}
    assert intake.post(group).status_code == 200
    assert refresher.round() == 1
    refresher.close()
    state = overlay.combined(intake.workspace, state_of(intake.workspace))
    assert state.snapshot is not None
    assert state.snapshot.table.as_of == next_midnight().isoformat()
    assert "acc_new" in state.snapshot.table.row_of


def test_a_damaged_overlay_leaves_the_nights_scores_answering(intake: Intake) -> None:
    """A flipped bit is found by the digest; the state is what it was without it."""
    state = state_of(intake.workspace)
    night = pq.read_table(current_snapshot(intake.workspace) / "features.parquet").slice(0, 1)
    overlay.publish(intake.workspace, night.append_column(overlay.MADE_OF, pa.array(["x@1"])))
    [file] = overlay.folder_of(intake.workspace).glob("rows-*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert overlay.combined(intake.workspace, state) is state


def test_a_command_waits_for_a_turn_that_is_brief(tmp_path: Path) -> None:
    """`goldpan build` need not fail because the service is at it just now."""
    workspace = Workspace(tmp_path)
    held = "import sys,time; from pathlib import Path; from features.turns import alone;"
    held += "from features.workspace import Workspace\nwith alone(Workspace(Path(sys.argv[1])), "
    held += "'build', brief=sys.argv[2] == 'brief'):\n print('held', flush=True); time.sleep(1)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for kind in ("brief", "long"):
        command = [sys.executable, "-c", held, str(tmp_path), kind]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if kind == "brief":
                with alone(workspace, "build"):
                    pass
            else:
                with pytest.raises(GoldpanError, match="another build at work"):
                    alone(workspace, "build").__enter__()


SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), settings=Path("goldpan.toml"),
      ready=lambda url: print(url, flush=True))
"""


@contextmanager
def started(root: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A service with its refresher, and who may ask it; the block sees to its end."""
    command = [sys.executable, "-c", SERVE, str(root), str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        headers = authorization("score", "events", root=root)
        with httpx.Client(base_url=url, timeout=30, trust_env=False, headers=headers) as client:
            yield client, process


@pytest.fixture
def service(intake: Intake) -> Iterator[tuple[Intake, httpx.Client]]:
    """The service with its refresher; both end by SIGINT."""
    with started(intake.workspace.root) as (client, process):
        yield intake, client
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    with alone(intake.workspace, "intake"):  # its process is gone
        pass


def day_of(client: httpx.Client, account: str) -> str:
    """The day of an account's score."""
    answer = client.post("/v1/scores", json={"accounts": [account]})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"][0]["as_of"])


def test_an_event_is_seen_by_its_accounts_next_score(
    service: tuple[Intake, httpx.Client],
) -> None:
    """A running service answers from the newer row, and says from which day on; others stay."""
    _, client = service
    (_, account), (_, other) = someone(3), someone(4)
    assert day_of(client, account) == "2026-07-01"
    assert client.post("/v1/events", json=track(3)).status_code == 200
    deadline = time.monotonic() + 240  # the first waits until the statements are made
    while (day := day_of(client, account)) == "2026-07-01":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert day in (NEXT, next_midnight().isoformat())
    assert day_of(client, other) == "2026-07-01"
