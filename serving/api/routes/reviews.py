"""`/v1/accounts/{id}/reviews`: what Customer Success and Sales say of a score."""

import asyncio
import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies import read
from serving.api.bodies.accounts import Account, Page
from serving.api.bodies.reviews import ReviewAnswer, ReviewRequest, ReviewsAnswer
from serving.api.chosen import row_of, scorer_of, snapshot_of
from serving.api.cursors import cursor, place, unusable
from serving.api.problems import PROBLEMS, ProblemError, shown, unfit
from serving.api.reading import body_of
from serving.ledger import reviews
from serving.ledger.reviews import Review
from serving.ledger.scores import Kept, find, newest
from serving.scoring.known import known

LONGEST_REST = dt.timedelta(days=366)
REQUEST_BODY = {
    "required": True,
    "content": {"application/json": {"schema": ReviewRequest.model_json_schema()}},
}


def routes(backing: Backing) -> APIRouter:
    """Reviews: written by keys that score, read by keys that read.

    A key that only reads, in a dashboard or an export, must change nothing; those that ask for
    scores, the CRM and the console, are the ones to which people answer.
    """
    router = APIRouter()

    @router.post(
        "/v1/accounts/{account_id}/reviews", operation_id="addReview", status_code=201,
        response_model=ReviewAnswer, responses=PROBLEMS, dependencies=opens("score"),
        summary="Say whether a score is right, what was done, what came of it",
        openapi_extra={"requestBody": REQUEST_BODY},
    )  # fmt: skip
    async def add_review(request: Request, account_id: Account) -> Response:
        asked = read(await body_of(request), ReviewRequest)
        today = dt.date.fromisoformat(snapshot_of(backing.state()).table.as_of)
        rests = resting(asked.snoozed_until or "", today)
        key = request.state.key.id
        kept = await added(backing, account_id, asked, key, snoozed_until=rests)
        return answered(request, {"review": _told(kept)}, 201)

    @router.get(
        "/v1/accounts/{account_id}/reviews", operation_id="listReviews",
        response_model=ReviewsAnswer, summary="An account's reviews, newest first",
        responses=PROBLEMS, dependencies=opens("read"),
    )  # fmt: skip
    async def list_reviews(
        request: Request, account_id: Account, asked: Annotated[Page, Query()]
    ) -> Response:
        return answered(request, await listed(backing, account_id, asked))

    return router


async def added(
    backing: Backing, account_id: str, asked: ReviewRequest, key_id: str, **by: Any
) -> Review:
    """Keep a review; ProblemError for an account, a model or a score that is not there.

    `by`: who made it, where a person did, and until when the account may rest.
    """
    state = backing.state()
    snapshot = snapshot_of(state)
    row_of(snapshot, account_id)
    scorer_of(state, asked.model)
    if asked.score_id:
        score = await asyncio.to_thread(find, backing.ledger, asked.score_id)
        _check_score(score, account_id, asked)
    else:
        today = dt.date.fromisoformat(snapshot.table.as_of)
        score = await asyncio.to_thread(newest, backing.ledger, account_id, asked.model, today)
    said = asked.model_dump(include={"model", "verdict", "action", "outcome", "note"})
    about = {"score_id": score.score_id, "model_version": score.model_version} if score else {}
    return await asyncio.to_thread(
        reviews.add, backing.ledger, account_id=account_id, key_id=key_id,
        **{"score_id": None, "model_version": None, **said, **about, **by},
    )  # fmt: skip


def resting(text: str, today: dt.date) -> dt.date | None:
    """Until when an account may rest; ProblemError for no day, or not one within a year of today.

    >>> resting("2026-03-15", dt.date(2026, 3, 1)).isoformat(), resting("", dt.date(2026, 3, 1))
    ('2026-03-15', None)
    """
    if not text:
        return None
    expected = f"a day after {today}, within a year, such as {today + dt.timedelta(days=14)}"
    try:
        until = dt.date.fromisoformat(text)
    except ValueError:
        raise unfit("snoozed_until", shown(text), expected) from None
    if not today < until <= today + LONGEST_REST:
        raise unfit("snoozed_until", shown(text), expected)
    return until


async def listed(backing: Backing, account_id: str, asked: Page) -> dict[str, Any]:
    """The body of a `ReviewsAnswer`."""
    after = _after(asked.cursor)
    found = await asyncio.to_thread(
        reviews.listed, backing.ledger, account_id, asked.limit + 1, after
    )
    if not found and after is None:
        row_of(snapshot_of(backing.state()), account_id)
    told = [_told(review) for review in found[: asked.limit]]
    body = {"account_id": account_id, "reviews": told}
    if len(found) > asked.limit:
        last = found[asked.limit - 1]
        body["next"] = cursor(last.made_at.isoformat(), last.review_id)
    return body


def _check_score(score: Kept | None, account_id: str, asked: ReviewRequest) -> None:
    if score is None or (score.account_id, score.model) != (account_id, asked.model):
        raise ProblemError(
            "unknown-score",
            f"No score {asked.score_id} of {account_id} by {asked.model}.",
            field="score_id",
            found=shown(asked.score_id),
            expected="a score_id that /v1/scores or /v1/accounts/{id}/scores told",
        )


def _told(review: Review) -> dict[str, Any]:
    made = review.made_at.isoformat(timespec="seconds")
    rests = review.snoozed_until.isoformat() if review.snoozed_until else None
    return known(**{**vars(review), "made_at": made, "snoozed_until": rests})


def _after(text: str) -> tuple[dt.datetime, str] | None:
    if not text:
        return None
    made, name = place(text, str, str)
    try:
        return dt.datetime.fromisoformat(made).astimezone(dt.UTC), name.replace("\0", "")
    except (ValueError, OverflowError):
        raise unusable(text) from None
