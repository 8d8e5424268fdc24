"""What a CRM was answered, for as long as it may ask again: the same bytes."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from serving.ledger.database import METADATA

KEPT = timedelta(days=4)
"""HubSpot tries again for three days."""

CRM_ANSWERS = sa.Table(
    "crm_answers",
    METADATA,
    sa.Column("call", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False, index=True),
)


def found(ledger: Engine, call: str) -> bytes | None:
    """What was answered to this call before."""
    with ledger.connect() as connection:
        where = CRM_ANSWERS.c.call == _digest(call)
        return connection.execute(sa.select(CRM_ANSWERS.c.body).where(where)).scalar()


def kept(ledger: Engine, call: str, body: bytes) -> bytes:
    """Keep an answer; what is to be answered: another's, if that was quicker."""
    now = datetime.now(UTC)
    try:
        with ledger.begin() as connection:
            connection.execute(CRM_ANSWERS.delete().where(CRM_ANSWERS.c.answered_at < now - KEPT))
            row = {"call": _digest(call), "body": body, "answered_at": now}
            connection.execute(CRM_ANSWERS.insert().values(row))
    except IntegrityError:
        return found(ledger, call) or body
    return body


def _digest(call: str) -> str:
    return sha256(call.encode("utf-8", "replace")).hexdigest()
