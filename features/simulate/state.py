"""What changes in an account from day to day, and how: hidden, but shown by its events."""

from dataclasses import dataclass

import numpy as np

from features.simulate.billing import Contracts
from features.simulate.offer import (
    ADOPTABLE,
    EXPORTS,
    INCLUDED,
    NEVER,
    REPORTS_IN_28_DAYS,
    Flags,
    Floats,
    Ints,
    logistic,
)
from features.simulate.traits import Traits
from features.simulate.truth import SEQUENCES

FADING, STEADY, GROWING = range(3)
REGIME_PULL = np.array([-1.7, 0.0, 0.8])
METER_DAYS = 28


@dataclass
class State:
    """One entry per account; `day` counts from the first simulated day."""

    day: int
    regime: Ints
    engagement: Floats
    usual: Floats  # its own engagement of late: a slow mean
    champion: Flags
    champion_slot: Ints
    since_loss: Floats  # days since the champion left
    users: Ints
    left: Ints  # how many of the users have left
    slot_gone: Flags  # one per user slot of all accounts
    adopted: Flags
    mood: Floats
    tickets_open: Ints
    limit_memory: Floats
    pricing_interest: Floats
    intent: Floats  # slow intent to leave
    holiday: Ints  # days of benign silence still to come
    metered: Ints  # reports by account and day of the meter's window
    over_limit: Flags
    reported: Ints  # the day of the first report (NEVER: none so far)
    invited: Ints  # and of the first invitation

    @property
    def seated(self) -> Ints:
        """How many users there are today."""
        return self.users - self.left

    @property
    def fall(self) -> Floats:
        """How far engagement is below its own usual level (0 where it is not)."""
        return np.maximum(self.usual - self.engagement, 0)


def first_state(traits: Traits, rng: np.random.Generator) -> State:
    """The state of every account on the day it signs up."""
    count = len(traits)
    engagement = 0.5 + 0.35 * traits.fit + traits.spirit + rng.normal(0, 0.3, count)
    return State(
        day=0,
        regime=np.full(count, STEADY),
        engagement=engagement,
        usual=engagement.copy(),
        champion=np.ones(count, dtype=bool),
        champion_slot=np.zeros(count, dtype=np.int64),
        since_loss=np.full(count, 1e4),
        users=np.ones(count, dtype=np.int64),
        left=np.zeros(count, dtype=np.int64),
        slot_gone=np.zeros(int(traits.potential.sum()), dtype=bool),
        adopted=rng.random((count, len(ADOPTABLE))) < 0.08,
        mood=np.zeros(count),
        tickets_open=np.zeros(count, dtype=np.int64),
        limit_memory=np.zeros(count),
        pricing_interest=rng.gamma(0.6, 0.5, count),
        intent=np.zeros(count),
        holiday=np.zeros(count, dtype=np.int64),
        metered=np.zeros((count, METER_DAYS), dtype=np.int64),
        over_limit=np.zeros(count, dtype=bool),
        reported=np.full(count, NEVER),
        invited=np.full(count, NEVER),
    )


def live_through_day(
    state: State, traits: Traits, contracts: Contracts, rng: np.random.Generator
) -> None:
    """Move every account that has signed up on by one day, in place."""
    here = traits.day <= state.day
    _switch_regimes(state, contracts, here, rng)
    _move_engagement(state, traits, contracts, here, rng)
    _champions_leave_and_arrive(state, traits, here, rng)
    _take_up_features(state, traits, here, rng)
    _take_holidays(state, here, rng)
    _turn_to_prices(state, traits, contracts, here, rng)
    _think_of_leaving(state, traits, here, rng)


def _switch_regimes(
    state: State, contracts: Contracts, here: Flags, rng: np.random.Generator
) -> None:
    dice = rng.random(len(here))
    strain = 1 + 1.5 * ~state.champion + np.maximum(-state.mood, 0)
    to_fade = np.where(contracts.paying, 0.0035, 0.011) * strain
    steady = here & (state.regime == STEADY)
    fades = steady & (dice < to_fade)
    grows = steady & (dice > 1 - 0.004 * state.champion)
    settles = here & (state.regime == GROWING) & (dice < 0.009)
    recovers = here & (state.regime == FADING) & (dice < 0.005)
    state.regime[fades] = FADING
    state.regime[grows] = GROWING
    state.regime[settles | recovers] = STEADY


def _move_engagement(
    state: State, traits: Traits, contracts: Contracts, here: Flags, rng: np.random.Generator
) -> None:
    goal = REGIME_PULL[state.regime] + 0.25 * traits.fit + traits.spirit + 0.3 * state.mood
    goal = goal - 0.5 * ~state.champion - 0.5 * np.maximum(state.intent, 0)
    goal = goal - 2.5 * contracts.former
    pull = np.where(contracts.former, 0.15, 0.05)
    step = pull * (goal - state.engagement) + rng.normal(0, 0.09, len(here))
    state.engagement[here] += step[here]
    state.usual[here] += 0.013 * (state.engagement - state.usual)[here]


def _champions_leave_and_arrive(
    state: State, traits: Traits, here: Flags, rng: np.random.Generator
) -> None:
    dice = rng.random(len(here))
    state.since_loss += 1
    leaves = (traits.day < state.day) & state.champion & (dice < 0.0028)
    slot = (traits.first_slot + state.champion_slot)[leaves]
    state.slot_gone[slot] = True
    state.left[leaves] += 1
    state.champion[leaves] = False
    state.since_loss[leaves] = 0
    comes = here & ~state.champion & (dice > 1 - 0.009 * (state.users > 1))
    heir = (state.champion_slot + 1) % np.maximum(state.users, 1)
    free = ~state.slot_gone[traits.first_slot + heir]
    state.champion[comes & free] = True
    state.champion_slot[comes] = heir[comes]


def _take_up_features(state: State, traits: Traits, here: Flags, rng: np.random.Generator) -> None:
    chance = traits.leaning * (0.0035 * np.exp(0.4 * state.engagement))[:, None]
    new = rng.random(state.adopted.shape) < chance
    state.adopted |= new & here[:, None]


def _take_holidays(state: State, here: Flags, rng: np.random.Generator) -> None:
    state.holiday = np.maximum(state.holiday - 1, 0)
    leaves = here & (state.holiday == 0) & (rng.random(len(here)) < 0.006)
    state.holiday[leaves] = rng.integers(5, 24, int(leaves.sum()))


def _turn_to_prices(
    state: State, traits: Traits, contracts: Contracts, here: Flags, rng: np.random.Generator
) -> None:
    """Interest in prices comes from need, from thrift and from mere curiosity."""
    need = 0.004 + 0.008 * np.minimum(state.limit_memory, 3) * (state.regime == GROWING)
    need = need + 0.004 * np.maximum(state.intent, 0) + 0.02 * contracts.trial
    curious = rng.random(len(here)) < need + 0.004
    state.pricing_interest[here] *= 0.974
    state.pricing_interest[here & curious] += rng.gamma(2.0, 0.6, int((here & curious).sum()))


def _think_of_leaving(state: State, traits: Traits, here: Flags, rng: np.random.Generator) -> None:
    goal = 0.5 * traits.frailty - 0.6 * state.mood + 0.7 * np.minimum(state.fall, 1.5)
    goal = goal + 0.5 * (~state.champion & (state.since_loss > 10))
    step = 0.03 * (goal - state.intent) + rng.normal(0, 0.05, len(here))
    state.intent[here] += step[here]


@dataclass(frozen=True)
class Burden:
    """What tickets weigh on each account: severity of new ones, open ones, long unanswered ones."""

    trouble: Floats
    open: Ints
    waiting: Ints


def feel_tickets(state: State, burden: Burden, hit: Floats, rng: np.random.Generator) -> None:
    """Tickets weigh on the mood until they are closed, slow answers more; and so do incidents.

    `hit`: how many incidents each account felt today.
    """
    state.tickets_open = burden.open
    shock = 0.2 * burden.trouble + 0.05 * np.minimum(burden.open, 4) + 0.12 * hit
    shock = shock + 0.15 * np.minimum(burden.waiting, 3)
    state.mood += 0.025 * (0.3 - state.mood) - shock + rng.normal(0, 0.06, len(shock))
    np.clip(state.mood, -2.5, 1.0, out=state.mood)


def usable(state: State, contracts: Contracts) -> Flags:
    """Accounts x adoptable features: what each has taken up and its plan includes."""
    return np.asarray(state.adopted & INCLUDED[contracts.plan])


def meter(state: State, contracts: Contracts, reports: Ints, hits: Ints) -> None:
    """Book today's reports on the meter and remember the limits that were hit."""
    state.metered[:, state.day % METER_DAYS] = reports
    state.over_limit = state.metered.sum(axis=1) >= REPORTS_IN_28_DAYS[contracts.plan]
    state.limit_memory = 0.965 * state.limit_memory + 0.4 * np.minimum(hits, 3)


def remember_firsts(state: State, reports: Ints, invitations: Ints) -> None:
    """Note the day of each account's first report and first invitation."""
    state.reported[(reports > 0) & (state.reported == NEVER)] = state.day
    state.invited[(invitations > 0) & (state.invited == NEVER)] = state.day


def began_well(state: State, traits: Traits) -> Flags:
    """Whether an account did all of the planted sequence soon enough after its sign-up."""
    until = traits.day + SEQUENCES["pql"].within_days
    done = (state.reported != NEVER) & (state.invited != NEVER)
    return np.asarray(done & (state.reported < until) & (state.invited < until))


def export_urge(state: State) -> Floats:
    """How much more than usual an account exports: those about to leave take their data along.

    At most threefold; column `EXPORTS` of the adoptable features.
    """
    return np.asarray(1 + 2 * logistic(3 * (state.intent - 0.9)) * state.adopted[:, EXPORTS])
