"""Rows that could not be stored: kept with their reason, their file and their line."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.lake import DEAD_LETTERS, PartWriter, read_table, replace_dead_letters
from features.sources.mapping import LINE
from features.sources.rows import Rows
from features.workspace import Workspace

RAW_LENGTH = 2_000


def dead_letters(workspace: Workspace) -> pa.Table:
    """How many rows were refused and why: source, file, reason, rows; the most frequent first."""
    table = read_table(workspace, "dead_letters", ["source", "file", "reason"])
    counted = table.group_by(["source", "file", "reason"]).aggregate([([], "count_all")])
    counted = counted.rename_columns(["source", "file", "reason", "rows"])
    order = [("rows", "descending"), ("source", "ascending"), ("file", "ascending")]
    return counted.sort_by([*order, ("reason", "ascending")])


class DeadLetterBox:
    """The dead letters of one file of one source, on disk until they are committed."""

    def __init__(self, source: str, file: str, digest: str, folder: Path, now: datetime) -> None:
        self.source, self.file, self.digest, self.now = source, file, digest, now
        self._writer = PartWriter(folder / "dead.parquet", DEAD_LETTERS)
        self.reasons: Counter[str] = Counter()

    def add(self, rows: Rows, bad: pa.Table) -> None:
        """Put by the unreadable rows of a batch and the `bad` ones: LINE and `reason`."""
        letters = [(u.line, u.reason, u.raw) for u in rows.unreadable]
        self._put(letters + (_with_raw(rows, bad) if bad.num_rows else []))

    def add_conflicts(self, conflicts: pa.Table) -> None:
        """Put by rows that turned out bad after mapping: line, reason and raw, in this order."""
        self._put(list(zip(*(column.to_pylist() for column in conflicts.columns), strict=True)))

    def _put(self, letters: list[tuple[int, str, str]]) -> None:
        if not letters:
            return
        self.reasons.update(reason for _, reason, _ in letters)
        self._writer.write(self._table(sorted(letters)))

    def _table(self, letters: list[tuple[int, str, str]]) -> pa.Table:
        lines, reasons, raws = zip(*letters, strict=True)
        n = len(letters)
        columns = [[self.source] * n, [self.file] * n, [self.digest] * n, lines, reasons]
        columns += [[raw[:RAW_LENGTH] for raw in raws], [self.now] * n]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, DEAD_LETTERS, strict=True)]
        return pa.table(arrays, schema=DEAD_LETTERS)

    def commit(self, workspace: Workspace) -> None:
        """Put these letters in the place of the ones that an earlier run wrote for the file."""
        self._writer.close()
        if self.reasons or self._has_earlier(workspace):
            replace_dead_letters(workspace, self.source, self.digest, self._batches())

    def _has_earlier(self, workspace: Workspace) -> bool:
        table = read_table(workspace, "dead_letters", ["source", "file_digest"])
        same = pc.and_(pc.equal(table[0], self.source), pc.equal(table[1], self.digest))
        return bool(pc.any(same).as_py())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self.reasons:
            with pq.ParquetFile(self._writer.path) as file:
                yield from file.iter_batches(65_536)


def _with_raw(rows: Rows, bad: pa.Table) -> list[tuple[int, str, str]]:
    lines = bad[LINE].to_pylist()
    place = {line: i for i, line in enumerate(rows.lines)}
    taken = [place[line] for line in lines]
    if rows.texts is not None:
        raws = [rows.texts[i] for i in taken]
    else:
        found = rows.table.take(pa.array(taken, pa.int64())).to_pylist()
        raws = [json.dumps(row, ensure_ascii=False, default=str) for row in found]
    return list(zip(lines, bad["reason"].to_pylist(), raws, strict=True))
