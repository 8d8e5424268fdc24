"""The keys that open the API: create, list, revoke."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from commands.options import WORKSPACE
from commands.terminal import keys as shown
from features.workspace import Workspace

DEMO = "goldpan demo"


@click.group()
def key() -> None:
    """Keys of the API: make one, list them, revoke one.

    A key is shown once, when it is made; only its SHA-256 is kept, in the ledger. The scopes: score
    (ask for scores), read (read accounts, models, documents and figures), events (send events),
    admin (everything).
    """


@key.command()
@WORKSPACE
@click.option("--name", required=True, help="Whom or what it is for.")
@click.option(
    "--scope", "scopes", multiple=True, required=True,
    help="score, read, events or admin; say it again for more.",
)  # fmt: skip
@click.option(
    "--expires", type=click.IntRange(1, 3650), metavar="DAYS", help="Valid for so many days."
)
def create(workspace: Path, name: str, scopes: tuple[str, ...], expires: int | None) -> None:
    """Make a key and show it, this once."""
    from serving.ledger import keys
    from serving.ledger.database import opened

    until = datetime.now(UTC) + timedelta(days=expires) if expires else None
    text, made = keys.create(opened(Workspace(workspace)), name, scopes, expires_at=until)
    shown.created(text, made)


@key.command(name="list")
@WORKSPACE
def list_(workspace: Path) -> None:
    """Show every key's id, name, scopes and state; never a key itself."""
    from serving.ledger import keys
    from serving.ledger.database import opened

    shown.listed(keys.listed(opened(Workspace(workspace))), datetime.now(UTC))


@key.command()
@WORKSPACE
@click.argument("id")
def revoke(workspace: Path, id: str) -> None:  # noqa: A002 - the argument's name
    """End the key ID: no running service takes it a second later."""
    from serving.ledger import keys
    from serving.ledger.database import opened

    shown.revoked(keys.revoke(opened(Workspace(workspace)), id))


def for_the_demo(workspace: Workspace) -> str:
    """A new key for the request that a demo prints; its former ones end."""
    from serving.ledger import keys
    from serving.ledger.database import opened

    ledger, now = opened(workspace), datetime.now(UTC)
    former = [k for k in keys.listed(ledger) if k.name == DEMO and k.valid(now)]
    for one in former:
        keys.revoke(ledger, one.id)
    shown.replaced(former)
    return keys.create(ledger, DEMO, ("score", "read", "events"))[0]
