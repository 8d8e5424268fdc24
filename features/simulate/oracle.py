"""What the best model could know at most: the true probability of each outcome.

On the days asked for, the accounts' hidden state is cloned and its futures rolled out. A model
sees only events, so that it falls short of this; how far is what it can still gain.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from features.errors import InputError
from features.progress import Progress, silent
from features.settings import Outcome
from features.simulate.climate import BEYOND
from features.simulate.futures import QUESTIONS, chances_ahead
from features.simulate.living import World, begin_day, end_day, found_company
from features.simulate.offer import Floats
from features.simulate.world import check_size
from features.simulate.write import numbered
from features.workspace import Workspace, publish_file

HORIZONS = (7, 14, 30, 60, 90)
EVERY = 28
MONDAY = date(1970, 1, 5)
FIRST_DAYS = 28  # no outcome is asked for so early
NO_LEADS: Mapping[str, int] = {}


def oracle(
    *,
    on: Sequence[date],
    accounts: int = 6000,
    days: int = 720,
    seed: int = 7,
    end: date = date(2026, 6, 30),
    horizons: Sequence[int] = HORIZONS,
    leads: Mapping[str, int] = NO_LEADS,
    futures: int = 64,
    progress: Progress = silent,
) -> pd.DataFrame:
    """The true probability of each outcome, for the company that `simulate` writes.

    On each of the days `on` (at midnight UTC, before anything of that day), for every account that
    the outcome is asked of and each of `horizons`: the probability that it takes effect in
    (as_of + lead, as_of + lead + horizon], given that it has not by as_of + lead, as `training`
    labels it: a competing outcome ends the exposure. `leads`: outcome → a lead in days to tell
    besides a lead of 0. Incidents still to come are not known to it; the calendar, our prices and
    the competitors' pull are.

    Columns: account_id, as_of (date), outcome, lead_days, horizon_days, probability. Its standard
    error falls with the root of `futures`, of which customers get four times as many. Cost: half a
    second for each day asked, future and 6000 accounts, some 30 seconds a day with 64. Raises
    InputError for a day outside the data, or a horizon too far ahead.
    """
    check_size(accounts, days)
    spans = {name: tuple(sorted({0, leads.get(name, 0)})) for name in QUESTIONS}
    first = end - timedelta(days=days - 1)
    asked = _asked(on, first, end)
    _check_reach(max(horizons) + max(leads.values(), default=0))
    parts = []
    world = found_company(accounts, days, seed, end)
    for done, day in enumerate(_mornings(world, asked), start=1):
        found = _probabilities(world, day, horizons, spans, futures, seed)
        parts += [part.assign(as_of=first + timedelta(days=day)) for part in found]
        progress(done, len(asked), "rolling out futures")
    columns = ["account_id", "as_of", "outcome", "lead_days", "horizon_days", "probability"]
    return pd.concat(parts, ignore_index=True)[columns]


def publish_oracle(
    workspace: Workspace,
    outcomes: Mapping[str, Outcome],
    *,
    accounts: int,
    days: int,
    seed: int,
    end: date = date(2026, 6, 30),
    progress: Progress = silent,
) -> Path:
    """Write `oracle` on every `EVERY`-th day to WORKSPACE/oracle.parquet; returns its path.

    With the settings' own leads and horizons besides `HORIZONS`. Kept out of `workspace.raw`, so
    that nobody ingests it.
    """
    horizons = sorted({*HORIZONS, *(timing.horizon_days for timing in outcomes.values())})
    found = oracle(
        on=mondays(end - timedelta(days=days - 1 - FIRST_DAYS), end + timedelta(days=1)),
        accounts=accounts,
        days=days,
        seed=seed,
        end=end,
        horizons=horizons,
        leads={name: timing.lead_days for name, timing in outcomes.items()},
        progress=progress,
    )
    path = workspace.root / "oracle.parquet"
    with publish_file(path) as staged:
        found.to_parquet(staged, index=False)
    return path


def mondays(first: date, last: date) -> list[date]:
    """Every `EVERY`-th day between, on the grid of Mondays on which training observes.

    >>> [str(day) for day in mondays(date(2026, 4, 1), date(2026, 7, 1))]
    ['2026-04-13', '2026-05-11', '2026-06-08']
    """
    start = MONDAY + timedelta(days=-(-(first - MONDAY).days // EVERY) * EVERY)
    return [start + timedelta(days=ago) for ago in range(0, (last - start).days + 1, EVERY)]


def _asked(on: Sequence[date], first: date, end: date) -> list[int]:
    days = sorted({(day - first).days for day in on})
    if not days or days[0] < 1 or days[-1] > (end - first).days + 1:
        raise InputError(
            f"days {', '.join(map(str, on)) or 'none'} to tell the future on",
            expected=f"days from {first + timedelta(days=1)} to {end + timedelta(days=1)}",
            do="Name days within the simulated time.",
        )
    return days


def _check_reach(ahead: int) -> None:
    if ahead > BEYOND:
        raise InputError(
            f"a lead and horizon of {ahead} days",
            expected=f"at most {BEYOND}",
            do="Ask for a nearer future.",
        )


def _mornings(world: World, asked: list[int]) -> Iterator[int]:
    """Live through the days up to the last one asked for, and stop on each morning asked for."""
    for day in range(asked[-1] + 1):
        if day in asked:
            yield day
        end_day(world, begin_day(world, day, world.climate.on(day)))


def _probabilities(
    world: World,
    day: int,
    horizons: Sequence[int],
    leads: Mapping[str, Sequence[int]],
    futures: int,
    seed: int,
) -> Iterator[pd.DataFrame]:
    for number, (name, question) in enumerate(QUESTIONS.items()):
        rng = np.random.default_rng([seed, 2, day, number])
        ahead = max(horizons) + max(leads[name])
        who, mass = chances_ahead(world, question, ahead, futures, rng)
        ids = numbered("acc_", who + 1, 4).to_pylist()
        for lead in leads[name]:
            for horizon in horizons:
                yield pd.DataFrame(
                    {
                        "account_id": ids,
                        "outcome": name,
                        "lead_days": lead,
                        "horizon_days": horizon,
                        "probability": within(mass, lead, horizon),
                    }
                )


def within(mass: Floats, lead: int, horizon: int) -> Floats:
    """Days x accounts → the probability of each account's window, given nothing in the lead.

    >>> within(np.array([[0.5], [0.1], [0.2]]), lead=1, horizon=2).round(9).tolist()
    [0.6]
    """
    before, inside = mass[:lead].sum(axis=0), mass[lead : lead + horizon].sum(axis=0)
    return np.asarray(inside / np.maximum(1 - before, 1e-12))
