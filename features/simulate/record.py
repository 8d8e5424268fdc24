"""What the company's systems record of a day, with noise.

With dice of its own, so that nothing it does changes what happens.
"""

from dataclasses import dataclass

import numpy as np

from features.simulate import emit, surveys
from features.simulate.batch import NOBODY, Batch, joined, named
from features.simulate.living import Day, World
from features.simulate.offer import NEVER, Ints
from features.simulate.people import Members
from features.simulate.state import State


@dataclass
class Recorder:
    """`members` so far, when each user slot was last asked for a score (a day), and the dice."""

    members: Members
    asked: Ints
    rng: np.random.Generator


def open_records(world: World, seed: int) -> Recorder:
    """Nothing is recorded yet, and nobody was ever asked."""
    asked = np.full(int(world.traits.potential.sum()), NEVER)
    return Recorder(Members(), asked, np.random.default_rng([seed, 1]))


def record(recorder: Recorder, world: World, today: Day) -> Batch:
    """The events of a day that has begun, before it ends; who joined and left is noted."""
    state, traits, rng = world.state, world.traits, recorder.rng
    recorder.members.note_founders(traits, state.day)
    recorder.members.note_leavers(today.left, state.day, rng)
    sessions = emit.place_sessions(today.deeds, state, traits, rng)
    worked = emit.work(sessions, today.deeds, state, traits, world.contracts, rng)
    counts = emit.odd_counts(state, world.contracts, rng)
    counts["payment_failed"] = today.retried
    counts["invitation_sent"], counts["limit_hit"] = today.deeds.invitations, today.deeds.full
    aside = emit.aside(sessions, counts, state, traits, rng)
    recorder.members.note_joins(state, traits, today.deeds.joins, rng)
    said = surveys.survey(recorder.asked, sessions, state, rng)
    return joined([*worked, *aside, *_support(sessions, state, today, rng), said])


def _support(
    sessions: emit.Sessions, state: State, today: Day, rng: np.random.Generator
) -> list[Batch]:
    """Tickets opened, answered and closed, and how their closing was liked."""
    new, answered = today.deeds.tickets, today.served.answered
    new.slot[:] = sessions.at_hand[new.account]
    still = today.served.remaining
    fresh = still.slot == NOBODY
    still.slot[fresh] = sessions.at_hand[still.account[fresh]]
    nobody = np.full(len(answered.account), NOBODY)
    grave = new.severity.astype(np.float64)
    return [
        named("ticket_opened", new.opened, new.account, new.slot, rng, value=grave),
        named(
            "ticket_answered",
            answered.answered,
            answered.account,
            nobody,
            rng,
            value=answered.hours,
        ),
        *surveys.closures(today.served.closed, state, rng),
    ]
