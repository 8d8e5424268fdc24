"""The bodies of `POST /v1/scores`, and the score that other answers hold as well."""

from typing import Literal

from pydantic import Field

from serving.api.bodies.base import AccountId, Answer, Body, Interval, Name, absent

MOST_ACCOUNTS = 1000


class ScoresRequest(Body):
    """Which accounts to score, by which models (default: all that apply)."""

    accounts: list[AccountId] = Field(min_length=1, max_length=MOST_ACCOUNTS)
    models: list[Name] = Field(default=[], max_length=20, description="none: all that apply")
    reasons: bool = absent(
        "the top five reasons with each score; left out: for one account, not for many"
    )
    fresh: bool = absent(
        "true: from what is known now, all acknowledged events included, instead of the newest "
        "rows that were published; may take seconds; the answer says whether it is so"
    )


class Rank(Body):
    """The place among the accounts to which the model applies; 1 is the highest probability."""

    position: int
    of: int


class ReasonBody(Body):
    """One reason; `contribution` is in log-odds, `share` is its part of all contributions' size.

    `kind` parts what somebody can `act` on from `context` (renewal date, tenure, plan) and from
    what is `fixed` (industry, size).
    """

    signal: str
    label: str
    text: str
    direction: Literal["raises", "lowers"]
    contribution: float
    share: float
    kind: Literal["act", "context", "fixed"]


class Risk(Body):
    """The probability that the outcome has come within so many days of `as_of`, lead included."""

    days: int
    risk: float


class Score(Body):
    """One model's answer: the calibrated probability that the outcome happens in the window.

    The window is (as_of + lead_days, as_of + lead_days + horizon_days]. `score_id` names the score
    in the ledger, by which it can be looked up, reviewed and recomputed.
    """

    score_id: str
    model: str
    model_version: str
    probability: float
    interval: Interval = absent("absent from models that were trained without")
    grade: Literal["A", "B", "C", "D"]
    rank: Rank
    lead_days: int
    horizon_days: int
    curve: list[Risk] = Field(default=[], description="absent where the model does not tell when")
    median_days: float = absent("days until the risk is a half; absent where it stays below")
    reasons: list[ReasonBody] = Field(default=[], description="absent when not asked for")


class NotApplicable(Body):
    """A model that says nothing about the account, and why."""

    model: str
    reason: str


class Result(Body):
    """All that was asked about one account."""

    account_id: str
    as_of: str = Field(default="", description="what happened before this midnight UTC counts")
    scores: list[Score]
    not_applicable: list[NotApplicable]


class AccountError(Body):
    """An account that could not be scored."""

    account_id: str
    type: Literal["unknown_account"]
    detail: str


class ScoresAnswer(Answer):
    """Results in the order of the request; accounts that we do not know stand in `errors`."""

    as_of: str
    simulated: bool
    fresh: bool = absent(
        "only when it was asked for; true: made of all events acknowledged before the request; "
        "false: these are the newest published rows, for the reason in `not_fresh`"
    )
    not_fresh: str = absent("why the scores are not made of what is known now")
    results: list[Result]
    errors: list[AccountError]
