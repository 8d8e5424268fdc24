"""One company and one day of it, as it truly is. What is recorded of a day never changes it."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from features.simulate import billing, commerce, hazards, people, support
from features.simulate.billing import Contracts
from features.simulate.climate import Climate, Weather, draw_climate
from features.simulate.deeds import Deeds, draw_deeds
from features.simulate.hazards import Chances
from features.simulate.offer import Ints
from features.simulate.state import (
    State,
    feel_tickets,
    first_state,
    live_through_day,
    meter,
    remember_firsts,
)
from features.simulate.support import Served, Tickets, no_tickets, serve
from features.simulate.traits import Traits, draw_traits


@dataclass
class World:
    """All that one simulated company is; `rng` decides what happens in it and nothing else."""

    climate: Climate
    traits: Traits
    state: State
    contracts: Contracts
    tickets: Tickets
    rng: np.random.Generator


@dataclass(frozen=True)
class Day:
    """What happens on one day before anybody decides anything.

    `renewed`: accounts whose next term begins. `left`: user slots of those who leave. `retried`:
    failed payments by account. `lost`: accounts whose subscription ends today for want of payment.
    """

    weather: Weather
    renewed: Ints
    left: Ints
    retried: Ints
    lost: Ints
    deeds: Deeds
    served: Served


def found_company(accounts: int, days: int, seed: int, end: date) -> World:
    """The company on the morning of its first day: `days` days before the one after `end`."""
    first_day = np.datetime64(end - timedelta(days=days - 1), "D")
    rng = np.random.default_rng([seed, 0])
    climate = draw_climate(days, first_day, rng)
    traits = draw_traits(accounts, days, climate.growth, rng)
    contracts = billing.no_contracts(accounts, first_day)
    return World(climate, traits, first_state(traits, rng), contracts, no_tickets(), rng)


def begin_day(
    world: World, day: int, weather: Weather, spared_from: int = commerce.NOBODY_SPARED
) -> Day:
    """Terms end, moods and people change, work is done, tickets are answered.

    Nobody is cancelled for a payment that failed from the day `spared_from` on.
    """
    traits, state, contracts, rng = world.traits, world.state, world.contracts, world.rng
    state.day = day
    commerce.sign_up(contracts, traits, rng, day)
    renewed = commerce.end_terms(state, traits, contracts, weather, rng)
    live_through_day(state, traits, contracts, rng)
    left = people.leave(state, traits, rng)
    retried, lost = commerce.collect(state, contracts, spared_from, rng)
    deeds = draw_deeds(state, traits, contracts, weather, rng)
    served = serve(world.tickets, deeds.tickets, day, rng)
    return Day(weather, renewed, left, retried, lost, deeds, served)


def end_day(world: World, today: Day, suppressed: tuple[str, ...] = ()) -> Chances:
    """What was done leaves its traces; then decisions are taken, save those `suppressed`.

    Returns the chances that there were, of the suppressed ones too (names of `Chances`).
    """
    _leave_traces(world, today)
    of = (world.state, world.traits, world.contracts, today.weather)
    found = hazards.chances(*of)
    none = {name: np.zeros(len(world.traits)) for name in suppressed}
    commerce.decide(*of, replace(found, **none), world.rng)
    return found


def _leave_traces(world: World, today: Day) -> None:
    state, deeds = world.state, today.deeds
    world.tickets = today.served.remaining
    burden = support.burden(world.tickets, deeds.tickets, state)
    feel_tickets(state, burden, deeds.hit, world.rng)
    meter(state, world.contracts, deeds.reports, deeds.refused + deeds.full)
    remember_firsts(state, deeds.reports, deeds.invitations)
    state.users[deeds.joins] += 1
