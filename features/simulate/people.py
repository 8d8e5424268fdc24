"""Who joins an account and who leaves it: invitations, seats that run out, turnover."""

from dataclasses import dataclass, field

import numpy as np

from features.simulate.billing import Contracts
from features.simulate.offer import DAY_US, HOUR_US, Ints
from features.simulate.state import State
from features.simulate.traits import Traits

TURNOVER = 0.0006  # share of an account's users who leave in a day, besides its champion


@dataclass
class Members:
    """Everybody who joined (user slot, account, microseconds) and who left (slot, microseconds)."""

    joined: list[tuple[Ints, Ints, Ints]] = field(default_factory=list)
    left: list[tuple[Ints, Ints]] = field(default_factory=list)


def found(members: Members, traits: Traits, who: Ints) -> None:
    """The first user of each new account joins as it signs up."""
    members.joined.append((traits.first_slot[who], who, traits.created[who]))


def leave(members: Members, state: State, traits: Traits, rng: np.random.Generator) -> None:
    """Note the champions who leave today, and let some of the other users leave as well.

    Whoever leaves today is not seen in today's events, nor later.
    """
    champions = np.flatnonzero(state.since_loss == 0)
    lost = np.flatnonzero(rng.random(len(traits)) < TURNOVER * state.users)
    pick = (state.users[lost] * rng.random(len(lost))).astype(np.int64)
    slot = traits.first_slot[lost] + pick
    stays = state.slot_gone[slot] | (pick == state.champion_slot[lost])
    state.slot_gone[slot[~stays]] = True
    state.left[lost[~stays]] += 1
    slots = np.concatenate([(traits.first_slot + state.champion_slot)[champions], slot[~stays]])
    when = state.day * DAY_US + rng.integers(8 * HOUR_US, 20 * HOUR_US, len(slots))
    members.left.append((slots, when))


def invite(
    members: Members,
    state: State,
    traits: Traits,
    contracts: Contracts,
    rng: np.random.Generator,
) -> tuple[Ints, Ints]:
    """Let accounts ask colleagues in; returns (invitations sent, seat limits hit) by account.

    Whoever joins is seen in the events from the next day on.
    """
    room = 1 - state.users / traits.potential
    wish = 0.05 * np.exp(0.5 * state.engagement) * room * (state.holiday == 0)
    here = (traits.day < state.day) & ~contracts.former & (state.seated > 0)
    wants = here & (rng.random(len(room)) < wish)
    full = state.seated >= contracts.seats
    joins = np.flatnonzero(wants & ~full & (rng.random(len(room)) < 0.7))
    when = state.day * DAY_US + rng.integers(12 * HOUR_US, 23 * HOUR_US, len(joins))
    members.joined.append((traits.first_slot[joins] + state.users[joins], joins, when))
    state.users[joins] += 1
    return (wants & ~full).astype(np.int64), (wants & full).astype(np.int64)
