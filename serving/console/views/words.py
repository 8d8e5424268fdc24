"""What each queue is called and shows beside its probability; the queues' bones are the same."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FactColumn:
    """A feature that a queue shows as a column of its own."""

    title: str
    feature: str
    unit: str
    explained: str


@dataclass(frozen=True)
class Words:
    """One queue in its own words; `by_money` orders it by probability × MRR."""

    model: str
    key: str
    place: str
    title: str
    chance: str
    who: tuple[str, str]
    happens: str
    happened: str
    expects: str = ""
    by_money: str = ""
    has_mrr: bool = True
    renews: bool = False
    facts: tuple[FactColumn, ...] = ()
    why: str = "Why"


PRICING = FactColumn("Pricing looks", "pricing_interest_28d", "count", "How often in 28 days")
LIMIT = FactColumn("Limit used", "limit_use", "share", "How much of its tightest limit is used")
SEATS = FactColumn("Seats used", "seat_use_28d", "share", "Share of the seats in use in 28 days")
MILESTONES = FactColumn("Milestones", "milestones_reached", "count", "Milestones reached so far")

AT_RISK = Words(
    model="churn", key="at-risk", place="/console", title="At risk", chance="Risk",
    who=("customer", "customers"), happens="leaves", happened="left",
    by_money="MRR at risk", renews=True, why="Why it may leave",
)  # fmt: skip
PROSPECTS = Words(
    model="pql", key="prospects", place="/console/prospects", title="Prospects", chance="Will buy",
    who=("prospect", "prospects"), happens="starts to pay",
    happened="started to pay", expects="new customers", has_mrr=False,
    facts=(MILESTONES, LIMIT, PRICING), why="Why it may buy",
)  # fmt: skip
UPGRADES = Words(
    model="upgrade", key="upgrades", place="/console/upgrades", title="Upgrades",
    chance="Will upgrade", who=("customer", "customers"), happens="pays more",
    happened="paid more", expects="upgrades",
    facts=(SEATS, LIMIT, PRICING), why="Why it may pay more",
)  # fmt: skip
QUEUES = (AT_RISK, PROSPECTS, UPGRADES)
BY_MODEL = {words.model: words for words in QUEUES}
