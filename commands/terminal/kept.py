"""What the ledger keeps, as the command line shows it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape

from commands.terminal.screen import OUT, titled


def audited(found: Any) -> None:
    """A score as kept and as made again, side by side, and the verdict."""
    from serving.scoring.audit import COMPARED

    score = found.kept
    table = titled(f"Score {score.score_id}", "", "kept", "made again")
    for name in COMPARED:
        again = "–" if found.again is None else repr(found.again[name])
        table.add_row(name, repr(getattr(score, name)), again)
    OUT.print(
        f"{escape(score.account_id)} as of {score.as_of}, {score.model} version "
        f"{score.model_version}, made {score.made_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    OUT.print(table)
    if found.same:
        OUT.print("[green]✓[/green] the same to the bit, contributions included")
    for difference in found.differences:
        OUT.print(f"[red]✗[/red] {escape(difference)}", soft_wrap=True)


def erased(gone: Mapping[str, int], made: Iterable[str]) -> None:
    """What was taken out, table by table, and what is to be made again."""
    table = titled("Erased", "table", "rows")
    for name, rows in gone.items():
        table.add_row(name, f"{rows:,}")
    OUT.print(table)
    OUT.print(f"Gone whole, to be made again: {', '.join(made)}.")
    OUT.print("Now: goldpan build, goldpan score. What was exported before is not ours to erase.")
