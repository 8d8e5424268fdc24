"""What `goldpan insights` shows: golden features, sequences, what goes with what, frequencies."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from commands.terminal.screen import OUT, simulated_notice, titled
from training.insights.effects import Effect
from training.insights.frequency import Band, Frequency
from training.insights.golden import Golden, GoldenTable
from training.insights.report import Insights, Looked, OfOutcome, OfPaths, OfRenewal
from training.insights.rules import Pattern
from training.insights.signals import Association

SHOWN = 8
CONTROL_LEVEL = 0.05
GOES = {"pql": "buying", "upgrade": "upgrading", "churn": "leaving", "renewal": "renewing"}


def insights(found: Insights) -> None:
    """Print a report for people."""
    for part in found.outcomes:
        _outcome(part)
        if part.outcome == "pql" and found.paths:
            _paths(found.paths)
    if found.renewal:
        _renewal(found.renewal)
    if found.simulated:
        simulated_notice(found.company)
    OUT.print(f"[bold]{escape(found.caution)}[/bold]")


def _outcome(part: OfOutcome) -> None:
    goes = GOES[part.outcome]
    if part.refused or part.golden is None or part.looked is None:
        _refused(f"What goes with {goes}", part.refused)
        return
    title = f"Golden features: early use that goes with {goes} in {part.horizon_days} days"
    if part.outcome != "pql":
        title = f"Features whose use goes with {goes} in {part.horizon_days} days"
    _golden(title, goes, part.golden, part.looked)
    _signals(goes, part.signals)


def _golden(title: str, goes: str, table: GoldenTable, looked: Looked) -> None:
    shown = titled(f"{title}[/bold]\n[dim]{_on(looked)}[/dim]", "", "feature")
    for name in ("had\nused it", "raw: chance\ntimes", "adjusted:\nodds times", "q"):
        shown.add_column(name, justify="right")
    tested = [row for row in table.rows if row.adjusted]
    for row in tested:
        shown.add_row(*_golden_cells(row))
    for row in table.controls:
        shown.add_section()
        shown.add_row(*_golden_cells(row))
    OUT.print(shown)
    for row in table.controls:
        if row.adjusted and row.adjusted.p < CONTROL_LEVEL:
            OUT.print(
                f"[yellow]doubt:[/yellow] the control '{escape(row.label)}' is not at 1: something "
                "that was not measured is at work, and may be behind others of this table."
            )
    untold = [row for row in table.rows if not row.adjusted]
    if untold:
        OUT.print(f"[dim]{_untold(untold)}[/dim]")
    OUT.print(
        "[dim]★ a discovery at a false discovery rate of 5 % (q). Raw: the share of outcomes among "
        "those that had used it over that of the others. Adjusted: among accounts alike in use, "
        "age, plan, company and the other features. 95 % intervals, clustered by account. The last "
        f"line is no doing of theirs: near 1 is as it should be.[/dim]\n{_chance(table, goes)}"
    )


def _untold(rows: Sequence[Golden]) -> str:
    """The candidates of which nothing is said, by the reason."""
    why = {row.note: [r.label for r in rows if r.note == row.note] for row in rows}
    return "\n".join(
        f"Left out, {escape(note)}: {escape(', '.join(of))}." for note, of in why.items()
    )


def _golden_cells(row: Golden) -> list[str]:
    star = "[yellow]★[/yellow]" if row.discovery else ""
    label = f"{escape(row.label)}\n[dim]{row.kind}[/dim]"
    q = "control" if row.q is None else _q(row.q)
    return [star, label, f"{row.share:.0%}", _times(row.raw), _times(row.adjusted), q]


def _chance(table: GoldenTable, goes: str) -> str:
    if table.shuffled is None:
        return "[dim]Chance was not tried.[/dim]"
    s = table.shuffled
    color = "green" if s.passed else "red"
    return (
        f"[{color}]Against chance:[/{color}] with {goes} shuffled among alike accounts, "
        f"{s.with_discoveries} of {s.times} searches found anything (at most 5 % should).\n"
    )


def _signals(goes: str, rows: Sequence[Association]) -> None:
    found = [row for row in rows if row.discovery]
    shown = titled(
        f"What goes with {goes}[/bold]\n[dim]{len(found)} of {len(rows)} signals do, at a false "
        f"discovery rate of 5 %; the {min(SHOWN, len(found))} surest[/dim]",
        "signal",
    )
    for name in ("more of it:\nodds times", "beyond\nactive days", "its rise in\n28 days", "q"):
        shown.add_column(name, justify="right")
    for row in found[:SHOWN]:
        cells = (_times(row.alone), _times(row.beyond_use), _times(row.change))
        shown.add_row(escape(row.label), *cells, _q(row.q))
    OUT.print(shown)
    OUT.print(
        "[dim]For one standard deviation more, among accounts of like company, plan, contract and "
        "age; beyond active days: alike in these too.[/dim]\n"
    )


def _paths(paths: OfPaths) -> None:
    found = paths.patterns
    if found is None:
        _refused("Sequences that go with buying", paths.refused)
        return
    shown = titled(
        f"Sequences that go with buying within {found.horizon_days} days after[/bold]\n[dim]"
        f"{found.tried:,} tried on sign-ups until {found.learnt_until}; judged on those from "
        f"{found.judged_from} on[/dim]",
        "",
        "steps, all within",
    )
    for name in ("met it", "bought", "lift", "of all\nbuyers", "p"):
        shown.add_column(name, justify="right")
    for pattern in found.rules:
        shown.add_row(*_path_cells(pattern))
    OUT.print(shown)
    OUT.print(
        "[dim]★ confirmed on later sign-ups (Holm, 5 % over all that are shown). Lift: bought, "
        "over what all accounts of that age do. Whoever bought on the way counts on neither side."
        "[/dim]"
    )
    if paths.rules:
        OUT.print("\nThe first as a PQL rule for goldpan.toml; edit it, and paste it at the end:\n")
        OUT.print(paths.rules[0], markup=False, soft_wrap=True)
    else:
        OUT.print("No rule is offered: later sign-ups confirmed none.\n")


def _path_cells(pattern: Pattern) -> list[str]:
    star = "[yellow]★[/yellow]" if pattern.confirmed else ""
    steps = f"{escape(' → '.join(pattern.order))}\n[dim]within {pattern.within_days} days[/dim]"
    later = pattern.later
    share = f"{later.precision:.0%}\n[dim]all: {later.base:.0%}[/dim]"
    return [star, steps, f"{later.met:,}\n[dim]of {later.accounts:,}[/dim]", share,
            _times(later.lift), f"{later.recall:.0%}", _q(pattern.p)]  # fmt: skip


def _renewal(part: OfRenewal) -> None:
    if part.refused or part.looked is None or part.rate is None:
        _refused("What goes with renewing", part.refused)
        return
    OUT.print(f"[bold]Renewal:[/bold] {part.rate:.1%} of the terms; {_on(part.looked)}\n")
    _signals("renewing", part.signals)
    for frequency in part.frequencies:
        if frequency.contracts != "all contracts" or len(part.frequencies) <= 2:
            _frequency(frequency)


def _frequency(frequency: Frequency) -> None:
    shown = titled(f"Renewal by {frequency.measure}, {frequency.contracts}", frequency.measure)
    for name in ("terms", "renewed"):
        shown.add_column(name, justify="right")
    for band in frequency.bands:
        rate = band.renewed
        interval = f"{rate.value:.0%}  [dim]{rate.low:.0%} … {rate.high:.0%}[/dim]"
        shown.add_row(_band(band), f"{band.terms:,}", interval)
    OUT.print(shown)
    OUT.print(f"[dim]{_flat(frequency)}[/dim]\n")


def _flat(frequency: Frequency) -> str:
    flat = frequency.flat_from
    if flat is None:
        return "Renewal differs up to the last band."
    if flat == frequency.bands[0].low:
        return "No band surely renews more than another."
    return f"From {flat:g} on, renewal no longer surely differs."


def _band(band: Band) -> str:
    if band.high is None:
        return f"{band.low:g} and more"
    if band.high <= 0.01:
        return "none"
    return f"{'some' if band.low == 0.01 else f'{band.low:g}'} to below {band.high:g}"


def _refused(title: str, why: str) -> None:
    OUT.print(f"[bold]{title}[/bold]\n[yellow]nothing to say:[/yellow] {escape(why)}\n")


def _on(looked: Looked) -> str:
    return (
        f"{looked.outcomes:,} in {looked.observations:,} observations of {looked.accounts:,} "
        f"accounts, {looked.first} to {looked.last}"
    )


def _times(effect: Effect | None) -> str:
    if effect is None:
        return "–"
    low, high = f"{effect.low:.2f}", f"{effect.high:.2f}"
    return f"{effect.value:.2f}\n[dim]{low} … {high}[/dim]"


def _q(value: float) -> Any:
    return "<.001" if value < 0.001 else f"{value:.3f}".lstrip("0")
