"""JSONL: one JSON object per line, in a file or in the members of a zip."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.sources.rows import (
    Rows,
    TextBatch,
    Unreadable,
    empty_is_null,
    json_lines,
    readable,
)


class JsonlReader:
    """One JSON object per line; a nested value becomes its JSON text, numbers become text too."""

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path, self.wanted, self.total = path, list(wanted), 0
        self.schema: pa.Schema | None = pa.schema([(name, pa.string()) for name in wanted])
        self.missing = set(wanted)
        self.keys: dict[str, None] = {}

    def rows(self) -> Iterator[Rows]:
        """As in Reader; afterwards `missing` are the wanted keys that no row had."""
        with readable(self.path):
            batch = _JsonBatch(self)
            for number, line in enumerate(json_lines(self.path), start=1):
                batch.add(number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                if batch.is_full:
                    yield batch.rows()
                    batch = _JsonBatch(self)
            if batch.size:
                yield batch.rows()

    def note(self, row: dict[str, Any]) -> None:
        """Remember which keys there are."""
        if self.missing:
            self.missing.difference_update(row)
            if len(self.keys) < 100:
                self.keys.update(dict.fromkeys(row))


class _JsonBatch(TextBatch):
    """Collects JSON objects until they make a table."""

    def __init__(self, reader: JsonlReader) -> None:
        super().__init__()
        self.reader = reader
        self.values: list[list[str | None]] = []
        self.texts: list[str] = []

    def add(self, number: int, line: bytes) -> None:
        self.length += len(line)
        if not line.strip():
            return
        try:
            text = line.decode("utf-8").strip()
            values = self._values(json.loads(text))
        except (ValueError, RecursionError) as error:
            raw = line.decode("utf-8", "replace").strip()
            self.unreadable.append(Unreadable(number, _json_reason(error), raw))
            return
        self.values.append(values)
        self.lines.append(number)
        self.texts.append(text)

    def _values(self, row: Any) -> list[str | None]:
        if not isinstance(row, dict):
            raise _NotAnObjectError(type(row).__name__)
        self.reader.note(row)
        values = [_json_text(row.get(name)) for name in self.reader.wanted]
        for value in values:
            if value is not None:
                value.encode()  # a lone surrogate, written as \ud800, is no text
        return values

    def rows(self) -> Rows:
        columns = zip(*self.values, strict=True) if self.values else [()] * len(self.reader.wanted)
        arrays = [empty_is_null(pa.array(column, pa.string())) for column in columns]
        table = pa.table(arrays, names=self.reader.wanted)
        return Rows(table, self.lines, self.unreadable, self.texts)


class _NotAnObjectError(ValueError):
    """A JSON line that is no object."""


def _json_reason(error: Exception) -> str:
    if isinstance(error, _NotAnObjectError):
        return f"found a JSON {error}, expected an object"
    if isinstance(error, UnicodeError):
        return "text that is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}"
    return "not JSON: nested too deep or a number too long"


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
