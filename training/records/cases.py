"""Past observations whose outcome is known, told by why they scored as they did: `cases.json`.

From the test months, which the model never saw. An account stands there by a digest of its id, so
that the file names nobody: only who holds the accounts can say whose case it was.
"""

import base64
from typing import Any

import numpy as np

from features.pseudonym import pseudonym
from training.fitting.calibrate import contributions
from training.fitting.fit import Fitted
from training.judging.stability import by_signal
from training.prepare import Task

MOST = 4_000


def cases(task: Task, fitted: Fitted, seed: int, threads: int) -> dict[str, Any]:
    """The file: of at most `MOST` test rows, by day, the account's digest, as_of and outcome.

    `parts` are their contributions by signal, in `signals`' order: float16, little-endian, base64.
    """
    rows = np.flatnonzero(task.split.test)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    data = task.data.take(rows)
    names = [c.signal for c in data.columns]
    parts = by_signal(contributions(fitted.booster, data.X, threads), names)
    observed = task.rows.iloc[rows]
    return {
        "signals": list(dict.fromkeys(names)),
        "accounts": [pseudonym(account) for account in observed["account_id"]],
        "as_of": [str(day) for day in data.as_of],
        "outcome": data.y.astype(int).tolist(),
        "parts": base64.b64encode(parts.astype("<f2").tobytes()).decode("ascii"),
    }
