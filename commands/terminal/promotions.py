"""What the command line shows of promotions, comparisons and rebuilt data sets."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from commands.terminal.screen import OUT, done, titled

WORDS = {"log_loss": ("log loss", "{:+.5f}"), "auc": ("AUC", "{:+.3f}"),
         "pr_auc": ("PR-AUC", "{:+.3f}"), "log_loss_share": ("log loss, relative", "{:+.2%}"),
         "lift_share": ("lift at capacity, relative", "{:+.1%}")}  # fmt: skip
SHOWN = ("log_loss", "auc", "pr_auc", "precision_at_capacity", "mrr_caught_by_p_times_mrr",
         "mrr_caught_by_mrr_alone")  # fmt: skip
NAMES = {"log_loss": "log loss", "auc": "AUC", "pr_auc": "PR-AUC",
         "precision_at_capacity": "precision at capacity",
         "mrr_caught_by_p_times_mrr": "MRR in the top tenth, by p × MRR",
         "mrr_caught_by_mrr_alone": "the same, by MRR alone"}  # fmt: skip


def promoted(promotion: Any) -> None:
    """The gate's conditions, then which version serves and which did before."""
    conditions_of(promotion.conditions)
    if promotion.forced:
        OUT.print(f"  [red]forced in spite of the gate:[/red] {escape(promotion.forced)}")
    before = promotion.former
    former = f", in the place of {before}" if before and before != promotion.version else ""
    done(f"{promotion.outcome}: version {promotion.version} is champion{former}")


def conditions_of(conditions: Sequence[Any]) -> None:
    """Each condition with its figure."""
    for c in conditions:
        sign = "[green]✓[/green]" if c.passed else "[red]✗[/red]"
        OUT.print(f"  {sign} {escape(c.what)}: [dim]{escape(c.figure)}[/dim]")


def compared(found: Any, conditions: Sequence[Any]) -> None:
    """Two versions side by side, their paired differences, and what the gate would say."""
    one, other = found.versions
    OUT.print(f"[dim]{escape(found.how)}[/dim]")
    title = f"{found.outcome}: version {other} against {one}[/bold]\n[dim]"
    table = titled(f"{title}{found.positives:,} positives among {found.rows:,} observations", "")
    for name in (f"v{one}", f"v{other}"):
        table.add_column(name, justify="right")
    for name in [n for n in SHOWN if n in found.figures[0]]:
        table.add_row(NAMES[name], *(str(figures[name]) for figures in found.figures))
    OUT.print(table)
    table = titled(f"Version {other} less version {one}, paired, 95 %", "")
    for name in ("difference", "from", "to"):
        table.add_column(name, justify="right")
    for name, figure in found.differences.items():
        words, form = WORDS[name]
        table.add_row(words, *_ends(figure, form))
    for p in found.periods:
        where = f"AUC, {p.first} to {p.last} ({p.positives:,} positives)"
        table.add_row(where, *_ends(p.auc, "{:+.3f}"))
    for name, figure in found.slices.items():
        table.add_row(f"AUC, {escape(name)}", *_ends(figure, "{:+.3f}"))
    OUT.print(table)
    conditions_of(conditions)


def rebuilt(found: Any) -> None:
    """Whether the data set came out as it was."""
    if found.other_code:
        OUT.print(f"[yellow]other code:[/yellow] the run was made by {escape(found.other_code)}")
    OUT.print(f"{found.outcome}: {found.rows:,} observations, {found.positives:,} positives, "
              f"digest {found.digest[:12]}")  # fmt: skip
    if found.path:
        done(f"written to {escape(str(found.path))}")
    if found.same:
        done("the same to the bit as the run's")


def _ends(figure: Any, form: str) -> list[str]:
    return [form.format(v) for v in (figure.value, figure.low, figure.high)]
