"""One account of a queue, in words: how sure, what moved, why, who was last in touch, what next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from serving.console.format import ago, day, in_days, instant, percent, plural, points
from serving.console.views.desk import Desk
from serving.console.views.facts import NONE, Phrase, Shown, figure, phrase, renewal
from serving.console.views.nextstep import milestones, next_step, with_plays
from serving.console.views.words import MILESTONES, FactColumn, Words
from serving.ledger.reviews import Review, contacted
from serving.scoring.accounts import Snapshot

QUIET = 14
STEADY = 0.005
"""A probability that moved by less than half a point is said to be steady."""


@dataclass(frozen=True)
class Moved:
    """By how much a probability moved, as a share, and since when; `way`: up, down or steady."""

    change: float
    way: str
    text: str
    told: str


@dataclass(frozen=True)
class Line:
    """One account of a queue."""

    account: str
    name: str
    probability: float
    grade: str
    moved: Moved | None
    mrr: float
    expected: float
    share: float
    plan: str
    owner: str
    renewal: Shown
    champion: Shown
    seen: Shown
    contact: Shown
    facts: tuple[Shown, ...]
    reasons: tuple[Phrase, ...]
    step: str


def lines(
    desk: Desk, words: Words, rows: NDArray[np.intp], ledger: Engine | None = None
) -> list[Line]:
    """The accounts in some rows of the table."""
    ids = [desk.table.ids[row] for row in rows.tolist()]
    touched = contacted(ledger, ids) if ledger is not None and ids else {}
    values = desk.queues.ordered(words.model, "value" if words.by_money else "probability").values
    most = float(values[0]) if len(values) else 0.0
    return [
        _line(desk, words, row, most, touched.get(desk.table.ids[row])) for row in rows.tolist()
    ]


def _line(desk: Desk, words: Words, row: int, most: float, touched: Review | None) -> Line:
    queues, snapshot = desk.queues, desk.snapshot
    scorer, account = queues.scorers[words.model], snapshot.table.ids[row]
    profile, context = snapshot.profiles[row], snapshot.table.contexts[row]
    probability, mrr = float(scorer.chances[row]), _mrr(snapshot, row)
    value = probability * mrr if words.by_money else probability
    top = desk.leading[words.model].top[row].tolist()
    as_of = date.fromisoformat(snapshot.table.as_of)
    reasons = _reasons(snapshot, row, scorer.model.signals, top)
    played = with_plays(scorer, row, reasons)
    return Line(
        account=account,
        name=desk.known.name(account),
        probability=probability,
        grade=scorer.grade_of(probability) or "",
        moved=movement(desk, words, row),
        mrr=mrr,
        expected=probability * mrr,
        share=value / most if most > 0 else 0.0,
        plan=context.plan or "",
        owner=desk.known.owners.get(account, ""),
        renewal=renewal(desk.known.renewals.get(account), as_of),
        champion=Shown(profile.champion, "the busiest user") if profile.champion else NONE,
        seen=_seen(snapshot, row) if profile.champion else NONE,
        contact=_contact(touched),
        facts=tuple(_fact(desk, row, column) for column in words.facts),
        reasons=reasons,
        step=next_step(desk, row, words) or next((p.play for p in played if p.play), ""),
    )


def movement(desk: Desk, words: Words, row: int) -> Moved | None:
    """What became of a probability since a week before; None where nothing was said then."""
    since, then = desk.queues.before[words.model]
    before = float(then[row])
    if np.isnan(before):
        return None
    change = float(desk.queues.scorers[words.model].chances[row]) - before
    way = "steady" if abs(change) < STEADY else "up" if change > 0 else "down"
    told = f"from {percent(before)} on {day(date.fromisoformat(since))}"
    return Moved(change, way, "steady" if way == "steady" else points(change), told)


def _mrr(snapshot: Snapshot, row: int) -> float:
    return float(np.nan_to_num(snapshot.table.mrr[row]))


def _seen(snapshot: Snapshot, row: int) -> Shown:
    found = figure(snapshot, row, "champion_days_quiet", "count")
    if found is NONE:
        return NONE
    days = int(float(found.exact))
    said = f"quiet for {days} days" if days >= QUIET else f"seen {in_days(-days)}"
    return Shown(said, f"last seen {plural(days, 'day')} before the scoring day")


def _contact(touched: Review | None) -> Shown:
    if touched is None:
        return NONE
    who = touched.user or "a key"
    return Shown(ago(touched.made_at), f"{touched.action}, by {who}, {instant(touched.made_at)}")


def _fact(desk: Desk, row: int, column: FactColumn) -> Shown:
    if column is MILESTONES:
        return milestones(desk, row)
    return figure(desk.snapshot, row, column.feature, column.unit)


def _reasons(
    snapshot: Snapshot, row: int, signals: Sequence[str], top: Sequence[int]
) -> tuple[Phrase, ...]:
    return tuple(phrase(snapshot, row, signals[s], 1.0) for s in top if s >= 0)
