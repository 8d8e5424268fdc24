"""The filters of a queue: which accounts pass them, and what each offers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from serving.console.views.asked import RENEWALS, SIZES, Asked
from serving.console.views.desk import Desk, Queue
from serving.console.views.words import Words

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """One option of a filter, with how many accounts of the whole queue it would leave."""

    value: str
    text: str
    count: int
    chosen: bool


def matching(desk: Desk, queue: Queue, asked: Asked, settled: Collection[str]) -> Mask:
    """Which accounts of a queue are asked for; `settled`: those that its reader is done with."""
    wanted = np.ones(len(queue.rows), dtype=bool)
    if asked.q:
        wanted &= np.array([asked.q.casefold() in text for text in queue.haystack], dtype=bool)
    if asked.plan:
        wanted &= queue.plans == asked.plan
    if asked.owner:
        wanted &= queue.owners == asked.owner
    if asked.grade:
        wanted &= np.isin(queue.grades, asked.grade)
    if asked.reason in queue.scorer.model.signals:
        wanted &= (queue.top == queue.scorer.model.signals.index(asked.reason)).any(axis=1)
    if asked.size:
        wanted &= _sized(queue, asked.size)
    if asked.renewal:
        away = days_to_renewal(desk, queue)
        wanted &= (away >= 0) & (away <= asked.renewal)
    if asked.new:
        wanted &= waiting(queue, settled)
    return wanted


def choices(desk: Desk, words: Words, asked: Asked) -> dict[str, tuple[Choice, ...]]:
    """What each filter offers: only what the queue holds."""
    queue = desk.queues[words.model]
    found = {"grade": _counted(queue.grades, asked.grade), "plan": _words(queue.plans, asked.plan)}
    found["owner"] = _words(queue.owners, asked.owner)
    found["reason"] = _reasons(queue, asked)
    found["size"] = tuple(
        Choice(name, f"{name.replace('-', '–')}{'' if most else ' or more'}", n, name == asked.size)
        for name, (_, most) in SIZES.items()
        if (n := int(_sized(queue, name).sum()))
    )
    if words.renews:
        away = days_to_renewal(desk, queue)
        found["renewal"] = tuple(
            Choice(str(n), f"within {n} days", int(((away >= 0) & (away <= n)).sum()),
                   n == asked.renewal)
            for n in RENEWALS
        )  # fmt: skip
    return found


def waiting(queue: Queue, settled: Collection[str]) -> Mask:
    """Which accounts wait for a look."""
    row_of = queue.scorer.snapshot.table.row_of
    done = [row_of[account] for account in settled if account in row_of]
    return ~np.isin(queue.rows, done)


def days_to_renewal(desk: Desk, queue: Queue) -> NDArray[np.float64]:
    """Days from the scoring day; -1 where nothing renews."""
    table = queue.scorer.snapshot.table
    as_of = date.fromisoformat(table.as_of)
    ends = (desk.known.renewals.get(table.ids[row]) for row in queue.rows.tolist())
    return np.array([(end - as_of).days if end else -1 for end in ends], dtype=np.float64)


def _sized(queue: Queue, size: str) -> Mask:
    table, (least, most) = queue.scorer.snapshot.table, SIZES[size]
    if "employees" not in table.column_of:
        return np.zeros(len(queue.rows), dtype=bool)
    employees = table.matrix[queue.rows, table.column_of["employees"]]
    return (employees >= least) & (employees <= (most or np.inf))


def _counted(values: NDArray[np.str_], chosen: tuple[str, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(g, g, int((values == g).sum()), g in chosen) for g in ("A", "B", "C", "D"))


def _words(values: NDArray[np.str_], chosen: str) -> tuple[Choice, ...]:
    names, counts = np.unique(values[values != ""], return_counts=True)
    pairs = zip(names.tolist(), counts.tolist(), strict=True)
    return tuple(Choice(name, name, count, name == chosen) for name, count in pairs)


def _reasons(queue: Queue, asked: Asked) -> tuple[Choice, ...]:
    model, wordings = queue.scorer.model, queue.scorer.snapshot.wordings
    used, counts = np.unique(queue.top[queue.top >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        Choice(model.signals[s], wordings[model.signals[s]].label, int(n),
               model.signals[s] == asked.reason)
        for s, n in zip(used[order].tolist(), counts[order].tolist(), strict=True)
    )  # fmt: skip
