"""What the nightly scoring keeps of each account's past is what the lake knew on that day."""

import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from asked import of_the_world
from test_serving_world import served

from features import lake
from features.build import build
from features.errors import InputError
from features.history import changes
from features.lifecycle.states import states
from features.lifecycle.weekly import weekly
from features.members import members
from serving.scoring.accounts import LATER, Snapshot, load_snapshot
from serving.scoring.batch import write_manifest
from serving.scoring.lives import LIVES, Life

DAY = date(2026, 7, 1)
MIDNIGHT = pd.Timestamp(DAY, tz="UTC")


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """The scored day of the shared world."""
    return load_snapshot(served().snapshot)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """The events that were known by that day's midnight, each with the week before it."""
    return known(MIDNIGHT)


def known(midnight: pd.Timestamp) -> pd.DataFrame:
    """What the lake knew of events by a midnight."""
    frame = lake.read_table(served().workspace, "events").to_pandas()
    frame = frame[(frame["event_time"] < midnight) & (frame["known_at"] <= midnight)]
    people = lake.read_table(served().workspace, "users").to_pandas()
    home = dict(zip(people["user_id"], people["account_id"], strict=True))
    frame["account_id"] = frame["account_id"].fillna(frame["user_id"].map(home))
    days = (midnight - frame["event_time"]).dt.days
    return frame.assign(back=days, week=days // 7, day=frame["event_time"].dt.date)


def test_each_account_is_in_its_state_since_the_day_that_the_lifecycle_says(snapshot) -> None:
    """The profile's state and its first day are those of `features.lifecycle.states`."""
    told = states(served().workspace, served().settings, DAY).set_index("account_id")
    assert told["since"].nunique() > 20
    for account, profile in zip(snapshot.table.ids, snapshot.profiles, strict=True):
        assert (profile.state, profile.since) == (
            told["state"][account], str(told["since"][account].date()),
        )  # fmt: skip
        last = snapshot.lives.life(snapshot.table.row_of[account]).states[-1]
        assert (last.state, str(last.since)) == (profile.state, profile.since)


def test_a_milestone_is_reached_on_the_day_of_the_event_that_completes_it(snapshot, events) -> None:
    """The count-th event of its name, in days; what came late is reached when it was known."""
    seen = events.assign(day=np.maximum(
        events["day"], (events["known_at"] - timedelta(microseconds=1)).dt.date))  # fmt: skip
    found = 0
    for account, mine in seen.groupby("account_id"):
        if account not in snapshot.table.row_of:
            continue
        expected = {}
        for step in served().settings.milestones:
            days = sorted(mine.loc[mine["event"] == step.event, "day"])
            if len(days) >= step.count:
                expected[step.name] = days[step.count - 1]
        life = snapshot.lives.life(snapshot.table.row_of[account])
        assert {r.milestone: r.day for r in life.milestones} == expected
        assert [r.day for r in life.milestones] == sorted(expected.values())
        found += len(expected)
    assert found > 100


def test_the_people_of_an_account_are_counted_as_the_events_have_them(snapshot, events) -> None:
    """Uses and days with a use in 28 days, the last day, the weeks; who left is told to have."""
    quiet = {*served().settings.events.passive, *served().settings.events.notifications_shown}
    uses = events[~events["event"].isin(quiet) & events["user_id"].notna()]
    looked = 0
    by_person = dict(list(uses.groupby(["account_id", "user_id"])))
    for row, account in enumerate(snapshot.table.ids):
        for person in snapshot.lives.life(row).people:
            mine = by_person.get((account, person.user_id), uses.iloc[:0])
            near = mine[mine["back"] < 28]
            assert (person.uses, person.days) == (len(near), near["day"].nunique())
            assert person.before == len(mine[(mine["back"] >= 28) & (mine["back"] < 56)])
            counts = mine["week"].value_counts()
            assert list(person.weeks) == [counts.get(w, 0) for w in range(11, -1, -1)]
            seen = mine.loc[mine["week"] < 26, "day"]
            assert person.last == (seen.max() if len(seen) else None)
            looked += len(near) > 0
    assert looked > 100
    everyone = [p for r in range(len(snapshot.table.ids)) for p in snapshot.lives.life(r).people]
    assert {p.role for p in everyone} >= {"owner", "admin", "member"}
    assert any(p.left for p in everyone)
    assert all(p.left is None or p.left <= DAY for p in everyone)


def test_weeks_count_core_use_and_tickets(snapshot, events) -> None:
    """Twenty-six weeks, the last ending on the scoring day."""
    named = {"core": served().settings.events.core_use_cases,
             "tickets": served().settings.events.tickets}  # fmt: skip
    total: dict[str, float] = defaultdict(float)
    for row, account in enumerate(snapshot.table.ids):
        life = snapshot.lives.life(row)
        mine = events[events["account_id"] == account]
        for what, names in named.items():
            counts = mine.loc[mine["event"].isin(names), "week"].value_counts()
            assert list(getattr(life, what)) == [counts.get(w, 0) for w in range(25, -1, -1)]
            total[what] += sum(getattr(life, what))
    assert min(total.values()) > 50


def test_an_earlier_day_knows_nothing_that_came_later() -> None:
    """People and weeks of eight weeks before, from a lake that holds all that came since."""
    day = DAY - timedelta(weeks=8)
    midnight = pd.Timestamp(day, tz="UTC")
    events, quiet = known(midnight), served().settings.events
    uses = events[~events["event"].isin([*quiet.passive, *quiet.notifications_shown])]
    then = members(served().workspace, day).set_index(["account_id", "user_id"])
    near = uses[uses["back"] < 28].groupby(["account_id", "user_id"]).size()
    told = then.loc[then["uses"] > 0, "uses"]
    assert told.sort_index().to_dict() == near.sort_index().to_dict()
    assert len(near) > 50
    assert then["joined"].max() < (day - date(1970, 1, 1)).days
    assert not (then["left"] > (day - date(1970, 1, 1)).days).any()
    core, tickets = weekly(served().workspace, served().settings, day)
    for found, names in ((core, quiet.core_use_cases), (tickets, quiet.tickets)):
        mine = events[events["event"].isin(names) & (events["week"] < 26)]
        counts = mine.groupby("account_id").size().to_dict()
        assert {a: sum(weeks) for a, weeks in found.items() if sum(weeks)} == counts


def test_what_was_bought_is_told_as_far_as_it_was_known(snapshot) -> None:
    """The commercial changes before the day, as known then."""
    told = changes(served().workspace, served().settings, DAY)
    told = told[told["time"] < MIDNIGHT]
    mine = told[told["account_id"].isin(snapshot.table.ids)]
    lives = [snapshot.lives.life(row) for row in range(len(snapshot.table.ids))]
    kinds = [c.kind for life in lives for c in life.changes]
    assert sorted(kinds) == sorted(mine["kind"])
    assert {"convert", "churn"} <= {*kinds}


def test_the_index_of_earlier_weeks_is_what_a_build_of_that_day_says(
    snapshot, tmp_path: Path
) -> None:
    """Bit for bit, beside the median of the accounts that were its peers then."""
    world, day = served(), snapshot.lives.days[-3]
    assert [(DAY - d).days for d in snapshot.lives.days] == list(range(84, 0, -7))
    rows = {i: snapshot.lives.trends(r, ["cbi", "logins_28d"])
            for i, r in snapshot.table.row_of.items()}  # fmt: skip
    there = [i for i, told in rows.items() if not np.isnan(told["cbi"][-3])]
    assert 50 < len(there) < 120
    asked = pd.DataFrame({"account_id": there, "as_of": day})
    path = build(world.workspace, world.settings, asked, out=tmp_path / "then.parquet")
    then = pq.read_table(path).to_pandas().set_index("account_id")
    for account in there:
        for name, values in rows[account].items():
            assert np.float32(values[-3]) == then[name][account]
    for population, mine in then.groupby("population"):
        assert snapshot.lives.peers[population]["cbi"][-3] == pytest.approx(mine["cbi"].median())


def test_only_features_that_are_kept_have_a_trend(snapshot) -> None:
    """Asking for another gives nothing of it, and no error."""
    assert snapshot.lives.trends(0, ["plan", "no_such_feature"]) == {}


def test_an_account_made_since_the_night_has_no_past_and_no_error(snapshot) -> None:
    """Its row stands behind those that the night knew."""
    behind = len(snapshot.table.ids)
    assert snapshot.lives.life(behind) == Life()
    assert snapshot.lives.trends(behind, ["cbi"]) == {}


def test_a_snapshot_without_lives_still_answers(snapshot, tmp_path: Path) -> None:
    """One of an earlier version; one whose lives were changed is refused."""
    older = tmp_path / served().snapshot.name
    shutil.copytree(served().snapshot, older)
    content = (older / LIVES).read_bytes()
    (older / LIVES).write_bytes(content[:-9] + b"?" + content[-8:])
    with pytest.raises(InputError, match="sha256"):
        load_snapshot(older)
    for name in LATER:
        (older / name).unlink()
    kept = [p.name for p in older.iterdir() if p.name != "manifest.json"]
    write_manifest(older, tuple(kept), DAY, [])
    assert load_snapshot(older).lives is None


def test_the_profile_tells_the_state_since_when_and_the_journey(snapshot) -> None:
    """`GET /v1/accounts/{id}`: the first day of the state, each milestone with its day."""
    asked = of_the_world("read")
    row = max(range(120), key=lambda r: len(snapshot.lives.life(r).milestones))
    told = asked.get(f"/v1/accounts/{snapshot.table.ids[row]}")
    assert told["state_since"] == snapshot.profiles[row].since
    assert told["journey"] == [
        {"milestone": r.milestone, "reached_on": str(r.day)}
        for r in snapshot.lives.life(row).milestones
    ]
    assert len(told["journey"]) >= 3
    assert datetime.now(UTC).date() >= date.fromisoformat(told["state_since"])
