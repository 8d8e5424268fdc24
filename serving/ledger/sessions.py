"""Who is signed in, and who may try again when: sessions, and failed attempts to sign in.

A session is a random token in the browser's cookie; only its SHA-256 is kept.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from serving.ledger.database import METADATA, utc
from serving.ledger.users import USERS, User

LASTS = timedelta(hours=12)
LONGEST_WAIT = 300.0
FORGOTTEN = timedelta(hours=24)
# So many wrong passwords cost no time: a person mistypes, an office shares an address.
FREE = {"user": 5, "address": 20}

SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
FAILURES = sa.Table(
    "sign_in_failures",
    METADATA,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Session:
    """A person signed in; `csrf` must come with everything that the person writes."""

    user: User
    csrf: str
    expires_at: datetime

    def wrote(self, csrf: str) -> bool:
        """Whether a form was ours, in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "replace"))


def begin(ledger: Engine, user: User) -> str:
    """Sign a person in: the token for the cookie, which is kept nowhere. Old sessions go."""
    token, now = secrets.token_urlsafe(32), _now()
    row = {"sha256": _digest(token), "user": user.name, "created_at": now}
    with ledger.begin() as connection:
        connection.execute(SESSIONS.delete().where(SESSIONS.c.expires_at <= now))
        connection.execute(SESSIONS.insert().values({**row, "expires_at": now + LASTS}))
    return token


def find(ledger: Engine, token: str) -> Session | None:
    """The session of a token, unless it has expired or its person is gone."""
    joined = SESSIONS.join(USERS, SESSIONS.c.user == USERS.c.name)
    columns = (*USERS.c, SESSIONS.c.expires_at)
    query = sa.select(*columns).select_from(joined).where(SESSIONS.c.sha256 == _digest(token))
    with ledger.connect() as connection:
        row = connection.execute(query).first()
    if row is None or utc(row.expires_at) <= _now():
        return None
    user = User(row.name, row.role, utc(row.created_at))
    return Session(user, _digest(f"csrf {token}"), utc(row.expires_at))


def end(ledger: Engine, token: str) -> None:
    """Sign out; a token that is none changes nothing."""
    with ledger.begin() as connection:
        connection.execute(SESSIONS.delete().where(SESSIONS.c.sha256 == _digest(token)))


def end_all(ledger: Engine, name: str) -> None:
    """Sign a person out everywhere."""
    with ledger.begin() as connection:
        connection.execute(SESSIONS.delete().where(SESSIONS.c.user == name.lower()))


def admitted(ledger: Engine, name: str, address: str) -> float:
    """0 when a password may be tried now, which then counts as wrong until `succeeded`.

    Otherwise the seconds to wait. Counted first, so that many at once cannot all be free.
    """
    counts = {}
    with ledger.connect() as connection:
        for kind, who in _kinds(name, address):
            row = connection.execute(FAILURES.select().where(FAILURES.c.sha256 == who)).first()
            if row is not None and (left := (utc(row.next_at) - _now()).total_seconds()) > 0:
                return left
            counts[kind, who] = row.failures if row is not None else 0
    return 0.0 if all(_counted(ledger, *key, count) for key, count in counts.items()) else 1.0


def succeeded(ledger: Engine, name: str, address: str) -> None:
    """The password was right: the person starts anew, the address as it was before."""
    (_, user), (_, place) = _kinds(name, address)
    with ledger.begin() as connection:
        connection.execute(FAILURES.delete().where(FAILURES.c.sha256 == user))
        less = {"failures": FAILURES.c.failures - 1, "next_at": _now()}
        connection.execute(FAILURES.update().where(FAILURES.c.sha256 == place).values(less))


def delay(beyond: int) -> float:
    """The seconds to wait after so many failures beyond those that are free.

    >>> [delay(n) for n in (0, 1, 2, 3, 20)]
    [0.0, 2.0, 4.0, 8.0, 300.0]
    """
    return min(2.0 ** min(beyond, 10), LONGEST_WAIT) if beyond > 0 else 0.0


def _counted(ledger: Engine, kind: str, who: str, count: int) -> bool:
    """Count one attempt more; False when another was counted meanwhile."""
    now = _now()
    row = {"failures": count + 1, "next_at": now + timedelta(seconds=delay(count + 1 - FREE[kind]))}
    try:
        with ledger.begin() as connection:
            old = FAILURES.c.next_at < now - FORGOTTEN
            connection.execute(FAILURES.delete().where(old & (FAILURES.c.sha256 != who)))
            if not count:
                connection.execute(FAILURES.delete().where(_is(who, 0)))
                return bool(
                    connection.execute(FAILURES.insert().values({**row, "sha256": who})).rowcount
                )
            same = FAILURES.update().where(_is(who, count))
            return bool(connection.execute(same.values(row)).rowcount)
    except IntegrityError:
        return False


def _is(who: str, count: int) -> sa.ColumnElement[bool]:
    return (FAILURES.c.sha256 == who) & (FAILURES.c.failures == count)


def _kinds(name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Whose attempts are counted: not in clear, for a name and an address are personal."""
    return (
        ("user", _digest(f"user {name.strip().lower()}")),
        ("address", _digest(f"address {address}")),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
