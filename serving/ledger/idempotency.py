"""Requests that named themselves by an `Idempotency-Key`: who does the work, and what it gave.

A row is claimed before the work and completed before its answer is sent, so that whoever got an
answer gets the same again for a day. A claim whose worker died is taken over after two minutes.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from serving.ledger.database import METADATA, utc

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=2)  # longer than any request may take

IDEMPOTENCY = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("route", sa.String(200)),
    sa.Column("status", sa.Integer),
    sa.Column("headers", sa.Text),
    sa.Column("body", sa.LargeBinary),
)
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True)
class Kept:
    """An answer as it was sent."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    route: str


@dataclass(frozen=True)
class Claim:
    """One name of one API key, and which request it stands for: the sha256 of all it says."""

    key_id: str
    name: str
    sha256: str


class Running:
    """Somebody else does this very request now."""


class Reused:
    """The name stands for another request."""


def claim(
    ledger: Engine, wanted: Claim, now: datetime | None = None
) -> str | Kept | Running | Reused:
    """Who is to do the work: the caller, by the owner's name that is returned, or nobody again."""
    now, owner = now or datetime.now(UTC), uuid4().hex
    row = {**vars(wanted), "owner": owner, "begun_at": now}
    try:
        with ledger.begin() as connection:
            connection.execute(IDEMPOTENCY.insert().values(row))
    except IntegrityError:
        return _claimed_before(ledger, wanted, row)
    return owner


def keep(ledger: Engine, wanted: Claim, owner: str, answer: Kept) -> None:
    """Keep an answer for those who ask the same again."""
    values = {
        "status": answer.status,
        "headers": json.dumps(list(answer.headers)),
        "body": zlib.compress(answer.body, 1),
        "route": answer.route[:200],
    }
    with ledger.begin() as connection:
        connection.execute(IDEMPOTENCY.update().where(_owned(wanted, owner)).values(values))


def release(ledger: Engine, wanted: Claim, owner: str) -> None:
    """Give a claim up: the work was not done, the next may do it."""
    with ledger.begin() as connection:
        connection.execute(IDEMPOTENCY.delete().where(_owned(wanted, owner)))


def forget(ledger: Engine, now: datetime | None = None) -> int:
    """Drop what is older than a day; how many."""
    until = (now or datetime.now(UTC)) - KEPT
    with ledger.begin() as connection:
        done = connection.execute(IDEMPOTENCY.delete().where(IDEMPOTENCY.c.begun_at < until))
        return int(done.rowcount)


def _claimed_before(
    ledger: Engine, wanted: Claim, row: dict[str, object]
) -> str | Kept | Running | Reused:
    with ledger.begin() as connection:
        found = connection.execute(IDEMPOTENCY.select().where(_named(wanted))).first()
        if found is None:  # released meanwhile
            return Running()
        if _is_over(found, row["begun_at"]):
            empty = dict.fromkeys(("route", "status", "headers", "body"))
            mine = IDEMPOTENCY.update().where(_owned(wanted, found.owner)).values(row | empty)
            return str(row["owner"]) if connection.execute(mine).rowcount else Running()
    if found.sha256 != wanted.sha256:
        return Reused()
    if found.status is None:
        return Running()
    headers = [(str(n), str(v)) for n, v in json.loads(found.headers)]
    return Kept(found.status, headers, zlib.decompress(found.body), found.route)


def _is_over(row: Row, now: object) -> bool:
    """Whether a row stands for nothing any more."""
    assert isinstance(now, datetime)  # noqa: S101 - as the caller made it
    return bool(now - utc(row.begun_at) > (ABANDONED if row.status is None else KEPT))


def _named(wanted: Claim) -> sa.ColumnElement[bool]:
    return (IDEMPOTENCY.c.key_id == wanted.key_id) & (IDEMPOTENCY.c.name == wanted.name)


def _owned(wanted: Claim, owner: str) -> sa.ColumnElement[bool]:
    return _named(wanted) & (IDEMPOTENCY.c.owner == owner)
