"""The job, read top to bottom: draw the accounts, live day by day, write what can be seen."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from features.errors import InputError
from features.progress import Progress, silent
from features.simulate import billing, commerce, emit, people, support, write
from features.simulate.batch import Batch, joined
from features.simulate.billing import Contracts
from features.simulate.emit import Sessions
from features.simulate.offer import CODE, DAY_US, Floats, Ints
from features.simulate.people import Members
from features.simulate.state import State, feel_tickets, first_state, live_through_day, meter
from features.simulate.support import Desk
from features.simulate.traits import Traits, draw_traits
from features.workspace import Workspace, publish_folder, publish_text

INCIDENT_SHARE = 0.012
WEEKDAYS = np.array([1.12, 1.18, 1.15, 1.1, 0.95, 0.22, 0.2])
FEWEST_DAYS = 120
FEWEST_ACCOUNTS = 20


@dataclass(frozen=True)
class Counts:
    """Rows that were written."""

    events: int
    accounts: int
    users: int
    subscriptions: int


@dataclass
class World:
    """All that one simulated company is."""

    traits: Traits
    state: State
    contracts: Contracts
    members: Members
    desk: Desk
    rng: np.random.Generator


def simulate(
    workspace: Workspace,
    *,
    accounts: int = 6000,
    days: int = 720,
    seed: int = 7,
    end: date = date(2026, 6, 30),
    progress: Progress = silent,
) -> Counts:
    """Write a synthetic company's events, accounts, users and subscriptions to `workspace.raw`.

    The data cover the `days` days that end with `end`, midnight to midnight UTC; nothing that
    was not known by then is in them, save announced cancellations. The same arguments give the
    same bytes. Published whole or not at all. Raises InputError where the company would be too
    small or too young to learn from.
    """
    _check(accounts, days)
    first_day = np.datetime64(end - timedelta(days=days - 1), "D")
    world = _found_company(accounts, days, first_day, np.random.default_rng(seed))
    with publish_folder(workspace.raw) as folder:
        counts = _write(folder, world, days, progress)
        said = {"simulated": True, "seed": seed, "days": days, "end": str(end), **asdict(counts)}
        publish_text(folder / "SIMULATED.json", json.dumps(said, indent=2) + "\n")
    return counts


def _check(accounts: int, days: int) -> None:
    if accounts < FEWEST_ACCOUNTS or days < FEWEST_DAYS:
        raise InputError(
            f"a company of {accounts} accounts over {days} days",
            expected=f"at least {FEWEST_ACCOUNTS} accounts and {FEWEST_DAYS} days",
            do="Ask for a larger company.",
        )


def _found_company(
    accounts: int, days: int, first_day: np.datetime64, rng: np.random.Generator
) -> World:
    traits = draw_traits(accounts, days, rng)
    contracts = billing.no_contracts(accounts, first_day)
    desk = support.open_desk(traits)
    return World(traits, first_state(traits, rng), contracts, Members(), desk, rng)


def _write(folder: Path, world: World, days: int, progress: Progress) -> Counts:
    (folder / "events").mkdir()
    names = write.draw_names(world.traits, world.contracts.first_day, world.rng)
    files = write.EventFiles(folder / "events", names)
    for day, batch in enumerate(_live(world, days), start=1):
        files.add(batch)
        if day == days:
            files.close_month(days * DAY_US, received_before=days * DAY_US)
        elif _month(world, day) != _month(world, day - 1):
            files.close_month(day * DAY_US)
        progress(day, days, "simulating days")
    traits, rng = world.traits, world.rng
    return Counts(
        files.written,
        write.write_accounts(folder / "accounts.parquet", traits, names, rng),
        write.write_users(folder / "users.parquet", world.members, names, rng),
        write.write_subscriptions(folder / "subscriptions.parquet", world.contracts, names),
    )


def _live(world: World, days: int) -> Iterator[Batch]:
    """Each day's events, in turn."""
    incidents = world.rng.random(days) < INCIDENT_SHARE
    pace = _paces(world.contracts.first_day, days)
    for day in range(days):
        world.state.day = day
        yield _live_one_day(world, float(pace[day]), bool(incidents[day]))


def _live_one_day(world: World, pace: float, incident: bool) -> Batch:
    traits, state, contracts, rng = world.traits, world.state, world.contracts, world.rng
    new = np.flatnonzero(traits.day == state.day)
    people.found(world.members, traits, new)
    commerce.sign_up(contracts, traits, new, state.day, rng)
    commerce.end_terms(state, traits, contracts, rng)
    live_through_day(state, traits, contracts, rng)
    people.leave(world.members, state, traits, rng)
    sessions = emit.draw_sessions(state, traits, pace, rng)
    counts = emit.odd_counts(state, contracts, incident, rng)
    counts["payment_failed"] = commerce.collect(state, contracts, rng)
    invited = people.invite(world.members, state, traits, contracts, rng)
    counts["invitation_sent"], counts["limit_hit"] = invited
    worked = emit.work(sessions, state, traits, contracts, rng)
    batch = joined([*worked, *emit.aside(sessions, counts, state, traits, rng)])
    said = _support(world, batch, sessions, incident)
    meter(
        state, contracts, _count(world, batch, "report_created"), _count(world, batch, "limit_hit")
    )
    commerce.decide(state, traits, contracts, rng)
    return joined([batch, *said])


def _support(world: World, batch: Batch, sessions: Sessions, incident: bool) -> list[Batch]:
    """The tickets of one day and the scores that people give; they change the mood."""
    desk, state, rng = world.desk, world.state, world.rng
    new = support.take_in(desk, batch, state, incident, rng)
    said = [*support.serve(desk, state, rng), support.survey(desk, sessions, state, rng)]
    feel_tickets(state, support.burden(desk, new, state), incident, rng)
    return said


def _count(world: World, batch: Batch, event: str) -> Ints:
    return np.bincount(batch.account[batch.code == CODE[event]], minlength=len(world.traits))


def _paces(first_day: np.datetime64, days: int) -> Floats:
    """The share of a usual day's work, by weekday and season."""
    date_ = first_day + np.arange(days)
    weekday = (date_.astype(np.int64) + 3) % 7
    of_year = (date_ - date_.astype("datetime64[Y]")).astype(np.int64)
    turn = np.where((of_year >= 357) | (of_year <= 1), 0.35, 1.0)
    summer = 1 - 0.15 * np.exp(-(((of_year - 218) / 25.0) ** 2))
    return np.asarray(WEEKDAYS[weekday] * turn * summer)


def _month(world: World, day: int) -> np.datetime64:
    return (world.contracts.first_day + np.timedelta64(day, "D")).astype("datetime64[M]")
