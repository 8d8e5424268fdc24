"""Which raising signals each account's reasons begin with: made once for a state, for lists."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.scoring import steady
from serving.scoring.scorer import Scorer, in_blocks

Rows = NDArray[np.intp]

BLOCK = 25  # the API's requests wait for a block at most: about 10 ms
SHOWN = 2


@dataclass(frozen=True)
class Leading:
    """`top[row]`: indices into the model's signals, in the order of `steady.shown`, -1 for none.

    The first two are signals that one can act on, the third is context.
    """

    scorer: Scorer
    top: Rows


def leading(scorer: Scorer, former: Leading | None = None) -> Leading:
    """The leading signals of every account; what the former one knew of the same rows stays."""
    signals = scorer.model.signals
    top = np.full((len(scorer.chances), SHOWN + 1), -1, dtype=np.intp)
    context = np.array([signal in scorer.context for signal in signals], dtype=bool)
    asked = ~np.isnan(scorer.chances)
    if former is not None and (same := _unchanged(scorer, former.scorer)).any():
        top[same] = former.top[same[: len(former.top)].nonzero()[0]]
        asked &= ~same
    for block in in_blocks(np.flatnonzero(asked).tolist(), BLOCK):
        which = np.array(block, dtype=np.intp)
        inputs = scorer.encoder.rows(scorer.snapshot.table, which)
        parts = scorer.parts_of(which, inputs)[:, :-1]
        held = [scorer.shown_before(row) for row in block]
        both = [
            steady.leading(np.where(mine, parts, 0.0), signals, held, count)
            for mine, count in ((~context, SHOWN), (context, 1))
        ]
        top[block] = np.column_stack(both)
        time.sleep(0.0005)  # whoever waits for the model goes first
    return Leading(scorer, top)


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
