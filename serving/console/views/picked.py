"""Which accounts of a queue are asked for, and in which order: rows of the table."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from serving.console.views.asked import SIZES, Asked
from serving.console.views.desk import Desk
from serving.console.views.lines import STEADY
from serving.console.views.words import Words

Mask = NDArray[np.bool_]
ORDERS = {"expected": "value"}
"""What the address calls an order: what the queues call it, where they differ."""


@dataclass(frozen=True)
class Asker:
    """Who reads a queue; `settled`: what they are done with, `ledger`: where all verdicts are."""

    ledger: Engine | None = None
    settled: Collection[str] = frozenset()


NOBODY = Asker()


def ordered(
    desk: Desk, words: Words, asked: Asked, asker: Asker = NOBODY
) -> tuple[NDArray[np.intp], str]:
    """The rows of the table that are asked for, in the order asked for, and its name."""
    default = "expected" if words.by_money else "probability"
    usable = {key for key, _ in sorts(words)}
    sort = asked.sort if asked.sort in usable else default
    rows = desk.queues.ordered(words.model, ORDERS.get(sort, sort)).rows
    return rows[matching(desk, words.model, asked, asker)[rows]], sort


def matching(desk: Desk, model: str, asked: Asked, asker: Asker = NOBODY) -> Mask:
    """Which rows of the table are asked for."""
    queues = desk.queues
    names = {name: [word] for name in ("plan", "owner") if (word := getattr(asked, name))}
    wanted: Mask = queues.kept(names, -np.inf, np.inf) & ~np.isnan(queues.scorers[model].chances)
    if asked.q:
        wanted &= np.array([asked.q.casefold() in text for text in desk.haystack], dtype=bool)
    if asked.grade:
        wanted &= queues.grades(model).among(asked.grade)
    if asked.reason:
        signals = queues.scorers[model].model.signals
        known = [place for place, signal in enumerate(signals) if signal == asked.reason]
        wanted &= np.isin(desk.leading[model].top, known).any(axis=1)
    if asked.size:
        wanted &= sized(desk, asked.size)
    if asked.renewal:
        wanted &= queues.to_renewal <= asked.renewal
    if asked.moved:
        wanted &= moved(desk, model, asked.moved)
    if asked.new:
        wanted &= waiting(desk, asker)
    return wanted


def sorts(words: Words) -> tuple[tuple[str, str], ...]:
    """The orders that a queue can be in, the usual one first, and what they are called."""
    every = (
        ("expected", words.by_money, bool(words.by_money)),
        ("probability", "probability", True),
        ("movement", "movement", True),
        ("mrr", "MRR", words.has_mrr),
        ("renewal", "renewal", words.renews),
        ("name", "name", True),
    )
    return tuple((key, text) for key, text, used in every if used)


def moved(desk: Desk, model: str, way: str) -> Mask:
    """Which rows moved up or down since a week before."""
    change = desk.queues.scorers[model].chances - desk.queues.before[model][1]
    return change >= STEADY if way == "up" else change <= -STEADY


def sized(desk: Desk, size: str) -> Mask:
    """Which rows are of companies of that size."""
    table, (least, most) = desk.table, SIZES[size]
    if "employees" not in table.column_of:
        return np.zeros(len(table.ids), dtype=bool)
    employees = table.matrix[:, table.column_of["employees"]]
    return (employees >= least) & (employees <= (most or np.inf))


def waiting(desk: Desk, asker: Asker) -> Mask:
    """Which rows wait for a look of who asks."""
    return np.array([account not in asker.settled for account in desk.table.ids], dtype=bool)
