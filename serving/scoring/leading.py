"""Which signals push each account's score up most: made once for a state, for lists of accounts."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.scoring.score import by_signal
from serving.scoring.scorer import Scorer, in_blocks

Rows = NDArray[np.intp]

BLOCK = 25  # the API's requests wait for a block at most: about 10 ms
SHOWN = 2


@dataclass(frozen=True)
class Leading:
    """`top[row]`: indices into the model's signals, the largest push upwards first, -1 for none."""

    scorer: Scorer
    top: Rows


def leading(scorer: Scorer, former: Leading | None = None) -> Leading:
    """The leading signals of every account; what the former one knew of the same rows stays."""
    top = np.full((len(scorer.chances), SHOWN), -1, dtype=np.intp)
    asked = ~np.isnan(scorer.chances)
    if former is not None and (same := _unchanged(scorer, former.scorer)).any():
        top[same] = former.top[same[: len(former.top)].nonzero()[0]]
        asked &= ~same
    for block in in_blocks(np.flatnonzero(asked).tolist(), BLOCK):
        rows = scorer.encoder.rows(scorer.snapshot.table, np.array(block, dtype=np.intp))
        top[block] = largest(by_signal(scorer.model, scorer.model.contributions(rows)))
        time.sleep(0.0005)  # whoever waits for the model goes first
    return Leading(scorer, top)


def largest(parts: NDArray[np.float64], count: int = SHOWN) -> Rows:
    """Of each row the indices of its largest parts above zero, -1 where there is none.

    >>> largest(np.array([[0.1, -0.5, 0.3], [-1.0, 0.2, 0.0]])).tolist()
    [[2, 0], [1, -1]]
    """
    order = np.argsort(-parts, axis=1, kind="stable")[:, :count]
    padded = np.full((len(parts), count), -1, dtype=np.intp)
    padded[:, : order.shape[1]] = np.where(np.take_along_axis(parts, order, axis=1) > 0, order, -1)
    return padded


def _unchanged(scorer: Scorer, former: Scorer) -> NDArray[np.bool_]:
    """Which rows the same model saw just so before, of the same night's snapshot."""
    same = np.zeros(len(scorer.chances), dtype=bool)
    if scorer.model is not former.model or scorer.snapshot.version != former.snapshot.version:
        return same
    now, then = scorer.snapshot.table.matrix, former.snapshot.table.matrix
    both = min(len(now), len(then))
    alike = ((now[:both] == then[:both]) | (np.isnan(now[:both]) & np.isnan(then[:both]))).all(1)
    same[:both] = alike & ~np.isnan(scorer.chances[:both]) & ~np.isnan(former.chances[:both])
    return same
