"""The lifecycle as one report: states, ways between them, journeys, what customers pay."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from features.errors import InputError
from features.history import event_span, scoring_day
from features.identity.successors import goes_on_as, read_merges
from features.instants import day_number
from features.lifecycle.observed import visitors
from features.lifecycle.spells import mrr_on
from features.lifecycle.states import STATES, Timeline, moments, runs, timeline
from features.lifecycle.velocity import TRANSITIONS, Passage, between, entries
from features.progress import Progress, silent
from features.settings import Journey, Settings
from features.workspace import Workspace, publish_json

PERIOD_DAYS = 365
ORDERS = 3


@dataclass(frozen=True)
class Standing:
    """One state: accounts in it now, of them active, their MRR, and who first entered of late."""

    state: str
    label: str
    accounts: int
    active: int
    mrr: float
    entered: int


@dataclass(frozen=True)
class Way:
    """A passage with the names of its ends."""

    start: str
    to: str
    passage: Passage


@dataclass(frozen=True)
class Steps:
    """One journey: the accounts that signed up, the way to each step, in which order steps came."""

    name: str
    accounts: int
    steps: tuple[Way, ...]
    orders: tuple[tuple[tuple[str, ...], int], ...]


@dataclass(frozen=True)
class Revenue:
    """What became of the MRR that customers paid at the start of the period; new ones left out.

    `expansion_rate` = expansion ÷ starting; `net_retention` = (starting + expansion − contraction −
    churned) ÷ starting. None when nobody paid at the start.
    """

    starting: float
    expansion: float
    contraction: float
    churned: float
    expansion_rate: float | None
    net_retention: float | None


@dataclass(frozen=True)
class Report:
    """The lifecycle as of midnight of a day; the period is from `since` on."""

    company: str
    simulated: bool
    currency: str
    as_of: date
    since: date
    states: tuple[Standing, ...]
    visitors: int
    ways: tuple[Way, ...]
    initial_value: tuple[Way, ...]
    journeys: tuple[Steps, ...]
    revenue: Revenue

    def plain(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self) | {"as_of": str(self.as_of), "since": str(self.since)}


def report(
    workspace: Workspace,
    settings: Settings,
    *,
    as_of: date | None = None,
    since: date | None = None,
    progress: Progress = silent,
) -> Report:
    """The lifecycle as of a day (default: the first midnight after the last event).

    `since`: the start of the period (default: a year before, but not before the first event).
    Raises InputError for days outside the data, and as `features.lifecycle.states.timeline`.
    """
    day, start = _period(workspace, as_of, since)
    told = timeline(workspace, settings, day, progress=progress)
    table, begin = entries(told), day_number(start)
    return Report(
        settings.company.name, settings.company.simulated, settings.company.currency, day, start,
        states=_states(told, table, begin),
        visitors=visitors(workspace, told.day),
        ways=tuple(Way(a, b, between(table, a, b, out, begin)) for a, b, out in TRANSITIONS),
        initial_value=_to_milestones(
            table, told, [m.name for m in settings.milestones if m.initial_value], begin
        ),
        journeys=tuple(_journey(j, table, told, begin) for j in settings.journeys),
        revenue=_revenue(workspace, told, begin),
    )  # fmt: skip


def write(workspace: Workspace, found: Report) -> str:
    """Keep the report in WORKSPACE/insights, where the console reads it; its path."""
    workspace.insights.mkdir(parents=True, exist_ok=True)
    path = workspace.insights / "lifecycle.json"
    publish_json(path, found.plain() | {"made_at": datetime.now(UTC).isoformat()})
    return str(path)


def _period(workspace: Workspace, as_of: date | None, since: date | None) -> tuple[date, date]:
    first, newest = event_span(workspace)[0].date(), scoring_day(workspace)
    day = as_of or newest
    if not first < day <= newest:
        raise InputError(
            f"the day {day}, on which nothing is known or not all yet",
            expected=f"a day from {first + timedelta(days=1)} to {newest}",
            do="Choose another with --as-of.",
        )
    start = since or max(first, day - timedelta(days=PERIOD_DAYS))
    if start >= day:
        raise InputError(
            f"a period from {start} to {day}", expected="a start before its end",
            do="Choose an earlier --since.",
        )  # fmt: skip
    return day, start


def _states(told: Timeline, table: pd.DataFrame, begin: int) -> tuple[Standing, ...]:
    now = runs(told).loc[lambda r: r["until"].isna()].set_index("account_id")["state"]
    active = told.flags.groupby("account_id")["active"].last().reindex(now.index)
    mrr = mrr_on(told.standings, told.day).reindex(now.index).fillna(0.0)
    return tuple(
        Standing(
            state, label, int((now == state).sum()), int(active[now == state].sum()),
            float(mrr[now == state].sum()), int((table[state] > begin).sum()),
        )
        for state, label in STATES.items()
    )  # fmt: skip


def _to_milestones(
    table: pd.DataFrame, told: Timeline, steps: list[str], begin: int
) -> tuple[Way, ...]:
    """From sign-up to each milestone; one reached before sign-up was seen took no time."""
    days = told.milestones.pivot(index="account_id", columns="milestone", values="day")
    wide = table.join(days.reindex(columns=steps))
    wide[steps] = wide[steps].clip(lower=wide["signup"], axis=0)
    return tuple(Way("signup", step, between(wide, "signup", step, None, begin)) for step in steps)


def _journey(journey: Journey, table: pd.DataFrame, told: Timeline, begin: int) -> Steps:
    begun = table.index[table["signup"] > begin]
    mine = told.milestones[told.milestones["milestone"].isin(journey.steps)]
    days = mine.pivot(index="account_id", columns="milestone", values="day")
    wide = table.join(days.reindex(columns=list(journey.steps))).loc[begun]
    ways, before = [], "signup"
    for step in journey.steps:
        pair = wide.assign(**{step: wide[step].clip(lower=wide[before])})
        # All who did the step before, however long ago: the cohort is that of the sign-ups.
        ways.append(Way(before, step, between(pair, before, step, None, -1)))
        before = step
    ordered = mine[mine["account_id"].isin(begun)].assign(
        place=lambda rows: rows["milestone"].map(journey.steps.index)
    )
    orders = ordered.sort_values(["day", "place"]).groupby("account_id")["milestone"].agg(tuple)
    common = Counter(orders.tolist()).most_common(ORDERS)
    return Steps(journey.name, len(begun), tuple(ways), tuple(common))


def _revenue(workspace: Workspace, told: Timeline, begin: int) -> Revenue:
    """Compare what the customers of the first day pay on both; merged ones pay together."""
    merges, now = read_merges(workspace), moments(pd.Series([told.day])).dt.tz_localize("UTC")[0]
    before = mrr_on(told.standings, begin)
    before = before[before > 0]
    before.index = before.index.map(lambda account: goes_on_as(account, merges, now))
    before = before.groupby(level=0).sum()
    change = mrr_on(told.standings, told.day).reindex(before.index).fillna(0.0) - before
    left = change == -before
    starting = float(before.sum())
    expansion = float(change[change > 0].sum())
    contraction = abs(float(change[(change < 0) & ~left].sum()))
    churned = float(before[left].sum())
    kept = starting + expansion - contraction - churned
    rates = (expansion / starting, kept / starting) if starting else (None, None)
    return Revenue(starting, expansion, contraction, churned, *rates)
