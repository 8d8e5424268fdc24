"""The same declarations on Spark: every cell as DuckDB makes it, and what is said without Spark."""

import os
import shutil
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from features.algebra import Sum, Window
from features.build import build
from features.catalog import catalogue
from features.compute.leaves import column
from features.compute.sql import compile_expression
from features.compute.windows import Windowed, windowed
from features.engines import spark_session
from features.engines.engine import running_on
from features.errors import NotReadyError
from features.points import known_points
from features.settings import Settings
from features.workspace import Workspace
from tests.parity import only
from tests.worlds import ENDS, load, sample_settings, together, worlds_of

LACKING = None if find_spec("pyspark") and shutil.which("java") else "PySpark or Java is not here"
REQUIRED = "spark" in os.environ.get("GOLDPAN_REQUIRE", "").replace(",", " ").split()
with_spark = pytest.mark.skipif(
    bool(LACKING) and not REQUIRED, reason=f"{LACKING}: run `make install-spark`"
)
END, ZONE = ENDS["leap day"]
SETTINGS = sample_settings(
    subscriptions={"lapse_after_days": 2}, calendar={"zone": ZONE}, engine={"memory": "1GB"}
)


def table_of(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    """The features of all known accounts on three days, before they are rounded for storage."""
    names = [f"w{n:03d}a{i}" for n in range(40) for i in range(40)]
    days = pd.to_datetime([END - timedelta(days=back) for back in (0, 1, 28)])
    every = pd.MultiIndex.from_product([names, days], names=["account_id", "as_of"]).to_frame()
    points = known_points(workspace, every.reset_index(drop=True))
    out = workspace.root / "out.parquet"
    rows = pd.read_parquet(build(workspace, settings, points, out=out, number=pa.float64()))
    return rows.sort_values(["account_id", "as_of"], ignore_index=True)


def assert_alike(folder: Path) -> None:
    """Whether both engines make the same of random accounts, to 1e-9."""
    world = together(worlds_of(range(6), END))
    found = []
    for name in ("duckdb", "spark"):
        workspace = Workspace(folder / name)
        load(world, workspace)
        found.append(table_of(workspace, running_on(SETTINGS, name)))
    assert len(found[0]) > 20
    pd.testing.assert_frame_equal(*found, rtol=1e-9, atol=1e-9)


@with_spark
def test_cells_on_spark_are_those_of_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fourth of the catalogue, on late events, merges, moves and a leap day.

    For so few rows Spark would take minutes to compile its plans, so it does not.
    """
    plain = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    usual = spark_session.options
    monkeypatch.setattr(spark_session, "options", lambda *given: usual(*given) | plain)
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    with only(catalogue(SETTINGS).features[::4]):
        assert_alike(tmp_path)


@with_spark
@pytest.mark.slow
def test_every_cell_on_spark_is_that_of_duckdb(tmp_path: Path) -> None:
    """The whole catalogue, by Spark as a cluster runs it."""
    assert_alike(tmp_path)


@with_spark
def test_spark_writes_nothing_outside_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No metastore, no warehouse, no log in the folder one works in; its own is gone after."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    workspace = Workspace(tmp_path / "workspace")
    from features.engines.spark import SparkEngine

    engine = SparkEngine(workspace, running_on(SETTINGS, "spark"))
    kept = engine.keep(engine.register(pa.table({"a": [1.0, 2.0]})))
    assert engine.to_arrow(kept)["a"].to_pylist() == [1.0, 2.0]
    engine.close()
    assert list((tmp_path / "here").iterdir()) == []
    assert list(workspace.tmp.iterdir()) == []


def test_without_java_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found, expected, and the package to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NotReadyError, match=r"no `java`; expected Java 17 or newer\. Install a J"):
        spark_session.check_java()


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery", "snowflake", "postgres", "trino"])
def test_windows_compile_for_warehouses(dialect: str) -> None:
    """Only compiled, not run: the week bins and what is made of them are SQL of the warehouse."""
    rollup = ibis.table(
        {"account_id": "string", "day": "int64", "visible_from": "int64", "events": "float64",
         "settled": "boolean"}, name="account_day",
    )  # fmt: skip
    points = ibis.table({"account_id": "string", "as_of_day": "int64"}, name="points")
    leaf = Sum("events", Window(28))
    table = windowed(rollup, points, [Windowed("events", 28)])
    named = table.rename({column(leaf): Windowed("events", 28).name})
    sql = ibis.to_sql(named.select(x=compile_expression(leaf, named)), dialect=dialect)
    assert "account_day" in sql
