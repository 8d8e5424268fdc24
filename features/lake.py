"""The lake: Delta tables that only grow by whole commits, read by Arrow and by DuckDB.

`events` lies in folders by month of `event_time` (UTC), sorted by time inside each file, with two
columns of ours: `event_us` (microseconds since 1970-01-01 UTC) and `event_month` ('YYYY-MM').
"""

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction

from features.errors import InputError
from features.events import CONTRACT, EVENTS, TIME
from features.workspace import Workspace, make_folder, sync

MONTH = "event_month"
NAMES = ("row_id", "message_id", "row_hash")
DEAD_LETTERS = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("file_digest", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
        ("ingested_at", TIME),
    ]
)
INGESTS = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("file_digest", pa.string()),
        ("sent", pa.int64()),
        ("stored", pa.int64()),
        ("duplicates", pa.int64()),
        ("dead_letters", pa.int64()),
        ("ingested_at", TIME),
    ]
)


def table_schema(name: str) -> pa.Schema:
    """The Arrow schema of a table of the lake, the month of `events` last."""
    if name == EVENTS.name:
        ours = [("event_us", pa.int64()), (MONTH, pa.string())]
        return pa.schema([*EVENTS.schema(), *(pa.field(*f) for f in ours)])
    if name in CONTRACT:
        return CONTRACT[name].schema()
    return {"dead_letters": DEAD_LETTERS, "ingests": INGESTS}[name]


def table_version(workspace: Workspace, name: str) -> int:
    """The version of a table, which rises with each commit; -1 when there is no table yet."""
    found = _found(workspace, name)
    return -1 if found is None else found.version


def table_state(workspace: Workspace, name: str) -> str:
    """A text that differs whenever a table does, also from one deleted and made anew."""
    found = _found(workspace, name)
    return "" if found is None else f"{found.id}@{found.version}"


def table_files(workspace: Workspace, name: str) -> list[str]:
    """The Parquet files of a table's current version, sorted; [] when there is no table yet."""
    found = _found(workspace, name)
    return [] if found is None else list(found.files)


def places(workspace: Workspace, files: Iterable[str]) -> list[str]:
    """Files of the lake as manifests name them: within it, so that a workspace may be moved."""
    return [str(Path(file).relative_to(workspace.lake.resolve())) for file in files]


def files_at(workspace: Workspace, places: Iterable[str]) -> list[str]:
    """The files that a manifest names."""
    return [str(workspace.lake.resolve() / place) for place in places]


def read_table(workspace: Workspace, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A table, or some of its columns, in memory; without rows when there is no table yet."""
    schema = table_schema(name)
    if columns is not None:
        schema = pa.schema([schema.field(column) for column in columns])
    files = table_files(workspace, name)
    if not files:
        return schema.empty_table()
    hive = ds.partitioning(pa.schema([(MONTH, pa.string())]), flavor="hive")
    partitioning = hive if name == EVENTS.name else None
    table = ds.dataset(files, format="parquet", partitioning=partitioning)
    return table.to_table(columns=schema.names).cast(schema)


@dataclass
class PartWriter:
    """Writes one Parquet file, row groups as given, with a checksum on every page."""

    path: Path
    schema: pa.Schema
    compression: str = "zstd"
    rows: int = 0
    _writer: pq.ParquetWriter | None = field(default=None, repr=False)

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows; the file appears with the first."""
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            texts = [f.name for f in self.schema if pa.types.is_string(f.type)]
            self._writer = pq.ParquetWriter(
                self.path,
                self.schema,
                compression=self.compression,
                use_dictionary=[n for n in texts if n not in NAMES],
                write_page_checksum=True,
            )
        self._writer.write(batch)
        self.rows += batch.num_rows

    def close(self) -> None:
        """End the file and force it to the disk."""
        if self._writer is not None:
            self._writer.close()
            sync(self.path)


@dataclass(frozen=True)
class Part:
    """A written Parquet file that is not in a table yet; `month` only for events."""

    path: Path
    rows: int
    month: str | None = None


def append_parts(workspace: Workspace, name: str, parts: Sequence[Part], intent: Path) -> None:
    """Move written files into a table and make them part of it in one commit.

    `intent` lists the places first, so that `forget_orphans` can clear them after a kill.
    """
    if not parts:
        return
    table = _open(workspace, name) or _create(workspace, name)
    places = [_place(part) for part in parts]
    intent.write_text(json.dumps({"table": name, "places": places}), encoding="utf-8")
    for part, place in zip(parts, places, strict=True):
        target = _folder(workspace, name) / place
        make_folder(target.parent)
        part.path.replace(target)
    folder = _folder(workspace, name)
    actions = [_action(folder, part, at) for part, at in zip(parts, places, strict=True)]
    table.create_write_transaction(actions, "append", table.schema(), _partition_by(name))
    _put_on_disk(folder)
    intent.unlink()


def forget_orphans(workspace: Workspace, intent: Path) -> None:
    """Delete files that a killed run had moved into a table without committing them."""
    if not intent.exists():
        return
    try:
        noted = json.loads(intent.read_text(encoding="utf-8"))
    except json.JSONDecodeError:  # killed while writing it, so nothing had been moved
        return
    kept = set(table_files(workspace, noted["table"]))
    for place in noted["places"]:
        path = _folder(workspace, noted["table"]) / place
        if str(path) not in kept:
            path.unlink(missing_ok=True)


def append_rows(workspace: Workspace, name: str, rows: pa.Table) -> None:
    """Append a small table in one commit."""
    folder = _folder(workspace, name)
    make_folder(folder)
    write_deltalake(folder, rows.cast(table_schema(name)), mode="append")
    _put_on_disk(folder)


def replace_dead_letters(
    workspace: Workspace, source: str, digest: str, rows: Iterable[pa.RecordBatch]
) -> None:
    """Put `rows` in the place of all dead letters of one file of one source, in one commit."""
    folder = _folder(workspace, "dead_letters")
    make_folder(folder)
    reader = pa.RecordBatchReader.from_batches(DEAD_LETTERS, rows)
    if _open(workspace, "dead_letters") is None:
        write_deltalake(folder, reader, mode="append")
    else:
        predicate = f"source = '{source}' AND file_digest = '{digest}'"
        write_deltalake(folder, reader, mode="overwrite", predicate=predicate)
    _put_on_disk(folder)


def _put_on_disk(folder: Path) -> None:
    """Force a table's last commit to the disk, which deltalake leaves to the system.

    First the files that it added, then itself and the checkpoint where it made one.
    """
    log = folder / "_delta_log"
    commit = max(log.glob("*.json"))
    actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
    added = [folder / unquote(a["add"]["path"]) for a in actions if "add" in a]
    noted = [*log.glob(f"{commit.stem}.*"), *log.glob("_last_checkpoint")]
    for files, folders in ((added, {folder, *(file.parent for file in added)}), (noted, {log})):
        for path in (*files, *folders):
            sync(path)


def _folder(workspace: Workspace, name: str) -> Path:
    return workspace.lake.resolve() / name


@dataclass(frozen=True)
class _Found:
    """A table at one of its versions."""

    id: str
    version: int
    files: tuple[str, ...]


def _found(workspace: Workspace, name: str) -> _Found | None:
    """A table as it is now; its log is read once for each commit."""
    log = _folder(workspace, name) / "_delta_log"
    commits = [path.name for path in log.glob("*.json")] if log.is_dir() else []
    if not commits:
        return _read(workspace, name)
    newest = (log / max(commits)).stat()
    return _read_once(workspace, name, newest.st_ino, newest.st_mtime_ns)


@lru_cache(maxsize=64)
def _read_once(workspace: Workspace, name: str, *newest: int) -> _Found | None:
    """`newest`: what tells the last commit from any other."""
    return _read(workspace, name)


def _read(workspace: Workspace, name: str) -> _Found | None:
    table = _open(workspace, name)
    if table is None:
        return None
    paths = pa.table(table.get_add_actions(flatten=True)).column("path").to_pylist()
    files = sorted(str(_folder(workspace, name) / path) for path in paths)
    return _Found(table.metadata().id, int(table.version()), tuple(files))


def _open(workspace: Workspace, name: str) -> DeltaTable | None:
    folder = _folder(workspace, name)
    version = None if workspace.then is None else workspace.then.version(name)
    if version == -1:
        return None
    try:
        return DeltaTable(folder, version=version) if folder.is_dir() else None
    except TableNotFoundError:
        if version is None or not DeltaTable.is_deltatable(str(folder)):
            return None
        raise InputError(f"version {version} of {name}, which an erasure took") from None


def _create(workspace: Workspace, name: str) -> DeltaTable:
    folder = _folder(workspace, name)
    make_folder(folder)
    table = DeltaTable.create(folder, table_schema(name), partition_by=_partition_by(name))
    _put_on_disk(folder)
    return table


def _partition_by(name: str) -> list[str]:
    return [MONTH] if name == EVENTS.name else []


def _place(part: Part) -> str:
    name = f"part-{uuid.uuid4().hex}.parquet"
    return name if part.month is None else f"{MONTH}={part.month}/{name}"


def _action(folder: Path, part: Part, place: str) -> AddAction:
    return AddAction(
        path=place,
        size=(folder / place).stat().st_size,
        partition_values={} if part.month is None else {MONTH: part.month},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": part.rows}),
    )
