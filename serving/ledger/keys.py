"""API keys: made of 256 random bits, shown once, kept only as their SHA-256.

A key reads `gp_<id>_<secret>`. The id names it in lists and logs; the secret is never stored.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from features.errors import InputError
from serving.ledger.database import METADATA, utc

SCOPES = ("score", "read", "events", "admin")
PREFIX = "gp"
MOST_NAME = 200

KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(MOST_NAME), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("scopes", sa.String(200), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
)


@dataclass(frozen=True)
class Key:
    """What is known of a key; never the key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it opens anything at that instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: str) -> bool:
        """Whether it opens what asks for `scope`; an admin key opens everything."""
        return scope in self.scopes or "admin" in self.scopes


def create(
    ledger: Engine, name: str, scopes: Sequence[str], *, expires_at: datetime | None = None
) -> tuple[str, Key]:
    """Make a key: the text to hand over, which nobody can show again, and what is kept of it.

    Raises InputError for a scope that there is not, or a name that no list could show.
    """
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise InputError(f"name {name!r}", expected=f"1 to {MOST_NAME} printable characters")
    if not scopes or (unknown := [s for s in scopes if s not in SCOPES]):
        found = f"scope {unknown[0]}" if scopes else "no scope"
        raise InputError(found, expected=f"some of {', '.join(SCOPES)}")
    key = Key(secrets.token_hex(6), name, tuple(dict.fromkeys(scopes)), _now(), expires_at)
    text = f"{PREFIX}_{key.id}_{secrets.token_urlsafe(32)}"
    row = {**vars(key), "scopes": ",".join(key.scopes), "sha256": _digest(text)}
    with ledger.begin() as connection:
        connection.execute(KEYS.insert().values(row))
    return text, key


def listed(ledger: Engine) -> list[Key]:
    """All keys, the oldest first."""
    with ledger.connect() as connection:
        return [_key(row) for row in connection.execute(KEYS.select().order_by(KEYS.c.created_at))]


def any_valid(ledger: Engine) -> bool:
    """Whether anybody could call now."""
    return any(key.valid(_now()) for key in listed(ledger))


def revoke(ledger: Engine, id: str) -> Key:  # noqa: A002 - the field's name
    """End a key now; InputError when there is none of that id. A second time changes nothing."""
    with ledger.begin() as connection:
        where = (KEYS.c.id == id) & KEYS.c.revoked_at.is_(None)
        connection.execute(KEYS.update().where(where).values(revoked_at=_now()))
        row = connection.execute(KEYS.select().where(KEYS.c.id == id)).first()
    if row is None:
        raise InputError(f"no key {id}", do="`goldpan key list` shows the ids.")
    return _key(row)


def find(ledger: Engine, text: str) -> Key | None:
    """The key that this text is, whatever became of it since; None for any other text."""
    prefix, _, rest = text.partition("_")
    id_, _, secret = rest.partition("_")
    if prefix != PREFIX or not (id_.isascii() and id_.isalnum()) or not secret:
        return None
    with ledger.connect() as connection:
        row = connection.execute(KEYS.select().where(KEYS.c.id == id_)).first()
    if row is None or not hmac.compare_digest(row.sha256, _digest(text)):
        return None
    return _key(row)


def _key(row: sa.Row[tuple[object, ...]]) -> Key:
    times = (row.created_at, row.expires_at, row.revoked_at)
    return Key(row.id, row.name, tuple(row.scopes.split(",")), *(t and utc(t) for t in times))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
