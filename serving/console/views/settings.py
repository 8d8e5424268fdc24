"""Who may get in: the keys of the API and the people of the console, and what an admin changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from features.errors import InputError
from serving.console.format import ago, day, instant
from serving.console.views.facts import Shown
from serving.ledger import keys, sessions, users
from serving.ledger.keys import SCOPES, Key
from serving.ledger.users import User

OPENS = {
    "score": "ask for scores", "read": "read accounts, models and figures",
    "events": "send events", "admin": "everything",
}  # fmt: skip
MAY = {
    "viewer": "reads", "reviewer": "reads and judges", "admin": "reads, judges, sets",
}  # fmt: skip
EXPIRES = {"": "never", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}
ITSELF = "your own entry; another admin changes it, or the command line: `goldpan user`"


@dataclass(frozen=True)
class KeyLine:
    """One key in the list; never the key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    made: Shown
    state: str
    valid: bool


@dataclass(frozen=True)
class PersonLine:
    """One person in the list."""

    name: str
    role: str
    since: Shown
    itself: bool


@dataclass(frozen=True)
class Secret:
    """What is shown this once: a new key, or a new password."""

    what: str
    text: str
    note: str


@dataclass(frozen=True)
class Access:
    """The page of settings; `refused` says what was wrong with the form that was sent."""

    keys: tuple[KeyLine, ...]
    people: tuple[PersonLine, ...]
    secret: Secret | None = None
    done: str = ""
    refused: str = ""
    scopes: tuple[tuple[str, str], ...] = tuple(OPENS.items())
    roles: tuple[tuple[str, str], ...] = tuple(MAY.items())
    expires: tuple[tuple[str, str], ...] = tuple(EXPIRES.items())


def access(ledger: Engine, me: User, **told: object) -> Access:
    """The page as the ledger is now, with what came of a form."""
    now = datetime.now(UTC)
    listed = sorted(
        keys.listed(ledger), key=lambda k: (not k.valid(now), -k.created_at.timestamp())
    )
    people = (
        PersonLine(u.name, u.role, Shown(day(u.created_at.date()), instant(u.created_at)), u == me)
        for u in users.listed(ledger)
    )
    return Access(tuple(_line(key, now) for key in listed), tuple(people), **told)  # type: ignore[arg-type] # what came of a form, by name


def create_key(ledger: Engine, form: Mapping[str, str]) -> Secret:
    """Make the key that a form asks for; InputError for what the command line would refuse."""
    scopes = [scope for scope in SCOPES if f"scope.{scope}" in form]
    lasts = form.get("expires", "")
    if lasts not in EXPIRES:
        raise InputError(f"{lasts[:80]!r} days", expected=", ".join(filter(None, EXPIRES)))
    until = datetime.now(UTC) + timedelta(days=int(lasts)) if lasts else None
    text, made = keys.create(ledger, form.get("name", "").strip(), scopes, expires_at=until)
    return Secret(f"The key {made.name}", text, "Nobody can show it again: only its hash is kept.")


def add_person(ledger: Engine, form: Mapping[str, str]) -> Secret:
    """Add a person with a password made up for them."""
    new = users.generated()
    added = users.add(ledger, form.get("user", ""), form.get("role", ""), new)
    return Secret(f"The password of {added.name}", new, "Hand it over by a way that you trust.")


def new_password(ledger: Engine, name: str, me: User) -> Secret:
    """Give a person another password, which ends their sessions."""
    _another(name, me)
    new = users.generated()
    users.set_password(ledger, name, new)
    sessions.end_all(ledger, name)
    return Secret(f"The new password of {name}", new, "Their sessions have ended.")


def set_role(ledger: Engine, name: str, role: str, me: User) -> str:
    """Give a person another role, from their next request on."""
    _another(name, me)
    users.set_role(ledger, name, role)
    return f"{name} is {role} now."


def remove_person(ledger: Engine, name: str, me: User) -> str:
    """Remove a person, who is signed out everywhere; what they reviewed stays."""
    _another(name, me)
    users.remove(ledger, name)
    sessions.end_all(ledger, name)
    return f"{name} may no longer sign in."


def revoke_key(ledger: Engine, key_id: str) -> str:
    """End a key."""
    return f"The key {keys.revoke(ledger, key_id).name} opens nothing any more."


def _another(name: str, me: User) -> None:
    """Nobody locks themselves out."""
    if name.lower() == me.name:
        raise InputError(ITSELF)


def _line(key: Key, now: datetime) -> KeyLine:
    made = Shown(ago(key.created_at, now), instant(key.created_at))
    return KeyLine(key.id, key.name, key.scopes, made, _state(key, now), key.valid(now))


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {ago(key.revoked_at, now)}"
    if key.expires_at is None:
        return "valid until revoked"
    verb = "valid until" if key.valid(now) else "expired on"
    return f"{verb} {day(key.expires_at.date())}"
