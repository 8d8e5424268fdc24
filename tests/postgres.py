"""A real PostgreSQL for a test: in a temporary folder, on a free port of the loopback."""

import atexit
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from test_serving_world import free_port

PLACES = (*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/local/bin"), Path("/usr/bin"))
REQUIRED = "postgres" in os.environ.get("GOLDPAN_REQUIRE", "").replace(",", " ").split()
USER = "postgres"  # the server refuses to run as root


def program(name: str) -> str | None:
    """Where a program of PostgreSQL's is; Debian keeps the server's off the PATH."""
    found = [str(place / name) for place in PLACES if (place / name).exists()]
    return shutil.which(name) or next(iter(found), None)


LACKING = None if program("initdb") and program("pg_ctl") else "PostgreSQL's server is not here"
with_postgres = pytest.mark.skipif(
    bool(LACKING) and not REQUIRED, reason=f"{LACKING}: install postgresql"
)


@functools.cache
def server() -> str:
    """The address of a server that runs until the tests end; started once."""
    assert LACKING is None, LACKING
    folder = Path(tempfile.mkdtemp(prefix="goldpan-postgres-"))
    port, data = free_port(), folder / "data"
    if os.geteuid() == 0:
        shutil.chown(folder, pwd.getpwnam(USER).pw_uid)
    _run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    _run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(_run, "pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    return f"127.0.0.1:{port}"


@contextmanager
def database(encoding: str = "UTF8") -> Iterator[str]:
    """The URL of an empty database of that server, dropped afterwards."""
    name, address = f"t{uuid4().hex}", server()
    _execute(address, f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    try:
        yield f"postgresql://{USER}@{address}/{name}"
    finally:
        _execute(address, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(address: str, statement: str) -> None:
    url = f"postgresql://{USER}@{address}/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # names of our own making


def _run(name: str, *arguments: str) -> None:
    user = {"user": USER, "group": USER, "extra_groups": ()} if os.geteuid() == 0 else {}
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        [str(program(name)), *arguments], env=environment, cwd="/", check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if name == "initdb" else None,
        stderr=subprocess.STDOUT if name == "initdb" else None, text=True, **user,
    )  # fmt: skip
    assert done.returncode == 0, f"{name}: {done.stdout}"
