"""A Spark session with nothing outside the workspace, and what to do when there is no Spark."""

import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis

from features.errors import NotReadyError
from features.settings import Settings

JAVA = 17
"""The oldest Java that Spark 4 runs on."""
SESSION = {
    "spark.app.name": "goldpan",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
"""What a build needs of any session; the rest is the cluster's own choice."""
INSTALL = 'Run `make install-spark`, or `pip install "goldpan[spark]"`.'


@dataclass(frozen=True)
class Started:
    """A session, the ibis connection over it, and how to end what was started for it."""

    session: Any
    con: Any
    stop: Callable[[], None]


def start(settings: Settings, folder: Path) -> Started:
    """Start Spark with `folder` for all it writes, or join the session that is already there.

    Under `spark-submit` the master and everything else it sets stay as they are.

    Raises NotReadyError without pyspark, without Java, or when the master does not answer.
    """
    with warnings.catch_warnings():
        # PySpark warns of pandas 3; frames go to and from it as Arrow and Parquet only.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise NotReadyError("no pyspark", expected="pyspark 4", do=INSTALL) from error
        active = SparkSession.getActiveSession()
        if active is not None:
            return Started(active, _connected(active), lambda: None)
        session, stop = _submitted_to() if _submitted() else _launched(settings, folder)
        return Started(session, _connected(session), stop)


def _submitted_to() -> tuple[Any, Callable[[], None]]:
    from pyspark.sql import SparkSession

    session = SparkSession.builder.config(map=SESSION).getOrCreate()
    return session, session.stop


def _launched(settings: Settings, folder: Path) -> tuple[Any, Callable[[], None]]:
    """A JVM of our own and a session in it; what the JVM says goes to `spark.log`."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    check_java()
    conf = SparkConf(loadDefaults=False).setAll(list(options(settings, folder).items()))
    with (folder / "spark.log").open("w") as log:
        try:
            gateway = launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log})
            context = SparkContext(conf=conf, gateway=gateway)
        except Exception as error:
            raise NotReadyError(
                f"no Spark at '{settings.engine.master}' ({_reason(error, folder)})",
                expected="one that starts",
                do="Check `master` of [engine] and that it can be reached from here.",
            ) from error
    session = SparkSession(context)

    def stop() -> None:
        session.stop()
        _end(gateway)

    return session, stop


def _end(gateway: Any) -> None:
    """End the JVM, so that the next one can have another memory and another folder."""
    from pyspark import SparkContext

    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=60)
    SparkContext._gateway = SparkContext._jvm = None


def _connected(session: Any) -> Any:
    """The session as an ibis connection, with what ibis 12 leaves out of its Spark."""
    from ibis.backends.sql.compilers.pyspark import PySparkCompiler

    class Compiler(PySparkCompiler):
        def visit_ExtractMicrosecond(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
            return self.cast(self.f.anon.unix_micros(arg) % 1_000_000, op.dtype)

        def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
            return self.agg.bit_or(arg, where=where)

        def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
            literal = super().visit_NonNullLiteral(op, value=value, dtype=dtype)
            # Spark reads 0.5 as a decimal, whose sums are decimals.
            return self.cast(literal, dtype) if dtype.is_floating() else literal

    con = ibis.pyspark.connect(session)
    con.compiler = Compiler()
    return con


def options(settings: Settings, folder: Path) -> dict[str, str]:
    """Spark's settings for a build; time in UTC, and every file of its own under `folder`.

    On this machine also: no user interface, no address but loopback, few partitions, and
    `settings.engine.memory` for the driver.
    """
    master = settings.engine.master
    java = f"-Djava.io.tmpdir={folder} -Dderby.system.home={folder} -XX:-UsePerfData"
    always = SESSION | {
        "spark.master": master,
        "spark.driver.memory": settings.engine.memory.lower().removesuffix("b"),
        "spark.driver.extraJavaOptions": java,
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.showConsoleProgress": "false",
    }
    if not master.startswith("local"):
        return always
    return always | {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(2 * settings.training.threads),
        "spark.ui.enabled": "false",
    }


def check_java() -> None:
    """See that there is a Java that Spark runs on; raises NotReadyError."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    do = f"Install a Java runtime (Debian: `apt-get install openjdk-{JAVA}-jre-headless`)."
    if not shutil.which(java):
        raise NotReadyError(f"no `{java}`", expected=f"Java {JAVA} or newer", do=do)
    asked = [java, "-XX:-UsePerfData", "-version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if not found or int(found[1]) < JAVA:
        version = f"Java {found[1]}" if found else f"'{said.strip()[:80]}'"
        raise NotReadyError(version, expected=f"Java {JAVA} or newer", do=do)


def _submitted() -> bool:
    """Whether `spark-submit` started this process, and with it Spark."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _reason(error: Exception, folder: Path) -> str:
    """What Spark said last when it failed to start."""
    said = (folder / "spark.log").read_text(errors="replace").splitlines()
    errors = [line for line in said if "Exception" in line or "rror" in line]
    lines = [*str(error).splitlines(), type(error).__name__]
    return (errors[-1] if errors else next(line for line in lines if line.strip())).strip()[:200]
