"""Every queue of one state, made once: arrays by account, so that a page only picks and words."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from features.errors import GoldpanError
from features.workspace import Workspace
from serving.api.problems import ProblemError
from serving.console.views.known import Known, known
from serving.scoring.accounts import Snapshot, Table
from serving.scoring.score import by_signal, grade
from serving.scoring.scorer import Scorer, in_blocks
from serving.state import State

Rows = NDArray[np.intp]

BLOCK = 25  # the API's requests wait for a block at most: about 10 ms
SHOWN = 2


@dataclass(frozen=True)
class Queue:
    """All accounts to which a model applies, each array in the same order.

    `top[i]` are indices into the model's signals, the largest pushes upwards first, -1 for none.
    """

    scorer: Scorer
    rows: NDArray[np.intp]
    probability: NDArray[np.float64]
    mrr: NDArray[np.float64]
    grades: NDArray[np.str_]
    plans: NDArray[np.str_]
    top: NDArray[np.intp]
    haystack: tuple[str, ...]

    @property
    def expected(self) -> NDArray[np.float64]:
        """Probability × MRR."""
        return self.probability * self.mrr


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
    """The desk of the present state: made when the state is new, kept until the next one is."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.lock = Lock()
        self.desk: Desk | None = None

    def of(self, state: State) -> Desk:
        """The desk of a state; ProblemError when the state holds no accounts."""
        found = self.desk
        if found is not None and found.state is state:
            return found
        with self.lock:
            if self.desk is None or self.desk.state is not state:
                self.desk = desk(state, self.workspace)
            return self.desk

    def prepare(self, state: State) -> None:
        """Make the desk beside what else goes on, so that nobody has to wait for it."""
        if state.snapshot is not None:
            Thread(target=self.of, args=(state,), name="console", daemon=True).start()


def desk(state: State, workspace: Workspace) -> Desk:
    """Score, explain and sort all accounts of a state."""
    if state.snapshot is None:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    try:
        told = known(workspace, state.snapshot)
    except GoldpanError as error:
        raise ProblemError("not-ready", str(error)) from None
    return Desk(state, told, {name: queue(s, told) for name, s in state.scorers.items()})


def queue(scorer: Scorer, told: Known) -> Queue:
    """All accounts to which a model applies."""
    table = scorer.snapshot.table
    rows = [row for row in range(len(table.ids)) if scorer.why_not(row) is None]
    which = np.array(rows, dtype=np.intp)
    probability, top = _scored(scorer, which)
    return Queue(
        scorer=scorer,
        rows=which,
        probability=probability,
        mrr=np.nan_to_num(table.mrr[which]),
        grades=np.array([grade(scorer.model, p) for p in probability.tolist()], dtype=np.str_),
        plans=np.array([table.contexts[row].plan or "" for row in rows], dtype=np.str_),
        top=top,
        haystack=tuple(f"{told.name(table.ids[r])}\n{table.ids[r]}".casefold() for r in rows),
    )


def _scored(scorer: Scorer, which: Rows) -> tuple[NDArray[np.float64], Rows]:
    probabilities, tops = [np.empty(0)], [np.empty((0, SHOWN), dtype=np.intp)]
    for block in in_blocks(which.tolist(), BLOCK):
        rows = scorer.encoder.rows(scorer.snapshot.table, np.array(block, dtype=np.intp))
        probabilities.append(scorer.model.predict(rows))
        tops.append(largest(by_signal(scorer.model, scorer.model.contributions(rows))))
        time.sleep(0.0005)  # whoever waits for the model goes first
    return np.concatenate(probabilities), np.concatenate(tops)


def largest(parts: NDArray[np.float64], count: int = SHOWN) -> NDArray[np.intp]:
    """Of each row the indices of its largest parts above zero, -1 where there is none.

    >>> largest(np.array([[0.1, -0.5, 0.3], [-1.0, 0.2, 0.0]])).tolist()
    [[2, 0], [1, -1]]
    """
    order = np.argsort(-parts, axis=1, kind="stable")[:, :count]
    padded = np.full((len(parts), count), -1, dtype=np.intp)
    padded[:, : order.shape[1]] = np.where(np.take_along_axis(parts, order, axis=1) > 0, order, -1)
    return padded
