"""Who joins an account: invitations, and seats that run out."""

from dataclasses import dataclass, field

import numpy as np

from features.simulate.billing import Contracts
from features.simulate.offer import DAY_US, HOUR_US, Ints
from features.simulate.state import State
from features.simulate.traits import Traits


@dataclass
class Members:
    """Everybody who ever joined: user slots, and when (microseconds)."""

    slots: list[Ints] = field(default_factory=list)
    accounts: list[Ints] = field(default_factory=list)
    joined: list[Ints] = field(default_factory=list)

    def add(self, slots: Ints, accounts: Ints, joined: Ints) -> None:
        """Note that users joined."""
        self.slots.append(slots)
        self.accounts.append(accounts)
        self.joined.append(joined)


def found(members: Members, traits: Traits, who: Ints) -> None:
    """The first user of each new account joins as it signs up."""
    members.add(traits.first_slot[who], who, traits.created[who])


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
    here = (traits.day < state.day) & ~contracts.former
    wants = here & (rng.random(len(room)) < wish)
    full = state.users >= contracts.seats
    joins = np.flatnonzero(wants & ~full & (rng.random(len(room)) < 0.7))
    when = state.day * DAY_US + rng.integers(12 * HOUR_US, 23 * HOUR_US, len(joins))
    members.add(traits.first_slot[joins] + state.users[joins], joins, when)
    state.users[joins] += 1
    return (wants & ~full).astype(np.int64), (wants & full).astype(np.int64)
