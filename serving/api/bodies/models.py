"""The bodies about the promoted models."""

from typing import Literal

from pydantic import Field

from serving.api.bodies.base import Answer, Body, absent


class Freshness(Body):
    """How old what it answers from is; `age_days`: from the scoring day to now."""

    as_of: str
    age_days: float
    snapshot: str
    trained_at: str = absent()
    learnt_until: str = absent()


class ModelSummary(Body):
    """A promoted model, and whether it answers."""

    model: str
    status: Literal["ready", "degraded", "failed"] = Field(
        description="degraded: an earlier version answers than the one that was promoted"
    )
    detail: str = absent("why it does not answer, or not by the promoted version")
    model_version: str = absent()
    title: str = absent()
    population: str = absent()
    lead_days: int = absent()
    horizon_days: int = absent()
    freshness: Freshness = absent()


class ModelsAnswer(Answer):
    """The promoted models."""

    simulated: bool
    models: list[ModelSummary]


class Metric(Body):
    """A figure out of time, with its 95 % interval."""

    name: str
    value: float
    low: float = absent()
    high: float = absent()


class Baseline(Body):
    """The same figures of something simpler, on the same accounts and days."""

    name: str
    metrics: list[Metric]


class FeatureBody(Body):
    """One input of the model."""

    name: str
    meaning: str = absent()
    unit: str
    signal: str
    label: str
    kind: Literal["act", "context", "fixed"]


class Tested(Body):
    """The accounts and days that the figures come from, all after what was learnt from."""

    first: str
    last: str
    rows: int
    accounts: int
    positives: int


class Agreement(Body):
    """What reviewers said of a version's scores."""

    model_version: str = absent("absent for reviews of no score")
    agree: int
    disagree: int


class BandBody(Body):
    """What the interval of a probability rests on and covers."""

    level: float
    accounts: int
    accounts_with_outcome: int
    covers: str


class ModelAnswer(Answer):
    """A model's card: what it foretells, of whom, how well, from what."""

    simulated: bool
    model: str
    model_version: str
    title: str = absent()
    population: str
    eligibility: str
    lead_days: int
    horizon_days: int
    accounts: int = Field(description="to which it applies today")
    freshness: Freshness
    rows: int = absent("observations learnt from")
    positives: int = absent("of them with the outcome")
    test: Tested = absent()
    metrics: list[Metric]
    baselines: list[Baseline]
    interval: BandBody = absent()
    curve_days: list[int] = Field(default=[], description="days whose risk its curve tells")
    features: list[FeatureBody]
    reviews: list[Agreement]
