"""What the product records of one day: hidden state turned into events, with noise."""

from dataclasses import dataclass

import numpy as np

from features.simulate import words
from features.simulate.batch import NOBODY, SECOND_US, Batch, arriving, named
from features.simulate.billing import Contracts
from features.simulate.offer import (
    ACTIONS,
    ADOPTABLE,
    CODE,
    DAY_US,
    EXPORTS,
    HOUR_US,
    Floats,
    Ints,
    logistic,
)
from features.simulate.state import State, export_urge, usable
from features.simulate.traits import Traits

MOST_SESSIONS = 14
BASE_WEIGHTS = np.array(list(ACTIONS.values()))
ADOPTABLE_COLUMNS = np.array([list(ACTIONS).index(name) for name in ADOPTABLE])
FIRST_ACTION = CODE["dashboard_viewed"]
HOURS = np.array(words.COUNTRY_HOURS)


@dataclass(frozen=True)
class Sessions:
    """One entry per session of the day; `at_hand` is one user slot per account, or NOBODY."""

    account: Ints
    slot: Ints
    start: Ints
    at_hand: Ints


def draw_sessions(state: State, traits: Traits, pace: float, rng: np.random.Generator) -> Sessions:
    """Who sits down to work today, and when; `pace` is the day's share of a usual day."""
    rate = 0.31 * pace * state.users**0.7 * np.exp(traits.volume + 0.85 * state.engagement)
    rate = np.where(state.holiday > 0, 0.04, 1) * rate * (traits.day <= state.day)
    count = rng.poisson(rate).clip(0, MOST_SESSIONS)
    account = np.repeat(np.arange(len(traits)), count)
    slot = _pick_users(state, traits, account, rng)
    present = ~state.slot_gone[slot]
    account, slot = account[present], slot[present]
    return Sessions(
        account,
        slot,
        start=_start_times(state.day, traits, account, rng),
        at_hand=_at_hand(state, traits, rng),
    )


def _at_hand(state: State, traits: Traits, rng: np.random.Generator) -> Ints:
    """Somebody of each account who may act outside a session today."""
    slot = _pick_users(state, traits, np.arange(len(traits)), rng)
    return np.where(state.slot_gone[slot], NOBODY, slot)


def _pick_users(state: State, traits: Traits, account: Ints, rng: np.random.Generator) -> Ints:
    """The champion does nearly half of the work; the longer somebody is there, the more."""
    users = state.users[account]
    pick = (users * rng.random(len(account)) ** 1.5).astype(np.int64)
    champion = state.champion[account] & (rng.random(len(account)) < 0.45)
    pick = np.where(champion, state.champion_slot[account], pick)
    first = traits.first_slot[account]
    gone = state.slot_gone[first + pick]
    return np.asarray(first + np.where(gone, (pick + 1) % users, pick))


def _start_times(day: int, traits: Traits, account: Ints, rng: np.random.Generator) -> Ints:
    local = 7.5 + 11 * rng.beta(2, 2, len(account))
    utc = (local - HOURS[traits.country[account]]) % 24
    start = day * DAY_US + (utc * HOUR_US).astype(np.int64)
    return np.maximum(start, traits.created[account] + 30 * SECOND_US)


def work(
    sessions: Sessions,
    state: State,
    traits: Traits,
    contracts: Contracts,
    rng: np.random.Generator,
) -> list[Batch]:
    """The events inside the sessions: a login, then actions minutes apart, and notifications."""
    logins = rng.random(len(sessions.start)) < 0.85
    shown = rng.random(len(sessions.start)) < 0.3
    click = logistic(-1.3 + 0.6 * state.engagement + 0.6 * state.mood)[sessions.account]
    clicked = shown & (rng.random(len(click)) < click)
    return [
        _at(sessions, logins, "login", 0, rng),
        _at(sessions, shown, "notification_shown", 15, rng),
        _at(sessions, clicked, "notification_clicked", 25, rng),
        _actions(sessions, state, _mix(state, traits, contracts), rng),
    ]


def _at(
    sessions: Sessions, rows: np.ndarray, event: str, seconds: int, rng: np.random.Generator
) -> Batch:
    account, slot = sessions.account[rows], sessions.slot[rows]
    return named(event, sessions.start[rows] + seconds * SECOND_US, account, slot, rng)


def _actions(sessions: Sessions, state: State, mix: Floats, rng: np.random.Generator) -> Batch:
    depth = 0.22 * np.exp(-0.25 * state.engagement[sessions.account])
    length = rng.geometric(depth.clip(0.12, 0.5))
    of = np.repeat(np.arange(len(length)), length)
    gap = rng.exponential(100, len(of)).clip(4, 1500)
    passed = np.cumsum(gap)
    first = np.cumsum(length) - length
    offset = passed - (passed[first] - gap[first])[of]
    time = sessions.start[of] + (offset * SECOND_US).astype(np.int64)
    account = sessions.account[of]
    code = FIRST_ACTION + _choose(mix, account, rng)
    return arriving(time, account, sessions.slot[of], _limited(state, account, code, rng), rng)


def _mix(state: State, traits: Traits, contracts: Contracts) -> Floats:
    """Accounts x actions: how likely each is."""
    weights = np.tile(BASE_WEIGHTS, (len(traits), 1))
    weights[:, ADOPTABLE_COLUMNS] *= usable(state, contracts) * np.exp(0.4 * traits.affinity)
    weights[:, ADOPTABLE_COLUMNS[EXPORTS]] *= export_urge(state)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _choose(mix: Floats, account: Ints, rng: np.random.Generator) -> Ints:
    edges = np.cumsum(mix, axis=1)[:, :-1]
    return np.asarray((rng.random(len(account))[:, None] > edges[account]).sum(axis=1))


def _limited(state: State, account: Ints, code: Ints, rng: np.random.Generator) -> Ints:
    """Reports beyond the plan's allowance mostly end at the limit."""
    over = state.over_limit[account] & (code == CODE["report_created"])
    return np.where(over & (rng.random(len(code)) < 0.6), CODE["limit_hit"], code)


def aside(
    sessions: Sessions,
    counts: dict[str, Ints],
    state: State,
    traits: Traits,
    rng: np.random.Generator,
) -> list[Batch]:
    """Events counted by account, placed in a session of that account where it has one today.

    Where nobody is left to do them, only payments fail.
    """
    start, slot = np.full(len(traits), NOBODY), sessions.at_hand.copy()
    start[sessions.account], slot[sessions.account] = sessions.start, sessions.slot
    batches = []
    for event, count in counts.items():
        nobodys = event == "payment_failed"
        account = np.repeat(np.arange(len(traits)), np.where(nobodys | (slot >= 0), count, 0))
        alone = _start_times(state.day, traits, account, rng)
        time = np.where(start[account] >= 0, start[account], alone)
        time = time + rng.integers(40, 600, len(account)) * SECOND_US
        who = np.full(len(account), NOBODY) if nobodys else slot[account]
        batches.append(named(event, time, account, who, rng))
    return batches


def odd_counts(
    state: State, contracts: Contracts, incident: bool, rng: np.random.Generator
) -> dict[str, Ints]:
    """How often each account looks at prices, opens tickets and so on today."""
    active = (contracts.status >= 0) & ~contracts.former & (state.holiday == 0)
    ease = np.exp(0.3 * state.engagement) * active
    tickets = np.exp(-4.3 + 0.3 * np.minimum(state.tickets_open, 3) + 1.3 * incident)
    uneasy = 0.1 * (state.intent > 1)
    return {
        "pricing_viewed": rng.poisson(0.14 * np.minimum(state.pricing_interest, 3) * active),
        "ticket_opened": rng.poisson(tickets * state.users**0.5 * ease),
        "settings_changed": rng.poisson((0.03 * state.champion + uneasy) * ease),
        "role_changed": rng.poisson(0.007 * state.users**0.5 * ease),
        "notification_shown": rng.poisson(0.03 * active),
    }
