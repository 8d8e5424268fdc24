"""The engine on Spark: in this process's own machine, or on the cluster that `master` names.

What is kept lies as Parquet in the workspace, so a cluster has to see the workspace under the same
path. Needs the optional packages of `requirements-spark.lock` and Java.
"""

import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines.files import as_arrow, parquet_files
from features.engines.spark_session import Started, start
from features.errors import InputError
from features.settings import Settings
from features.workspace import Workspace


class SparkEngine:
    """Spark through ibis; each kept table is a folder of Parquet files, dropped on `forget`."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._folder = (workspace.tmp / f"spark-{uuid.uuid4().hex}").resolve()
        self._folder.mkdir()
        try:
            self._started: Started = start(settings, self._folder)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._session, self._con = self._started.session, self._started.con
        self._made = 0
        self._kept: list[str] = []
        self._lasting: set[str] = set()
        self._views: list[str] = []

    def read_parquet(self, files: Path | Sequence[str], name: str | None = None) -> ibis.Table:
        """A Parquet file, a folder of them, or a list of files, as one table."""
        return self._view(name or self._name("read"), parquet_files(files))

    def register(self, rows: pd.DataFrame | pa.Table) -> ibis.Table:
        """Rows of this process as a table that lives until `forget`."""
        name = self._name("kept")
        self._kept.append(name)
        path = self._folder / f"{name}.parquet"
        pq.write_table(as_arrow(rows), path, coerce_timestamps="us")
        return self._view(name, [str(path)])

    def keep(self, table: ibis.Table) -> ibis.Table:
        """Compute a table once, until `forget`."""
        name = self._name("kept")
        self._kept.append(name)
        self._write(table, self._folder / name, "error")
        return self._view(name, [str(self._folder / name)])

    def forget(self, *, lasting: bool = False) -> None:
        """Drop what was kept and registered; with `lasting`, also the tables that `add` filled."""
        gone = [*self._kept, *(self._lasting if lasting else ())]
        for name in gone:
            self._session.catalog.dropTempView(name)
            shutil.rmtree(self._folder / name, ignore_errors=True)
            (self._folder / f"{name}.parquet").unlink(missing_ok=True)
        self._kept.clear()
        if lasting:
            self._lasting.clear()

    def add(self, name: str, table: ibis.Table) -> None:
        """Append rows to a table that lives until `forget(lasting=True)`."""
        self._lasting.add(name)
        self._write(table, self._folder / name, "append")

    def table(self, name: str) -> ibis.Table:
        """The table that `add` has filled."""
        return self._view(name, [str(self._folder / name)])

    def repeat(self, key: str, work: Callable[[], ibis.Table]) -> ibis.Table:
        """Do work that keeps and adds tables: Spark plans it anew each time."""
        return work()

    def to_arrow(self, table: ibis.Table) -> pa.Table:
        """The rows of a table, in this process."""
        with _said_plainly():
            return self._frame(table).toArrow().cast(table.schema().to_pyarrow())

    def write_parts(
        self, table: ibis.Table, parts: Mapping[int, Path], order_by: Sequence[str]
    ) -> None:
        """Write the rows of each number in column `part`, sorted and without it, to its path.

        All parts are written in one job, then moved; a part without rows is an empty file.
        """
        made = self._folder / self._name("parts")
        frame = self._frame(table).repartition("part").sortWithinPartitions("part", *order_by)
        with _said_plainly():
            frame.write.partitionBy("part").parquet(str(made))
        empty = table.drop("part").schema().to_pyarrow().empty_table()
        for part, path in parts.items():
            files = list((made / f"part={part}").glob("*.parquet"))
            if files:
                (file,) = files
                shutil.move(file, path)
            else:
                pq.write_table(empty, path)
        shutil.rmtree(made)

    def close(self) -> None:
        """Drop everything; end the session unless it was there before."""
        for name in self._views:
            self._session.catalog.dropTempView(name)
        self._started.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"goldpan_{kind}_{self._made}"

    def _view(self, name: str, files: list[str]) -> ibis.Table:
        self._session.read.parquet(*files).createOrReplaceTempView(name)
        self._views.append(name)
        return self._con.table(name)

    def _frame(self, table: ibis.Table) -> Any:
        self._con._run_pre_execute_hooks(table)  # makes the memtables of the expression known
        return self._session.sql(str(self._con.compile(table)))

    def _write(self, table: ibis.Table, folder: Path, mode: str) -> None:
        with _said_plainly():
            self._frame(table).write.mode(mode).parquet(str(folder))


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Turn what Spark says of memory and disks, amid a Java stack, into errors of ours."""
    try:
        with warnings.catch_warnings():
            # Rows leave Spark as Arrow; that it does not yet know pandas 3 does not matter.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
            yield
    except Exception as error:
        said = str(error)
        if "No space left" in said:
            raise InputError("a full disk", do="Make room and run the command again.") from error
        if "OutOfMemoryError" in said or "Java heap space" in said:
            raise InputError(
                "too little memory for Spark", expected="a larger `memory` of [engine]",
                do="Raise it, or the memory that `spark-submit` gives, and run the command again.",
            ) from error  # fmt: skip
        raise
