"""Columns that a source's rows take over from another file, which has one row for each key."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from features.errors import InputError, SettingsError
from features.settings import Lookup, Source
from features.sources.expressions import quoted
from features.sources.readers import open_reader


def read_lookup(source: Source, path: Path) -> pa.Table:
    """The key and the columns that `source.lookup` names, in memory; rows without a key left out.

    Raises InputError for a column that is not there, a row that cannot be read and a key that
    stands twice.
    """
    lookup = source.lookup
    assert lookup is not None  # noqa: S101 - the caller asks only for sources that have one
    names = [lookup.key, *lookup.columns]
    reader = open_reader(path, None, source.delimiter, names)
    _check_columns(reader.schema, names, path, source.name)
    tables = [] if reader.schema is None else [reader.schema.empty_table().select(names)]
    for rows in reader.rows():
        for bad in rows.unreadable[:1]:
            raise InputError(
                f"line {bad.line} of {path}, the lookup of source '{source.name}': {bad.reason}",
                do="Correct the file.",
            )
        tables.append(rows.table.select(names))
    table = pa.concat_tables(tables)
    table = table.filter(pc.is_valid(table[lookup.key]))
    _check_once(table[lookup.key], lookup, path, source.name)
    return table


def rows_sql(source: Source, schema: pa.Schema, file: str) -> str:
    """What to read a file's rows from, in SQL: `batch`, joined to `lookup` if there is one."""
    lookup = source.lookup
    if lookup is None:
        return "batch"
    has = {name.lower() for name in schema.names}
    clash = sorted(has & {name.lower() for name in lookup.columns})
    if clash:
        raise SettingsError(
            f"lookup column '{clash[0]}' in source '{source.name}'",
            expected=f"a name that {file} does not have itself",
            do="Take it out of the lookup's columns.",
        )
    if lookup.key.lower() not in has:
        raise InputError(
            f"no column '{lookup.key}' in {file}, the key of the lookup of source '{source.name}'",
            expected=f"one of {', '.join(schema.names)}",
            do="Correct the lookup's key.",
        )
    names = ", ".join(f"l.{quoted(name)}" for name in lookup.columns)
    key = quoted(lookup.key)
    return (
        f"(SELECT b.*, {names} FROM batch b LEFT JOIN lookup l "  # noqa: S608 - quoted names
        f"ON CAST(b.{key} AS VARCHAR) = CAST(l.{key} AS VARCHAR))"
    )


def _check_columns(schema: pa.Schema | None, names: list[str], path: Path, source: str) -> None:
    has = [] if schema is None else schema.names
    for name in names:
        if name not in has:
            raise InputError(
                f"no column '{name}' in {path}, the lookup of source '{source}'",
                expected=f"one of {', '.join(has) or 'no columns: the file is empty'}",
                do="Correct the lookup's key and columns.",
            )


def _check_once(keys: pa.ChunkedArray, lookup: Lookup, path: Path, source: str) -> None:
    counts = pc.value_counts(keys)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise InputError(
            f"{lookup.key} '{twice[0]['values'].as_py()}' more than once in {path}, the lookup of "
            f"source '{source}'",
            expected="one row for each key",
            do="Take another key, or another file.",
        )
