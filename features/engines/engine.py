"""Where the tables of a build are computed: DuckDB on this machine, or Spark.

Everything above this file is ibis expressions; an engine reads files, keeps what is computed once
and hands the result over. Nothing is written outside the workspace.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, get_args

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr.operations import InMemoryTable

from features.engines.files import as_arrow, parquet_files
from features.errors import SettingsError
from features.settings import Engine as EngineSettings
from features.settings import Settings
from features.workspace import Workspace

ROW_GROUP = 16_384
"""Rows that are read together: small, since a build reads the rollups account by account."""


class Engine(Protocol):
    """What a build asks of the machine, or the cluster, that computes it."""

    def read_parquet(self, files: Path | Sequence[str], name: str | None = None) -> ibis.Table:
        """A Parquet file, a folder of them, or a list of files, as one table; read when needed.

        What is read under a name takes the place of what was read under it before.
        """

    def register(self, rows: pd.DataFrame | pa.Table) -> ibis.Table:
        """Rows of this process as a table that lives until `forget`."""

    def keep(self, table: ibis.Table) -> ibis.Table:
        """Compute a table once, until `forget`."""

    def forget(self, *, lasting: bool = False) -> None:
        """Drop what was kept and registered; with `lasting`, also the tables that `add` filled."""

    def add(self, name: str, table: ibis.Table) -> None:
        """Append rows to a table that lives until `forget(lasting=True)`; the first makes it."""

    def table(self, name: str) -> ibis.Table:
        """The table that `add` has filled."""

    def repeat(self, key: str, work: Callable[[], ibis.Table]) -> ibis.Table:
        """Do work that keeps and adds tables; once more when it was done under this key before.

        The work always means the same and begins with as many tables kept: it reads tables by the
        same names, with the same columns. So an engine may run the first time's statements again.
        """

    def to_arrow(self, table: ibis.Table) -> pa.Table:
        """The rows of a table, in this process."""

    def write_parts(
        self, table: ibis.Table, parts: Mapping[int, Path], order_by: Sequence[str]
    ) -> None:
        """Write the rows of each `part` (an integer column) to its path, sorted, without it.

        `read_parquet(path)` of any engine reads what was written.
        """

    def close(self) -> None:
        """Drop everything and end the connection."""


def engine_of(workspace: Workspace, settings: Settings) -> Engine:
    """Start the engine that `[engine]` of the settings names.

    Raises NotReadyError when Spark is named and cannot be started.
    """
    if settings.engine.name == "spark":
        from features.engines.spark import SparkEngine

        return SparkEngine(workspace, settings)
    return DuckDBEngine(workspace, settings)


def running_on(settings: Settings, name: str | None) -> Settings:
    """The settings with another engine named, as `goldpan build --engine` says it.

    Raises SettingsError when there is no engine of that name.
    """
    if name is None:
        return settings
    known = get_args(EngineSettings.model_fields["name"].annotation)
    if name not in known:
        raise SettingsError(
            f"engine '{name}'", expected=f"one of {', '.join(known)}", do="Name one of them."
        )
    return settings.model_copy(update={"engine": settings.engine.model_copy(update={"name": name})})


@dataclass(frozen=True)
class Filled:
    """A table, its columns, and the statement that fills it.

    `of` keeps alive what the statement reads.
    """

    name: str
    of: ibis.Table
    columns: str
    statement: str
    lasting: bool


@lru_cache(maxsize=1024)
def _statement(statement: Any, con: Any) -> str:
    """The SQL of an expression: it costs more than its run, and a second build asks for the same.

    Two connections with the same settings are equal to ibis.
    """
    return str(con.compile(statement.to_expr()))


class DuckDBEngine:
    """DuckDB in this process, with its threads, memory and spill folder set."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._con: Any = ibis.duckdb.connect(
            threads=settings.training.threads,
            memory_limit=settings.engine.memory,
            preserve_insertion_order=False,
        )
        spill = str(workspace.tmp / "duckdb").replace("'", "''")
        self._con.raw_sql(f"SET temp_directory = '{spill}'")
        self._kept: list[str] = []
        self._lasting: set[str] = set()
        self._noting: list[Filled] | None = None
        self._done: dict[str, tuple[list[Filled], ibis.Table]] = {}
        self._compiled: dict[Any, str] = {}

    def read_parquet(self, files: Path | Sequence[str], name: str | None = None) -> ibis.Table:
        """A Parquet file, a folder of them, or a list of files, as one table."""
        return self._con.read_parquet(parquet_files(files), table_name=name)

    def register(self, rows: pd.DataFrame | pa.Table) -> ibis.Table:
        """Rows of this process as a table that lives until `forget`."""
        return self.keep(ibis.memtable(as_arrow(rows)))

    def keep(self, table: ibis.Table) -> ibis.Table:
        """Compute a table once, until `forget`."""
        return self._fill(self._filled(f"kept_{len(self._kept)}", table, lasting=False))

    def forget(self, *, lasting: bool = False) -> None:
        """Drop what was kept and registered; with `lasting`, also the tables that `add` filled."""
        gone = [*self._kept, *(self._lasting if lasting else ())]
        for name in gone:
            self._con.raw_sql(f'DROP TABLE IF EXISTS "{name}"')
        self._kept.clear()
        self._lasting -= set(gone)

    def add(self, name: str, table: ibis.Table) -> None:
        """Append rows to a table that lives until `forget(lasting=True)`."""
        self._fill(self._filled(name, table, lasting=True))

    def repeat(self, key: str, work: Callable[[], ibis.Table]) -> ibis.Table:
        """Do work that keeps and adds tables; again by the statements of the first time."""
        if key not in self._done:
            self._done[key] = self._noted(work)
            return self._done[key][1]
        filled, result = self._done[key]
        for one in filled:
            self._run(one)
        return result

    def _noted(self, work: Callable[[], ibis.Table]) -> tuple[list[Filled], ibis.Table]:
        """What work fills, and its result, whose statement is kept."""
        self._noting = noted = list[Filled]()
        try:
            result = work()
        finally:
            self._noting = None
        self._compiled[result.op()] = self._sql(result)
        return noted, result

    def _filled(self, name: str, table: ibis.Table, *, lasting: bool) -> Filled:
        typed = self._con.compiler.type_mapper.to_string
        columns = ", ".join(f'"{c}" {typed(kind)}' for c, kind in table.schema().items())
        return Filled(name, table, columns, self._sql(table), lasting)

    def _fill(self, one: Filled) -> ibis.Table:
        """Run a statement, note it when work is noted, and return the table that it filled."""
        self._run(one)
        if self._noting is not None:
            self._noting.append(one)
        return self._con.table(one.name)

    def _run(self, one: Filled) -> None:
        """Put a statement's rows into its table, which is made if it is not there."""
        if one.name not in self._lasting:
            self._con.raw_sql(f'CREATE TEMP TABLE "{one.name}" ({one.columns})')
            (self._lasting.add if one.lasting else self._kept.append)(one.name)
        self._con.raw_sql(f'INSERT INTO "{one.name}" {one.statement}').fetchall()

    def _sql(self, table: ibis.Table) -> str:
        self._con._run_pre_execute_hooks(table)  # makes the memtables of the expression known
        if table.op().find(InMemoryTable):  # not to be kept alive for its statement
            return str(self._con.compile(table))
        return _statement(table.op(), self._con)

    def table(self, name: str) -> ibis.Table:
        """The table that `add` has filled."""
        return self._con.table(name)

    def to_arrow(self, table: ibis.Table) -> pa.Table:
        """The rows of a table, in this process."""
        statement = self._compiled.get(table.op()) or self._sql(table)
        rows = self._con.con.sql(statement).to_arrow_table()
        return rows.cast(table.schema().to_pyarrow())

    def write_parts(
        self, table: ibis.Table, parts: Mapping[int, Path], order_by: Sequence[str]
    ) -> None:
        """Write the rows of each `part` to its path, sorted, as one file."""
        kept, order = self.keep(table).get_name(), ", ".join(order_by)
        for part, path in parts.items():
            mine = f'FROM "{kept}" SELECT * EXCLUDE part WHERE part = {part} ORDER BY {order}'
            file = str(path).replace("'", "''")
            options = f"FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP}"
            self._con.raw_sql(f"COPY ({mine}) TO '{file}' ({options})")

    def close(self) -> None:
        """End the connection; its tables end with it."""
        self._con.disconnect()
