"""What people said of a score: right or wrong, what they did, what came of it."""

import datetime as dt
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from serving.ledger.database import METADATA, utc
from serving.ledger.scores import SCORES

REVIEWS = sa.Table(
    "reviews",
    METADATA,
    sa.Column("review_id", sa.String(32), primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(64)),
    sa.Column("score_id", sa.String(32)),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("action", sa.String(500)),
    sa.Column("outcome", sa.String(16)),
    sa.Column("note", sa.Text),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("user", sa.String(200)),
    sa.Column("snoozed_until", sa.Date),
    sa.Index("reviews_of_account", "account_id", "made_at"),
    sa.Index("reviews_of_model", "model", "model_version"),
)
OUTCOMES = ("happened", "did_not_happen", "open")
EXPORTED = ("review_id", "account_id", "model", "model_version", "score_id", "as_of",
            "probability", "verdict", "action", "outcome", "note", "key_id", "made_at", "user",
            "snoozed_until")  # fmt: skip
CONSOLE = "console"  # in the place of a key: a person signed in made it
AT_ONCE = 1_000


@dataclass(frozen=True)
class Review:
    """One verdict; `score_id`: the score that it speaks of.

    `key_id`: whose key it came by, or CONSOLE, and then `user` says who made it.
    """

    review_id: str
    account_id: str
    model: str
    model_version: str | None
    score_id: str | None
    verdict: str
    action: str | None
    outcome: str | None
    note: str | None
    key_id: str
    made_at: dt.datetime
    user: str | None = None
    snoozed_until: dt.date | None = None


def add(ledger: Engine, **said: Any) -> Review:
    """Keep a review; `said`: all of a `Review` but its id and its time."""
    review = Review(review_id=secrets.token_hex(16), made_at=dt.datetime.now(dt.UTC), **said)
    with ledger.begin() as connection:
        connection.execute(REVIEWS.insert(), asdict(review))
    return review


def listed(
    ledger: Engine, account_id: str, limit: int, after: tuple[dt.datetime, str] | None = None
) -> list[Review]:
    """An account's reviews, newest first; `after`: only those behind (made_at, review_id)."""
    where = [REVIEWS.c.account_id == account_id]
    if after:
        behind = sa.tuple_(*(sa.bindparam(None, value) for value in after))
        where.append(sa.tuple_(*_AGE) < behind)
    query = REVIEWS.select().where(*where).order_by(*(c.desc() for c in _AGE)).limit(limit)
    with ledger.connect() as connection:
        return [_review(row) for row in connection.execute(query)]


def contacted(ledger: Engine, account_ids: Sequence[str]) -> dict[str, Review]:
    """Account → its last review that names an action taken: when somebody last was in touch."""
    query = REVIEWS.select().where(REVIEWS.c.action.is_not(None)).order_by(*_AGE)
    if len(account_ids) <= AT_ONCE:  # a database takes only so many in one question
        query = query.where(REVIEWS.c.account_id.in_(account_ids))
    with ledger.connect() as connection:
        found = {row.account_id: row for row in connection.execute(query)}  # the last one stays
    asked = set(account_ids)
    return {account: _review(row) for account, row in found.items() if account in asked}


def settled(ledger: Engine, user: str, model: str, since: dt.datetime, today: dt.date) -> set[str]:
    """The accounts that a user has dealt with: reviewed since a moment, or at rest beyond today.

    An account rests until the day that the last review of it names, of those that the user made and
    those that came by a key: what the CRM lets rest, rests for everybody.
    """
    mine = (REVIEWS.c.user == user) | REVIEWS.c.user.is_(None)
    named = (REVIEWS.c.account_id, REVIEWS.c.user, REVIEWS.c.made_at, REVIEWS.c.snoozed_until)
    query = sa.select(*named).where(mine & (REVIEWS.c.model == model)).order_by(*_AGE)
    with ledger.connect() as connection:
        rows = connection.execute(query).all()
    reviewed = {row.account_id for row in rows if row.user and utc(row.made_at) >= since}
    rests = {row.account_id: row.snoozed_until for row in rows}  # the last one stays
    return reviewed | {account for account, until in rests.items() if until and until > today}


def counts(ledger: Engine, model: str) -> dict[str | None, Counter[str]]:
    """Model version → how many agree and disagree."""
    query = (
        sa.select(REVIEWS.c.model_version, REVIEWS.c.verdict, sa.func.count())
        .where(REVIEWS.c.model == model)
        .group_by(REVIEWS.c.model_version, REVIEWS.c.verdict)
    )
    found: dict[str | None, Counter[str]] = {}
    with ledger.connect() as connection:
        for version, verdict, number in connection.execute(query):
            found.setdefault(version, Counter())[verdict] = number
    return found


def exported(ledger: Engine) -> Iterator[dict[str, Any]]:
    """Every review with the score that it speaks of, the oldest first; keys: `EXPORTED`."""
    scored = REVIEWS.outerjoin(SCORES, SCORES.c.score_id == REVIEWS.c.score_id)
    query = (
        sa.select(REVIEWS, SCORES.c.as_of, SCORES.c.probability)
        .select_from(scored)
        .order_by(REVIEWS.c.made_at, REVIEWS.c.review_id)
    )
    with ledger.connect() as connection:
        for row in connection.execution_options(yield_per=AT_ONCE).execute(query):
            told = {**row._mapping, "made_at": utc(row.made_at).isoformat(timespec="seconds")}
            yield {name: told[name] for name in EXPORTED}


_AGE = (REVIEWS.c.made_at, REVIEWS.c.review_id)


def _review(row: sa.Row[Any]) -> Review:
    return Review(**{**row._mapping, "made_at": utc(row.made_at)})
