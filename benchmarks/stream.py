"""Simulated events, a day at a time: skewed activity, a weekly rhythm, sessions, late arrival."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.company import EVENTS, event_shares

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
RHYTHM = np.array([1.15, 1.25, 1.25, 1.2, 1.0, 0.35, 0.3])
"""Activity by weekday, Monday first."""
EVENTS_A_SESSION = 7.0
LATE_SHARE = 0.01
VALUES = {"ticket_opened": 4, "ticket_answered": 48, "nps_answered": 10, "csat_answered": 5,
          "lesson_watched": 20}  # fmt: skip
"""Events that carry a value, with the largest one."""


@dataclass(frozen=True)
class People:
    """The users whose events are drawn: arrays of one length, users of one account together.

    `account`: the number of the account; `first`, `last`: the days (from day 0 of the world) on
    which a user may act, the last one excluded; `rate`: sessions on an average day.
    """

    account: np.ndarray
    first: np.ndarray
    last: np.ndarray
    rate: np.ndarray


def scaled(people: People, events: float, days: int, weekday: int) -> People:
    """The same people, busy enough for about so many events in `days` days from `weekday` on."""
    so_far = np.concatenate([[0.0], np.cumsum(RHYTHM[(np.arange(days) + weekday) % 7])])
    first, last = people.first.clip(0, days), people.last.clip(0, days)
    expected = (people.rate * (so_far[last] - so_far[first])).sum() * EVENTS_A_SESSION
    return People(people.account, people.first, people.last, people.rate * events / expected)


def daily_events(
    people: People, days: int, weekday: int, start_us: int, seed: int
) -> Iterator[pd.DataFrame]:
    """The events of each day in the order of time; only one day is in memory.

    Columns: account, user (numbers), event (a number into EVENTS), event_us, known_us, value.
    """
    carried = None
    for day in range(days):
        rng = np.random.default_rng([seed, day])
        rhythm = RHYTHM[(day + weekday) % 7]
        drawn = _sessions(people, day, rhythm, start_us + day * DAY_US, rng)
        found = drawn if carried is None else pd.concat([carried, drawn])
        is_later = found["event_us"] >= start_us + (day + 1) * DAY_US
        carried = found[is_later]
        yield found[~is_later].sort_values("event_us", kind="stable", ignore_index=True)


def _sessions(
    people: People, day: int, rhythm: float, midnight_us: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Every event of the sessions that begin on one day; some end after its midnight."""
    here = (people.first <= day) & (day < people.last)
    sessions = rng.poisson(np.where(here, people.rate * rhythm, 0.0))
    user = np.repeat(np.arange(len(sessions)), sessions)
    begins = midnight_us + _moments(len(user), rng)
    length = rng.geometric(1.0 / EVENTS_A_SESSION, len(user))
    gaps = _gaps(int(length.sum()), rng)
    ends = np.cumsum(length)
    total = np.cumsum(gaps)
    before_session = total[ends - length] if len(length) else total
    event_us = np.repeat(begins - before_session, length) + total
    event = rng.choice(len(EVENTS), size=len(gaps), p=event_shares())
    who = np.repeat(user, length)
    return pd.DataFrame(
        {
            "account": people.account[who],
            "user": who,
            "event": event,
            "event_us": event_us,
            "known_us": event_us + _delays(len(gaps), rng),
            "value": _values(event, rng),
        }
    )


def _moments(n: int, rng: np.random.Generator) -> np.ndarray:
    """When sessions begin: mostly in working hours, one in ten at any time of the day."""
    hours = np.where(rng.random(n) < 0.1, rng.uniform(0, 24, n), rng.normal(13, 3, n) % 24)
    return (hours * 3600e6).astype("int64")


def _gaps(n: int, rng: np.random.Generator) -> np.ndarray:
    """Microseconds between events: minutes; one in thirty is a pause of about half an hour."""
    pause = rng.random(n) < 1 / 30
    minutes = np.where(pause, rng.normal(32, 8, n).clip(5), rng.exponential(2.5, n))
    return (minutes * MINUTE_US).astype("int64") + 1


def _delays(n: int, rng: np.random.Generator) -> np.ndarray:
    """Microseconds until an event is known: seconds, or one to three days for one in a hundred."""
    late = rng.random(n) < LATE_SHARE
    days = rng.uniform(1, 3, n) * DAY_US
    return np.where(late, days, rng.exponential(2e6, n)).astype("int64")


def _values(event: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers from 1 for the events that carry a value, else missing."""
    largest = np.array([VALUES.get(name, 0) for name in EVENTS])[event]
    return np.where(largest > 0, np.ceil(rng.random(len(event)) * largest), np.nan)
