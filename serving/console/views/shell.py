"""What stands around every page: whose data these are, how fresh, who is signed in, where to go."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from serving.console.format import ago, day, instant
from serving.ledger.sessions import Session
from serving.state import State

STALE_AFTER = timedelta(hours=48)
PLACES = (
    ("at-risk", "At risk", "/console"),
    ("prospects", "Prospects", "/console/prospects"),
    ("upgrades", "Upgrades", "/console/upgrades"),
    ("insights", "Insights", "/console/insights"),
    ("models", "Models", "/console/models"),
)
FOR_ADMINS = (("settings", "Settings", "/console/settings"),)


@dataclass(frozen=True)
class Company:
    """Whose accounts these are; `simulated` is said on every page."""

    name: str = "Goldpan"
    simulated: bool = False
    currency: str = "USD"


@dataclass(frozen=True)
class Freshness:
    """When the accounts were scored, and as of which day."""

    text: str
    exact: str
    stale: str = ""


@dataclass(frozen=True)
class Shell:
    """Everything that the base template shows."""

    company: Company
    session: Session
    here: str
    places: tuple[tuple[str, str, str], ...]
    freshness: Freshness | None = None
    failed: tuple[tuple[str, str], ...] = ()


def shell(state: State, session: Session, here: str) -> Shell:
    """What stands around a page of the state."""
    failed = () if state.snapshot is None else tuple(state.failed.items())
    places = PLACES + (FOR_ADMINS if session.user.may("admin") else ())
    fresh = freshness_of(state)
    return Shell(company_of(state), session, here, places, fresh, failed)


def company_of(state: State) -> Company:
    """Whose accounts a state holds."""
    if state.snapshot is None:
        return Company()
    told: Any = state.snapshot.company
    return Company(str(told["name"]), bool(told["simulated"]), str(told["currency"]))


def freshness_of(state: State) -> Freshness | None:
    """How fresh the scores are; None before there are any."""
    if state.snapshot is None:
        return None
    as_of = date.fromisoformat(state.snapshot.table.as_of)
    return freshness(state.snapshot.scored_at, as_of, datetime.now(UTC))


def freshness(scored: datetime, as_of: date, now: datetime) -> Freshness:
    """How fresh scores are, in words.

    >>> told = freshness(datetime(2026, 7, 1, 4, tzinfo=UTC), date(2026, 7, 1),
    ...                  datetime(2026, 7, 4, 5, tzinfo=UTC))
    >>> told.text, told.stale
    ('scored 3 days ago, as of 1 Jul 2026', 'The last scoring was 3 days ago: what happened since is not in these numbers.')
    """  # noqa: E501 - the doctest's answer is one line
    exact = f"Scored on {instant(scored)}; knows what happened before {day(as_of)}, 00:00 UTC"
    text, stale = f"scored {ago(scored, now)}, as of {day(as_of)}", ""
    if now - scored > STALE_AFTER:
        since = "what happened since is not in these numbers."
        stale = f"The last scoring was {ago(scored, now)}: {since}"
    return Freshness(text, exact, stale)
