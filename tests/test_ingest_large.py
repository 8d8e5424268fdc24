from pathlib import Path

import pytest

from features.sources import readers
from features.sources import rows as source_rows
from features.sources.ingest import SourceCount
from tests.ingest_world import events, figures, letters, run, stored, write

HEAD = "at,who,what\n"
CSV = "".join(f"2026-01-01T00:00:0{i % 10}Z,a{i},open\n" for i in range(20)) + "2026,a\n" * 3


def ingest_in_batches(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> SourceCount:
    """Ingest a CSV file read so many rows at a time."""
    monkeypatch.setattr(source_rows, "TEXT_ROWS", rows)
    folder.mkdir()
    return run(folder, events(write(folder, HEAD + CSV)))[0]


def test_the_size_of_batches_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines, letters and rows are the same whether a file is read in one batch or in many."""
    one = ingest_in_batches(tmp_path / "one", monkeypatch, 1000)
    many = ingest_in_batches(tmp_path / "many", monkeypatch, 3)
    assert figures(one) == figures(many) == (23, 20, 0, 3)
    assert letters(tmp_path / "one") == letters(tmp_path / "many")
    assert letters(tmp_path / "one")[0] == (22, "found 2 columns, expected 3")
    assert stored(tmp_path / "one").equals(stored(tmp_path / "many"))


def test_wide_rows_make_short_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends early when its text is long, so that memory stays bounded."""
    monkeypatch.setattr(source_rows, "TEXT_LENGTH", 100)
    write(tmp_path, HEAD + CSV)
    write(tmp_path, '{"at": 1, "who": "a"}\n' * 20, "e.jsonl")
    for name in ("clicks.csv", "e.jsonl"):
        reader = readers.open_reader(tmp_path / name, None, ",", ["at"])
        sizes = [rows.seen for rows in reader.rows()]
        assert len(sizes) > 3
        assert max(sizes) <= 5
