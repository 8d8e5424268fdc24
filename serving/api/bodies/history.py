"""The bodies about one account's scores through time: history, movement, what if."""

from typing import Annotated, Literal

from pydantic import Field

from serving.api.bodies.accounts import Page
from serving.api.bodies.base import (
    DAY_PATTERN,
    NAME_PATTERN,
    Answer,
    Body,
    Interval,
    Name,
    Of,
    Parameters,
    absent,
)

Grade = Literal["A", "B", "C", "D"]
Day = Annotated[str, Field(pattern=f"^$|{DAY_PATTERN}")]
Changed = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
MOST_CHANGES = 50
LARGEST = 1e12


class HistoryQuery(Page):
    """Which of an account's scores."""

    model: str = Field(default="", pattern=f"^$|{NAME_PATTERN}", description="none: all")


class PastScore(Body):
    """A score as it was told."""

    score_id: str
    model: str
    model_version: str
    as_of: str
    made_at: str
    snapshot: str
    probability: float
    log_odds: float
    interval: Interval = absent()
    grade: Grade


class HistoryAnswer(Answer):
    """An account's scores, newest first."""

    account_id: str
    scores: list[PastScore]
    next: str = absent("the cursor of the next page; absent on the last")


class MovementQuery(Parameters):
    """Which model's score, from which day to which; a day without a score: the last before it."""

    model: Name
    since: Day = Field(default="", alias="from", description="default: a week before `to`")
    to: Day = Field(default="", description="default: the scoring day")


class Point(Body):
    """One end of a movement; `asked`: the day that was asked for."""

    asked: str
    as_of: str
    score_id: str
    model_version: str
    probability: float
    log_odds: float


class MovedPart(Body):
    """What moved the score, by one signal or by another version of the model; in log-odds."""

    cause: Literal["behaviour", "passing_time", "circumstances", "model_version"]
    signal: str = absent("absent where the cause is the model's version")
    label: str
    text: str
    contribution: float


class MovementAnswer(Of):
    """Why a score moved. The parts sum to `difference`, in log-odds, within 1e-9; so do the causes.

    behaviour: what the account did. passing_time: what the calendar alone moves (tenure, days to
    the renewal). circumstances: plan, price, profile. model_version: what the later version says of
    the earlier facts, less what the earlier version said; the other parts are then the later
    version's.
    """

    model: str
    model_version: str
    before: Point
    after: Point
    difference: float
    behaviour: float
    passing_time: float
    circumstances: float
    version: float
    parts: list[MovedPart]
    lacking: list[str] = Field(
        default=[], description="features of the later version that the earlier row lacks"
    )


class WhatIfRequest(Body):
    """Signals (by their main fact) or features, and their new values."""

    model: Name
    changes: dict[Changed, Annotated[float, Field(ge=-LARGEST, le=LARGEST)]] = Field(
        min_length=1, max_length=MOST_CHANGES
    )


class ChangedFeature(Body):
    """A feature's value before and after; scaled: with the main fact of its signal."""

    feature: str
    signal: str
    before: float = absent("absent where it was missing")
    after: float
    by: Literal["asked", "scaled"]


class WhatIfAnswer(Of):
    """What the model would say; `meaning` says what this is not."""

    model: str
    model_version: str
    meaning: str
    scaling: str
    probability_before: float
    probability: float
    change: float
    log_odds_change: float
    changed: list[ChangedFeature]
