"""What people say when asked: scores that show the hidden mood, with much noise."""

import numpy as np

from features.simulate.batch import NOBODY, SECOND_US, Batch, named
from features.simulate.emit import Sessions
from features.simulate.offer import DAY_US, HOUR_US, Floats, Ints
from features.simulate.state import State
from features.simulate.support import USUAL_HOURS, Tickets

SURVEY_DAYS = 90
ASKED, ANSWERED, RATED = 0.08, 0.35, 0.3  # shares of sessions, of those asked, of tickets closed


def closures(tickets: Tickets, state: State, rng: np.random.Generator) -> list[Batch]:
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


def survey(asked: Ints, sessions: Sessions, state: State, rng: np.random.Generator) -> Batch:
    """Ask some of today's users how likely they are to recommend us; some of them answer.

    `asked`: the day on which each slot was last asked, changed in place: nobody is asked again
    within `SURVEY_DAYS`.
    """
    due = asked[sessions.slot] <= state.day - SURVEY_DAYS
    rows = np.flatnonzero(due & (rng.random(len(due)) < ASKED))
    rows = rows[np.unique(sessions.slot[rows], return_index=True)[1]]
    asked[sessions.slot[rows]] = state.day
    rows = rows[rng.random(len(rows)) < ANSWERED]
    account = sessions.account[rows]
    time = sessions.start[rows] + rng.integers(90, 400, len(rows)) * SECOND_US
    liking = 7.3 + 1.5 * state.mood[account] + 0.5 * state.engagement[account]
    score = _score(liking + rng.normal(0, 1.8, len(rows)), 0, 10)
    return named("nps_answered", time, account, sessions.slot[rows], rng, value=score)


def _score(liking: Floats, least: int, most: int) -> Floats:
    return np.round(liking).clip(least, most)
