import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import GoldpanError, InputError, SettingsError
from features.lake import table_version
from features.read_settings import parse_settings
from features.sources.expressions import Guard, closed_room
from features.sources.ingest import ingest
from features.workspace import Workspace
from tests.ingest_world import COLUMNS, company, events, figures, letters, run, stored, write

ROW = "2026-01-01T00:00:00Z,a,open\n"
HEAD = "at,who,what\n"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path without a file, and a pattern without a match, name themselves and their source."""
    with pytest.raises(InputError, match=r"no file .*gone\.csv, which source 'clicks' reads"):
        run(tmp_path, events("gone.csv"))
    with pytest.raises(InputError, match=r"no file that matches .*\*\.csv"):
        run(tmp_path, events("*.csv"))


def test_all_sources_are_looked_at_before_anything_is_stored(tmp_path: Path) -> None:
    """One missing file stops the run before the first row of another is stored."""
    name = write(tmp_path, HEAD + ROW)
    with pytest.raises(InputError, match=r"gone\.csv"):
        run(tmp_path, events(name), events("gone.csv", name="more"))
    assert table_version(Workspace(tmp_path / "ws"), "events") == -1


def test_a_pattern_takes_all_its_files_in_order(tmp_path: Path) -> None:
    """Each file is counted by itself; a row in two of them is stored once."""
    write(tmp_path, HEAD + ROW, "b.csv")
    write(tmp_path, HEAD + ROW + ROW, "a.csv")
    counts = run(tmp_path, events("?.csv"))
    assert [(c.file, *figures(c)) for c in counts] == [("a.csv", 2, 2, 0, 0), ("b.csv", 1, 0, 1, 0)]


@pytest.mark.parametrize("text", ["", HEAD, HEAD + "\n\n"])
def test_an_empty_set_is_refused(tmp_path: Path, text: str) -> None:
    """A table that is left without rows is an error that names the file."""
    name = write(tmp_path, text)
    with pytest.raises(InputError, match=r"table events without a single row.*clicks\.csv"):
        run(tmp_path, events(name))


def test_an_empty_file_beside_a_full_one_is_fine(tmp_path: Path) -> None:
    """A day on which nothing happened is no error."""
    write(tmp_path, HEAD, "1.csv")
    write(tmp_path, HEAD + ROW, "2.csv")
    assert [figures(c) for c in run(tmp_path, events("?.csv"))] == [(0, 0, 0, 0), (1, 1, 0, 0)]


def test_a_source_of_dead_letters_alone_is_refused(tmp_path: Path) -> None:
    """When no row can be stored the letters are kept and the error gives the main reason."""
    name = write(tmp_path, HEAD + "2026-01-01,a,b\n2026-01-02,a,b\n,a,b\n")
    with pytest.raises(InputError, match=r"all 3 are in the dead letters, 2 .*has no time zone"):
        run(tmp_path, events(name))
    assert len(letters(tmp_path)) == 3


def test_typed_times_without_a_zone_are_refused_up_front(tmp_path: Path) -> None:
    """A Parquet timestamp without a zone needs the source's zone; nothing is stored."""
    at = pa.array([1767225600 * 10**6], pa.timestamp("us"))
    pq.write_table(pa.table({"at": at, "who": ["a"], "what": ["b"]}), tmp_path / "e.parquet")
    expected = r'times without a zone in e\.parquet.*is a TIMESTAMP.*Add zone = "UTC"'
    with pytest.raises(InputError, match=expected):
        run(tmp_path, events("e.parquet"))
    assert table_version(Workspace(tmp_path / "ws"), "events") == -1
    run(tmp_path, events("e.parquet", zone="America/New_York"))
    assert stored(tmp_path)["event_us"].to_pylist() == [(1767225600 + 5 * 3600) * 10**6]


def test_a_damaged_file_stores_nothing(tmp_path: Path) -> None:
    """A cut gzip file and a file that is no Parquet are named; nothing of them is stored."""
    whole = gzip.compress((HEAD + ROW * 50_000).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.csv\.gz, which cannot be read"):
        run(tmp_path, events("cut.csv.gz"))
    write(tmp_path, "text", "no.parquet")
    with pytest.raises(InputError, match=r"no\.parquet, which cannot be read"):
        run(tmp_path, events("no.parquet"))
    assert table_version(Workspace(tmp_path / "ws"), "events") == -1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("at,who,what,WHO\n", "two columns named 'who'"),
        ("at,wer,what\n" + ROW, r"no column 'who' in clicks\.csv.*expected one of at, wer, what"),
    ],
)
def test_a_header_that_does_not_fit_is_told(tmp_path: Path, content: str, text: str) -> None:
    """Ambiguous and lacking columns are errors before anything is stored."""
    name = write(tmp_path, content)
    with pytest.raises(InputError, match=text):
        run(tmp_path, events(name))


def test_a_key_that_no_json_row_has_is_told(tmp_path: Path) -> None:
    """Only its end tells that a JSONL file lacks a key; nothing is stored then."""
    write(tmp_path, json.dumps({"at": 1767225600, "who": "a"}), "e.jsonl")
    with pytest.raises(InputError, match=r"no column 'what' in e\.jsonl.*one of at, who"):
        run(tmp_path, events("e.jsonl"))
    assert table_version(Workspace(tmp_path / "ws"), "events") == -1


def test_an_ending_that_says_nothing_is_asked_about(tmp_path: Path) -> None:
    """A file of unknown ending needs a stated format, and is read when it has one."""
    name = write(tmp_path, HEAD.replace(",", ";") + ROW.replace(",", ";"), "clicks.txt")
    with pytest.raises(InputError, match=r"ending '\.txt'; expected csv, jsonl or parquet"):
        run(tmp_path, events(name))
    assert figures(run(tmp_path, events(name, format="csv", delimiter=";"))[0]) == (1, 1, 0, 0)


def test_utf16_is_refused(tmp_path: Path) -> None:
    """A file saved as UTF-16 is named instead of read as nonsense."""
    (tmp_path / "clicks.csv").write_bytes((HEAD + ROW).encode("utf-16"))
    with pytest.raises(InputError, match="in UTF-16; expected UTF-8"):
        run(tmp_path, events("clicks.csv"))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"when": "at"},
            "column 'when' in source 'clicks'.*expected one of message_id, event_time",
        ),
        ({"value": "what + 1"}, r"No function matches.*columns\.value = \"what \+ 1\""),
        ({"value": "nosuch(what)"}, "the function nosuch in source 'clicks', columns.value"),
        ({"value": "'2026-01-01'::date"}, "of type DATE; expected a number"),
        ({"event_time": "true = false"}, "of type BOOLEAN; expected a time"),
        ({"value": "current_date"}, "no column 'current_date' in clicks.csv"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_told(
    tmp_path: Path, columns: dict[str, str], text: str
) -> None:
    """Unknown columns, unknown functions and wrong types name the source and the expression."""
    name = write(tmp_path, HEAD + ROW)
    with pytest.raises(GoldpanError, match=text):
        run(tmp_path, events(name, columns={**COLUMNS, **columns}))


def test_a_required_column_must_be_mapped(tmp_path: Path) -> None:
    """A mapping without a required column is an error that says what to add."""
    name = write(tmp_path, HEAD + ROW)
    with pytest.raises(SettingsError, match=r"no mapping for event in.*Add event = "):
        run(tmp_path, events(name, columns={"event_time": "at", "account_id": "who"}))
    with pytest.raises(SettingsError, match=r"no mapping for any of account_id, user_id, anon"):
        run(tmp_path, events(name, columns={"event_time": "at", "event": "what"}))


def test_an_unknown_source_is_told(tmp_path: Path) -> None:
    """`only` takes names of the settings alone, and takes no other source."""
    name = write(tmp_path, HEAD + ROW)
    with pytest.raises(SettingsError, match="no source 'taps' in the settings; expected one of"):
        run(tmp_path, events(name), only=["taps"])
    assert len(run(tmp_path, events(name), events("gone.csv", name="b"), only=["clicks"])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "(SELECT 1)",
        "(SELECT max(column0) FROM read_csv('/etc/passwd'))",
        "1 FROM read_csv('/etc/passwd')",
        "exists(FROM read_text('/etc/passwd'))",
        "1; ATTACH 'x.db'",
        "1; PRAGMA version",
        "1) FROM (SELECT 1",
        "a, b",
        "a AS b",
        "*",
        "COLUMNS('a')",
        "#1",
        "$1",
        "sum(a)",
        "count(*)",
        "row_number() OVER ()",
        "random()",
        "now()",
        "getenv('HOME')",
        "current_setting('temp_directory')",
        "nextval('x')",
        "main.lower(a)",
        "a ORDER BY 1",
        "list_transform([1], x -> x)",
        "DISTINCT a",
        "",
    ],
)
def test_nothing_but_expressions_gets_through(text: str) -> None:
    """Statements, queries, aggregates, clocks, chance and the machine's secrets are refused."""
    with pytest.raises(SettingsError, match=r"in here = .*expected an expression over one row"):
        Guard(closed_room()).columns(text, "here")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("lower(a) -- a note", ["a"]),
        ("case when a > 1 then b || '-' || \"c d\" else 'x' end", ["a", "b", "c d"]),
        ("strptime(a, '%d-%m-%Y') + interval 1 month", ["a"]),
        ("coalesce(nullif(a, ''), b)::date between c and d", ["a", "b", "c", "d"]),
        ("regexp_replace(a, '_x$', '') in ('p', 'q') and b is not null", ["a", "b"]),
        ("json_object('k', a)", ["a"]),
        ("'DROP TABLE x'", []),
    ],
)
def test_expressions_name_their_columns(text: str, columns: list[str]) -> None:
    """What a mapping needs is let through, and its columns are found."""
    assert sorted(Guard(closed_room()).columns(text, "here")) == columns


def test_the_room_in_which_expressions_run_is_closed() -> None:
    """Even a query that got through could reach no file and change no setting."""
    room = closed_room()
    for query in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '/tmp/x.db'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM query",
    ):
        with pytest.raises(Exception, match=r"disabled|locked|does not exist|Cannot"):
            room.execute(query)


def test_ingest_works_alone(tmp_path: Path) -> None:
    """A second ingest into the same workspace, while one is at work, is refused by name."""
    name = write(tmp_path, HEAD + ROW)
    settings = parse_settings(company(events(name)))
    told = []

    def again(done: int, total: int, what: str) -> None:
        with pytest.raises(GoldpanError, match=r"another ingest at work in .*\(process \d+\)"):
            run(tmp_path, events(name))
        told.append(what)

    ingest(Workspace(tmp_path / "ws"), settings, base=tmp_path, progress=again)
    assert told == ["clicks: clicks.csv"]
    assert figures(run(tmp_path, events(name))[0]) == (1, 0, 1, 0)
