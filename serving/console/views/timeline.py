"""What happened in an account on one axis: use, tickets, milestones, plans, scores and verdicts."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from serving.console.format import money, percent, plural
from serving.console.views.journey import words
from serving.console.views.words import Words
from serving.ledger.reviews import Review
from serving.scoring.lives import Change, Life

FIRST, MOST = 8, 60
JUMP = 0.05
LATELY = 8
WEEK = dt.timedelta(weeks=1)
Scored = Sequence[tuple[dt.date, float]]


@dataclass(frozen=True)
class Happened:
    """One thing on one day; `kind` says in which lane it stands and in which colour."""

    day: dt.date
    text: str
    kind: str
    more: str = ""


@dataclass(frozen=True)
class Week:
    """Counts of one week, from a day to before another."""

    start: dt.date
    end: dt.date
    core: float
    tickets: float


@dataclass(frozen=True)
class Timeline:
    """The lanes from `start` to `end`, and the same as a list, the newest first."""

    start: dt.date
    end: dt.date
    weeks: tuple[Week, ...]
    scored: tuple[tuple[dt.date, float], ...]
    marks: tuple[Happened, ...]
    first: tuple[Happened, ...]
    others: tuple[Happened, ...]
    core: str
    tickets: str

    def any(self, *kinds: str) -> bool:
        """Whether a lane of these kinds has a mark."""
        return any(mark.kind in kinds for mark in self.marks)


def timeline(
    life: Life, scored: Scored, verdicts: Sequence[Review], chance: Words | None,
    currency: str, as_of: dt.date,
) -> Timeline:  # fmt: skip
    """All that is known of the weeks before a day, and of what happened earlier."""
    weeks = tuple(_weeks(life, as_of))
    start = weeks[0].start if weeks else as_of - 26 * WEEK
    marks = [*_milestones(life), *_bought(life.changes, currency), *_said(verdicts)]
    listed = [*marks, *_people(life), *_tickets(weeks), *_jumps(scored, chance)]
    listed.sort(key=lambda h: h.day, reverse=True)
    busiest = max((w.core for w in weeks), default=0.0)
    return Timeline(
        start, as_of, weeks,
        tuple(p for p in scored if p[0] >= start),
        tuple(m for m in marks if start <= m.day <= as_of),
        tuple(listed[:FIRST]), tuple(listed[FIRST:MOST]),
        core=f"core use cases by week, at most {busiest:,.0f} in one",
        tickets=plural(int(sum(life.tickets)), "ticket") if sum(life.tickets) else "",
    )  # fmt: skip


def _weeks(life: Life, as_of: dt.date) -> Iterator[Week]:
    for place, (core, tickets) in enumerate(zip(life.core, life.tickets, strict=True)):
        end = as_of - WEEK * (len(life.core) - 1 - place)
        yield Week(end - WEEK, end, core, tickets)


def _milestones(life: Life) -> Iterator[Happened]:
    for reached in life.milestones:
        yield Happened(reached.day, f"Reached: {words(reached.milestone).lower()}", "milestone")


def _bought(changes: Iterable[Change], currency: str) -> Iterator[Happened]:
    """Each commercial change in words."""
    for change in changes:
        before, after = (money(mrr, currency) for mrr in (change.mrr_before, change.mrr_after))
        text, kind = {
            "trial": ("Began a trial", "milestone"),
            "convert": (f"Became a customer, at {after} a month", "gain"),
            "upgrade": (f"Upgraded from {before} to {after} a month", "gain"),
            "downgrade": (f"Went down from {before} to {after} a month", "risk"),
            "churn": (f"Left, having paid {before} a month", "risk"),
            "reactivate": (f"Came back, at {after} a month", "gain"),
        }.get(change.kind, (words(change.kind), "milestone"))
        yield Happened(change.day, text, kind)


def _said(verdicts: Iterable[Review]) -> Iterator[Happened]:
    for review in verdicts:
        verb = "agrees" if review.verdict == "agree" else "disagrees"
        who = review.user or "a program"
        yield Happened(review.made_at.date(), f"Verdict: {who} {verb}", "verdict",
                       review.action or review.note or "")  # fmt: skip


def _people(life: Life) -> Iterator[Happened]:
    """Who joined and who left."""
    for person in life.people:
        who = f"{person.user_id} ({person.role})" if person.role else person.user_id
        if person.joined:
            yield Happened(person.joined, f"{who} joined", "member")
        if person.left:
            yield Happened(person.left, f"{who} left", "member")


def _tickets(weeks: Sequence[Week]) -> Iterator[Happened]:
    """The weeks with tickets of late; earlier ones stand in their lane alone."""
    for week in weeks[-LATELY:]:
        if week.tickets > 0:
            told = plural(int(week.tickets), "support ticket")
            yield Happened(week.end - dt.timedelta(days=1), f"{told} that week", "ticket")


def _jumps(scored: Scored, chance: Words | None) -> Iterator[Happened]:
    """Where the chosen score moved by five points or more from one day to the next."""
    for (_, before), (when, after) in pairwise(scored):
        if chance and abs(after - before) >= JUMP:
            verb = "rose" if after > before else "fell"
            text = f"{chance.chance} {verb} from {percent(before)} to {percent(after)}"
            yield Happened(when, text, "score")
