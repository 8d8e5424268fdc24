"""Past observations whose outcome is known, told by why they scored as they did: `cases.json`.

From the test months, which the model never saw. An account stands there by a digest of its id, so
that the file names nobody: only who holds the accounts can say whose case it was.
"""

import base64
import hashlib
from typing import Any

import numpy as np

from training.fitting.calibrate import contributions
from training.fitting.fit import Fitted
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
    signals = list(dict.fromkeys(names))
    given = contributions(fitted.booster, data.X, threads)[:, :-1]
    parts = np.zeros((len(rows), len(signals)))
    np.add.at(parts.T, [signals.index(name) for name in names], given.T)
    observed = task.rows.iloc[rows]
    return {
        "signals": signals,
        "accounts": [digest(account) for account in observed["account_id"]],
        "as_of": [str(day) for day in data.as_of],
        "outcome": data.y.astype(int).tolist(),
        "parts": base64.b64encode(parts.astype("<f2").tobytes()).decode("ascii"),
    }


def digest(account: str) -> str:
    """What an account is called in the file: 64 bits of the sha256 of its id.

    >>> digest("acc_1")
    'd20de1051f11687f'
    """
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:16]
