"""CSV with a header, read so that every bad record is told from its neighbours."""

import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from features.errors import InputError
from features.sources.rows import (
    Rows,
    TextBatch,
    Unreadable,
    binary,
    empty_is_null,
    readable,
    sound,
)


class CsvReader:
    """CSV with a header; every column is text, an empty field is null and 'NA' is text.

    A record that breaks the rules is unreadable by itself: reading goes on with the next line.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path, self.delimiter, self.total = path, delimiter, 0
        with _text(path) as stream:
            header = next(_records(_Lines(stream), delimiter), None)
        if header is not None and header.error:
            raise InputError(f"{path} with a header that is not CSV: {header.error}")
        self.names = _header(path, header.fields if header else [])
        fields = [(name, pa.string()) for name in self.names]
        self.schema: pa.Schema | None = pa.schema(fields) if header else None

    def rows(self) -> Iterator[Rows]:
        """As in Reader."""
        with readable(self.path), _text(self.path) as stream:
            records = _records(_Lines(stream), self.delimiter)
            next(records, None)
            batch = _CsvBatch(self.names)
            for record in records:
                batch.add(record)
                if batch.is_full:
                    yield batch.rows()
                    batch = _CsvBatch(self.names)
            if batch.size:
                yield batch.rows()


@dataclass(frozen=True)
class _Record:
    """One CSV record: the line on which it begins, its fields, or what is wrong with it."""

    line: int
    fields: list[str]
    text: str
    error: str = ""


class _Lines:
    """Text lines that can be taken back, and the ones that make up the current record."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._again: deque[str] = deque()
        self.number = 0
        self.record: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self.number += 1
        self.record.append(line)
        return line

    def take_back_all_but_first(self) -> None:
        """Unread what a quote that nobody closed has swallowed."""
        self._again.extendleft(reversed(self.record[1:]))
        self.number -= len(self.record) - 1


def _records(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.record = []
        start = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            text = lines.record[0]
            lines.take_back_all_but_first()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            yield _Record(start, [], text, _csv_reason(str(error)))
            continue
        if fields:
            yield _Record(
                start, fields, lines.record[0] if len(lines.record) == 1 else "".join(lines.record)
            )


def _csv_reason(error: str) -> str:
    unclosed = ("unexpected end of data", "field larger than field limit")
    if error.startswith(unclosed):
        return "a quote that is never closed, or a field of more than 131,072 characters"
    return f"not CSV: {error}"


class _CsvBatch(TextBatch):
    """Collects records until they make a table."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names
        self.fields: list[list[str]] = []

    def add(self, record: _Record) -> None:
        self.length += len(record.text)
        if len(record.fields) == len(self.names):
            self.fields.append(record.fields)
            self.lines.append(record.line)
            return
        reason = record.error or (f"found {len(record.fields)} columns, expected {len(self.names)}")
        self.unreadable.append(Unreadable(record.line, reason, _shown(record.text)))

    def rows(self) -> Rows:
        try:
            return Rows(self._table(), self.lines, self.unreadable)
        except UnicodeEncodeError:
            self._set_aside_bad_text()
            return Rows(self._table(), self.lines, self.unreadable)

    def _table(self) -> pa.Table:
        columns = zip(*self.fields, strict=True) if self.fields else [()] * len(self.names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        return pa.table([empty_is_null(array) for array in arrays], names=self.names)

    def _set_aside_bad_text(self) -> None:
        kept = [all(sound(text) for text in fields) for fields in self.fields]
        for fields, line, fine in zip(self.fields, self.lines, kept, strict=True):
            if not fine:
                raw = _shown(
                    json.dumps(dict(zip(self.names, fields, strict=True)), ensure_ascii=False)
                )
                self.unreadable.append(Unreadable(line, "text that is not UTF-8", raw))
        self.fields = [f for f, fine in zip(self.fields, kept, strict=True) if fine]
        self.lines = [n for n, fine in zip(self.lines, kept, strict=True) if fine]


def _shown(text: str) -> str:
    return text.rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _header(path: Path, fields: list[str]) -> list[str]:
    names = [name.strip() or f"column{i}" for i, name in enumerate(fields, start=1)]
    folded = [name.lower() for name in names]
    twice = [name for name in names if folded.count(name.lower()) > 1]
    if twice:
        raise InputError(
            f"two columns named '{twice[0]}' in {path}",
            expected="names that differ (capital letters do not count)",
            do="Rename one of them.",
        )
    if not all(sound(name) for name in names):
        raise InputError(f"a header in {path} that is not UTF-8", do="Save the file as UTF-8.")
    return names


def _text(path: Path) -> IO[str]:
    return io.TextIOWrapper(binary(path), "utf-8-sig", errors="surrogateescape", newline="")
