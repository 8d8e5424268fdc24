"""One file on its way into the lake: mapped rows wait on disk, then join it in one commit."""

# ruff: noqa: S608 - SQL is made of checked expressions and of our own names

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.events import EVENTS, Table
from features.lake import (
    MONTH,
    Part,
    PartWriter,
    append_parts,
    forget_orphans,
    table_files,
    table_schema,
)
from features.sources.checks import quote
from features.sources.mapping import LINE
from features.sources.row_ids import content_sql
from features.workspace import Workspace

MEMORY = "768MB"
_BATCH = 65_536
_CONFLICT = pa.schema([(LINE, pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
_FATE = (
    "CASE WHEN k.row_id IS NOT NULL THEN "
    "CASE WHEN stored <> content THEN 'conflict' ELSE 'duplicate' END "
    "WHEN named AND turn > 1 THEN "
    "CASE WHEN content <> first_content THEN 'conflict' ELSE 'duplicate' END "
    "ELSE 'fresh' END"
)


def clear(workspace: Workspace) -> Path:
    """Remove what a killed ingest left behind; the folder to stage in."""
    forget_orphans(workspace, intent_of(workspace))
    folder = workspace.tmp / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    intent_of(workspace).unlink(missing_ok=True)
    folder.mkdir(parents=True)
    return folder


def intent_of(workspace: Workspace) -> Path:
    """Where a commit notes the files that it is about to move into a table."""
    return workspace.tmp / "ingest-intent.json"


def digest_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Staging:
    """The good rows of one file, on disk by month (events) or together (other tables)."""

    def __init__(
        self,
        workspace: Workspace,
        table: Table,
        source: str,
        folder: Path,
        *,
        first_wins: bool = False,
    ) -> None:
        self.workspace, self.table, self.source, self.folder = workspace, table, source, folder
        self.fate = _FATE.replace("conflict", "duplicate") if first_wins else _FATE
        self.duplicates = 0
        self._writers: dict[str | None, PartWriter] = {}
        self._parts: list[Part] = []
        self._named = False

    def add(self, good: pa.Table) -> None:
        """Put the rows of one mapped batch on disk."""
        if self.table is not EVENTS:
            self._write(None, good)
            return
        # Content decides the month, so only message ids can repeat across months.
        self._named |= bool(pc.any(good["named"]).as_py())
        months = good[MONTH]
        for month in pc.unique(months).to_pylist():
            self._write(month, good.filter(pc.equal(months, month)).drop_columns([MONTH]))

    def _write(self, month: str | None, rows: pa.Table) -> None:
        if rows.num_rows == 0:
            return
        if month not in self._writers:
            path = self.folder / f"staged-{month}.parquet"
            self._writers[month] = PartWriter(path, rows.schema, compression="lz4")
        self._writers[month].write(rows)

    def resolve(self) -> pa.Table:
        """Find the rows that the lake does not have yet and write them as files beside it.

        Returns the rows that cannot be kept, for their message id is that of an event with other
        content: LINE, `reason` and `raw`.
        """
        for writer in self._writers.values():
            writer.close()
        conflicts = [_CONFLICT.empty_table()]
        with _store(self.folder) as connection:
            for months in self._groups():
                self._judge(connection, months)
                parts = [self._part(connection, month) for month in months]
                self._parts += [part for part in parts if part.rows]
                self.duplicates += _count(connection, "duplicate")
                conflicts += [self._conflicts(connection, months)] if self._named else []
        return pa.concat_tables(conflicts)

    @property
    def fresh(self) -> int:
        """How many rows `resolve` found new."""
        return sum(part.rows for part in self._parts)

    def commit(self) -> None:
        """Store what `resolve` found new, in one commit."""
        append_parts(self.workspace, self.table.name, self._parts, intent_of(self.workspace))

    def _groups(self) -> list[list[str | None]]:
        """The months that must be searched for duplicates together."""
        months = sorted(self._writers, key=str)
        if self._named:
            return [months]
        return [[month] for month in months]

    def _judge(self, connection: duckdb.DuckDBPyConnection, months: Sequence[str | None]) -> None:
        """Make the table `judged`: LINE, row_id and fate of the staged rows.

        Equal content twice in a file is two rows unless `named`; the second gets its own id.
        """
        known = self._known(months)
        source = f"read_parquet({_list(known)})" if known else "(SELECT '' AS row_id WHERE false)"
        content = "content" if self._named else "CAST(NULL AS VARCHAR)"
        stored = content_sql(self.table) if self._named and known else "CAST(NULL AS VARCHAR)"
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE judged AS "
            f"WITH ranked AS (SELECT {LINE}, row_hash, named, {content} AS content, "
            f"row_number() OVER turns AS turn, first_value({content}) OVER turns AS first_content "
            f"FROM {self._staged(months)} "
            f"WINDOW turns AS (PARTITION BY row_hash ORDER BY {self._order()})), "
            "ids AS (SELECT *, CASE WHEN named OR turn = 1 THEN row_hash "
            "ELSE md5(row_hash || ':' || turn) END AS row_id FROM ranked), "
            f"known AS (SELECT row_id, {stored} AS stored "
            f"FROM {source} SEMI JOIN ids USING (row_id)) "
            f"SELECT {LINE}, ids.row_id AS row_id, {self.fate} AS fate "
            "FROM ids LEFT JOIN known k USING (row_id)"
        )

    def _order(self) -> str:
        """Which of equal rows comes first: of those that are kept once, the one known first."""
        return LINE if self.table is EVENTS else f"known_at, {self.table.time}, {LINE}"

    def _known(self, months: Sequence[str | None]) -> list[str]:
        files = table_files(self.workspace, self.table.name)
        if self._named or self.table is not EVENTS:
            return files
        return [file for file in files if Path(file).parent.name == f"{MONTH}={months[0]}"]

    def _staged(self, months: Sequence[str | None]) -> str:
        return f"read_parquet({_list([str(self._writers[month].path) for month in months])})"

    def _conflicts(
        self, connection: duckdb.DuckDBPyConnection, months: Sequence[str | None]
    ) -> pa.Table:
        fields = ", ".join(f"'{c.name}': {c.name}" for c in self.table.columns)
        reason = "'message_id is already that of another event'"
        query = (
            f"SELECT {LINE}, {reason} AS reason, CAST(to_json({{{fields}}}) AS VARCHAR) AS raw "
            f"FROM {self._staged(months)} JOIN judged USING ({LINE}) WHERE fate = 'conflict'"
        )
        return connection.sql(query).to_arrow_table().cast(_CONFLICT)

    def _part(self, connection: duckdb.DuckDBPyConnection, month: str | None) -> Part:
        """The fresh rows of one staged file as a file of the table, in the order of time."""
        schema = table_schema(self.table.name)
        schema = pa.schema([field for field in schema if field.name != MONTH])
        writer = PartWriter(self.folder / f"part-{month}.parquet", schema)
        source = f"{quote(self.source)} AS source"
        names = ", ".join(source if name == "source" else name for name in schema.names)
        query = (
            f"SELECT {names} FROM {self._staged([month])} JOIN judged USING ({LINE}) "
            f"WHERE fate = 'fresh' ORDER BY {self.table.time}, {LINE}"
        )
        for batch in connection.sql(query).to_arrow_reader(_BATCH):
            writer.write(pa.Table.from_batches([batch]).cast(schema))
        writer.close()
        return Part(writer.path, writer.rows, month)


def _store(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection that reads the lake within MEMORY and spills into `folder`."""
    connection = duckdb.connect(
        config={"memory_limit": MEMORY, "threads": 2, "temp_directory": str(folder / "spill")}
    )
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    return connection


def _count(connection: duckdb.DuckDBPyConnection, fate: str) -> int:
    found = connection.execute("SELECT count(*) FROM judged WHERE fate = $1", [fate]).fetchall()
    return int(found[0][0])


def _list(paths: Sequence[str]) -> str:
    return "[" + ", ".join(quote(path) for path in paths) + "]"
