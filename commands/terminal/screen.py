"""What the command line shows: progress, tables, and errors that a person can act on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
FIGURES = (
    ("AUC", "auc", "{:.3f}"),
    ("PR-AUC", "pr_auc", "{:.3f}"),
    ("log-loss skill", "log_loss_skill", "{:+.3f}"),
    ("lift, top 10 %", "lift_top_decile", "{:.1f}"),
)


@contextmanager
def step(title: str) -> Iterator[Any]:
    """Show one long step; yields the callable that the step tells its progress."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=OUT, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def told(done: int, total: int, what: str) -> None:
            text = f"{title}: {escape(what)}" if what else title
            bar.update(task, completed=done, total=total or None, description=text)

        yield told
        seconds = bar.tasks[0].elapsed or 0.0
    done(f"{title} [dim]{seconds:.1f} s[/dim]")


def done(what: str) -> None:
    """A step that ended well."""
    OUT.print(f"[green]✓[/green] {what}")


def failure(error: Exception) -> None:
    """An error, where errors belong."""
    # In a file or a pipe one line, for those who search it; for a reader broken between words.
    ERR.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=not ERR.is_terminal)


def stopped() -> None:
    """Ctrl-C is no error, but the work is not done."""
    ERR.print("Stopped. What was finished stays; the same command begins again with the rest.")


def warned(warnings: Sequence[str]) -> None:
    """What may be meant, but hardly is."""
    for warning in warnings:
        OUT.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=not OUT.is_terminal)


def unplaced(events: Mapping[str, int]) -> None:
    """Events of no account yet: source → how many; nothing is said where there are none."""
    if events:
        told = ", ".join(f"{n:,} of {escape(source)}" for source, n in events.items())
        OUT.print(
            f"{sum(events.values()):,} events belong to no account yet ({told}); they are kept "
            "until an identity or a user's account arrives.",
            soft_wrap=not OUT.is_terminal,
        )


def titled(title: str, *columns: str) -> Table:
    """A table as all of ours look."""
    return Table(
        *columns, title=f"[bold]{title}", title_justify="left", title_style="", box=SIMPLE_HEAD
    )


def simulated_notice(company: str) -> None:
    """Say that the data are made up."""
    OUT.print(f"[yellow]Simulated data:[/yellow] {escape(company)} is not a real company.")


def ingested(counts: Sequence[Any], letters: Sequence[Mapping[str, Any]]) -> None:
    """Rows by source: sent = stored + duplicates + dead letters; then why rows were refused."""
    table = titled("Ingested", "source")
    names = ("sent", "stored", "duplicates", "dead_letters")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    sums = {c.source: [0, 0, 0, 0] for c in counts}
    for count in counts:
        sums[count.source] = [
            a + getattr(count, n) for a, n in zip(sums[count.source], names, strict=True)
        ]
    for source, row in sums.items():
        table.add_row(source, *(f"{n:,}" for n in row))
    if len(sums) > 1:
        table.add_section()
        totals = [sum(column) for column in zip(*sums.values(), strict=True)]
        table.add_row("together", *(f"{n:,}" for n in totals))
    OUT.print(table)
    if letters:
        _dead_letters(letters)


def refused_so_far(letters: Sequence[Mapping[str, Any]]) -> None:
    """Why rows were refused, when the counts of this run are not to be had."""
    _dead_letters(letters, "Dead letters so far")


def _dead_letters(letters: Sequence[Mapping[str, Any]], title: str = "Dead letters") -> None:
    table = titled(title, "source", "file", "reason")
    table.add_column("rows", justify="right")
    for letter in letters[:12]:
        reason = escape(letter["reason"])
        table.add_row(letter["source"], letter["file"], reason, f"{letter['rows']:,}")
    OUT.print(table)
    if len(letters) > 12:
        OUT.print(f"[dim]and {len(letters) - 12} more reasons: lake/dead_letters[/dim]")


def model(card: Mapping[str, Any], conditions: Sequence[Any], version: str) -> None:
    """One trained model beside its baselines, then what the gate says."""
    test = card["blocks"]["test"]
    title = (
        f"{card['name']} v{version}: {card['title']} in {card['horizon_days']} days"
        + (f", from day {card['lead_days']} on" if card["lead_days"] else "")
        + f"[/bold]\n[dim]{test['positives']:,} positives among {test['rows']:,} observations of "
        f"{test['accounts']:,} accounts, {test['from']} to {test['to']}, out of time; "
        f"learnt from {card['positives']:,} of {card['rows']:,}[/dim]"
    )
    table = titled(title, "")
    for name, _, _ in FIGURES:
        table.add_column(name, justify="right")
    table.add_row("[bold]model[/bold]", *_cells(card["metrics"]))
    for name, figures in card["baselines"].items():
        table.add_row({"cbi": "CBI rule"}.get(name, name), *_cells(figures))
    OUT.print(table)
    _when(card)
    for condition in conditions:
        if not condition.passed:
            OUT.print(f"  [red]gate:[/red] {escape(condition.what)}: {escape(condition.figure)}")
    if all(c.passed for c in conditions):
        OUT.print(f"  [green]gate:[/green] passed all {len(conditions)} conditions")


def _when(card: Mapping[str, Any]) -> None:
    """How well each horizon's risk is told; then what was decided on the way, and why."""
    told = (card.get("when") or {}).get("horizons", [])
    table = titled("When: risk by the day", "within", "outcomes")
    for name in ("AUC", "observed ÷ expected"):
        table.add_column(name, justify="right")
    for h in [h for h in told if h["days"] >= 30] or told:
        figures = (_cell(h["auc"], "{:.3f}"), _cell(h["observed_expected"], "{:.2f}"))
        table.add_row(f"{h['days']} days", f"{h['positives']:,} of {h['rows']:,}", *figures)
    if told:
        OUT.print(table)
    notes = {"tuning": (card.get("tuning") or {}).get("decision"),
             "backtest": card.get("backtest_note")}  # fmt: skip
    for name, note in notes.items():
        if note:
            OUT.print(f"  [dim]{name}: {escape(note)}[/dim]")
    for leak in [leak for leak in card.get("leaks", []) if not leak["alarm"]]:
        said = f"feature '{leak['feature']}' may know the outcome: {leak['evidence']}"
        OUT.print(f"  [yellow]warning:[/yellow] {escape(said)}")


def _cells(figures: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    return [_cell(figures.get(key, {}), form) for _, key, form in FIGURES]


def _cell(figure: Mapping[str, float | None], form: str) -> str:
    value, low, high = (figure.get(k) for k in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{form.format(value)}\n[dim]{form.format(low)} … {form.format(high)}[/dim]"


def at_risk(accounts: Sequence[Any], currency: str) -> None:
    """The accounts whose leaving would cost most, and why, in words."""
    table = titled("Most MRR at risk", "account")
    for name in ("MRR", "churn", "at risk"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for a in accounts:
        signs = {"raises": "[red]▲[/red]", "lowers": "[green]▼[/green]"}
        why = "\n".join(f"{signs[r['direction']]} {escape(r['text'])}" for r in a.reasons[:3])
        name = "\n".join(filter(None, [escape(a.name or ""), f"[dim]{escape(a.account_id)}[/dim]"]))
        money = [f"{a.mrr:,.0f} {currency}", f"{a.probability:.0%} {a.grade}"]
        table.add_row(name, *money, f"{a.mrr_at_risk:,.0f} {currency}", why)
        table.add_section()
    OUT.print(table)
    OUT.print("[dim]▲ raises the probability of leaving, ▼ lowers it[/dim]")


def how_to_call(url: str, account: str, key: str | None) -> None:
    """A request that works when it is pasted: with the key, or with the one in `GOLDPAN_KEY`."""
    OUT.print(f"\n[bold]Serving on {url}[/bold] (Ctrl-C stops it). Try:\n")
    if key is None:
        OUT.print("GOLDPAN_KEY=…  # what `goldpan key create --name me --scope score` prints")
    body = f'{{"accounts": ["{account}"]}}'
    bearer = f'-H "Authorization: Bearer {key or "$GOLDPAN_KEY"}"'
    OUT.print(
        f"curl -s {url}/v1/scores {bearer} -H 'Content-Type: application/json' -d '{body}'\n",
        soft_wrap=True, markup=False,
    )  # fmt: skip
