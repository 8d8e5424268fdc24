"""What a person or an account may ask for: that nothing is kept of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.options import opened, verb
from commands.terminal import kept, screen
from features.errors import InputError, NotReadyError
from features.settings import Settings
from features.workspace import Workspace

if TYPE_CHECKING:
    from features.erasing.whose import Whose

SHOWN = 5


@verb
@click.option("--account", metavar="ID", help="The account, and those that were merged into it.")
@click.option("--user", metavar="ID", help="The person, in whichever accounts.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(
    workspace: Path, settings_file: Path, account: str | None, user: str | None, yes: bool
) -> None:
    """Erase an account or a person, for good.

    Takes their events, what the company's tables, the dead letters and the ledger say of them, and
    the history in which earlier versions could be read. What was made of it (rollups, features,
    scores) goes whole: run `goldpan build` and `goldpan score` again. Stop the service before. A
    run that was cut off is completed by the next. docs/erase.md says what stays.
    """
    from features.erasing import erasure
    from features.turns import alone

    place, settings = opened(workspace, settings_file)
    if (account is None) == (user is None):
        raise InputError("both or neither of --account and --user", expected="one of them")
    if not place.lake.is_dir():
        raise NotReadyError(f"no lake in {place.root}", do="Run `goldpan ingest` first.")
    with alone(place, "intake"):
        _collect(place, settings)
        with erasure.nobody_else(place):
            asked = account or user or ""
            if (left := erasure.noted(place)) is not None:
                screen.OUT.print(f"Completing an erasure that was cut off: {_named(left)}.")
                _erase(place, left)
            if left is None or asked not in left.ids:
                whose = _whose(place, account, user)
                if not yes:
                    click.confirm(f"Erase {_named(whose)} for good?", abort=True)
                erasure.note(place, whose)
                _erase(place, whose)


def _erase(place: Workspace, whose: "Whose") -> None:
    from features.erasing import erasure
    from serving.ledger import erasing
    from serving.ledger.database import opened as ledger_of

    with screen.step("Erasing"):
        gone = erasure.erase(place, whose)
        gone |= erasing.erase(ledger_of(place), whose.accounts, whose.named_in)
        erasure.done(place)
    kept.erased(gone, erasure.MADE_OF_IT)


def _whose(place: Workspace, account: str | None, user: str | None) -> "Whose":
    from features.erasing.whose import of_account, of_user

    return of_account(place, account) if account is not None else of_user(place, user or "")


def _collect(place: Workspace, settings: Settings) -> None:
    """What was acknowledged goes into the lake first, to be found there."""
    from serving.intake.collect import collected
    from serving.intake.waiting import journals

    collected(place, settings)
    if journals(place):
        raise NotReadyError("a service that takes events", do="Stop it, and erase again.")


def _named(whose: "Whose") -> str:
    """Whose rows go, in a line.

    >>> from features.erasing.whose import Whose
    >>> _named(Whose(("a",), ("u", "v"), ()))
    'account a, users u, v'
    """
    kinds = (("account", whose.accounts), ("user", whose.users), ("anonymous id", whose.anonymous))
    return ", ".join(
        f"{kind}{'s' * (len(ids) > 1)} {', '.join(ids[:SHOWN])}"
        + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
        for kind, ids in kinds
        if ids
    )
