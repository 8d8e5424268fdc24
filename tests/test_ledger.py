"""The ledger on SQLite and on a real PostgreSQL: keys, kept answers, and databases of any age."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from postgres import database, with_postgres
from sqlalchemy import Engine

from features.errors import InputError, NotReadyError
from features.workspace import Workspace
from serving.ledger import idempotency, keys
from serving.ledger.database import METADATA, MIGRATIONS, VARIABLE, connected, migrate, opened
from serving.ledger.idempotency import Claim, Kept, Reused, Running

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CLAIM = Claim("0123456789ab", "order-1", "a" * 64)
ANSWER = Kept(200, [("content-type", "application/json")], b'{"\xc3\xa9": 1}' * 1000, "/v1/scores")


@pytest.fixture(
    params=["sqlite", *(pytest.param(e, marks=with_postgres) for e in ("UTF8", "SQL_ASCII"))]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind; PostgreSQL's as it is set up with a locale and without."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    with database(request.param) as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Engine]:
    """A ledger with the present tables."""
    engine = connected(url)
    migrate(engine)
    yield engine
    engine.dispose()


def columns(ledger: Engine) -> dict[str, set[tuple[str, bool]]]:
    """What the database has: table → its columns, and whether they may be empty."""
    found = sa.inspect(ledger)
    return {
        table: {(c["name"], c["nullable"]) for c in found.get_columns(table)}
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def declared() -> dict[str, set[tuple[str, bool]]]:
    """What the code says it has."""
    return {
        table.name: {(c.name, bool(c.nullable)) for c in table.columns}
        for table in METADATA.sorted_tables
    }


def test_an_empty_database_gets_the_tables_that_the_code_declares(ledger: Engine) -> None:
    """Every table and column, and a second time nothing changes."""
    found = columns(ledger)
    assert {name: found[name] for name in declared()} == declared()
    migrate(ledger)
    assert columns(ledger) == found


def test_a_new_file_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger and what SQLite keeps beside it, whatever the folder allows."""
    monkeypatch.delenv(VARIABLE, raising=False)
    engine = opened(Workspace(tmp_path))
    with engine.connect():
        kept = {at.name: at.stat().st_mode & 0o777 for at in tmp_path.glob("ledger.db*")}
    engine.dispose()
    assert kept == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)


def test_an_older_database_keeps_its_rows(url: str) -> None:
    """A key of the first version is a key after the migration."""
    ledger = connected(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with ledger.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    assert set(columns(ledger)) == {"keys"}
    text, key = keys.create(ledger, "old", ["score"])
    migrate(ledger)
    assert keys.find(ledger, text) == key
    ledger.dispose()


def test_a_key_is_made_found_listed_and_ended(ledger: Engine) -> None:
    """All it is comes back, its times in UTC."""
    end = datetime.now(UTC) + timedelta(days=1)
    text, key = keys.create(ledger, "Zoë's CRM ✓", ["read", "score", "read"], expires_at=end)
    assert keys.find(ledger, text) == key
    assert (key.scopes, key.expires_at) == (("read", "score"), end)
    assert keys.listed(ledger) == [key]
    assert keys.any_valid(ledger)
    ended = keys.revoke(ledger, key.id)
    assert ended.revoked_at is not None
    assert ended.revoked_at.tzinfo is not None
    assert not keys.any_valid(ledger)
    with pytest.raises(InputError, match="no key x"):
        keys.revoke(ledger, "x")


def test_a_named_request_is_done_once_and_its_answer_given_again(ledger: Engine) -> None:
    """Claimed, under way, kept: to the byte; under another body it is refused."""
    owner = idempotency.claim(ledger, CLAIM, NOW)
    assert isinstance(owner, str)
    assert isinstance(idempotency.claim(ledger, CLAIM, NOW), Running)
    idempotency.keep(ledger, CLAIM, owner, ANSWER)
    assert idempotency.claim(ledger, CLAIM, NOW) == ANSWER
    other = Claim(CLAIM.key_id, CLAIM.name, "b" * 64)
    assert isinstance(idempotency.claim(ledger, other, NOW), Reused)
    assert isinstance(idempotency.claim(ledger, Claim("other", CLAIM.name, "b" * 64), NOW), str)


def test_an_answer_is_kept_for_a_day(ledger: Engine) -> None:
    """At its end the name is free for another request, and the rows of old go."""
    owner = idempotency.claim(ledger, CLAIM, NOW)
    assert isinstance(owner, str)
    idempotency.keep(ledger, CLAIM, owner, ANSWER)
    assert idempotency.claim(ledger, CLAIM, NOW + timedelta(hours=24)) == ANSWER
    later = NOW + timedelta(hours=24, microseconds=1)
    assert isinstance(idempotency.claim(ledger, Claim(*CLAIM_OF_OTHER), later), str)
    assert idempotency.forget(ledger, later) == 0
    assert idempotency.forget(ledger, later + timedelta(hours=24, microseconds=1)) == 1


CLAIM_OF_OTHER = (CLAIM.key_id, CLAIM.name, "c" * 64)


def test_what_a_dead_worker_began_is_taken_over(ledger: Engine) -> None:
    """After two minutes, by one only; what the dead one would still write changes nothing."""
    dead = idempotency.claim(ledger, CLAIM, NOW)
    assert isinstance(dead, str)
    assert isinstance(idempotency.claim(ledger, CLAIM, NOW + timedelta(seconds=120)), Running)
    later = NOW + timedelta(seconds=121)
    taken = [idempotency.claim(ledger, CLAIM, later) for _ in range(3)]
    assert [isinstance(one, str) for one in taken] == [True, False, False]
    idempotency.keep(ledger, CLAIM, dead, ANSWER)
    assert isinstance(idempotency.claim(ledger, CLAIM, later), Running)
    idempotency.release(ledger, CLAIM, str(taken[0]))
    assert isinstance(idempotency.claim(ledger, CLAIM, later), str)


def test_of_many_at_once_one_does_the_work(ledger: Engine) -> None:
    """Twenty threads claim the same name together."""
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: idempotency.claim(ledger, CLAIM, NOW), range(20)))
    assert sum(isinstance(one, str) for one in found) == 1
    assert sum(isinstance(one, Running) for one in found) == 19


def test_a_server_that_is_gone_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it should be, and why it is not; at once."""
    monkeypatch.setenv(VARIABLE, "postgresql://goldpan:hunter2@127.0.0.1:1/ledger")
    with pytest.raises(NotReadyError, match=r"does not answer: postgresql.*127\.0\.0\.1") as told:
        opened(Workspace(tmp_path))
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("said", ["ledger", "mysql://x@y/z", "postgresql://a:b"])
def test_a_url_that_names_no_ledger_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """It says which two kinds there are."""
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(InputError, match=r"names no database.*sqlite:///path or postgresql://"):
        opened(Workspace(tmp_path))
