"""Support: tickets that are opened, answered and mostly closed.

Slow answers and open tickets weigh on the hidden mood.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from features.simulate.batch import NOBODY
from features.simulate.offer import DAY_US, HOUR_US, Flags, Floats, Ints, logistic
from features.simulate.state import Burden, State

USUAL_HOURS = 7.0
CLOSED_A_DAY = 0.3
NEVER_CLOSED = 0.06
FORGOTTEN_DAYS = 45


@dataclass(frozen=True)
class Tickets:
    """One entry per ticket that somebody still thinks of; times in microseconds."""

    account: Ints
    slot: Ints  # who opened it; NOBODY until it is recorded
    severity: Ints  # 1: low, to 4: urgent
    opened: Ints
    answered: Ints  # when it is, or will be
    stuck: Flags  # nobody will ever close it

    def __getitem__(self, rows: np.ndarray) -> Self:
        """Some of the tickets."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def hours(self) -> Floats:
        """Hours to the first answer."""
        return np.asarray((self.answered - self.opened) / HOUR_US)


@dataclass(frozen=True)
class Served:
    """What the support team does in one day, and the tickets that remain."""

    answered: Tickets
    closed: Tickets
    remaining: Tickets


def no_tickets() -> Tickets:
    """Nobody has asked for help yet."""
    none = np.zeros(0, dtype=np.int64)
    return Tickets(none, none, none, none, none, none.astype(bool))


def opened(
    account: Ints, time: Ints, mood: Floats, hit: Floats, rng: np.random.Generator
) -> Tickets:
    """New tickets: graver where the mood is bad or an incident felt; grave ones answered sooner."""
    struck = np.minimum(hit, 1)
    severity = 1 + rng.binomial(3, logistic(-0.9 - 0.3 * mood + 0.9 * struck))
    pace = rng.normal(0.8 * struck - 0.35 * (severity - 2), 1.2)
    hours = (USUAL_HOURS * np.exp(pace)).clip(0.2, 240)
    answered = time + (hours * HOUR_US).astype(np.int64)
    stuck = rng.random(len(account)) < NEVER_CLOSED
    return Tickets(account, np.full(len(account), NOBODY), severity, time, answered, stuck)


def serve(tickets: Tickets, new: Tickets, day: int, rng: np.random.Generator) -> Served:
    """Answer today's, and close some of what was answered before today."""
    tickets, midnight = _together(tickets, new), day * DAY_US
    today = (tickets.answered >= midnight) & (tickets.answered < midnight + DAY_US)
    ready = (tickets.answered < midnight) & ~tickets.stuck
    closed = ready & (rng.random(len(ready)) < CLOSED_A_DAY)
    forgotten = tickets.opened < midnight - FORGOTTEN_DAYS * DAY_US
    return Served(tickets[today], tickets[closed], tickets[~closed & ~forgotten])


def _together(*parts: Tickets) -> Tickets:
    return Tickets(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Tickets)))


def burden(tickets: Tickets, new: Tickets, state: State) -> Burden:
    """What tickets weigh on each account at the end of the day."""
    count, tonight = len(state.mood), (state.day + 1) * DAY_US
    waits = (tickets.answered > tonight) & (tickets.opened < tonight - DAY_US)
    return Burden(
        trouble=np.bincount(new.account, weights=new.severity, minlength=count).astype(np.float64),
        open=np.bincount(tickets.account, minlength=count),
        waiting=np.bincount(tickets.account[waits], minlength=count),
    )
