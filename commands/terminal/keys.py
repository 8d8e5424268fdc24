"""Keys of the API in a terminal: a new one once, the others by their ids."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape

from commands.terminal.screen import OUT, done, titled


def created(text: str, key: Any) -> None:
    """The key itself, alone on its line, and that nobody can show it again."""
    done(f"Key {key.id} for {escape(key.name)}: {', '.join(key.scopes)}{_until(key)}")
    OUT.print("Keep it now; it is not shown again:\n")
    OUT.print(text, soft_wrap=True, markup=False)


def listed(keys: Sequence[Any], now: datetime) -> None:
    """What is known of each key."""
    if not keys:
        OUT.print("No keys yet. `goldpan key create --name NAME --scope score` makes one.")
        return
    table = titled("Keys", "id", "name", "scopes", "made", "state")
    for key in keys:
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.id, escape(key.name), ", ".join(key.scopes), made, _state(key, now))
    OUT.print(table)


def revoked(key: Any) -> None:
    """A key that opens nothing any more."""
    done(f"Key {key.id} ({escape(key.name)}) is revoked; a running service refuses it by now.")


def replaced(keys: Sequence[Any]) -> None:
    """Keys of a former demo that were ended for a new one."""
    for key in keys:
        OUT.print(f"The former demo's key {key.id} is revoked.")


def _state(key: Any, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if not key.valid(now):
        return f"expired {key.expires_at:%Y-%m-%d}"
    return f"valid{_until(key)}"


def _until(key: Any) -> str:
    return f" until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
