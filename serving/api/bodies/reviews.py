"""The bodies of reviews: what people say of a score."""

from typing import Annotated, Literal

from pydantic import Field

from serving.api.bodies.base import DAY_PATTERN, Answer, Body, Name, absent

PRINTABLE = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]*$"
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Verdict = Literal["agree", "disagree"]
Outcome = Literal["happened", "did_not_happen", "open"]
Day = Annotated[str, Field(pattern=DAY_PATTERN)]


class ReviewRequest(Body):
    """A verdict on a score: by `score_id`, or on the account's newest by this model.

    `outcome` is what the model foretells: whether it happened by now. `snoozed_until`: the day
    until which the account may rest, within a year of the scoring day; in the console it then
    rests for everybody.
    """

    model: Name
    verdict: Verdict
    action: str = absent("what was done about it", max_length=500, pattern=PRINTABLE)
    outcome: Outcome = absent()
    note: str = absent("name no persons", max_length=2000, pattern=PRINTABLE)
    score_id: Id = absent()
    snoozed_until: Day = absent("a day after the scoring day and within a year of it")


class ReviewBody(Body):
    """A review as it is kept; `key_id`: whose key it came by, `console` for a person signed in."""

    review_id: str
    account_id: str
    model: str
    model_version: str = absent()
    score_id: str = absent("absent where the ledger had no score")
    verdict: Verdict
    action: str = absent()
    outcome: Outcome = absent()
    note: str = absent()
    key_id: str
    made_at: str
    user: str = absent("who made it, where a person signed in to the console did")
    snoozed_until: str = absent("the day until which the account may rest")


class ReviewAnswer(Answer):
    """The review that was kept."""

    review: ReviewBody


class ReviewsAnswer(Answer):
    """An account's reviews, newest first."""

    account_id: str
    reviews: list[ReviewBody]
    next: str = absent("the cursor of the next page; absent on the last")
