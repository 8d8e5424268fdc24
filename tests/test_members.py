"""Who belongs to an account, where the tables say little."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from features.engines.engine import engine_of
from features.members import members
from features.read_settings import load_settings
from features.rollups.weeks import ensure_rollups
from features.workspace import Workspace
from serving.scoring.lived import _people
from tests.worlds import World, load

SETTINGS = load_settings(Path(__file__).parent.parent / "goldpan.toml")
DAY = date(2026, 7, 1)
NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)


def lake_of(place: Path, events: list[dict], users: list[dict]) -> Workspace:
    """A lake of one account, its rollups made."""
    workspace, signed_up = Workspace(place), NOON - timedelta(days=40)
    account = {"account_id": "a", "created_at": signed_up, "known_at": signed_up, "row_id": "r"}
    made = [
        {"message_id": f"m{n}", "event_time": NOON, "known_at": NOON, "account_id": "a",
         "event": "login", **event}
        for n, event in enumerate(events)
    ]  # fmt: skip
    load(World(accounts=[account], events=made, users=users), workspace)
    with closing(engine_of(workspace, SETTINGS)) as engine:
        ensure_rollups(engine, workspace, SETTINGS)
    return workspace


def test_a_person_who_was_only_seen_in_events_has_no_role_and_no_first_day(tmp_path: Path) -> None:
    """Beside one who has a row of the table `users` and did nothing."""
    joined = NOON - timedelta(days=9)
    row = {"user_id": "u2", "account_id": "a", "created_at": joined, "known_at": joined,
           "role": "admin", "row_id": "u"}  # fmt: skip
    workspace = lake_of(tmp_path, [{"user_id": "u1"}, {"user_id": "u1"}], [row])
    [first, second] = _people(workspace, DAY)["a"]
    assert (first["user_id"], first["role"], first["joined"]) == ("u1", None, None)
    assert (first["uses"], first["days"], first["last"]) == (2.0, 1.0, date(2026, 6, 30))
    assert (second["user_id"], second["role"], second["joined"]) == ("u2", "admin", joined.date())
    assert (second["uses"], second["last"], second["left"]) == (0.0, None, None)


def test_a_person_who_left_and_came_back_is_a_member(tmp_path: Path) -> None:
    """The last row counts with what it does not say: no day of leaving, and no role."""
    [first, second] = (NOON - timedelta(days=days) for days in (30, 9))
    row = {"user_id": "u", "account_id": "a"}
    rows = [
        row | {"created_at": first, "known_at": first, "role": "admin", "row_id": "1",
               "left_at": first + timedelta(days=5)},
        row | {"created_at": second, "known_at": second, "row_id": "2"},
    ]  # fmt: skip
    [found] = _people(lake_of(tmp_path, [{"user_id": "u"}], rows), DAY)["a"]
    assert (found["joined"], found["left"], found["role"]) == (second.date(), None, None)


def test_accounts_without_people_have_none(tmp_path: Path) -> None:
    """Events that name no user, and no table `users`."""
    workspace = lake_of(tmp_path, [{"user_id": None}], [])
    assert members(workspace, DAY).empty
    assert _people(workspace, DAY) == {}


def test_before_there_is_a_rollup_everyone_is_known_by_the_table_alone(tmp_path: Path) -> None:
    """The day before anything happened."""
    row = {"user_id": "u2", "account_id": "a", "created_at": NOON, "known_at": NOON,
           "role": "admin", "row_id": "u"}  # fmt: skip
    workspace = Workspace(tmp_path)
    load(World(users=[row]), workspace)
    found = members(workspace, DAY)
    assert found["user_id"].tolist() == ["u2"]
    assert np.isnan(found["last"].astype(float)).all()
    assert members(workspace, date(2026, 6, 30)).empty
