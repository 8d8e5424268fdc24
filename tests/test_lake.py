from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.events import CONTRACT
from features.lake import read_table, table_files, table_schema, table_version
from features.workspace import Workspace
from tests.ingest_world import events, run, write


@pytest.mark.parametrize("name", [*CONTRACT, "dead_letters", "ingests"])
def test_a_table_that_is_not_there_is_empty(tmp_path: Path, name: str) -> None:
    """Before the first ingest every table has its columns, no rows, no files and version -1."""
    workspace = Workspace(tmp_path)
    assert read_table(workspace, name).schema == table_schema(name)
    assert read_table(workspace, name).num_rows == 0
    assert (table_files(workspace, name), table_version(workspace, name)) == ([], -1)


def test_duckdb_reads_the_files_by_month(tmp_path: Path) -> None:
    """The listed files are all of the table, in a folder of any name, each sorted by time."""
    folder = tmp_path / "a b%é"
    folder.mkdir()
    times = ["2026-02-02", "2026-01-05", "2026-02-01", "2026-01-04"]
    write(folder, "at,who,what\n" + "".join(f"{time}T00:00:00Z,a,b\n" for time in times))
    run(folder, events("clicks.csv"))
    files = table_files(Workspace(folder / "ws"), "events")
    assert [Path(file).parent.name for file in files] == [
        "event_month=2026-01",
        "event_month=2026-02",
    ]
    query = (
        "SELECT event_month, list(event_us) AS us FROM read_parquet($files) GROUP BY ALL ORDER BY 1"
    )
    found = duckdb.sql(query, params={"files": files}).fetchall()
    assert [month for month, _ in found] == ["2026-01", "2026-02"]
    assert all(us == sorted(us) for _, us in found)


def test_pages_carry_checksums(tmp_path: Path) -> None:
    """A flipped bit in a stored page is noticed when the reader asks for it."""
    write(tmp_path, "at,who,what\n" + "2026-01-01T00:00:00Z,a,b\n" * 1000)
    run(tmp_path, events("clicks.csv"))
    (file,) = table_files(Workspace(tmp_path / "ws"), "events")
    data = bytearray(Path(file).read_bytes())
    column = pq.read_metadata(file).row_group(0).column(9)
    assert column.path_in_schema == "row_id"
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    Path(file).write_bytes(bytes(data))
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(file, page_checksum_verification=True).read()


def test_every_ingest_is_noted(tmp_path: Path) -> None:
    """The table `ingests` keeps the figures of each file, each time."""
    write(tmp_path, "at,who,what\n2026-01-01T00:00:00Z,a,b\nsoon,a,b\n")
    for _ in range(2):
        run(tmp_path, events("clicks.csv"))
    table = read_table(Workspace(tmp_path / "ws"), "ingests")
    assert isinstance(table, pa.Table)
    rows = [(r["sent"], r["stored"], r["duplicates"], r["dead_letters"]) for r in table.to_pylist()]
    assert sorted(rows) == [(2, 0, 1, 1), (2, 1, 0, 1)]
