"""What the ledger keeps, for those who check it and those who learn from it."""

import csv
from pathlib import Path

import click

from commands.options import WORKSPACE
from commands.terminal import kept
from commands.terminal.screen import OUT
from features.workspace import Workspace, publish_file

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula."""


@click.command()
@WORKSPACE
@click.argument("score_id")
@click.pass_context
def audit_score(ctx: click.Context, workspace: Path, score_id: str) -> None:
    """Make a past score again, and say whether it is the same to the bit.

    From the row that the ledger keeps and the bundle of that version; the snapshot may be long
    gone. Exits 3 when anything differs, or when the bundle is gone.
    """
    from serving.ledger.database import opened
    from serving.scoring.audit import audit

    place = Workspace(workspace)
    found = audit(place, opened(place), score_id)
    kept.audited(found)
    if not found.same:
        ctx.exit(3)


@click.command()
@WORKSPACE
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A CSV file."
)
def reviews(workspace: Path, out: Path) -> None:
    """Write every review, with the score that it speaks of, to a CSV file.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    from serving.ledger.database import opened
    from serving.ledger.reviews import EXPORTED, exported

    number = 0
    with publish_file(out) as staged, staged.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(EXPORTED)
        for row in exported(opened(Workspace(workspace))):
            sheet.writerow([plain(value) for value in row.values()])
            number += 1
    OUT.print(f"{number:,} reviews in {out}")


def plain(value: object) -> object:
    """A cell that no spreadsheet runs.

    >>> plain("=1+1"), plain(-0.5), plain(None)
    ("'=1+1", -0.5, '')
    """
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
