"""People who sign in to the console: a name, a role, a password kept only as its scrypt hash."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from features.errors import InputError
from serving.ledger.database import METADATA, utc

ROLES = ("viewer", "reviewer", "admin")
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 200
# 32 MiB and three passes: what OWASP's password storage page asks of scrypt with N = 2^15.
COST, BLOCKS, PASSES = 1 << 15, 8, 3
MEMORY = 256 * COST * BLOCKS
AT_ONCE = BoundedSemaphore(2)  # so many hashes may take their memory at the same time
NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyz0123456789_.@+-")

USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("password", sa.String(300), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class User:
    """What is known of a person; never the password."""

    name: str
    role: str
    created_at: datetime

    def may(self, role: str) -> bool:
        """Whether the person's role is this one or a greater.

        >>> User("ana", "reviewer", datetime.now(UTC)).may("viewer")
        True
        """
        return ROLES.index(self.role) >= ROLES.index(role)


def add(ledger: Engine, name: str, role: str, password: str) -> User:
    """Add a person; InputError for a name that is taken, a role there is not, a weak password."""
    user = User(_checked_name(name), _checked_role(role), datetime.now(UTC))
    row = {**vars(user), "password": hashed(_checked_password(password))}
    try:
        with ledger.begin() as connection:
            connection.execute(USERS.insert().values(row))
    except IntegrityError:
        raise InputError(
            f"a user {user.name}", expected="a name that nobody has",
            do="`goldpan user password` gives that one another password.",
        ) from None  # fmt: skip
    return user


def listed(ledger: Engine) -> list[User]:
    """All people, by name."""
    with ledger.connect() as connection:
        return [_user(row) for row in connection.execute(USERS.select().order_by(USERS.c.name))]


def remove(ledger: Engine, name: str) -> None:
    """Remove a person; InputError when there is none of that name."""
    with ledger.begin() as connection:
        gone = connection.execute(USERS.delete().where(USERS.c.name == name.lower())).rowcount
    if not gone:
        raise _nobody(name)


def set_password(ledger: Engine, name: str, password: str) -> None:
    """Give a person another password; InputError when there is none of that name."""
    row = {"password": hashed(_checked_password(password))}
    with ledger.begin() as connection:
        where = USERS.c.name == name.lower()
        changed = connection.execute(USERS.update().where(where).values(row)).rowcount
    if not changed:
        raise _nobody(name)


def set_role(ledger: Engine, name: str, role: str) -> None:
    """Give a person another role; InputError when there is none of that name, or no such role."""
    row = {"role": _checked_role(role)}
    with ledger.begin() as connection:
        where = USERS.c.name == name.lower()
        changed = connection.execute(USERS.update().where(where).values(row)).rowcount
    if not changed:
        raise _nobody(name)


def find(ledger: Engine, name: str) -> User | None:
    """The person of that name."""
    row = _row(ledger, name)
    return _user(row) if row is not None else None


def verified(ledger: Engine, name: str, password: str) -> User | None:
    """The person whose password this is; None takes as long, whether or not the name exists."""
    row = _row(ledger, name)
    kept = row.password if row is not None else NOBODY
    right = matches(password[:MOST_CHARACTERS], kept)
    return _user(row) if row is not None and right else None


def hashed(password: str) -> str:
    """A password as it is kept: how it was hashed, its salt, its hash."""
    salt = secrets.token_bytes(16)
    cost = f"scrypt${COST}${BLOCKS}${PASSES}"
    return f"{cost}${salt.hex()}${_scrypt(password, salt, COST, BLOCKS, PASSES).hex()}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that was kept, in constant time."""
    _, cost, blocks, passes, salt, digest = kept.split("$")
    found = _scrypt(password, bytes.fromhex(salt), int(cost), int(blocks), int(passes))
    return hmac.compare_digest(found, bytes.fromhex(digest))


def generated() -> str:
    """A password that nobody can guess: 128 random bits."""
    return secrets.token_urlsafe(16)


def _row(ledger: Engine, name: str) -> sa.Row[tuple[object, ...]] | None:
    if set(name.lower()) - NAME_CHARACTERS:
        return None
    with ledger.connect() as connection:
        return connection.execute(USERS.select().where(USERS.c.name == name.lower())).first()


def _scrypt(password: str, salt: bytes, cost: int, blocks: int, passes: int) -> bytes:
    with AT_ONCE:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=blocks, p=passes,
            maxmem=MEMORY, dklen=32,
        )  # fmt: skip


def _checked_name(name: str) -> str:
    lower = name.strip().lower()
    if not 1 <= len(lower) <= 200 or set(lower) - NAME_CHARACTERS:
        raise InputError(
            f"the user name {name[:80]!r}",
            expected="1 to 200 letters, digits or _ . @ + -, such as an e-mail address",
        )
    return lower


def _checked_role(role: str) -> str:
    if role not in ROLES:
        raise InputError(f"role {role[:80]!r}", expected=f"one of {', '.join(ROLES)}")
    return role


def _checked_password(password: str) -> str:
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        expected = f"{LEAST_CHARACTERS} to {MOST_CHARACTERS}"
        raise InputError(f"a password of {len(password)} characters", expected=expected)
    return password


def _nobody(name: str) -> InputError:
    return InputError(f"no user {name[:80]!r}", do="`goldpan user list` shows the names.")


def _user(row: sa.Row[tuple[object, ...]]) -> User:
    return User(row.name, row.role, utc(row.created_at))


# What the password of a name that does not exist is compared with.
NOBODY = f"scrypt${COST}${BLOCKS}${PASSES}${'00' * 16}${'00' * 32}"
