"""What accounts do in one day, as far as it changes what comes next; events only show it."""

from dataclasses import dataclass

import numpy as np

from features.simulate import support, words
from features.simulate.batch import SECOND_US
from features.simulate.billing import Contracts
from features.simulate.climate import Weather, struck
from features.simulate.offer import (
    ACTIONS,
    ADOPTABLE,
    DAY_US,
    EXPORTS,
    HOUR_US,
    Floats,
    Ints,
)
from features.simulate.state import State, export_urge, usable
from features.simulate.support import Tickets
from features.simulate.traits import Traits

MOST_SESSIONS = 14
REFUSED = 0.6  # of the reports beyond the plan's allowance end at the limit
BASE_WEIGHTS = np.array(list(ACTIONS.values()))
ADOPTABLE_COLUMNS = np.array([list(ACTIONS).index(name) for name in ADOPTABLE])
REPORTS = list(ACTIONS).index("report_created")
ALWAYS = float(np.delete(BASE_WEIGHTS, ADOPTABLE_COLUMNS).sum())
HOURS = np.array(words.COUNTRY_HOURS)


@dataclass(frozen=True)
class Deeds:
    """Counts by account, and the tickets opened today.

    `actions` is all that is done in the sessions, the reports made and refused among it.
    `invitations` are sent, `full` end at the limit of seats; `joins` are accounts, each with one
    user more from tomorrow on. `hit`: incidents felt.
    """

    sessions: Ints
    actions: Ints
    reports: Ints
    refused: Ints
    invitations: Ints
    full: Ints
    joins: Ints
    tickets: Tickets
    hit: Floats


def draw_deeds(
    state: State,
    traits: Traits,
    contracts: Contracts,
    weather: Weather,
    rng: np.random.Generator,
) -> Deeds:
    """Draw what each account does today from its hidden state, which stays as it is."""
    sessions = _sessions(state, traits, weather.pace, rng)
    can = usable(state, contracts)
    actions = _actions(sessions, state, rng)
    tried = rng.binomial(actions, BASE_WEIGHTS[REPORTS] / (ALWAYS + _extra(state, traits, can)))
    refused = np.where(state.over_limit, rng.binomial(tried, REFUSED), 0)
    wants, full = _invitations(state, traits, contracts, rng)
    hit = struck(weather, can)
    return Deeds(
        sessions,
        actions,
        tried - refused,
        refused,
        (wants & ~full).astype(np.int64),
        (wants & full).astype(np.int64),
        np.flatnonzero(wants & ~full & (rng.random(len(traits)) < 0.7)),
        _tickets(state, traits, contracts, hit, rng),
        hit,
    )


def _sessions(state: State, traits: Traits, pace: float, rng: np.random.Generator) -> Ints:
    """How often somebody sits down to work; `pace` is the day's share of a usual day."""
    here = (traits.day <= state.day) & (state.seated > 0)
    rate = 0.31 * pace * state.users**0.7 * np.exp(traits.volume + 0.85 * state.engagement)
    return rng.poisson(np.where(state.holiday > 0, 0.04, 1) * rate * here).clip(0, MOST_SESSIONS)


def _actions(sessions: Ints, state: State, rng: np.random.Generator) -> Ints:
    """At least one in each session, and geometrically many more."""
    busy = np.flatnonzero(sessions)
    depth = (0.22 * np.exp(-0.25 * state.engagement[busy])).clip(0.12, 0.5)
    actions = sessions.copy()
    actions[busy] += rng.negative_binomial(sessions[busy], depth)
    return actions


def _extra(state: State, traits: Traits, can: np.ndarray) -> Floats:
    weights = can * traits.zest
    weights[:, EXPORTS] *= export_urge(state)
    return np.asarray(weights @ BASE_WEIGHTS[ADOPTABLE_COLUMNS])


def mix_of(state: State, traits: Traits, contracts: Contracts) -> Floats:
    """Accounts x actions: how likely each is among what is no report."""
    weights = np.tile(BASE_WEIGHTS, (len(traits), 1))
    weights[:, ADOPTABLE_COLUMNS] *= usable(state, contracts) * traits.zest
    weights[:, ADOPTABLE_COLUMNS[EXPORTS]] *= export_urge(state)
    weights[:, REPORTS] = 0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _invitations(
    state: State, traits: Traits, contracts: Contracts, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which accounts want to ask a colleague in, and which have no seat left."""
    room = 1 - state.users / traits.potential
    wish = 0.05 * np.exp(0.5 * state.engagement) * room * (state.holiday == 0)
    here = (traits.day < state.day) & ~contracts.former & (state.seated > 0)
    return here & (rng.random(len(room)) < wish), state.seated >= contracts.seats


def ease(state: State, contracts: Contracts) -> Floats:
    """How readily accounts do what is done now and then: 0 for those who are not there."""
    there = (contracts.status >= 0) & ~contracts.former & (state.holiday == 0)
    return np.exp(0.3 * state.engagement) * (there & (state.seated > 0))


def _tickets(
    state: State, traits: Traits, contracts: Contracts, hit: Floats, rng: np.random.Generator
) -> Tickets:
    """Tickets excite further ones while they are open, and incidents bring many."""
    open_ = np.minimum(state.tickets_open, 3)
    rate = np.exp(-4.3 + 0.3 * open_ + 1.3 * np.minimum(hit, 2)) * state.users**0.5
    account = np.repeat(np.arange(len(hit)), rng.poisson(rate * ease(state, contracts)))
    opened = start_times(state.day, traits, account, rng)
    return support.opened(account, opened, state.mood[account], hit[account], rng)


def start_times(day: int, traits: Traits, account: Ints, rng: np.random.Generator) -> Ints:
    """Moments of the working day where each account is, not before it signed up."""
    local = 7.5 + 11 * rng.beta(2, 2, len(account))
    utc = (local - HOURS[traits.country[account]]) % 24
    start = day * DAY_US + (utc * HOUR_US).astype(np.int64)
    return np.maximum(start, traits.created[account] + 30 * SECOND_US)
