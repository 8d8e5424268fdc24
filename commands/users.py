"""The people of the console: user add, list, role, remove, password."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.options import WORKSPACE
from commands.terminal import screen
from features.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy import Engine

ROLE = click.option(
    "--role", type=click.Choice(["viewer", "reviewer", "admin"]), default="reviewer",
    show_default=True, help="viewer: reads; reviewer: also judges; admin: also settings.",
)  # fmt: skip
GENERATE = click.option("--generate", is_flag=True, help="Make up a password and print it, once.")
DEMO = "demo"


@click.group()
def user() -> None:
    """Who may sign in to the console: add, list, role, remove, password."""


def _verb(name: str) -> Callable[[Callable[..., None]], click.Command]:
    return lambda function: user.command(name)(WORKSPACE(function))


@_verb("add")
@click.argument("name")
@ROLE
@GENERATE
def add_user(workspace: Path, name: str, role: str, generate: bool) -> None:
    """Add a person, by a name such as an e-mail address; asks for the password."""
    from serving.ledger import users

    ledger, password = _ledger(workspace), _password(generate)
    added = users.add(ledger, name, role, password)
    screen.OUT.print(f"{added.name} may sign in as {role}{_told(generate, password)}", markup=False)


@_verb("list")
def list_users(workspace: Path) -> None:
    """Show who may sign in."""
    from serving.ledger import users

    for found in users.listed(_ledger(workspace)):
        screen.OUT.print(f"{found.name:<40} {found.role:<9} since {found.created_at:%Y-%m-%d}")


@_verb("role")
@click.argument("name")
@click.argument("role", type=click.Choice(["viewer", "reviewer", "admin"]))
def change_role(workspace: Path, name: str, role: str) -> None:
    """Give a person another role, from their next request on."""
    from serving.ledger import users

    users.set_role(_ledger(workspace), name, role)
    screen.OUT.print(f"{name} is {role} now", markup=False)


@_verb("remove")
@click.argument("name")
def remove_user(workspace: Path, name: str) -> None:
    """Remove a person, who is signed out everywhere."""
    from serving.ledger import sessions, users

    ledger = _ledger(workspace)
    users.remove(ledger, name)
    sessions.end_all(ledger, name)
    screen.OUT.print(f"{name} may no longer sign in")


@_verb("password")
@click.argument("name")
@GENERATE
def change_password(workspace: Path, name: str, generate: bool) -> None:
    """Give a person another password; sessions with the former one end."""
    from serving.ledger import sessions, users

    ledger, new = _ledger(workspace), _password(generate)
    users.set_password(ledger, name, new)
    sessions.end_all(ledger, name)
    screen.OUT.print(f"{name} has another password{_told(generate, new)}", markup=False)


def a_demo_user(workspace: Workspace, port: int) -> None:
    """A person who may look at the demo, with a new password each time, as none is kept."""
    from serving.ledger import users
    from serving.ledger.database import opened

    ledger, new = opened(workspace), users.generated()
    if users.find(ledger, DEMO) is None:
        users.add(ledger, DEMO, "admin", new)
    else:
        users.set_password(ledger, DEMO, new)
    told = f"Console: http://127.0.0.1:{port}/console, user {DEMO}, password {new}"
    screen.OUT.print(told, soft_wrap=True, markup=False)


def _ledger(workspace: Path) -> "Engine":
    from serving.ledger.database import opened

    return opened(Workspace(workspace))


def _password(generate: bool) -> str:
    from serving.ledger.users import generated

    if generate:
        return generated()
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _told(generate: bool, new: str) -> str:
    return f", password {new}" if generate else ""
