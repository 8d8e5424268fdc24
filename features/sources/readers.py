"""CSV, JSONL and Parquet files, plain or packed, read in batches with the line of every row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import InputError
from features.sources.csv_reader import CsvReader
from features.sources.jsonl_reader import JsonlReader
from features.sources.rows import JSON_ENDINGS, Reader, Rows, readable

PARQUET_ROWS = 131_072
PARQUET_BYTES = 64_000_000


def format_of(path: Path, stated: str | None) -> str:
    """'csv', 'jsonl' or 'parquet', as stated or by the file's ending.

    >>> format_of(Path("events.jsonl.gz"), None)
    'jsonl'
    """
    if stated:
        return stated
    json = dict.fromkeys([*JSON_ENDINGS, ".zip"], "jsonl")
    endings = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet", **json}
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    found = endings.get(ending)
    if found is None:
        raise InputError(
            f"{path} with the ending '{ending}'",
            expected="csv, jsonl or parquet (csv.gz, jsonl.gz and zipped JSON lines too)",
            do='Say format = "csv", "jsonl" or "parquet" in its source.',
        )
    return found


def open_reader(path: Path, stated: str | None, delimiter: str, wanted: Sequence[str]) -> Reader:
    """A reader for one file; of JSON objects only the keys in `wanted` become columns.

    Raises InputError, now or while reading, when the file is damaged.
    """
    kind = format_of(path, stated)
    with readable(path):
        if kind == "parquet":
            return ParquetReader(path)
        return CsvReader(path, delimiter) if kind == "csv" else JsonlReader(path, wanted)


class ParquetReader:
    """Parquet with its own types; a row's line is its number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with pq.ParquetFile(path) as file:
            self.total = file.metadata.num_rows
            self.batch = _rows_in(PARQUET_BYTES, file.metadata)
            self.schema: pa.Schema | None = file.schema_arrow.remove_metadata()

    def rows(self) -> Iterator[Rows]:
        """As in Reader."""
        done = 0
        with readable(self.path), pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(self.batch, use_threads=False):
                table = pa.Table.from_batches([batch]).replace_schema_metadata()
                yield Rows(table, list(range(done + 1, done + 1 + table.num_rows)))
                done += table.num_rows


def _rows_in(size: int, metadata: pq.FileMetaData) -> int:
    """How many rows of a file make so many bytes, at most PARQUET_ROWS."""
    groups = range(metadata.num_row_groups)
    whole = sum(metadata.row_group(i).total_byte_size for i in groups)
    return max(1, min(PARQUET_ROWS, size * metadata.num_rows // max(whole, 1)))
