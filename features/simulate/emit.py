"""What the product records of one day: deeds turned into events, with noise."""

from dataclasses import dataclass

import numpy as np

from features.simulate.batch import NOBODY, SECOND_US, Batch, arriving, named
from features.simulate.billing import Contracts
from features.simulate.deeds import Deeds, ease, mix_of, start_times
from features.simulate.offer import CODE, Floats, Ints, logistic
from features.simulate.state import State
from features.simulate.traits import Traits

FIRST_ACTION = CODE["dashboard_viewed"]


@dataclass(frozen=True)
class Sessions:
    """One entry per session of the day; `at_hand` is one user slot per account, or NOBODY."""

    account: Ints
    slot: Ints
    start: Ints
    at_hand: Ints


def place_sessions(
    deeds: Deeds, state: State, traits: Traits, rng: np.random.Generator
) -> Sessions:
    """Who sits down to work today, and when."""
    account = np.repeat(np.arange(len(traits)), deeds.sessions)
    return Sessions(
        account,
        pick_users(state, traits, account, rng),
        start=start_times(state.day, traits, account, rng),
        at_hand=pick_users(state, traits, np.arange(len(traits)), rng),
    )


def pick_users(state: State, traits: Traits, account: Ints, rng: np.random.Generator) -> Ints:
    """A user slot for each entry, or NOBODY where all have left.

    The champion does nearly half of the work; the longer somebody is there, the more.
    """
    users, first = state.users[account], traits.first_slot[account]
    pick = (users * rng.random(len(account)) ** 1.5).astype(np.int64)
    champion = state.champion[account] & (rng.random(len(account)) < 0.45)
    pick = np.where(champion, state.champion_slot[account], pick)
    for _ in range(int(users.max(initial=0))):
        gone = state.slot_gone[first + pick]
        if not gone.any():
            break
        pick = np.where(gone, (pick + 1) % users, pick)
    return np.where(state.slot_gone[first + pick], NOBODY, first + pick)


def work(
    sessions: Sessions,
    deeds: Deeds,
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
        _actions(sessions, deeds, mix_of(state, traits, contracts), rng),
    ]


def _at(
    sessions: Sessions, rows: np.ndarray, event: str, seconds: int, rng: np.random.Generator
) -> Batch:
    account, slot = sessions.account[rows], sessions.slot[rows]
    return named(event, sessions.start[rows] + seconds * SECOND_US, account, slot, rng)


def _actions(sessions: Sessions, deeds: Deeds, mix: Floats, rng: np.random.Generator) -> Batch:
    of = _spread(sessions.account, deeds, rng)
    length = np.bincount(of, minlength=len(sessions.account))
    gap = rng.exponential(100, len(of)).clip(4, 1500)
    passed = np.cumsum(gap)
    first = np.cumsum(length) - length
    offset = passed - (passed[first] - gap[first])[of]
    time = sessions.start[of] + (offset * SECOND_US).astype(np.int64)
    account = sessions.account[of]
    code = FIRST_ACTION + _choose(mix, account, rng)
    return arriving(time, account, sessions.slot[of], _reports(code, account, deeds, rng), rng)


def _spread(account: Ints, deeds: Deeds, rng: np.random.Generator) -> Ints:
    """The session of each action: one each, and the rest at random (all ways alike)."""
    edges = np.concatenate([[0.0], np.cumsum(rng.exponential(1, len(account)))])
    begin = np.cumsum(deeds.sessions) - deeds.sessions
    extra = np.repeat(np.arange(len(begin)), deeds.actions - deeds.sessions)
    low, high = edges[begin[extra]], edges[begin[extra] + deeds.sessions[extra]]
    at = low + rng.random(len(extra)) * (high - low)
    chosen = np.searchsorted(edges, at, side="right") - 1
    last = begin[extra] + deeds.sessions[extra] - 1
    return np.sort(np.concatenate([np.arange(len(account)), np.minimum(chosen, last)]))


def _choose(mix: Floats, account: Ints, rng: np.random.Generator) -> Ints:
    edges = np.cumsum(mix, axis=1)[:, :-1]
    return np.asarray((rng.random(len(account))[:, None] > edges[account]).sum(axis=1))


def _reports(code: Ints, account: Ints, deeds: Deeds, rng: np.random.Generator) -> Ints:
    """Make as many actions of each account reports, or limits hit, as it did."""
    order = np.lexsort((rng.random(len(code)), account))
    begin = np.cumsum(deeds.actions) - deeds.actions
    place = np.empty(len(code), dtype=np.int64)
    place[order] = np.arange(len(code))
    place -= begin[account]
    refused, reports = deeds.refused[account], deeds.reports[account]
    tried = np.where(place < refused, CODE["limit_hit"], CODE["report_created"])
    return np.where(place < refused + reports, tried, code)


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
        alone = start_times(state.day, traits, account, rng)
        time = np.where(start[account] >= 0, start[account], alone)
        time = time + rng.integers(40, 600, len(account)) * SECOND_US
        who = np.full(len(account), NOBODY) if nobodys else slot[account]
        batches.append(named(event, time, account, who, rng))
    return batches


def odd_counts(state: State, contracts: Contracts, rng: np.random.Generator) -> dict[str, Ints]:
    """How often each account looks at prices, changes settings and so on today."""
    easily = ease(state, contracts)
    there = easily > 0
    uneasy = 0.1 * (state.intent > 1)
    return {
        "pricing_viewed": rng.poisson(0.14 * np.minimum(state.pricing_interest, 3) * there),
        "settings_changed": rng.poisson((0.03 * state.champion + uneasy) * easily),
        "role_changed": rng.poisson(0.007 * state.users**0.5 * easily),
        "notification_shown": rng.poisson(0.03 * there),
    }
