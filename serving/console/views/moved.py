"""Why a score moved between two days of the ledger, and how it went from day to day."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from serving.api.backing import Backing
from serving.api.bodies.history import MovementQuery
from serving.api.problems import ProblemError
from serving.api.routes.history import movement
from serving.console.format import day
from serving.ledger.scores import history

MOST_POINTS = 400
SHOWN = 6
CAUSES = (
    ("behaviour", "What the account did"), ("passing_time", "Passing time"),
    ("circumstances", "Circumstances"), ("version", "Another version of the model"),
)  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """One kind of cause and all its parts together, in log-odds."""

    label: str
    part: float


@dataclass(frozen=True)
class Moved:
    """From one day's score to another's; `causes` and `parts` each sum to `difference`.

    `since` and `to` were asked for, `days` are those of the scores. `why_not`: what stands in the
    way; then nothing of this is known.
    """

    model: str
    since: str
    to: str
    points: tuple[tuple[dt.date, float], ...]
    before: float = 0.0
    after: float = 0.0
    days: tuple[dt.date, ...] = ()
    difference: float = 0.0
    causes: tuple[Cause, ...] = ()
    parts: tuple[Cause, ...] = ()
    smaller: tuple[int, float] = (0, 0.0)
    why_not: str = ""


def points(ledger: Engine, account_id: str, model: str) -> tuple[tuple[dt.date, float], ...]:
    """Each day's last probability, the oldest first."""
    rows = history(ledger, account_id, model, MOST_POINTS)
    return tuple(sorted({row.as_of: row.probability for row in reversed(rows)}.items()))


async def moved(
    backing: Backing, account_id: str, model: str, since: str, to: str,
    scored: tuple[tuple[dt.date, float], ...],
) -> Moved:  # fmt: skip
    """The movement between two days; by default over the last week that the ledger knows."""
    if len(scored) < 2:
        return Moved(model, "", "", scored)
    try:
        begin, end = _days(since, to, scored)
    except ValueError:
        first, last = scored[0][0], scored[-1][0]
        why = f"That is no day of the calendar: choose two from {day(first)} to {day(last)}."
        return Moved(model, first.isoformat(), last.isoformat(), scored, why_not=why)
    asked = Moved(model, begin.isoformat(), end.isoformat(), scored)
    if begin == end:
        return replace(asked, why_not="Choose two different days.")
    try:
        query = {"model": model, "from": asked.since, "to": asked.to}
        told = await movement(backing, account_id, MovementQuery.model_validate(query))
    except ProblemError as error:
        return replace(asked, why_not=_why_not(error, scored[0][0]))
    return _moved(asked, told)


def _days(
    since: str, to: str, scored: tuple[tuple[dt.date, float], ...]
) -> tuple[dt.date, dt.date]:
    """The two days in their order; ValueError where one is no day."""
    last = scored[-1][0]
    usual = max(scored[0][0], min(last - dt.timedelta(days=7), scored[-2][0]))
    days = (dt.date.fromisoformat(since) if since else usual,
            dt.date.fromisoformat(to) if to else last)  # fmt: skip
    return min(days), max(days)


def _why_not(error: ProblemError, first: dt.date) -> str:
    if error.kind != "no-score":
        return error.detail
    return f"There is no score from that day or before: the first is of {day(first)}."


def _moved(asked: Moved, told: dict[str, Any]) -> Moved:
    before, after, rest = told["before"], told["after"], told["parts"][SHOWN:]
    days = tuple(dt.date.fromisoformat(end["as_of"]) for end in (before, after))
    if days[0] == days[1]:
        why_not = f"Both days have the score of {day(days[0])}: choose days further apart."
        return replace(asked, why_not=why_not)
    return replace(
        asked,
        before=before["probability"], after=after["probability"], days=days,
        difference=told["difference"],
        causes=tuple(Cause(label, told[name]) for name, label in CAUSES if told[name]),
        parts=tuple(Cause(p["text"], p["contribution"]) for p in told["parts"][:SHOWN]
                    if p["contribution"]),
        smaller=(len(rest), sum(p["contribution"] for p in rest)),
    )  # fmt: skip
