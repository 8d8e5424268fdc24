"""Many futures of the same accounts, rolled out side by side from one morning.

The outcome asked for never happens in them; what its chance was each day is booked instead, so
that every future tells of every account, however rare the outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from features.simulate.billing import Contracts
from features.simulate.commerce import GIVE_UP_DAYS, LATER, RECOVERED
from features.simulate.hazards import Chances, payment_fails
from features.simulate.living import Day, World, begin_day, end_day
from features.simulate.offer import Flags, Floats, Ints
from features.simulate.support import Tickets

LANES = 50_000  # accounts x futures side by side: more would leave the processor's cache


@dataclass
class Booking:
    """`mass[t, lane]`: the chance that the outcome comes about t to t + 1 days after the morning.

    `alive`: the chance, by lane, that neither it nor a competing one has been decided on so far.
    """

    mass: Floats
    alive: Floats
    morning: int


def book_conversion(book: Booking, lanes: World, today: Day, chances: Chances) -> None:
    """A prospect that decides to pay pays at once."""
    _at_once(book, lanes.state.day, book.alive * chances.convert)


def book_upgrade(book: Booking, lanes: World, today: Day, chances: Chances) -> None:
    """An upgrade is at once; whoever decides to leave, or is left unpaid, never upgrades."""
    book.alive[today.lost] = 0
    _at_once(book, lanes.state.day, book.alive * chances.upgrade)
    book.alive *= 1 - chances.churn
    book.alive[today.renewed] *= 1 - _never_pays(lanes)[today.renewed]


def book_churn(book: Booking, lanes: World, today: Day, chances: Chances) -> None:
    """Unpaid accounts end today; of those who decide to leave, many at the end of their term."""
    unpaid = np.zeros(len(book.alive))
    unpaid[today.lost] = book.alive[today.lost]
    _at_once(book, lanes.state.day, unpaid)
    leaves = book.alive * chances.churn * (1 - chances.upgrade)
    later = leaves * np.where(lanes.contracts.months == 12, 1.0, LATER)
    _at_once(book, lanes.state.day, leaves - later)
    who = np.flatnonzero(later)
    _later(book, who, lanes.contracts.term_end[who] - 1, later[who])  # a term ends at midnight
    renewed = today.renewed
    unpaid = book.alive[renewed] * _never_pays(lanes)[renewed]
    _later(book, renewed, np.full(len(renewed), lanes.state.day + GIVE_UP_DAYS), unpaid)


def _never_pays(lanes: World) -> Floats:
    """The chance that a renewal is not paid for and ends so: no such failure begins in futures."""
    return np.asarray(payment_fails(lanes.traits) * (1 - RECOVERED) ** GIVE_UP_DAYS)


def _later(book: Booking, who: Ints, day: Ints, mass: Floats) -> None:
    ahead = day - book.morning
    inside = ahead < len(book.mass)
    book.mass[ahead[inside], who[inside]] += mass[inside]
    book.alive[who] -= mass


def _at_once(book: Booking, day: int, mass: Floats) -> None:
    book.mass[day - book.morning] += mass
    book.alive -= mass


Book = Callable[[Booking, World, Day, Chances], None]


@dataclass(frozen=True)
class Question:
    """Whom an outcome is asked of, what does not happen in its futures, and how it is booked.

    `effort`: so many times the usual number of futures are rolled. What customers decide hangs on
    rarer turns (a champion lost, a limit met while growing): with 64 futures the noise alone took
    the slope of what happened on what was foretold to .86 for upgrades and .92 for churn.
    """

    asked_of: Callable[[World, int], Flags]
    suppressed: tuple[str, ...]
    book: Book
    effort: int = 1


def _prospects(world: World, day: int) -> Flags:
    return world.contracts.prospect & ~world.traits.internal & (world.traits.day < day)


def _staying(world: World, day: int) -> Flags:
    return np.asarray(world.contracts.paying & ~world.contracts.leaving)


QUESTIONS = {
    "pql": Question(_prospects, ("convert",), book_conversion),
    "upgrade": Question(_staying, ("upgrade", "churn"), book_upgrade, effort=4),
    "churn": Question(_staying, ("churn",), book_churn, effort=4),
}


def chances_ahead(
    world: World, question: Question, days: int, futures: int, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """The accounts asked and, days x accounts, the chance that the outcome comes on each day.

    `world` is as it was on the evening before; it stays as it is.
    """
    morning = world.state.day + 1
    who = np.flatnonzero(question.asked_of(world, morning))
    rolled = left = futures * question.effort
    total = np.zeros((days, len(who)))
    while left and len(who):
        copies = min(left, max(1, LANES // len(who)))
        lanes = _branch(world, who, copies, rng)
        mass = _roll(lanes, question, morning, days).mass
        total += mass.reshape(days, copies, len(who)).sum(axis=1)
        left -= copies
    return who, total / rolled


def _roll(lanes: World, question: Question, morning: int, days: int) -> Booking:
    count = len(lanes.traits)
    book = Booking(np.zeros((days, count)), np.ones(count), morning)
    today = np.tile(lanes.climate.incidents[morning - 1], (count, 1))
    for day in range(morning, morning + days):
        weather = lanes.climate.might_be(day, today, lanes.rng)
        today = weather.incidents
        begun = begin_day(lanes, day, weather, spared_from=morning)
        question.book(book, lanes, begun, end_day(lanes, begun, question.suppressed))
    return book


def _branch(world: World, who: Ints, copies: int, rng: np.random.Generator) -> World:
    """`copies` of the accounts `who`, one set after the other, each free to go its own way."""
    lanes = np.tile(who, copies)
    potential = world.traits.potential[lanes]
    first = np.cumsum(potential) - potential
    slots = np.arange(int(potential.sum())) + np.repeat(
        world.traits.first_slot[lanes] - first, potential
    )
    traits = replace(_taken(world.traits, lanes), first_slot=first)
    state = _taken(replace(world.state, slot_gone=np.zeros(len(world.traits), bool)), lanes)
    state.slot_gone = world.state.slot_gone[slots]
    contracts: Contracts = replace(_taken(world.contracts, lanes), log=[])
    return World(world.climate, traits, state, contracts, _tickets(world, who, copies), rng)


def _taken(what: Any, lanes: Ints) -> Any:
    """The same record (traits, state, contracts) of other accounts: each array is by account."""
    values = {f.name: getattr(what, f.name) for f in fields(what)}
    taken = {n: v[lanes] for n, v in values.items() if isinstance(v, np.ndarray) and v.ndim}
    return replace(what, **taken)


def _tickets(world: World, who: Ints, copies: int) -> Tickets:
    place = np.full(len(world.traits), -1)
    place[who] = np.arange(len(who))
    mine = world.tickets[place[world.tickets.account] >= 0]
    count = len(mine.account)
    many = mine[np.tile(np.arange(count), copies)]
    shift = np.repeat(np.arange(copies) * len(who), count)
    return replace(many, account=place[many.account] + shift)
