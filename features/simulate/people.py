"""Who joins an account and who leaves it: invitations, seats that run out, turnover."""

from dataclasses import dataclass, field

import numpy as np

from features.simulate.offer import DAY_US, HOUR_US, Ints
from features.simulate.state import State
from features.simulate.traits import Traits

TURNOVER = 0.0006  # share of an account's users who leave in a day, besides its champion


@dataclass
class Members:
    """Everybody who joined (user slot, account, microseconds) and who left (slot, microseconds)."""

    joined: list[tuple[Ints, Ints, Ints]] = field(default_factory=list)
    left: list[tuple[Ints, Ints]] = field(default_factory=list)

    def note_founders(self, traits: Traits, day: int) -> None:
        """The first user of each new account joins as it signs up."""
        who = np.flatnonzero(traits.day == day)
        self.joined.append((traits.first_slot[who], who, traits.created[who]))

    def note_joins(self, state: State, traits: Traits, who: Ints, rng: np.random.Generator) -> None:
        """One more user of each of the accounts `who`: seen in the events from tomorrow on."""
        when = state.day * DAY_US + rng.integers(12 * HOUR_US, 23 * HOUR_US, len(who))
        self.joined.append((traits.first_slot[who] + state.users[who], who, when))

    def note_leavers(self, slots: Ints, day: int, rng: np.random.Generator) -> None:
        """Whoever leaves today is not seen in today's events, nor later."""
        when = day * DAY_US + rng.integers(8 * HOUR_US, 20 * HOUR_US, len(slots))
        self.left.append((slots, when))


def leave(state: State, traits: Traits, rng: np.random.Generator) -> Ints:
    """Let some users leave; returns the slots of all who leave today, champions among them."""
    champions = np.flatnonzero(state.since_loss == 0)
    lost = np.flatnonzero(rng.random(len(traits)) < TURNOVER * state.users)
    pick = (state.users[lost] * rng.random(len(lost))).astype(np.int64)
    slot = traits.first_slot[lost] + pick
    stays = state.slot_gone[slot] | (pick == state.champion_slot[lost])
    state.slot_gone[slot[~stays]] = True
    state.left[lost[~stays]] += 1
    return np.concatenate([(traits.first_slot + state.champion_slot)[champions], slot[~stays]])
