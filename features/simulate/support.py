"""Support: tickets that are opened, answered and mostly closed, and what people say when asked.

Slow answers and open tickets weigh on the hidden mood; the scores that people give show it, with
much noise.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from features.simulate.batch import NOBODY, SECOND_US, Batch, named
from features.simulate.emit import Sessions
from features.simulate.offer import CODE, DAY_US, HOUR_US, NEVER, Flags, Floats, Ints, logistic
from features.simulate.state import Burden, State
from features.simulate.traits import Traits

USUAL_HOURS = 7.0
CLOSED_A_DAY = 0.3
NEVER_CLOSED = 0.06
FORGOTTEN_DAYS = 45
SURVEY_DAYS = 90
ASKED, ANSWERED, RATED = 0.08, 0.35, 0.3  # shares of sessions, of those asked, of tickets closed


@dataclass(frozen=True)
class Tickets:
    """One entry per ticket that somebody still thinks of; times in microseconds."""

    account: Ints
    slot: Ints  # who opened it
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


@dataclass
class Desk:
    """The tickets at hand, and the day on which each user slot was last asked for a score."""

    tickets: Tickets
    asked: Ints


def open_desk(traits: Traits) -> Desk:
    """No tickets yet, and nobody was ever asked."""
    none = np.zeros(0, dtype=np.int64)
    tickets = Tickets(none, none, none, none, none, none.astype(bool))
    return Desk(tickets, np.full(int(traits.potential.sum()), NEVER))


def take_in(
    desk: Desk, batch: Batch, state: State, incident: bool, rng: np.random.Generator
) -> Tickets:
    """Take the tickets that were opened in `batch`; their severity is written into its values."""
    rows = np.flatnonzero(batch.code == CODE["ticket_opened"])
    account, opened = batch.account[rows], batch.time[rows]
    grave = logistic(-0.9 - 0.3 * state.mood[account] + 0.9 * incident)
    severity = 1 + rng.binomial(3, grave)
    batch.value[rows] = severity
    pace = rng.normal(0.8 * incident - 0.35 * (severity - 2), 1.2)
    hours = (USUAL_HOURS * np.exp(pace)).clip(0.2, 240)
    answered = opened + (hours * HOUR_US).astype(np.int64)
    stuck = rng.random(len(rows)) < NEVER_CLOSED
    new = Tickets(account, batch.slot[rows], severity, opened, answered, stuck)
    desk.tickets = _together(desk.tickets, new)
    return new


def _together(*parts: Tickets) -> Tickets:
    return Tickets(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Tickets)))


def serve(desk: Desk, state: State, rng: np.random.Generator) -> list[Batch]:
    """What the support team does today: answers, and closes what was answered before today."""
    tickets, midnight = desk.tickets, state.day * DAY_US
    today = (tickets.answered >= midnight) & (tickets.answered < midnight + DAY_US)
    ready = (tickets.answered < midnight) & ~tickets.stuck
    closed = ready & (rng.random(len(ready)) < CLOSED_A_DAY)
    forgotten = tickets.opened < midnight - FORGOTTEN_DAYS * DAY_US
    desk.tickets = tickets[~closed & ~forgotten]
    return [_answers(tickets[today], rng), *_closures(tickets[closed], state, rng)]


def _answers(tickets: Tickets, rng: np.random.Generator) -> Batch:
    nobody = np.full(len(tickets.account), NOBODY)
    return named(
        "ticket_answered", tickets.answered, tickets.account, nobody, rng, value=tickets.hours
    )


def _closures(tickets: Tickets, state: State, rng: np.random.Generator) -> list[Batch]:
    """Tickets closed in working hours; whoever opened one may rate how it went."""
    count = len(tickets.account)
    time = state.day * DAY_US + rng.integers(8 * HOUR_US, 20 * HOUR_US, count)
    nobody = np.full(count, NOBODY)
    rates = (rng.random(count) < RATED) & ~state.slot_gone[tickets.slot]
    slow = np.log2(tickets.hours / USUAL_HOURS).clip(-3, 3)
    liked = 4.0 + 0.5 * state.mood[tickets.account] - 0.3 * slow + rng.normal(0, 0.8, count)
    later = time + rng.integers(5 * 60 * SECOND_US, 3 * HOUR_US, count)
    closed = named("ticket_closed", time, tickets.account, nobody, rng)
    account, slot = tickets.account[rates], tickets.slot[rates]
    score = _score(liked[rates], 1, 5)
    return [closed, named("csat_answered", later[rates], account, slot, rng, value=score)]


def survey(desk: Desk, sessions: Sessions, state: State, rng: np.random.Generator) -> Batch:
    """Ask some of today's users how likely they are to recommend us; some of them answer.

    Nobody is asked again within `SURVEY_DAYS`.
    """
    due = desk.asked[sessions.slot] <= state.day - SURVEY_DAYS
    rows = np.flatnonzero(due & (rng.random(len(due)) < ASKED))
    rows = rows[np.unique(sessions.slot[rows], return_index=True)[1]]
    desk.asked[sessions.slot[rows]] = state.day
    rows = rows[rng.random(len(rows)) < ANSWERED]
    account = sessions.account[rows]
    time = sessions.start[rows] + rng.integers(90, 400, len(rows)) * SECOND_US
    liking = 7.3 + 1.5 * state.mood[account] + 0.5 * state.engagement[account]
    score = _score(liking + rng.normal(0, 1.8, len(rows)), 0, 10)
    return named("nps_answered", time, account, sessions.slot[rows], rng, value=score)


def _score(liking: Floats, least: int, most: int) -> Floats:
    return np.round(liking).clip(least, most)


def burden(desk: Desk, new: Tickets, state: State) -> Burden:
    """What tickets weigh on each account at the end of the day."""
    tickets, count = desk.tickets, len(state.mood)
    tonight = (state.day + 1) * DAY_US
    waits = (tickets.answered > tonight) & (tickets.opened < tonight - DAY_US)
    return Burden(
        trouble=_summed(new.account, new.severity, count),
        open=np.bincount(tickets.account, minlength=count),
        waiting=np.bincount(tickets.account[waits], minlength=count),
    )


def _summed(account: Ints, weight: Ints, count: int) -> Floats:
    return np.bincount(account, weights=weight, minlength=count).astype(np.float64)
