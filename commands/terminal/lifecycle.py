"""What `goldpan lifecycle` shows: the funnel, the ways between states, journeys, revenue."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from commands.terminal.screen import OUT, titled
from features.lifecycle.funnel import Report, Steps, Way
from features.lifecycle.states import STATES
from features.lifecycle.velocity import HORIZONS, QUARTILES, Estimate

NAMES = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}


def lifecycle(report: Report) -> None:
    """Print a report for people."""
    _states(report)
    _conversion("From state to state", report.ways)
    _velocity("Days until so many got there", report.ways)
    if report.initial_value:
        _conversion("Time to initial value", report.initial_value)
        _velocity("Days to initial value", report.initial_value)
    for journey in report.journeys:
        _journey(journey)
    _revenue(report)
    OUT.print(
        f"[dim]Of those who entered a state from {report.since} on; whoever is still on the way "
        "counts as such, not as lost (survival curves, 95 % intervals). –: not observed so far."
        "[/dim]"
    )


def _states(report: Report) -> None:
    shown = titled(f"Lifecycle as of {report.as_of}", "state")
    for name in ("accounts", "share", "active", "MRR", f"entered from\n{report.since} on"):
        shown.add_column(name, justify="right")
    everyone = sum(state.accounts for state in report.states) or 1
    for s in report.states:
        mrr = f"{s.mrr:,.0f} {report.currency}" if s.mrr else ""
        cells = [f"{s.accounts:,}", f"{s.accounts / everyone:.0%}", f"{s.active:,}", mrr]
        shown.add_row(s.label, *cells, f"{s.entered:,}")
    OUT.print(shown)
    if report.visitors:
        OUT.print(f"[dim]and {report.visitors:,} visitors that belong to no account[/dim]")


def _conversion(title: str, ways: Sequence[Way]) -> None:
    shown = titled(title)
    shown.add_column("", no_wrap=True)
    for name in ("began", "reached", *(f"{h} days" for h in HORIZONS)):
        shown.add_column(name, justify="right")
    for way in ways:
        if (passage := way.passage).began:
            cells = [_cell(passage.within[h], "{:.0%}") for h in HORIZONS]
            shown.add_row(_name(way), f"{passage.began:,}", f"{passage.reached:,}", *cells)
    OUT.print(shown)


def _velocity(title: str, ways: Sequence[Way]) -> None:
    shown = titled(title)
    shown.add_column("", no_wrap=True)
    for share in QUARTILES:
        shown.add_column(NAMES[share], justify="right")
    for way in ways:
        if way.passage.began:
            shown.add_row(_name(way), *(_cell(way.passage.days[q], "{:.0f}") for q in QUARTILES))
    OUT.print(shown)


def _journey(journey: Steps) -> None:
    title = f"Journey '{journey.name}': {journey.accounts:,} accounts signed up"
    shown = titled(title, "step")
    for name in ("reached", "share", "half within", "in 30 days"):
        shown.add_column(name, justify="right")
    for way in journey.steps:
        passage = way.passage
        share = f"{passage.reached / journey.accounts:.0%}" if journey.accounts else "–"
        cells = (_cell(passage.days[0.5], "{:.0f} d"), _cell(passage.within[30], "{:.0%}"))
        shown.add_row(_name(way), f"{passage.reached:,}", share, *cells)
    OUT.print(shown)
    for steps, accounts in journey.orders:
        OUT.print(f"  {accounts:,} × {escape(' → '.join(steps))}")
    OUT.print("[dim]  in which order, where something was reached; each step counted from the one "
              "before[/dim]\n")  # fmt: skip


def _revenue(report: Report) -> None:
    r = report.revenue
    shown = titled(f"MRR of the customers of {report.since}", "")
    shown.add_column(report.currency, justify="right")
    for name in ("starting", "expansion", "contraction", "churned"):
        shown.add_row(name, f"{getattr(r, name):,.0f}")
    shown.add_row("MRR expansion rate", _rate(r.expansion_rate))
    shown.add_row("net revenue retention", _rate(r.net_retention))
    OUT.print(shown)


def _name(way: Way) -> str:
    """A way's two ends, a line each, so that the table fits a narrow screen."""
    return f"{escape(STATES.get(way.start, way.start))}\n→ {escape(STATES.get(way.to, way.to))}"


def _cell(estimate: Estimate, form: str) -> str:
    """The number, and its interval below it."""
    if estimate.value is None:
        return "–"
    bare = form.removesuffix(" d")
    ends = (
        "…" if v is None else bare.format(v).removesuffix("%")
        for v in (estimate.low, estimate.high)
    )
    known = estimate.low is not None or estimate.high is not None
    return form.format(estimate.value) + (f"\n[dim]{'–'.join(ends)}[/dim]" if known else "")


def _rate(rate: float | None) -> Any:
    return "–" if rate is None else f"{rate:.1%}"
