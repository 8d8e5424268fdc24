"""The bodies about accounts: the queues, the profile."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field

from serving.api.bodies.base import (
    ID_PATTERN,
    NAME_PATTERN,
    Answer,
    Body,
    Interval,
    Of,
    Parameters,
    absent,
)
from serving.api.bodies.scores import NotApplicable, Rank, Score

MOST_ON_A_PAGE = 200
Account = Annotated[str, Path(pattern=ID_PATTERN, description="an account's id")]
Text = Annotated[str, Field(max_length=200)]
Population = Literal["prospect", "customer", "former"]
State = Literal["visitor", "signup", "pql", "customer", "active", "renewed", "churned"]
Several: Any = Field(default=[], max_length=20)
NO_BOUND = 1e15


class Page(Parameters):
    """Which part of a list."""

    limit: int = Field(default=50, ge=1, le=MOST_ON_A_PAGE)
    cursor: str = Field(default="", max_length=1000, description="the `next` of the page before")


class QueueQuery(Page):
    """Which accounts, in which order. Values of one filter are alternatives; filters add up.

    Without `model` the accounts are ordered by MRR, and `grade` and `order` may not be said.
    """

    model: str = Field(default="", pattern=f"^$|{NAME_PATTERN}", description="whose queue")
    order: Literal["probability", "value", "movement"] = Field(
        default="probability",
        description="value: probability × MRR; movement: the rise since a week before",
    )
    grade: list[Literal["A", "B", "C", "D"]] = Several
    owner: list[Text] = Several
    plan: list[Text] = Several
    population: list[Population] = Several
    state: list[State] = Several
    mrr_from: float = Field(default=0, ge=0, le=NO_BOUND)
    mrr_to: float = Field(default=NO_BOUND, ge=0, le=NO_BOUND)


class Moved(Body):
    """The change of a probability since the last score at least a week before."""

    since: str
    probability_before: float
    change: float


class Queued(Body):
    """An account in a queue; all from `score_id` on: absent without a model."""

    account_id: str
    name: str = absent()
    owner: str = absent()
    population: Population
    state: State = absent("absent of internal accounts")
    plan: str = absent()
    mrr: float
    seats: float = absent()
    renewal_date: str = absent()
    score_id: str = absent()
    model: str = absent()
    model_version: str = absent()
    probability: float = absent()
    interval: Interval = absent()
    grade: Literal["A", "B", "C", "D"] = absent()
    rank: Rank = absent()
    value: float = absent("probability × MRR")
    movement: Moved = absent("absent where there is no score of a week before")


class QueueAnswer(Answer):
    """A page of accounts; `total` counts all that the filters let through."""

    as_of: str
    simulated: bool
    currency: str
    total: int
    model: str = absent()
    model_version: str = absent()
    accounts: list[Queued]
    next: str = absent("the cursor of the next page; absent on the last")


class ProfileBody(Body):
    """Who the account is to us."""

    name: str = absent()
    owner: str = absent("who looks after it")
    channel: str = absent("how it found us")
    signed_up_at: str = absent()
    age_days: float = absent()


class Company(Body):
    """The company behind the account."""

    industry: str = absent()
    country: str = absent()
    employees: float = absent()


class CbiPart(Body):
    """One part of the Customer Behavior Index, from 0 to 100; `peers`: their median."""

    part: str
    value: float = absent()
    peers: float = absent()


class Cbi(Body):
    """The Customer Behavior Index: the mean of its parts, each a standing among peers."""

    index: float = absent()
    peers: float = absent()
    parts: list[CbiPart]


class Subscription(Body):
    """What the account has bought, as known on the day."""

    plan: str = absent()
    mrr: float
    currency: str
    seats: float = absent()
    billing_months: float = absent()
    discount: float = absent("share taken off the list price")
    in_trial: bool = absent()
    renewal_date: str = absent()
    days_to_renewal: float = absent()
    cancel_announced: bool


class Milestone(Body):
    """A named step of the journey, and the day on which the account took it."""

    milestone: str
    reached_on: str


class AccountAnswer(Of):
    """Everything about one account: profile, company, behaviour, state, subscription, scores."""

    simulated: bool
    population: Population
    state: State = absent("absent of internal accounts")
    state_since: str = absent("the first day on which it was in its state")
    journey: list[Milestone] = absent("the milestones reached, in order")
    profile: ProfileBody
    company: Company
    cbi: Cbi
    subscription: Subscription
    scores: list[Score]
    not_applicable: list[NotApplicable]
