import zipfile
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest

from features.errors import InputError, SettingsError
from features.identity.resolve import assigned, links
from features.lake import table_files
from features.read_settings import parse_settings
from features.workspace import Workspace
from tests import vendors
from tests.ingest_world import company, figures, letters, run, stored
from tests.vendors import EVENTS, GUEST, START, STORY, USER, Row, Step

Render = Callable[[Step], Iterable[Row]]
EXPORTS: dict[str, tuple[str, Render, str, dict[str, Any]]] = {
    "segment": ("segment", vendors.segment, "calls.json.gz", {}),
    "rudderstack": ("rudderstack", vendors.rudderstack, "calls.jsonl", {}),
    "amplitude": ("amplitude", vendors.amplitude, "export.zip", {"group_type": "company"}),
    "mixpanel": ("mixpanel", vendors.mixpanel, "export.jsonl", {"group_type": "company_id"}),
    "mixpanel, original": (
        "mixpanel", vendors.mixpanel_original, "export.json", {"group_type": "company_id"},
    ),
    "posthog": ("posthog", vendors.posthog, "events.jsonl.gz", {"group_type": "company"}),
    "posthog, Parquet": ("posthog", vendors.posthog, "events.parquet", {"group_type": "company"}),
}  # fmt: skip
every_export = pytest.mark.parametrize("name", list(EXPORTS))


def written(folder: Path, name: str, rows: Iterable[Row]) -> None:
    """Write an export."""
    write = vendors.write_parquet if name.endswith(".parquet") else vendors.write_lines
    write(folder / name, rows)


def source(name: str, **more: object) -> dict[str, object]:
    """The [[sources]] entry of an export."""
    vendor, _, path, options = EXPORTS[name]
    return {"name": vendor, "vendor": vendor, "path": path, **options, **more}


def ingested(folder: Path, name: str, *more: Row) -> dict[str, tuple[int, int, int, int]]:
    """Ingest the story as the vendor tells it; the figures of each table."""
    _, render, path, _ = EXPORTS[name]
    written(folder, path, [*vendors.told(render), *more])
    counts = run(folder, source(name))
    return {c.source.rpartition("_")[2]: figures(c) for c in counts}


def owners(folder: Path, as_of: datetime) -> dict[str, tuple[str, str]]:
    """Event and day → (account, user), as known at an instant."""
    files = table_files(Workspace(folder / "ws"), "events")
    con = ibis.duckdb.connect()
    told = links(stored(folder, "users"), stored(folder, "identities"))
    rows = con.to_pyarrow(assigned(con.read_parquet(files), told, complete=False)).to_pylist()
    moment = (as_of - datetime(1970, 1, 1, tzinfo=START.tzinfo)) // timedelta(microseconds=1)
    return {
        f"{r['event']} {(r['event_time'] - START).days}": (r["account_id"], r["user_id"])
        for r in rows
        if r["known_us"] <= moment < r["until_us"] and r["event_time"] < as_of
    }


@every_export
def test_an_export_is_stored_once_at_its_own_times(tmp_path: Path, name: str) -> None:
    """Events keep their time and their arrival; what was delivered twice is stored once."""
    counts = ingested(tmp_path, name)
    repeats = sum(STORY[n].kind == "track" for n in vendors.AGAIN)
    assert counts["events"] == (len(EVENTS) + repeats, len(EVENTS), repeats, 0)
    rows = stored(tmp_path).sort_by("event_time").to_pylist()
    assert [r["event"] for r in rows] == [step.event for step in EVENTS]
    assert [r["event_time"] for r in rows] == [step.happened for step in EVENTS]
    assert [r["known_at"] for r in rows] == [step.arrived for step in EVENTS]
    assert [r["account_id"] for r in rows] == [step.account for step in EVENTS]
    assert {r["value"] for r in rows} == {2.5}
    again = run(tmp_path, source(name))
    assert all(c.stored == 0 for c in again)


@every_export
def test_a_visitor_becomes_a_user_of_an_account_as_it_becomes_known(
    tmp_path: Path, name: str
) -> None:
    """Nobody's before the sign-up; then the account's, also what came before or late."""
    ingested(tmp_path, name)
    days = {n: owners(tmp_path, START + timedelta(days=n)) for n in (1, 2, 4, 5)}
    mine = ("A", USER)
    assert days[1] == {}
    assert days[2] == {"pricing_viewed 0": mine, "report_created 1": mine}
    assert days[4] == {**days[2], "docs_viewed 3": mine}
    assert days[5] == {**days[4], "login 2": mine}


@pytest.mark.parametrize("name", ["segment", "rudderstack", "amplitude"])
def test_a_user_who_changes_groups_takes_later_events_along(tmp_path: Path, name: str) -> None:
    """After the change of account what names none is the new account's; the older stays."""
    ingested(tmp_path, name)
    found = owners(tmp_path, START + timedelta(days=7))
    assert found["login 6"] == ("B", USER)
    assert found["login 2"] == found["docs_viewed 3"] == ("A", USER)


@every_export
def test_what_an_export_tells_of_accounts_and_people_is_told_once(
    tmp_path: Path, name: str
) -> None:
    """Accounts, memberships and aliases are stored when first seen, known when that arrived."""
    counts = ingested(tmp_path, name)
    for sent, kept, duplicates, refused in counts.values():
        assert (sent, refused) == (kept + duplicates, 0)
    first = stored(tmp_path, "users").sort_by("created_at").to_pylist()[0]
    assert (first["user_id"], first["account_id"]) == (USER, "A")
    assert first["created_at"] < first["known_at"] < START + timedelta(days=2)
    assert "A" in stored(tmp_path, "accounts")["account_id"].to_pylist()
    aliases = stored(tmp_path, "identities").sort_by("since").to_pylist()
    assert len(aliases) <= 2  # where every event names both ids, once a month
    alias = aliases[0]
    assert (alias["kind"], alias["from_id"], alias["to_id"]) == ("alias", GUEST, USER)
    assert START + timedelta(days=1) < alias["since"] < alias["known_at"]


@every_export
def test_broken_rows_of_an_export_are_dead_letters(tmp_path: Path, name: str) -> None:
    """Rows without a time, of the future and nobody's are kept with their reason and line."""
    vendor, render, _, _ = EXPORTS[name]
    (good,) = render(STORY[3])
    kind = "segment" if vendor == "rudderstack" else vendor
    broken = vendors.broken(good, kind)
    sent, _, _, refused = ingested(tmp_path, name, *broken)["events"]
    repeats = sum(STORY[n].kind == "track" for n in vendors.AGAIN)
    assert (sent, refused) == (len(EVENTS) + repeats + 3, 3)
    reasons = {reason for _, reason in letters(tmp_path)}
    assert {"event_time is empty", "event_time is in the future"} < reasons
    assert "account_id, user_id, anonymous_id are all empty: whose event is it?" in reasons


def test_segment_pages_and_traits_are_read(tmp_path: Path) -> None:
    """A page is an event of its name; group traits describe the account; an alias links ids."""
    (call,) = vendors.segment(STORY[0])
    (group,) = vendors.segment(STORY[2])
    page = call | {"type": "page", "messageId": "p", "name": "Pricing"}
    unnamed = call | {"type": "screen", "messageId": "q"}
    alias = call | {"type": "alias", "messageId": "r", "previousId": "old", "userId": USER}
    group["traits"] |= {"createdAt": "2020-05-01T00:00:00Z", "address": {"country": "NL"}}
    del group["traits"]["industry"]
    written(tmp_path, "calls.json.gz", [page, unnamed, alias, group])
    run(tmp_path, source("segment"))
    assert sorted(stored(tmp_path)["event"].to_pylist()) == ["page: Pricing", "screen"]
    (account,) = stored(tmp_path, "accounts").to_pylist()
    assert (account["name"], account["employees"], account["country"]) == ("A Ltd", 12, "NL")
    assert account["created_at"].year == 2020
    assert stored(tmp_path, "identities")["from_id"].to_pylist() == ["old"]


def test_rudderstack_may_write_snake_case(tmp_path: Path) -> None:
    """The same call with the names that its warehouse exports use."""
    rows = [{
        "type": "track", "message_id": "m", "anonymous_id": GUEST, "user_id": USER, "event": "x",
        "original_timestamp": "2024-02-27T12:00:00.000Z", "received_at": "2024-02-27T12:00:01Z",
        "context_group_id": "A",
    }]  # fmt: skip
    written(tmp_path, "calls.jsonl", rows)
    run(tmp_path, source("rudderstack"))
    (row,) = stored(tmp_path).to_pylist()
    assert (row["account_id"], row["user_id"], row["anonymous_id"]) == ("A", USER, GUEST)
    assert (row["known_at"] - row["event_time"]).total_seconds() == 1


def test_mixpanel_times_may_be_the_wall_clock_of_a_zone(tmp_path: Path) -> None:
    """Of an older project's export, seconds count the local clock; milliseconds are understood."""
    (row,) = vendors.mixpanel(STORY[3])
    row["properties"]["time"] = int(row["properties"]["time"]) * 1000 + 123 + 3_600_000
    written(tmp_path, "export.jsonl", [row])
    run(tmp_path, source("mixpanel", zone="Europe/Amsterdam", take=("events",)))
    (stored_row,) = stored(tmp_path).to_pylist()
    assert stored_row["event_time"] == STORY[3].happened + timedelta(milliseconds=123)
    assert stored_row["known_at"] == STORY[3].arrived


def test_mixpanel_links_of_every_kind(tmp_path: Path) -> None:
    """$create_alias and $merge say who else an id is."""
    (row,) = vendors.mixpanel(STORY[0])
    say = {"$create_alias": {"alias": "new"}, "$merge": {"$distinct_ids": ["one", "two"]}}
    rows = [{"event": e, "properties": row["properties"] | p} for e, p in say.items()]
    written(tmp_path, "export.jsonl", [row, *rows])
    run(tmp_path, source("mixpanel"))
    found = stored(tmp_path, "identities").to_pylist()
    pairs = {(r["from_id"], r["to_id"]) for r in found}
    assert pairs == {(f"$device:{GUEST}", "new"), ("two", "one")}


def test_posthog_merges_and_group_names(tmp_path: Path) -> None:
    """$merge_dangerously links ids; $groupidentify names the account; groups go by number too."""
    (row,) = vendors.posthog(STORY[3])
    merge = row | {"event": "$merge_dangerously", "uuid": "x"}
    merge["properties"] = {"alias": "other"}
    named = next(iter(vendors.posthog(STORY[2])))
    (tmp_path / "by_number").mkdir()
    row["properties"] |= {"$group_0": "A"}
    written(tmp_path, "events.jsonl.gz", [named, row, merge])
    run(tmp_path, source("posthog"))
    assert stored(tmp_path, "accounts")["name"].to_pylist() == ["A Ltd"]
    assert stored(tmp_path, "identities")["from_id"].to_pylist() == ["other"]
    run(tmp_path / "by_number", source("posthog", path="../events.jsonl.gz", group_type="0"))
    assert stored(tmp_path / "by_number")["account_id"].to_pylist() == ["A"]
    assert "$ip" not in str(stored(tmp_path)["properties"].to_pylist())


def test_only_some_tables_of_an_export_are_taken(tmp_path: Path) -> None:
    """`take` leaves tables out, `where` rows; a part can be ingested by its own name."""
    written(tmp_path, "calls.json.gz", vendors.told(vendors.segment))
    part = source("segment", take=("events", "identities"), where="event <> 'login'")
    assert [c.source for c in run(tmp_path, part)] == ["segment_events", "segment_identities"]
    assert "login" not in stored(tmp_path)["event"].to_pylist()
    assert [c.source for c in run(tmp_path, part, only=["segment_events"])] == ["segment_events"]
    assert len(run(tmp_path, part, only=["segment"])) == 2


def test_without_a_group_type_the_accounts_come_from_elsewhere(tmp_path: Path) -> None:
    """An export whose groups are not accounts feeds events and identities only."""
    written(tmp_path, "export.zip", vendors.told(vendors.amplitude))
    entry = source("amplitude")
    del entry["group_type"]
    counts = run(tmp_path, entry)
    assert [c.source for c in counts] == ["amplitude_events", "amplitude_identities"]
    assert set(stored(tmp_path)["account_id"].to_pylist()) == {None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("amplitude", r"no 'event_\w+' in .*reads as an export of Amplitude.*expected what its"),
        ("mixpanel", r"no 'properties' in .*reads as an export of Mixpanel.*expected what its raw"),
        ("posthog", r"no 'uuid' in .*reads as an export of PostHog.*expected the events model"),
        ("segment", r"no 'type' in .*reads as an export of Segment.*expected one call a line"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, name: str, text: str) -> None:
    """A file that is no export of its vendor stores nothing and says what was expected."""
    written(tmp_path, "rows.jsonl", [{"event": "x", "at": 1}])
    with pytest.raises(InputError, match=text):
        run(tmp_path, source(name, path="rows.jsonl"))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"vendor": "segment", "table": "events"}, "has a vendor, which maps it; leave out table"),
        ({"vendor": "segment", "group_type": "team"}, "segment has one kind of group"),
        ({"vendor": "heap"}, "found 'heap'"),
        ({}, "without table and without columns; say both, or the vendor"),
        ({"table": "events", "columns": {}, "take": ("users",)}, "which has no vendor"),
        ({"table": "events", "columns": {}, "once": "a"}, "map message_id instead"),
        ({"vendor": "posthog", "group_type": 'a"b'}, "group_type"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_meant_is_told(entry: dict[str, Any], text: str) -> None:
    """A source is mapped or a vendor's, never both, never neither."""
    with pytest.raises(SettingsError, match=text):
        parse_settings(company({"name": "x", "path": "f", **entry}))


def test_a_part_does_not_take_the_name_of_another_source() -> None:
    """The tables of an export have names of their own."""
    other = {"name": "segment_users", "table": "users", "path": "u", "columns": {}}
    with pytest.raises(SettingsError, match="uses the name 'segment_users' twice"):
        parse_settings(company(source("segment"), other))


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", None])
def test_a_zip_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    """A damaged archive, or one without JSON lines, stores nothing."""
    if content:
        (tmp_path / "export.zip").write_bytes(content)
    else:
        with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
            archive.writestr("readme.txt", "nothing")
    with pytest.raises(InputError, match=r"cannot be read|expected files of JSON lines"):
        run(tmp_path, source("amplitude"))


def test_a_mapped_source_may_keep_rows_once_and_lack_columns(tmp_path: Path) -> None:
    """`once` keeps the first known of equal rows; an `optional` column that is missing is empty."""
    (tmp_path / "users.csv").write_text(
        "who,org,at\nu,A,1700000900\nu,A,1700000000\nv,A,1700000000\n"
    )
    entry = {
        "name": "u", "table": "users", "path": "users.csv", "once": "who || ':' || org",
        "optional": ("role",),
        "columns": {"user_id": "who", "account_id": "org", "created_at": "at", "role": "role"},
    }  # fmt: skip
    assert figures(run(tmp_path, entry)[0]) == (3, 2, 1, 0)
    times = stored(tmp_path, "users").sort_by("user_id")["created_at"].to_pylist()
    assert [int(t.timestamp()) for t in times] == [1700000000, 1700000000]
    assert stored(tmp_path, "users")["role"].to_pylist() == [None, None]
