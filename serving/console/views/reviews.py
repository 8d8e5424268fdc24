"""What people said of an account's scores, and what one more form of theirs says."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from serving.api.bodies.reviews import ReviewRequest
from serving.api.bodies.strict import read
from serving.api.routes.reviews import LONGEST_REST, resting
from serving.console.format import ago, day, instant
from serving.console.views.facts import Shown
from serving.console.views.words import BY_MODEL
from serving.ledger import reviews
from serving.ledger.reviews import Review

MOST_LISTED = 20
TAKEN = ("model", "verdict", "action", "note")


@dataclass(frozen=True)
class Said:
    """One verdict as the page lists it."""

    verdict: str
    about: str
    who: str
    when: Shown
    action: str
    note: str
    rests: str


@dataclass(frozen=True)
class Reviews:
    """An account's verdicts, newest first, and whether one may add another."""

    may: bool
    csrf: str
    listed: tuple[Said, ...]
    earliest: str
    latest: str


@dataclass(frozen=True)
class Typed:
    """A form that was not taken: what it holds, and what is wrong with it."""

    form: Mapping[str, str] = field(default_factory=dict)
    wrong: str = ""


NOTHING = Typed()


def reviewed(ledger: Engine, account_id: str, today: dt.date, csrf: str, may: bool) -> Reviews:
    """The reviews of an account, for a person who may write or only read."""
    found = reviews.listed(ledger, account_id, MOST_LISTED)
    earliest, latest = today + dt.timedelta(days=1), today + LONGEST_REST
    listed = tuple(_said(review, today) for review in found)
    return Reviews(may, csrf, listed, earliest.isoformat(), latest.isoformat())


def asked(form: Mapping[str, str]) -> ReviewRequest:
    """What a form says, as the API would take it; ProblemError for what it would not."""
    said = {name: text for name in TAKEN if (text := form.get(name, "").strip())}
    return read(json.dumps(said).encode(), ReviewRequest)


def rest(form: Mapping[str, str], today: dt.date) -> dt.date | None:
    """Until when the account may rest; ProblemError for no day, or not a day of the next year."""
    return resting(form.get("snoozed_until", ""), today)


def _said(review: Review, today: dt.date) -> Said:
    words, until = BY_MODEL.get(review.model), review.snoozed_until
    version = f", version {review.model_version}" if review.model_version else ""
    return Said(
        verdict=review.verdict,
        about=f"{words.title if words else review.model}{version}",
        who=review.user or f"the key {review.key_id}",
        when=Shown(ago(review.made_at), instant(review.made_at)),
        action=review.action or "",
        note=review.note or "",
        rests=f"{'Rests' if until > today else 'Rested'} until {day(until)}" if until else "",
    )
