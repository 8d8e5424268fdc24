"""Why a score moved between two days of the ledger, and how it went from day to day."""

import datetime as dt
from dataclasses import dataclass
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

    `why_not`: what stands in the way; then nothing of this is known.
    """

    model: str
    since: str
    to: str
    points: tuple[tuple[dt.date, float], ...]
    before: float = 0.0
    after: float = 0.0
    days: tuple[str, str] = ("", "")
    difference: float = 0.0
    causes: tuple[Cause, ...] = ()
    parts: tuple[Cause, ...] = ()
    smaller: tuple[int, float] = (0, 0.0)
    why_not: str = ""

    @property
    def ends(self) -> tuple[dt.date, dt.date]:
        """The two days as days."""
        return dt.date.fromisoformat(self.since), dt.date.fromisoformat(self.to)


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
    last = scored[-1][0]
    to = to or last.isoformat()
    since = since or max(scored[0][0], min(last - dt.timedelta(days=7), scored[-2][0])).isoformat()
    try:
        query = MovementQuery.model_validate({"model": model, "from": since, "to": to})
        told = await movement(backing, account_id, query)
    except (ProblemError, ValueError) as error:
        first = scored[0][0].isoformat()
        detail = error.detail if isinstance(error, ProblemError) else "Found no day of the calendar"
        return Moved(model, first, last.isoformat(), scored, why_not=detail)
    return _moved(model, told, scored)


def _moved(
    model: str, told: dict[str, Any], scored: tuple[tuple[dt.date, float], ...]
) -> Moved:  # fmt: skip
    before, after, rest = told["before"], told["after"], told["parts"][SHOWN:]
    days = [day(dt.date.fromisoformat(end["as_of"])) for end in (before, after)]
    return Moved(
        model, before["as_of"], after["as_of"], scored,
        before=before["probability"], after=after["probability"], days=(days[0], days[1]),
        difference=told["difference"],
        causes=tuple(Cause(label, told[name]) for name, label in CAUSES if told[name]),
        parts=tuple(Cause(p["text"], p["contribution"]) for p in told["parts"][:SHOWN]
                    if p["contribution"]),
        smaller=(len(rest), sum(p["contribution"] for p in rest)),
    )  # fmt: skip
