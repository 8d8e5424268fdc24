"""Every queue of one state, made once: arrays by account, so that a page only picks and words."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from serving.api.problems import ProblemError
from serving.console.views.known import Known, known
from serving.ledger.scores import week_before
from serving.scoring.accounts import Snapshot, Table
from serving.scoring.score import by_signal
from serving.scoring.scorer import Scorer, in_blocks
from serving.state import State

Rows = NDArray[np.intp]

BLOCK = 25  # the API's requests wait for a block at most: about 10 ms
SHOWN = 2


@dataclass(frozen=True)
class Queue:
    """All accounts to which a model applies, each array in the same order.

    `before`: the probabilities on `since`, a week ago or more; NaN where there was none.
    `top[i]` are indices into the model's signals, the largest pushes upwards first, -1 for none.
    """

    scorer: Scorer
    rows: NDArray[np.intp]
    probability: NDArray[np.float64]
    mrr: NDArray[np.float64]
    grades: NDArray[np.str_]
    plans: NDArray[np.str_]
    owners: NDArray[np.str_]
    top: NDArray[np.intp]
    haystack: tuple[str, ...]
    before: NDArray[np.float64]
    since: date | None = None

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """Probability × MRR."""
        return self.probability * self.mrr

    @cached_property
    def moved(self) -> NDArray[np.float64]:
        """The probability less that of `since`; NaN where there was none."""
        return self.probability - self.before


@dataclass(frozen=True)
class Desk:
    """The queues of a state, by model, and what is known of its accounts beyond the scores."""

    state: State
    known: Known
    queues: Mapping[str, Queue]

    @property
    def snapshot(self) -> Snapshot:
        """The accounts of the scoring day."""
        found = self.state.snapshot
        assert found is not None  # noqa: S101 - `desk` makes none without
        return found

    @property
    def table(self) -> Table:
        """Their features."""
        return self.snapshot.table


class Desks:
    """The desk of the newest state: made beside what else goes on, the former serves till then."""

    def __init__(self, ledger: Engine | None = None) -> None:
        self.ledger = ledger
        self.lock = Lock()
        self.desk: Desk | None = None
        self.wanted: State | None = None

    def of(self, state: State) -> Desk:
        """A desk; only the first is waited for. ProblemError when there are no accounts."""
        found = self.desk
        if found is None or state.snapshot is None:
            return self._made(state)
        if found.state is not state and self.wanted is not state:
            self.prepare(state)
        return found

    def warm(self, state: Callable[[], State]) -> None:
        """Begin to make the first desk; what fails now is told to whoever opens a page."""
        with suppress(Exception):
            self.prepare(state())

    def prepare(self, state: State) -> None:
        """Begin to make the desk of a state."""
        self.wanted = state
        if state.snapshot is not None:
            Thread(target=self._made, args=(state,), name="console", daemon=True).start()

    def _made(self, state: State) -> Desk:
        with self.lock:
            if self.desk is None or self.desk.state is not state:
                self.desk = desk(state, self.ledger)
            return self.desk


def desk(state: State, ledger: Engine | None = None) -> Desk:
    """Explain and sort all accounts of a state; `ledger`: where their former scores are."""
    if state.snapshot is None:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    told = known(state.snapshot)
    return Desk(state, told, {name: queue(s, told, ledger) for name, s in state.scorers.items()})


def queue(scorer: Scorer, told: Known, ledger: Engine | None) -> Queue:
    """All accounts to which a model applies."""
    table = scorer.snapshot.table
    which = np.flatnonzero(~np.isnan(scorer.chances))
    ids = [table.ids[row] for row in which]
    chances = scorer.chances[which]
    since, then = _then(scorer, ledger)
    return Queue(
        scorer=scorer,
        rows=which,
        probability=chances,
        mrr=np.nan_to_num(table.mrr[which]),
        grades=np.array([scorer.grade_of(p) for p in chances.tolist()], dtype=np.str_),
        plans=np.array([table.contexts[row].plan or "" for row in which], dtype=np.str_),
        owners=np.array([told.owners.get(i, "") for i in ids], dtype=np.str_),
        top=_top(scorer, which),
        haystack=tuple(f"{told.name(i)}\n{i}".casefold() for i in ids),
        before=np.array([then.get(i, np.nan) for i in ids], dtype=np.float64),
        since=since,
    )


def _then(scorer: Scorer, ledger: Engine | None) -> tuple[date | None, dict[str, float]]:
    if ledger is None:
        return None, {}
    today = date.fromisoformat(scorer.snapshot.table.as_of)
    return week_before(ledger, scorer.model.name, today)


def _top(scorer: Scorer, which: Rows) -> Rows:
    tops = [np.empty((0, SHOWN), dtype=np.intp)]
    for block in in_blocks(which.tolist(), BLOCK):
        rows = scorer.encoder.rows(scorer.snapshot.table, np.array(block, dtype=np.intp))
        tops.append(largest(by_signal(scorer.model, scorer.model.contributions(rows))))
        time.sleep(0.0005)  # whoever waits for the model goes first
    return np.concatenate(tops)


def largest(parts: NDArray[np.float64], count: int = SHOWN) -> NDArray[np.intp]:
    """Of each row the indices of its largest parts above zero, -1 where there is none.

    >>> largest(np.array([[0.1, -0.5, 0.3], [-1.0, 0.2, 0.0]])).tolist()
    [[2, 0], [1, -1]]
    """
    order = np.argsort(-parts, axis=1, kind="stable")[:, :count]
    padded = np.full((len(parts), count), -1, dtype=np.intp)
    padded[:, : order.shape[1]] = np.where(np.take_along_axis(parts, order, axis=1) > 0, order, -1)
    return padded
