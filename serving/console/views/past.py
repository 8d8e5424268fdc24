"""What an account went through, read when its page is asked for."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.console.views.account import Account
from serving.console.views.desk import Desk
from serving.console.views.journey import Journey, journey
from serving.console.views.people import People, people
from serving.console.views.similar import Similar, similar
from serving.console.views.timeline import Timeline, timeline
from serving.console.views.trends import Index, Trend, index, signal_trends
from serving.ledger.reviews import Review

Scored = Sequence[tuple[dt.date, float]]


@dataclass(frozen=True)
class Past:
    """What the page shows of the time before today; None: the snapshot does not tell it.

    `trends`: signal of the waterfall → how its fact went.
    """

    journey: Journey | None = None
    index: Index | None = None
    trends: Mapping[str, Trend] | None = None
    people: People | None = None
    timeline: Timeline | None = None
    similar: Similar | None = None


def past(desk: Desk, found: Account, scored: Scored, verdicts: Sequence[Review]) -> Past:
    """All of it for one account; `scored`: the days and probabilities of the chosen model."""
    snapshot, why = desk.snapshot, found.why
    alike = _similar(desk, found)
    if snapshot.lives is None:
        return Past(similar=alike)
    row = desk.table.row_of[found.account]
    life = snapshot.lives.life(row)
    currency = str(snapshot.company["currency"])
    return Past(
        journey=journey(snapshot, row, life),
        index=index(snapshot, row),
        trends=signal_trends(snapshot, row, [step.signal for step in why.steps] if why else []),
        people=people(life, snapshot.profiles[row].champion, found.as_of),
        timeline=timeline(
            life, scored, verdicts, why.words if why else None, currency, found.as_of
        ),
        similar=alike,
    )


def _similar(desk: Desk, found: Account) -> Similar | None:
    if found.why is None:
        return None
    model = desk.state.scorers[found.why.words.model].model
    parts = {c.signal: c.part for c in found.why.contributions}
    return similar(desk, model, found.account, parts)
