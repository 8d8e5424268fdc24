"""A source's mapping: expressions over a file's columns become typed, checked contract rows."""

# ruff: noqa: S608 - SQL is made of checked expressions and of our own names

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import GoldpanError, InputError, SettingsError
from features.events import CONTRACT, EVENTS, SUBSCRIPTIONS, WHOSE, Column, Table
from features.settings import Plans, Source
from features.sources.checks import quote, reason_sql
from features.sources.conversions import Conversion, NaiveTimeError, WrongTypeError, sql_type
from features.sources.expressions import Guard, bare_name, closed_room, quoted
from features.sources.lookups import rows_sql
from features.sources.row_ids import ONCE, content_sql, identity_sql
from features.sources.rows import Rows
from features.sources.vendors import expectation

LINE = "__line"


@dataclass(frozen=True)
class Mapped:
    """A batch after mapping: contract rows, the rows refused, and how many `where` left out.

    `good` has LINE, the contract's columns, `content`, `row_hash`, `named` (whether rows of equal
    hash are one) and, for events, `event_us` and `event_month`. `bad` has LINE and `reason`.
    """

    good: pa.Table
    bad: pa.Table
    left_out: int


class Mapping:
    """One source's mapping, sound in itself; `bind` fits it to a file.

    Raises SettingsError for a column that the contract does not know, a required one that is not
    mapped, and anything that is no expression.
    """

    def __init__(self, source: Source, plans: Plans, now: datetime) -> None:
        self.source, self.plans, self.now = source, plans, now
        self.table: Table = CONTRACT[str(source.table)]
        self.room = closed_room()
        self._lookup: pa.Table | None = None
        _check_names(source, self.table)
        guard = Guard(self.room)
        self.columns_of = {
            name: guard.columns(bare_name(text), self._key(name))
            for name, text in self._texts().items()
        }
        self.sql = {name: f"({bare_name(text)}\n)" for name, text in self._texts().items()}
        self.taken = [name for name in self.sql if name != "where"]

    def _texts(self) -> dict[str, str]:
        once = {} if self.source.once is None else {ONCE: self.source.once}
        return {**self.source.columns, **once, "where": self.source.where or "true"}

    def stands(self, column: str) -> str:
        """Where an expression stands in the settings, and what it says."""
        text = json.dumps(self._texts()[column], ensure_ascii=False)
        return f"{self._key(column)} = {text}"

    def failure(self, column: str) -> str:
        """The reason of a row on which an expression fails."""
        said = "what its vendor is read by" if self.source.vendor else self._texts()[column]
        return f"{column}: {said} cannot be computed from this row"

    def _key(self, column: str) -> str:
        inner = {"where": "where", ONCE: "once"}.get(column, f"columns.{column}")
        return f"source '{self.source.name}', {inner}"

    @property
    def wanted(self) -> list[str]:
        """The columns of the file that the expressions name, and the lookup's key."""
        lookup = self.source.lookup
        given = set(lookup.columns) if lookup else set()
        named = [c for columns in self.columns_of.values() for c in columns if c not in given]
        return list(dict.fromkeys([*named, *([lookup.key] if lookup else [])]))

    def use_lookup(self, table: pa.Table) -> None:
        """Join these rows, one for each key, to every row of the file."""
        self._lookup = table
        self.room.register("lookup", table)

    def bind(self, schema: pa.Schema, file: str) -> "BoundMapping":
        """Fit the mapping to a file's columns.

        Raises InputError for columns that the file lacks and for times that would need a zone.
        """
        extra = [] if self._lookup is None else self._lookup.schema.names
        known = {name.lower() for name in [*schema.names, *extra]}
        for column, names in self.columns_of.items():
            self.require(names, known, column, schema.names, file)
        return BoundMapping(self, schema, file)

    def require(
        self, names: Sequence[str], known: set[str], column: str, has: Sequence[str], file: str
    ) -> None:
        """Raise InputError unless all of `names` (any capitals) are known."""
        for name in names:
            if name.lower() not in known and name not in self.source.optional:
                raise self._lacking(name, column, has, file)

    def _lacking(self, name: str, column: str, has: Sequence[str], file: str) -> InputError:
        there = f"one of {', '.join(has)}" if has else "a column"
        if self.source.vendor is None:
            stands = f"named by {self.stands(column)}"
            return InputError(
                f"no column '{name}' in {file}, {stands}", expected=there, do="Correct the mapping."
            )
        read_as, expects = expectation(self.source)
        return InputError(
            f"no '{name}' in {file}, which source '{self.source.name}' reads as {read_as}; there "
            f"are {', '.join(has)}",
            expected=expects,
            do="Correct its vendor, or map the file with table and columns.",
        )


class BoundMapping:
    """A mapping that knows the types of one file's columns."""

    def __init__(self, mapping: Mapping, schema: pa.Schema, file: str) -> None:
        self.mapping, self.file = mapping, file
        self.room, self.source, self.table = mapping.room, mapping.source, mapping.table
        has = {name.lower() for name in schema.names}
        self._lacks = [name for name in mapping.wanted if name.lower() not in has]
        self._rows = rows_sql(self.source, schema, file)
        self._register(schema.empty_table().append_column(LINE, pa.array([], pa.int64())))
        self.types = {name: self._type(name) for name in mapping.taken}
        if self.source.where is not None and (found := self._type("where")) != "BOOLEAN":
            raise self._wrong("where", found, "true or false")
        self._sql = self._mapped_sql()

    def apply(self, rows: Rows) -> Mapped:
        """Map and check a batch; rows on which an expression fails are refused by themselves."""
        batch = rows.table.append_column(LINE, pa.array(rows.lines, pa.int64()))
        self._register(batch)
        try:
            return self._apply()
        except duckdb.Error:
            failed = self._failures()
        self._register(batch.filter(pc.invert(pc.is_in(batch[LINE], failed[LINE]))))
        try:
            mapped = self._apply()
        except duckdb.Error as error:
            raise InputError(
                f"rows of {self.file} that cannot be mapped: {_first_line(error)}",
                do=f"Correct the mapping of source '{self.source.name}'; nothing was stored.",
            ) from error
        return Mapped(mapped.good, pa.concat_tables([mapped.bad, failed]), mapped.left_out)

    def _register(self, batch: pa.Table) -> None:
        for name in self._lacks:
            batch = batch.append_column(name, pa.nulls(batch.num_rows, pa.string()))
        self.room.register("batch", batch)

    def _apply(self) -> Mapped:
        rows = self.room.sql(self._sql).to_arrow_table()
        sound = pc.is_null(rows["reason"])
        bad = rows.filter(pc.invert(sound)).select([LINE, "reason"])
        return Mapped(rows.filter(sound).drop_columns(["reason"]), bad, self._left_out())

    def _left_out(self) -> int:
        if self.source.where is None:
            return 0
        test = f"NOT coalesce({self.mapping.sql['where']}, false)"
        found = self.room.execute(f"SELECT count(*) FROM {self._rows} WHERE {test}").fetchall()
        return int(found[0][0])

    def _failures(self) -> pa.Table:
        """LINE and reason of the rows on which an expression cannot be computed."""
        tries = {name: f"TRY({{'v': {text}}})" for name, text in self.mapping.sql.items()}
        cases = [f"WHEN __holds IS NULL THEN {quote(self.mapping.failure('where'))}"]
        for name in self.mapping.taken:
            reason = quote(self.mapping.failure(name))
            cases.append(f"WHEN __holds.v AND {tries[name]} IS NULL THEN {reason}")
        return self.room.sql(
            f"SELECT {LINE}, reason FROM (SELECT {LINE}, CASE {' '.join(cases)} END AS reason "
            f"FROM (SELECT *, {tries['where']} AS __holds FROM {self._rows})) "
            "WHERE reason IS NOT NULL"
        ).to_arrow_table()

    def _type(self, name: str) -> str:
        text = self.mapping.sql[name]
        try:
            found = self.room.sql(f"SELECT {text} AS v FROM {self._rows} LIMIT 0").types[0]
        except duckdb.Error as error:
            raise SettingsError(
                f"{_first_line(error)} in {self._stands(name)}",
                expected=f"an expression over the columns of {self.file}",
                do="Correct the mapping.",
            ) from None
        return str(found).strip('"')

    def _wrong(self, name: str, found: str, expected: str) -> GoldpanError:
        return SettingsError(
            f"{self._stands(name)} of type {found}",
            expected=expected,
            do="Correct the mapping.",
        )

    def _mapped_sql(self) -> str:
        """From the file's rows to contract rows with their reason and their hash."""
        sql = self.mapping.sql
        taken = ", ".join(f"{sql[name]} AS {quoted(name)}" for name in self.mapping.taken)
        once = self.source.once is not None
        typed = ", ".join(self._typed(column) for column in self.table.columns)
        typed += f", CAST({ONCE} AS VARCHAR) AS {ONCE}" if once else ""
        names = ", ".join(f'"{c.name}"' for c in self.table.columns)
        reason = reason_sql(self.table, self.mapping.plans, self.mapping.now)
        return (
            f"WITH taken AS (SELECT {LINE}, {taken} FROM {self._rows} WHERE {sql['where']}), "
            f"typed AS (SELECT {LINE}, {typed} FROM taken), "
            f"dated AS (SELECT * REPLACE ({_known_at(self.table)} AS known_at) FROM typed) "
            f"SELECT {LINE}, {names}, {content_sql(self.table)} AS content, "
            f"{identity_sql(self.table, once)}, {reason} AS reason FROM dated"
        )

    def _typed(self, column: Column) -> str:
        """`<name>` in the contract's type, and `<name>_fault`: why it could not be read."""
        value, fault = self._conversion(column) if column.name in self.types else ("NULL", "NULL")
        kind = sql_type(column)
        return (
            f'CAST({value} AS {kind}) AS "{column.name}", '
            f'CAST({fault} AS VARCHAR) AS "{column.name}_fault"'
        )

    def _conversion(self, column: Column) -> tuple[str, str]:
        found = self.types[column.name]
        try:
            return Conversion(column, found, self.source.zone).sql()
        except WrongTypeError as error:
            raise self._wrong(column.name, found, str(error)) from None
        except NaiveTimeError:
            raise InputError(
                f"times without a zone in {self.file}: {self._stands(column.name)} is a {found}",
                expected="times with a zone, or a source that states it",
                do=f'Add zone = "UTC" (or where the clock stood) to source '
                f"'{self.source.name}'; nothing was stored.",
            ) from None

    def _stands(self, name: str) -> str:
        return self.mapping.stands(name)


def _check_names(source: Source, table: Table) -> None:
    known = [column.name for column in table.columns]
    for name in source.columns:
        if name not in known:
            raise SettingsError(
                f"column '{name}' in source '{source.name}', which the table {table.name} "
                "does not have",
                expected=f"one of {', '.join(known)}",
                do="Correct the mapping.",
            )
    missing = [c.name for c in table.columns if c.required and c.name not in source.columns]
    if missing:
        raise SettingsError(
            f"no mapping for {', '.join(missing)} in source '{source.name}'",
            expected=f"all that the table {table.name} requires",
            do=f'Add {missing[0]} = "..." to its columns.',
        )
    if table is EVENTS and not set(WHOSE) & set(source.columns):
        raise SettingsError(
            f"no mapping for any of {', '.join(WHOSE)} in source '{source.name}'",
            expected="at least one of them, to know whose events these are",
            do='Add account_id = "..." or user_id = "..." to its columns.',
        )


def _known_at(table: Table) -> str:
    """When a row was known: never before it happened, save for an announced subscription."""
    if table is SUBSCRIPTIONS:
        return f"coalesce(known_at, {table.time})"
    late = f"{table.time} > known_at + INTERVAL 1 DAY"
    return f"CASE WHEN {late} THEN known_at ELSE greatest(known_at, {table.time}) END"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
