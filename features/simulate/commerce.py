"""One day of commerce: terms that end, and decisions to buy, to buy more and to leave."""

import numpy as np

from features.simulate import billing, hazards
from features.simulate.billing import Contracts
from features.simulate.climate import Weather
from features.simulate.hazards import Chances
from features.simulate.offer import (
    BUSINESS,
    DAY_US,
    ENTERPRISE,
    HOUR_US,
    LEAST_SEATS,
    NEVER,
    TEAM,
    TRIAL_DAYS,
    Flags,
    Floats,
    Ints,
)
from features.simulate.state import State
from features.simulate.traits import Traits

FREE_SEATS = int(LEAST_SEATS[0])
GIVE_UP_DAYS = 14
RECOVERED = 0.1  # of the failed payments, on each day but the first
LATER = 0.5  # of those who leave a monthly term, at its end
NOBODY_SPARED = 10**6
RETRY_DAYS = (0, 3, 7, 11)


def sign_up(contracts: Contracts, traits: Traits, rng: np.random.Generator, day: int) -> None:
    """Most new accounts begin with a trial; the others on the free plan."""
    who = np.flatnonzero(traits.day == day)
    tries = (rng.random(len(who)) < 0.65) & ~traits.internal[who]
    billing.start_trial(contracts, who[tries], day, BUSINESS, TRIAL_DAYS)
    billing.go_free(contracts, who[~tries], FREE_SEATS)
    billing.write_rows(contracts, who, traits.created[who])


def end_terms(
    state: State,
    traits: Traits,
    contracts: Contracts,
    weather: Weather,
    rng: np.random.Generator,
) -> Ints:
    """At midnight: trials end, announced cancellations come true, the other terms renew.

    Returns the accounts that renew.
    """
    day, midnight = state.day, state.day * DAY_US
    tried = np.flatnonzero(contracts.trial & (contracts.term_end == day))
    billing.go_free(contracts, tried, FREE_SEATS)
    billing.write_rows(contracts, tried, np.full(len(tried), midnight))
    billing.end_now(contracts, np.flatnonzero(contracts.cancel_at == day))
    due = np.flatnonzero(contracts.paying & (contracts.term_end == day))
    fewer = due[_chance(rng, hazards.downgrade(state, contracts)[due])]
    least = LEAST_SEATS[contracts.plan[fewer]]
    contracts.seats[fewer] = np.minimum(
        np.maximum(state.seated[fewer] + 1, least), contracts.seats[fewer]
    )
    billing.renew(contracts, due, weather.price)
    billing.write_rows(contracts, due, np.full(len(due), midnight))
    failed = due[_chance(rng, hazards.payment_fails(traits)[due])]
    contracts.failed_since[failed] = day
    return due


def collect(
    state: State, contracts: Contracts, spared_from: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Try failed payments again; whoever cannot be collected from is cancelled.

    Payments that failed from the day `spared_from` on are collected in the end. Returns how many
    payments failed today, by account, and the accounts that are cancelled.
    """
    owing = contracts.failed_since != NEVER
    age = np.where(owing, state.day - contracts.failed_since, -1)
    contracts.failed_since[owing & (age > 0) & (rng.random(len(age)) < RECOVERED)] = NEVER
    over = (age >= GIVE_UP_DAYS) & (contracts.failed_since != NEVER)
    contracts.failed_since[over & (contracts.failed_since >= spared_from)] = NEVER
    lost = np.flatnonzero(over & (contracts.failed_since != NEVER))
    billing.end_now(contracts, lost)
    billing.write_rows(contracts, lost, _working_hours(state.day, len(lost), rng))
    retried = np.isin(age, RETRY_DAYS) & (contracts.failed_since != NEVER)
    return retried.astype(np.int64), lost


def decide(
    state: State,
    traits: Traits,
    contracts: Contracts,
    weather: Weather,
    chances: Chances,
    rng: np.random.Generator,
) -> None:
    """In working hours: each account may take one decision, with the `chances` given."""
    settled = traits.day < state.day
    dice = rng.random((3, len(traits)))
    buys = (dice[0] < chances.convert) | (dice[0] < chances.return_)
    grows = dice[1] < chances.upgrade
    leaves = (dice[2] < chances.churn) & ~grows
    _buy(state, traits, contracts, weather, np.flatnonzero(buys & settled), rng)
    _upgrade(state, contracts, weather, np.flatnonzero(grows), rng)
    _leave(state, contracts, np.flatnonzero(leaves), rng)


def _buy(
    state: State,
    traits: Traits,
    contracts: Contracts,
    weather: Weather,
    who: Ints,
    rng: np.random.Generator,
) -> None:
    wish = 0.5 * traits.fit[who] + 0.04 * traits.potential[who] + rng.normal(0, 0.6, len(who))
    plan = TEAM + (wish > 1.0) + (wish > 2.8)
    spare = rng.integers(0, 3, len(who))
    seats = np.maximum(state.seated[who] + spare, LEAST_SEATS[plan])
    annual = (rng.random(len(who)) < 0.16 + 0.12 * (wish > 1.0)) | (plan == ENTERPRISE)
    billing.start_paying(contracts, who, state.day, plan, seats, annual, weather.price)
    billing.write_rows(contracts, who, _working_hours(state.day, len(who), rng))


def _upgrade(
    state: State, contracts: Contracts, weather: Weather, who: Ints, rng: np.random.Generator
) -> None:
    """A higher plan, or more seats where seats are what is short (always on the highest plan)."""
    short = state.seated[who] >= 0.9 * contracts.seats[who]
    higher = ~short | (rng.random(len(who)) < 0.3)
    higher &= hazards.room_above(contracts)[who]
    contracts.plan[who] += higher
    contracts.price[who] = weather.price
    more = np.maximum(2, np.round(0.3 * contracts.seats[who])).astype(np.int64)
    contracts.seats[who] += np.where(higher, 0, more)
    contracts.seats[who] = np.maximum(contracts.seats[who], LEAST_SEATS[contracts.plan[who]])
    billing.write_rows(contracts, who, _working_hours(state.day, len(who), rng))
    state.limit_memory[who] *= 0.2
    state.pricing_interest[who] *= 0.3


def _leave(state: State, contracts: Contracts, who: Ints, rng: np.random.Generator) -> None:
    """Those on annual terms and half of the others leave at the end of the term."""
    later = (contracts.months[who] == 12) | (rng.random(len(who)) < LATER)
    later &= contracts.term_end[who] > state.day
    when = _working_hours(state.day, len(who), rng)
    billing.announce_end(contracts, who[later], when[later])
    billing.end_now(contracts, who[~later])
    billing.write_rows(contracts, who[~later], when[~later])


def _working_hours(day: int, count: int, rng: np.random.Generator) -> Ints:
    return day * DAY_US + rng.integers(8 * HOUR_US, 20 * HOUR_US, count)


def _chance(rng: np.random.Generator, probability: Floats) -> Flags:
    return np.asarray(rng.random(len(probability)) < probability)
