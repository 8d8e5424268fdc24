"""The true daily chances that an account buys, buys more, or leaves: functions of hidden state.

Interactions and thresholds are meant: a limit matters to those who grow, a price to those whom the
product fits, silence only against an account's own past.
"""

from dataclasses import dataclass

import numpy as np

from features.simulate.billing import Contracts
from features.simulate.climate import Weather
from features.simulate.offer import ENTERPRISE, NEVER, Flags, Floats, logistic
from features.simulate.state import GROWING, State, began_well, usable
from features.simulate.traits import Traits
from features.simulate.truth import SEQUENCES, planted

CONVERT, UPGRADE, CHURN = -8.1, -11.4, -11.0
RENEWAL_WINDOW = 60
FLOOR = 3e-5  # some leave for reasons that nobody can know


@dataclass(frozen=True)
class Chances:
    """One entry per account: the chance of each decision today."""

    convert: Floats
    return_: Floats
    upgrade: Floats
    churn: Floats


def chances(state: State, traits: Traits, contracts: Contracts, weather: Weather) -> Chances:
    """The chances of today's decisions, in the evening of the day."""
    return Chances(
        convert(state, traits, contracts, weather),
        return_(state, contracts),
        upgrade(state, traits, contracts, weather),
        churn(state, traits, contracts, weather),
    )


def convert(state: State, traits: Traits, contracts: Contracts, weather: Weather) -> Floats:
    """Chance that a prospect starts to pay today (0 for all others)."""
    growing = state.regime == GROWING
    log_odds = (
        CONVERT + weather.appetite[0] - 0.7 * weather.rival - _dear(weather.price - 1, traits)
    )
    log_odds += 1.2 * np.clip(state.engagement, -1.8, 1.5) + 0.6 * traits.fit
    log_odds += usable(state, contracts) @ planted("pql") - 0.35 * traits.thrift
    log_odds += SEQUENCES["pql"].log_odds * began_well(state, traits) - 1.3 * ~state.champion
    log_odds += np.minimum(state.limit_memory, 2) * (0.2 + 0.9 * growing)
    log_odds += np.minimum(state.pricing_interest, 2.5) * np.where(traits.fit > 0, 1.6, 0.1)
    log_odds += 1.6 * _trial_ends(state, contracts) * (state.engagement > 0.2)
    return np.where(contracts.prospect & ~traits.internal, logistic(log_odds), 0.0)


def upgrade(state: State, traits: Traits, contracts: Contracts, weather: Weather) -> Floats:
    """Chance that a customer buys seats or a higher plan today."""
    full = state.seated >= 0.9 * contracts.seats
    growing = state.regime == GROWING
    log_odds = UPGRADE + weather.appetite[1] - _dear(weather.price - 1, traits)
    log_odds += 0.9 * np.clip(state.engagement, -1.5, 1.5) + 1.1 * traits.fit
    log_odds += np.minimum(state.limit_memory, 2.0) * (0.3 + 1.6 * full)
    log_odds += 1.5 * (full & growing) + usable(state, contracts) @ planted("upgrade")
    log_odds += np.minimum(state.pricing_interest, 2.0) * np.where(state.champion, 1.9, 0.0)
    log_odds += -1.5 * (state.tickets_open > 1) - 0.2 * traits.thrift
    able = contracts.paying & ~contracts.leaving & (contracts.failed_since == NEVER)
    return np.where(able, logistic(log_odds), 0.0)


def churn(state: State, traits: Traits, contracts: Contracts, weather: Weather) -> Floats:
    """Chance that a customer decides today to leave; those on annual terms only near renewal."""
    tenure = state.day - contracts.paid_since
    log_odds = CHURN + weather.appetite[2] + weather.rival
    log_odds += 4 * (weather.price / contracts.price - 1) * np.maximum(traits.thrift, 0)
    log_odds += 2.8 * np.clip(state.fall - 0.3, 0, 1.2) - 1.0 * np.clip(state.mood, -2, 1)
    log_odds += 2.5 * _loss(state) * np.where(state.users < 4, 1.2, 0.8)
    log_odds += 0.4 * traits.frailty + 0.8 * np.clip(state.intent, -1, 2.0) - 0.5 * traits.fit
    log_odds += 0.7 * np.exp(-np.maximum(tenure, 0) / 50)
    log_odds += -1.1 * np.clip(state.engagement, -2.0, 0.8)
    log_odds += np.where(traits.thrift > 0.5, 0.6, 0) * np.minimum(state.pricing_interest, 2)
    log_odds += 1.2 * (state.tickets_open > 1) + usable(state, contracts) @ planted("churn")
    log_odds += 1.5 * (contracts.failed_since != NEVER) + 2.9 * (contracts.months == 12)
    return np.where(_may_leave(state, contracts), FLOOR + logistic(log_odds), 0.0)


def downgrade(state: State, contracts: Contracts) -> Floats:
    """Chance that a renewal is for fewer seats: where many of them stand empty."""
    empty = 1 - state.seated / np.maximum(contracts.seats, 1)
    return np.where(empty > 0.35, 0.03 + 0.1 * logistic(-2 * state.engagement), 0.0)


def payment_fails(traits: Traits) -> Floats:
    """Chance that a renewal's payment fails."""
    return logistic(-4.1 + 0.9 * traits.card_risk)


def return_(state: State, contracts: Contracts) -> Floats:
    """Chance that a former customer comes back today."""
    return np.where(contracts.former, 0.0006 * (1 + state.champion), 0.0)


def room_above(contracts: Contracts) -> Flags:
    """Whether there is a higher plan."""
    return np.asarray(contracts.plan < ENTERPRISE)


def _dear(rise: float | Floats, traits: Traits) -> Floats:
    """What a rise in price (a share) takes from the log-odds: little from most, more if thrifty."""
    return np.asarray(rise * (0.3 + 1.2 * traits.thrift))


def _trial_ends(state: State, contracts: Contracts) -> Flags:
    left = contracts.term_end - state.day
    return np.asarray(contracts.trial & (left <= 4))


def _loss(state: State) -> Floats:
    """The weight of a champion's leaving: nothing for ten days, then fading over sixty."""
    since = state.since_loss - 10
    return np.where((since > 0) & ~state.champion, np.exp(-np.maximum(since, 0) / 60), 0.0)


def _may_leave(state: State, contracts: Contracts) -> Flags:
    left = contracts.term_end - state.day
    near = (contracts.months == 1) | (left <= RENEWAL_WINDOW)
    return np.asarray(contracts.paying & ~contracts.leaving & near)
