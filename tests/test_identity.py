import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import goldpan
from features import lake
from features.identity.resolve import (
    Links,
    assigned,
    ended,
    is_complete,
    links,
    merged,
    merged_away,
    unresolved,
)
from features.workspace import Workspace
from serving.scoring.batch import living
from tests.identity_reference import Row, final, owner

START = datetime(2024, 2, 28, tzinfo=UTC)
SEARCH = settings(
    max_examples=int(os.environ.get("GOLDPAN_EXAMPLES", "3")) * 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def day(number: float) -> datetime:
    """An instant some days after the start."""
    return START + timedelta(days=number)


def instant(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def table(name: str, rows: list[Row]) -> pa.Table:
    """Rows of a contract table as the lake holds them."""
    if name == "events":
        rows = [row | {"event_us": instant(row["event_time"]), "source": "test"} for row in rows]
    return pa.Table.from_pylist(rows, schema=lake.table_schema(name))


def linked(users: list[Row], identities: list[Row]) -> Links:
    """The links of some rows."""
    return links(table("users", users), table("identities", identities))


def rows_of(expression: ibis.Table) -> list[Row]:
    """What an expression computes, on DuckDB."""
    return ibis.duckdb.connect().to_pyarrow(expression).to_pylist()


def told(events: list[Row], told_links: Links) -> list[Row]:
    """The events, assigned."""
    return rows_of(assigned(ibis.memtable(table("events", events)), told_links, complete=False))


def at(rows: list[Row], as_of: datetime) -> list[Any]:
    """(row_id, account, user) of the rows that hold at an instant, of what happened before it."""
    moment = instant(as_of)
    return sorted(
        (r["row_id"], r["account_id"], r["user_id"])
        for r in rows
        if r["known_us"] <= moment < r["until_us"] and r.get("event_us", moment - 1) < moment
    )


def event(row_id: str = "e", when: float = 5, known: float | None = None, **ids: str) -> Row:
    """One event on a day."""
    arrived = day(when if known is None else known)
    return {"row_id": row_id, "event_time": day(when), "known_at": arrived, "event": "x", **ids}


def user(user_id: str, account: str, joined: float, known: float, left: float | None = None) -> Row:
    """One row of users."""
    return {
        "user_id": user_id, "account_id": account, "created_at": day(joined),
        "known_at": day(known), "left_at": None if left is None else day(left),
        "row_id": f"{user_id}{account}{joined}{known}",
    }  # fmt: skip


def link(kind: str, from_id: str, to_id: str, since: float, known: float) -> Row:
    """One row of identities."""
    return {"kind": kind, "from_id": from_id, "to_id": to_id, "since": day(since),
            "known_at": day(known), "row_id": f"{kind}{from_id}{to_id}{since}{known}"}  # fmt: skip


moments = st.sampled_from([0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0])
shifts = st.sampled_from([timedelta(), timedelta(), timedelta(microseconds=1)])


def jittered(row: Row, shift: timedelta, *names: str) -> Row:
    """The row with some of its times moved by a microsecond."""
    return row | {n: row[n] + shift for n in names if row[n] is not None}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Row], list[Row], list[Row]]:
    """Events, users and identities of few ids and few instants, so that everything meets."""
    one = st.sampled_from
    users = [
        jittered(
            user(draw(one(["u", "v", "n"])), draw(one("ABCD")), draw(moments), draw(moments),
                 draw(st.one_of(st.none(), moments))),
            draw(shifts), draw(one(["created_at", "left_at", "known_at"])),
        ) | {"row_id": f"{n:03}"}
        for n in range(draw(st.integers(0, 8)))
    ]  # fmt: skip
    aliases = [
        jittered(link("alias", draw(one(["n", "m"])), draw(one("uvw")), draw(moments),
                      draw(moments)), draw(shifts), "since")
        for _ in range(draw(st.integers(0, 5)))
    ]  # fmt: skip
    pairs = one([(a, b) for a in "ABCD" for b in "ABCD" if a != b])
    merges = [
        link("merge", *draw(pairs), draw(moments), draw(moments))
        for _ in range(draw(one([0, 0, 1, 2, 5])))
    ]
    events = []
    for n in range(draw(st.integers(1, 8))):
        ids = {"account_id": draw(one([None, None, "A", "B"])),
               "user_id": draw(one([None, "u", "v"])),
               "anonymous_id": draw(one([None, "n", "m"]))}  # fmt: skip
        named = {key: value for key, value in ids.items() if value}
        events.append(event(f"{n:03}", draw(moments), draw(moments), **named))
        events[-1]["event_time"] += draw(shifts)
    return events, users, aliases + merges


@given(worlds())
@SEARCH
def test_every_event_belongs_to_whom_plain_python_says(
    world: tuple[list[Row], list[Row], list[Row]],
) -> None:
    """At every instant around a change, the rows that hold are what the slow reference says."""
    events, users, identities = world
    rows = told(events, linked(users, identities))
    tick = timedelta(microseconds=1)
    for moment in {r["known_at"] for r in events + users + identities}:
        for as_of in (moment - tick, moment, moment + tick):
            owners = {e["row_id"]: owner(e, users, identities, as_of) for e in events
                      if e["known_at"] <= as_of and e["event_time"] < as_of}  # fmt: skip
            expected = sorted((name, *found) for name, found in owners.items() if found)
            assert at(rows, as_of) == expected


@given(worlds())
@SEARCH
def test_what_is_learnt_later_leaves_the_past_as_it_was(
    world: tuple[list[Row], list[Row], list[Row]],
) -> None:
    """The assignment at an instant is the same without all that became known after it."""
    events, users, identities = world
    as_of = day(2)
    rows = told(events, linked(users, identities))
    then = [[r for r in part if r["known_at"] <= as_of] for part in (events, users, identities)]
    assert at(told(then[0], linked(*then[1:])), as_of) == at(rows, as_of)


@given(worlds())
@SEARCH
def test_rows_of_contract_tables_follow_merges(
    world: tuple[list[Row], list[Row], list[Row]],
) -> None:
    """A row counts for the account that goes on; an account's own row ends with its merge."""
    _, users, identities = world
    merges = [r for r in identities if r["kind"] == "merge"]
    accounts = [{"account_id": a, "created_at": day(0), "known_at": day(1), "row_id": a}
                for a in "ABCD"]  # fmt: skip
    told_links = linked(users, identities)
    moved = rows_of(merged(ibis.memtable(table("users", users)), told_links))
    ends = rows_of(ended(ibis.memtable(table("accounts", accounts)), told_links))
    for moment in {r["known_at"] for r in users + identities}:
        known = [r for r in identities if r["known_at"] <= moment]
        expected = sorted((r["row_id"], final(r["account_id"], known), r["user_id"])
                          for r in users if r["known_at"] <= moment)  # fmt: skip
        assert at(moved, moment) == expected
        gone = {r["from_id"] for r in merges if r["known_at"] <= moment}
        there = [r["account_id"] for r in ends
                 if r["known_us"] <= instant(moment) < r["until_us"]]  # fmt: skip
        assert sorted(there) == [a for a in "ABCD" if a not in gone and moment >= day(1)]


def test_an_anonymous_visit_becomes_the_users_when_the_alias_is_known() -> None:
    """Before the sign-up the visit is nobody's; afterwards it is the account's, past included."""
    rows = told(
        [event(anonymous_id="n", when=1)],
        linked([user("u", "A", joined=3, known=3)], [link("alias", "n", "u", since=3, known=4)]),
    )
    assert at(rows, day(3)) == []
    assert at(rows, day(4)) == [("e", "A", "u")]


def test_a_shared_device_is_whoever_used_it_last() -> None:
    """Each event of a shared browser is the user's who signed in before it."""
    identities = [link("alias", "kiosk", "u", 1, 1), link("alias", "kiosk", "v", 5, 5)]
    users = [user("u", "A", 0, 0), user("v", "B", 0, 0)]
    events = [event(f"e{d}", d, anonymous_id="kiosk") for d in (0, 2, 5, 9)]
    rows = told(events, linked(users, identities))
    assert at(rows, day(10)) == [("e0", "A", "u"), ("e2", "A", "u"), ("e5", "B", "v"),
                                ("e9", "B", "v")]  # fmt: skip


def test_a_user_who_moves_takes_only_later_events_along() -> None:
    """Events before a change of account stay, also those that arrive after it."""
    users = [user("u", "A", 0, 0), user("u", "A", 0, 6, left=4), user("u", "B", 4, 6)]
    events = [event("before", 3, user_id="u"), event("after", 4, user_id="u"),
              event("late", 3, 9, user_id="u")]  # fmt: skip
    rows = told(events, linked(users, []))
    assert at(rows, day(5.5)) == [("after", "A", "u"), ("before", "A", "u")]
    assert at(rows, day(9)) == [("after", "B", "u"), ("before", "A", "u"), ("late", "A", "u")]


def test_a_chain_of_merges_is_followed_as_far_as_it_is_known() -> None:
    """A → B → C: A's events are B's until the second merge is known, then C's."""
    merges = [link("merge", "A", "B", 0, 6), link("merge", "B", "C", 0, 8)]
    rows = told([event(account_id="A", user_id="u")], linked([], merges))
    assert [at(rows, day(d))[0][1] for d in (5.5, 6, 7, 8)] == ["A", "B", "B", "C"]
    assert merged_away(linked([], merges)).to_pydict() == {
        "account_id": ["A", "B"], "gone_us": [instant(day(6)), instant(day(8))],
    }  # fmt: skip


def test_a_company_that_names_its_accounts_needs_no_join() -> None:
    """With everything named, the plan reads the events and nothing else."""
    named = [event(account_id="A", user_id="u"), event("f", account_id="B", anonymous_id="n")]
    events = ibis.memtable(table("events", named))
    none = linked([user("u", "A", 0, 0)], [])
    assert is_complete(events, none)
    rows = assigned(events, none, complete=True)
    assert "JOIN" not in ibis.to_sql(rows, dialect="duckdb").upper()
    assert at(rows_of(rows), day(9)) == [("e", "A", "u"), ("f", "B", "n")]


@pytest.mark.parametrize(
    ("ids", "identities"),
    [
        ({"user_id": "u"}, []),
        ({"account_id": "A", "anonymous_id": "n"}, [link("alias", "n", "u", 0, 0)]),
        ({"account_id": "A", "user_id": "u"}, [link("merge", "A", "B", 0, 0)]),
    ],
)
def test_what_needs_a_link_is_found_incomplete(ids: Row, identities: list[Row]) -> None:
    """An event without an account, one with an alias, and any merge need the joins."""
    events = ibis.memtable(table("events", [event(**ids)]))
    assert not is_complete(events, linked([], identities))


def test_many_switches_between_two_accounts_take_no_time() -> None:
    """Thousands of rows of one user, and of one shared device, are told in seconds."""
    switches = [user("u", "AB"[n % 2], n, n) for n in range(3000)]
    devices = [link("alias", "kiosk", f"u{n % 50}", n, n) for n in range(3000)]
    left = [user("v", "AB"[n % 2], n, n, left=n + 1) for n in range(3000)]
    everywhere = [user("0", f"A{n}", n, 3000 if n % 2 else n) for n in range(3000)]
    found = linked(switches + left + everywhere, devices)
    assert found.aliases.num_rows < 9010
    assert found.memberships.num_rows < 36010


def test_events_that_nobody_can_place_are_counted_until_somebody_can(tmp_path: Path) -> None:
    """Events without an account count by source until a user's row arrives."""
    workspace = Workspace(tmp_path)
    assert unresolved(workspace) == {}
    events = [event(user_id="u"), event("f", user_id="v"), event("g", account_id="A")]
    month = [row | {"event_month": "2024-03"} for row in table("events", events).to_pylist()]
    lake.append_rows(workspace, "events", pa.Table.from_pylist(month, lake.table_schema("events")))
    assert unresolved(workspace) == {"test": 2}
    lake.append_rows(workspace, "users", table("users", [user("u", "A", 0, 9)]))
    assert unresolved(workspace) == {"test": 1}


def test_an_account_that_was_merged_away_is_scored_no_more(tmp_path: Path) -> None:
    """It lives until the midnight that knows of the merge."""
    workspace = Workspace(tmp_path)
    accounts = [{"account_id": a, "created_at": day(0), "known_at": day(0), "name": f"{a} Ltd",
                 "row_id": a} for a in "AB"]  # fmt: skip
    lake.append_rows(workspace, "accounts", table("accounts", accounts))
    lake.append_rows(
        workspace, "identities", table("identities", [link("merge", "A", "B", 1, 4.5)])
    )
    assert living(workspace, day(4).date()) == {"A": "A Ltd", "B": "B Ltd"}
    assert living(workspace, day(5).date()) == {"B": "B Ltd"}


def test_ingest_says_how_many_events_wait_for_an_account(tmp_path: Path) -> None:
    """The command tells the events that it keeps for later, by source, and nothing without any."""
    (tmp_path / "goldpan.toml").write_text(SETTINGS)
    (tmp_path / "e.csv").write_text("at,who\n1700000000,u\n1700000001,v\n")
    (tmp_path / "u.csv").write_text("at,who,org\n1600000000,u,A\n1600000000,v,A\n")
    where = ["--workspace", str(tmp_path), "--settings", str(tmp_path / "goldpan.toml")]
    told = CliRunner().invoke(goldpan.main, ["ingest", *where, "clicks"])
    assert "2 events belong to no account yet (2 of clicks); they are kept" in told.output
    told = CliRunner().invoke(goldpan.main, ["ingest", *where])
    assert told.exit_code == 0
    assert "no account yet" not in told.output


SETTINGS = """
company = { name = "Acme" }
plans = { ladder = ["free"] }
[[sources]]
name = "clicks"
table = "events"
path = "e.csv"
columns = { event_time = "at", user_id = "who", event = "'x'" }
[[sources]]
name = "people"
table = "users"
path = "u.csv"
columns = { created_at = "at", user_id = "who", account_id = "org" }
"""
