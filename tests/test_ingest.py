import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InputError
from features.lake import table_version
from features.sources.dead_letters import dead_letters
from features.sources.ingest import SourceCount
from features.workspace import Workspace
from tests.ingest_world import COLUMNS, events, figures, letters, run, stored, write


def test_rows_arrive_in_utc_and_in_the_order_of_time(tmp_path: Path) -> None:
    """Offsets, seconds since 1970 and text are stored as the same kind of time, sorted."""
    name = write(
        tmp_path,
        "at,who,what\n2026-01-02T03:00:00+05:30,a,open\n1767225600,b,open\n"
        "2026-01-01 00:00:01Z,a,x\n",
    )
    (count,) = run(tmp_path, events(name))
    assert figures(count) == (3, 3, 0, 0)
    table = stored(tmp_path)
    times = [f"{t:%Y-%m-%dT%H:%M:%S}" for t in table["event_time"].to_pylist()]
    assert times == ["2026-01-01T00:00:00", "2026-01-01T00:00:01", "2026-01-01T21:30:00"]
    assert table["event_us"].to_pylist()[0] == 1767225600 * 10**6
    assert set(table["event_month"].to_pylist()) == {"2026-01"}
    assert table["known_at"].to_pylist() == table["event_time"].to_pylist()


def test_the_same_file_twice_adds_nothing(tmp_path: Path) -> None:
    """True repeats in a file stay; a second reading is all duplicates; letters do not pile up."""
    row = "2026-01-01T00:00:00Z,a,open\n"
    name = write(tmp_path, "at,who,what\n" + row + row + row + "soon,a,open\n")
    assert [figures(c) for c in run(tmp_path, events(name))] == [(4, 3, 0, 1)]
    version = table_version(Workspace(tmp_path / "ws"), "events")
    assert [figures(c) for c in run(tmp_path, events(name))] == [(4, 0, 3, 1)]
    assert stored(tmp_path).num_rows == 3
    assert len(set(stored(tmp_path)["row_id"].to_pylist())) == 3
    assert len(letters(tmp_path)) == 1
    assert table_version(Workspace(tmp_path / "ws"), "events") == version


def test_a_message_id_is_one_event_in_all_sources(tmp_path: Path) -> None:
    """The same message id is a duplicate across files and months, whenever it was received."""
    columns = {**COLUMNS, "message_id": "id", "known_at": "got"}
    head = "id,at,got,who,what\n"
    first = write(tmp_path, head + "m1,2026-01-31T23:00:00Z,2026-01-31T23:00:00Z,a,open\n", "1.csv")
    again = "m1,2026-01-31T23:00:00Z,2026-02-02T00:00:00Z,a,open\n"
    second = write(tmp_path, head + again + "m2,2026-02-01T00:00:00Z,,a,open\n", "2.csv")
    counts = run(
        tmp_path, events(first, columns=columns), events(second, columns=columns, name="more")
    )
    assert [figures(c) for c in counts] == [(1, 1, 0, 0), (2, 1, 1, 0)]


def test_a_message_id_used_for_two_events_is_told(tmp_path: Path) -> None:
    """Another event under a used id is not lost as a duplicate: it is a dead letter, every time."""
    rows = "m1,2026-01-01T00:00:00Z,a,open\nm1,2026-01-01T00:00:00Z,a,close\n"
    name = write(tmp_path, "id,at,who,what\n" + rows)
    source = events(name, columns={**COLUMNS, "message_id": "id"})
    assert figures(run(tmp_path, source)[0]) == (2, 1, 0, 1)
    assert figures(run(tmp_path, source)[0]) == (2, 0, 1, 1)
    assert letters(tmp_path) == [(3, "message_id is already that of another event")]


def test_dead_letters_name_line_reason_and_row(tmp_path: Path) -> None:
    """Each bad row is kept with the line on which it begins, whatever stood before it."""
    name = write(
        tmp_path,
        "at,who,what\n"
        '2026-01-01T00:00:00Z,a,"two\nlines"\n'
        "2026-01-01T00:00:00Z,a\n"
        "\n"
        "2026-01-01T00:00:00,a,open\n"
        "2026-03-02T00:00:01Z,a,open\n"
        ",a,open\n"
        "2026-01-01T00:00:00Z, ,open\n"
        "yesterday,a,open\n"
        "1767225600000,a,open\n"
        "1980-01-01,a,open\n"
        "20260101,a,open\n"
        f"2026-01-01T00:00:00Z,{'x' * 201},open\n"
        "2026-01-01T00:00:00Z,a\x07b,open\n"
        '2026-01-01T00:00:00Z,a,"never closed\n'
        "2026-01-01T00:00:00Z,b,open\n",
    )
    (count,) = run(tmp_path, events(name))
    assert figures(count) == (14, 2, 0, 12)
    no_zone = 'event_time has no time zone; add zone = "..." to the source'
    no_time = "event_time is not a time like 2026-01-31T09:00:00Z, nor seconds since 1970"
    large = "is too large for seconds since 1970; divide milliseconds by 1000 in the mapping"
    assert letters(tmp_path) == [
        (4, "found 2 columns, expected 3"),
        (6, no_zone),
        (7, "event_time is in the future"),
        (8, "event_time is empty"),
        (9, "account_id, user_id, anonymous_id are all empty: whose event is it?"),
        (10, no_time),
        (11, f"event_time {large}"),
        (12, no_zone),
        (13, "event_time is before 1990"),
        (14, "account_id is over 200 long"),
        (15, "account_id holds a control character"),
        (16, "a quote that is never closed, or a field of more than 131,072 characters"),
    ]
    raw = stored(tmp_path, "dead_letters").sort_by("line")["raw"].to_pylist()
    assert raw[0] == "2026-01-01T00:00:00Z,a"
    assert json.loads(raw[5]) == {"at": "yesterday", "who": "a", "what": "open"}


def test_dead_letters_are_counted_by_reason(tmp_path: Path) -> None:
    """The summary says how many rows each reason took, the most frequent first."""
    name = write(tmp_path, "at,who,what\n1,a,b\n2,a,b\n,a,b\n2026-01-01T00:00:00Z,a,b\n")
    run(tmp_path, events(name))
    table = dead_letters(Workspace(tmp_path / "ws")).to_pylist()
    assert [(r["file"], r["reason"], r["rows"]) for r in table] == [
        ("clicks.csv", "event_time is before 1990", 2),
        ("clicks.csv", "event_time is empty", 1),
    ]


def test_a_corrected_mapping_takes_rows_out_of_the_dead_letters(tmp_path: Path) -> None:
    """Dead letters are those of the last reading of a file."""
    name = write(tmp_path, "at,who,what\n2026-01-01,a,b\n2026-01-01T00:00:00Z,a,b\n")
    assert figures(run(tmp_path, events(name))[0]) == (2, 1, 0, 1)
    assert figures(run(tmp_path, events(name, zone="Europe/Berlin"))[0]) == (2, 1, 1, 0)
    assert letters(tmp_path) == []


def test_bad_utf8_is_one_bad_row(tmp_path: Path) -> None:
    """A byte that is not UTF-8 costs its own row only; a byte order mark is no part of a name."""
    good = b"2026-01-01T00:00:00Z,a,open\n"
    (tmp_path / "clicks.csv").write_bytes(
        b"\xef\xbb\xbfat,who,what\n" + good + b"2026-01-01T00:00:00Z,\xff,open\n" + good
    )
    assert figures(run(tmp_path, events("clicks.csv"))[0]) == (3, 2, 0, 1)
    assert letters(tmp_path) == [(3, "text that is not UTF-8")]


def test_na_is_namibia(tmp_path: Path) -> None:
    """The text NA stays; an empty field and white space are null."""
    name = write(tmp_path, "id,at,land\n1,2026-01-01Z,NA\n2,2026-01-01Z,\n3,2026-01-01Z,  \n")
    columns = {"account_id": "id", "created_at": 'left("at", 10)::date', "country": "land"}
    run(tmp_path, {**events(name), "table": "accounts", "columns": columns, "zone": "UTC"})
    assert stored(tmp_path, "accounts")["country"].to_pylist() == ["NA", None, None]


def test_jsonl_and_gzip_give_what_csv_gives(tmp_path: Path) -> None:
    """Keys are columns, nested values JSON text; bad lines are told; gzip needs no mention."""
    lines = [
        '{"at": 1767225600, "who": 7, "what": "open", "more": {"b": [1, true], "a": "ü"}}',
        "",
        '{"at": 1767225601.5, "who": "NA", "what": "open"}',
        "[1]",
        '{"at": ',
        '{"at": "\\ud800", "who": 1, "what": 2}',
    ]
    with gzip.open(tmp_path / "clicks.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(lines))
    columns = {**COLUMNS, "properties": "more"}
    (count,) = run(tmp_path, events("clicks.jsonl.gz", columns=columns))
    assert figures(count) == (5, 2, 0, 3)
    table = stored(tmp_path)
    assert table["account_id"].to_pylist() == ["7", "NA"]
    assert table["event_us"].to_pylist()[1] == 1767225601_500000
    assert json.loads(table["properties"].to_pylist()[0]) == {"b": [1, True], "a": "ü"}
    assert [line for line, _ in letters(tmp_path)] == [4, 5, 6]
    assert letters(tmp_path)[0][1] == "found a JSON list, expected an object"


def test_parquet_keeps_its_types_and_counts_rows(tmp_path: Path) -> None:
    """A typed time with a zone is taken as it is; NaN and infinity are refused by row."""
    moments = pa.array([1767225600 * 10**6 + i for i in range(4)], pa.timestamp("us", tz="UTC"))
    table = pa.table(
        {
            "at": moments,
            "who": pa.array([1, 2, 3, None], pa.int32()),
            "what": ["a", "b", "c", "d"],
            "v": [1.5, float("nan"), float("inf"), None],
            "p": [{"x": 1}, None, None, None],
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    columns = {**COLUMNS, "value": "v", "properties": "p"}
    assert figures(run(tmp_path, events("e.parquet", columns=columns))[0]) == (4, 1, 0, 3)
    assert letters(tmp_path) == [
        (2, "value is not a finite number"),
        (3, "value is not a finite number"),
        (4, "account_id, user_id, anonymous_id are all empty: whose event is it?"),
    ]
    assert stored(tmp_path)["properties"].to_pylist() == ['{"x":1}']


def test_properties_must_be_a_json_object(tmp_path: Path) -> None:
    """Text that is not JSON, or no object, is a dead letter."""
    rows = [{"at": "2026-01-01T00:00:00Z", "who": "a", "what": "b", "p": p} for p in ("{", [1], {})]
    write(tmp_path, "\n".join(json.dumps(row) for row in rows), "e.jsonl")
    run(tmp_path, events("e.jsonl", columns={**COLUMNS, "properties": "p"}))
    assert letters(tmp_path) == [(n, "properties is not a JSON object") for n in (1, 2)]


def test_a_clock_cannot_know_before(tmp_path: Path) -> None:
    """known_at is raised to event_time; an event more than a day after it was known is refused."""
    name = write(
        tmp_path,
        "at,got,who,what\n2026-01-02T00:00:00Z,2026-01-01T01:00:00Z,a,b\n"
        "2026-01-02T00:00:01Z,2026-01-01T00:00:00Z,a,b\n2026-01-02T00:00:00Z,2026-03-03,a,b\n",
    )
    run(tmp_path, events(name, columns={**COLUMNS, "known_at": "got"}, zone="UTC"))
    assert stored(tmp_path)["known_at"].to_pylist() == stored(tmp_path)["event_time"].to_pylist()
    assert letters(tmp_path) == [
        (3, "event_time is more than a day after known_at"),
        (4, "known_at is in the future"),
    ]


def test_subscriptions_are_checked_against_the_settings(tmp_path: Path) -> None:
    """Plans, statuses and amounts are checked; a change may be announced but not foreknown."""
    name = write(
        tmp_path,
        "at,got,status,plan,mrr\n"
        "2026-05-01,2026-02-01,cancelled,team,0\n"
        "2026-05-01,,cancelled,team,0\n"
        "2026-01-01,,live,team,1\n"
        "2026-01-01,,active,gold,1\n"
        "2026-01-01,,active,calls,-1\n"
        "2026-01-01,,active,calls,ten\n",
    )
    columns = {
        "subscription_id": "'s'",
        "account_id": "'a'",
        "effective_at": "at",
        "known_at": "got",
        **{c: c for c in ("status", "plan", "mrr")},
    }
    run(tmp_path, {**events(name), "table": "subscriptions", "columns": columns, "zone": "UTC"})
    (row,) = stored(tmp_path, "subscriptions").to_pylist()
    assert row["known_at"] < row["effective_at"]
    assert letters(tmp_path) == [
        (3, "known_at is in the future"),
        (4, "status 'live' is not one of trial, active, cancelled"),
        (5, "plan 'gold' is neither on the ladder (free, team) nor an add-on (calls)"),
        (6, "mrr is negative"),
        (7, "mrr is not a number"),
    ]


def test_an_event_may_name_only_its_user_or_only_an_anonymous_visitor(tmp_path: Path) -> None:
    """Whose account it is may be learnt later; ids obey the same rules in every column."""
    name = write(
        tmp_path,
        f"at,who,guest,what\n1700000000,u,,x\n1700000000,,n,x\n1700000000,,,x\n"
        f"1700000000,,{'n' * 201},x\n1700000000,u,a\x07b,x\n",
    )
    columns = {"event_time": "at", "user_id": "who", "anonymous_id": "guest", "event": "what"}
    assert figures(run(tmp_path, events(name, columns=columns))[0]) == (5, 2, 0, 3)
    assert stored(tmp_path)["anonymous_id"].to_pylist() == [None, "n"]
    assert letters(tmp_path) == [
        (4, "account_id, user_id, anonymous_id are all empty: whose event is it?"),
        (5, "anonymous_id is over 200 long"),
        (6, "anonymous_id holds a control character"),
    ]


def test_a_user_leaves_after_joining(tmp_path: Path) -> None:
    """A user may have left, also on the day of joining, but not before."""
    name = write(tmp_path, "who,a,b\nu,100,\nv,1700000000,1700000000\nw,1700000000,1699999999\n")
    columns = {"user_id": "who", "account_id": "'a'", "created_at": "a", "left_at": "b"}
    run(tmp_path, {**events(name), "table": "users", "columns": columns})
    assert letters(tmp_path) == [
        (2, "created_at is before 1990"),
        (4, "left_at is before created_at"),
    ]


def test_links_between_ids_are_aliases_or_merges(tmp_path: Path) -> None:
    """Any other kind, and a link of an id with itself, are dead letters."""
    name = write(tmp_path, "k,f,t\nalias,n,u\nmerge,A,B\nsplit,A,B\nmerge,A,A\nalias,,u\n")
    columns = {"kind": "k", "from_id": "f", "to_id": "t", "since": "1700000000"}
    run(tmp_path, {**events(name), "table": "identities", "columns": columns})
    assert stored(tmp_path, "identities")["to_id"].to_pylist() == ["u", "B"]
    assert letters(tmp_path) == [
        (4, "kind 'split' is not one of alias, merge"),
        (5, "from_id and to_id are equal"),
        (6, "from_id is empty"),
    ]


def test_dates_are_midnight_where_the_clock_stood(tmp_path: Path) -> None:
    """In spring a time that does not exist moves on by the gap; in autumn the second is meant."""
    name = write(
        tmp_path,
        "at,who,what\n2025-07-01,a,b\n2025-03-30 02:30,a,b\n2025-10-26 02:30:00,a,b\n",
    )
    run(tmp_path, events(name, zone="Europe/Berlin"))
    times = [f"{t:%m-%dT%H:%M}" for t in stored(tmp_path)["event_time"].to_pylist()]
    assert times == ["03-30T01:30", "06-30T22:00", "10-26T01:30"]


def test_an_expression_that_fails_costs_only_its_rows(tmp_path: Path) -> None:
    """A row on which an expression cannot be computed is a dead letter that quotes it."""
    name = write(tmp_path, "at,who,what\n01-02-2026,a,b\n31-02-2026,a,b\n02-02-2026,a,b\n,a,b\n")
    text = "strptime(\"at\", '%d-%m-%Y')"
    run(tmp_path, events(name, columns={**COLUMNS, "event_time": text}, zone="UTC"))
    assert stored(tmp_path).num_rows == 2
    assert letters(tmp_path) == [
        (3, f"event_time: {text} cannot be computed from this row"),
        (5, "event_time is empty"),
    ]


def test_rows_that_where_leaves_out_are_not_sent(tmp_path: Path) -> None:
    """`where` takes its rows alone; one on which it fails is a dead letter."""
    name = write(
        tmp_path,
        "at,who,what,n\n2026-01-01,a,b,1\n2026-01-01,a,b,2\n2026-01-01,a,b,\n2026-01-01,a,b,x\n",
    )
    (count,) = run(tmp_path, events(name, where="n::int = 2", zone="UTC"))
    assert figures(count) == (2, 1, 0, 1)
    assert letters(tmp_path) == [(5, "where: n::int = 2 cannot be computed from this row")]


def test_a_lookup_takes_columns_from_another_file(tmp_path: Path) -> None:
    """Rows find their account by a key; a key that is not there leaves the account empty."""
    write(tmp_path, "sub,who\ns1,a\ns2,b\n", "subs.csv")
    name = write(tmp_path, "at,sub,what\n2026-01-01,s2,x\n2026-01-01,s9,x\n")
    lookup = {"path": "subs.csv", "key": "sub", "columns": ("who",)}
    run(tmp_path, events(name, zone="UTC", lookup=lookup))
    assert stored(tmp_path)["account_id"].to_pylist() == ["b"]
    assert letters(tmp_path) == [
        (3, "account_id, user_id, anonymous_id are all empty: whose event is it?")
    ]


def test_a_lookup_must_be_unambiguous(tmp_path: Path) -> None:
    """A key that stands twice in the lookup is an error before anything is stored."""
    write(tmp_path, "sub,who\ns1,a\ns1,b\n", "subs.csv")
    name = write(tmp_path, "at,sub,what\n2026-01-01,s1,x\n")
    lookup = {"path": "subs.csv", "key": "sub", "columns": ("who",)}
    with pytest.raises(InputError, match=r"sub 's1' more than once in .*one row for each key"):
        run(tmp_path, events(name, zone="UTC", lookup=lookup))


FIELDS = st.sampled_from(["2026-01-01T00:00:00Z", "1767225600", "", "x", "a", '"', ",", "\n", "ä"])


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(st.lists(FIELDS, max_size=4), min_size=5, max_size=40))
def test_every_row_is_accounted_for(
    rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the rows, sent = stored + duplicates + dead letters, and again when repeated."""
    folder = tmp_path_factory.mktemp("messy")
    text = "at,who,what\n2026-01-01T00:00:00Z,sound,open\n"
    name = write(folder, text + "\n".join(",".join(row) for row in rows))
    first, second = run(folder, events(name))[0], run(folder, events(name))[0]
    assert first.sent == first.stored + first.dead_letters >= 1
    assert figures(second) == (first.sent, 0, first.stored, first.dead_letters)
    assert stored(folder).num_rows == first.stored
    assert len(letters(folder)) == first.dead_letters


def test_a_count_that_does_not_add_up_is_impossible() -> None:
    """Losing a row is a bug that stops the run."""
    with pytest.raises(AssertionError, match="3 rows sent, 2 accounted for"):
        SourceCount("a", "b", 3, 1, 1, 0)
