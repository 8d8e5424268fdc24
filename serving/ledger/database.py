"""The ledger's database: SQLite in the workspace, or whatever `GOLDPAN_LEDGER` names.

Every table is declared beside the functions that use it (`keys.py`, `scores.py`, …) on the one
`METADATA`; `migrations/` brings a database of any age to the present tables.
"""

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from features.errors import InputError, NotReadyError
from features.workspace import Workspace

METADATA = MetaData()
VARIABLE = "GOLDPAN_LEDGER"
FILE = "ledger.db"
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 10_000
# Without its encoding a database that has none would answer in bytes.
CONNECT = {"connect_timeout": 5, "client_encoding": "utf8"}
OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {},
    # A server that is gone must be noticed, not waited for.
    "postgresql": {"pool_pre_ping": True, "connect_args": CONNECT},
}


def url_of(workspace: Workspace) -> str:
    """Where the ledger is: the URL in `GOLDPAN_LEDGER`, or `ledger.db` in the workspace."""
    return os.environ.get(VARIABLE) or f"sqlite:///{(workspace.root / FILE).resolve()}"


def opened(workspace: Workspace) -> Engine:
    """The ledger, brought to the present tables; made when there is none.

    Raises InputError for a URL that names no database, NotReadyError when it does not answer.
    """
    engine = connected(url_of(workspace))
    if not os.environ.get(VARIABLE):
        workspace.root.mkdir(parents=True, exist_ok=True)
        (workspace.root / FILE).touch(mode=0o600)  # it knows who may sign in
    try:
        migrate(engine)
    except SQLAlchemyError as error:
        raise unreachable(engine, error) from None
    return engine


@cache
def connected(url: str) -> Engine:
    """An engine for the URL, one for each process; nothing is connected yet."""
    try:
        # SQLAlchemy would choose psycopg2, the former driver.
        found = make_url(url)
        if found.drivername in ("postgres", "postgresql"):
            found = found.set(drivername="postgresql+psycopg")
        engine = create_engine(found, **OPTIONS[found.get_backend_name()])
    except (ArgumentError, ImportError, KeyError, ValueError) as error:
        raise InputError(
            f"{VARIABLE} that names no database ({type(error).__name__})",
            expected="sqlite:///path or postgresql://user:password@host/database",
            do=f"Correct it, or leave {VARIABLE} out: the ledger is then a file of the workspace.",
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _careful)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the database to the present tables, whatever its age."""
    from alembic import command  # the service opens a ledger that is up to date, without Alembic
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def unreachable(engine: Engine, error: SQLAlchemyError) -> NotReadyError:
    """The error for a database that does not answer, without its password."""
    why = str(error.orig if isinstance(error, OperationalError) else error).splitlines()[0]
    where = engine.url.render_as_string(hide_password=True)
    return NotReadyError(f"a ledger that does not answer: {where} ({why})")


def utc(time: datetime) -> datetime:
    """An instant as the ledger kept it: SQLite forgets the zone, which is always UTC here."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _careful(connection: object, _: object) -> None:
    """SQLite that loses nothing it acknowledged and waits for other writers."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
