"""Takes what the ledger keeps of an account or a person out of it."""

import zlib
from collections.abc import Callable, Collection, Iterator

import sqlalchemy as sa
from sqlalchemy import Engine

from serving.ledger.crm_answers import CRM_ANSWERS
from serving.ledger.idempotency import IDEMPOTENCY
from serving.ledger.reviews import REVIEWS
from serving.ledger.scores import SCORES
from serving.ledger.shown import SHOWN

AT_ONCE = 500


def erase(
    ledger: Engine, accounts: Collection[str], named: Callable[[str], bool]
) -> dict[str, int]:
    """Delete accounts' scores, reasons and reviews, and answers in which `named` finds an id.

    Table → how many rows went. What is deleted can be read nowhere in the database any more.
    """
    gone = {}
    with ledger.begin() as connection:
        for table in (REVIEWS, SCORES, SHOWN):
            mine = [table.c.account_id.in_(some) for some in _parts(sorted(accounts))]
            gone[table.name] = sum(connection.execute(table.delete().where(m)).rowcount
                                   for m in mine)  # fmt: skip
        for table in (IDEMPOTENCY, CRM_ANSWERS):
            gone[table.name] = _answers(connection, table, named)
    _compact(ledger)
    return gone


def _answers(connection: sa.Connection, table: sa.Table, named: Callable[[str], bool]) -> int:
    names = [column.name for column in table.primary_key]
    query = sa.select(*table.primary_key, table.c.body).where(table.c.body.is_not(None))
    theirs = [row for row in connection.execute(query).all() if named(_text(row.body))]
    for row in theirs:
        this = sa.and_(*(table.c[name] == getattr(row, name) for name in names))
        connection.execute(table.delete().where(this))
    return len(theirs)


def _text(body: bytes) -> str:
    """A kept answer as it was sent; some are kept compressed."""
    try:
        return zlib.decompress(body).decode("utf-8", "replace")
    except zlib.error:
        return body.decode("utf-8", "replace")


def _compact(ledger: Engine) -> None:
    """Write the database anew, so that deleted rows do not lie in free pages."""
    with ledger.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM"))
        if ledger.dialect.name == "sqlite":
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _parts(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
