"""Past observations with their outcomes, from the bundle's `cases.json`: whom an account is like.

Two are alike when the model's reasons are: by the distance of their contributions by signal, in
log-odds.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.pseudonym import pseudonym

FILE = "cases.json"
FEWEST = 100
NEAREST = 50


@dataclass(frozen=True)
class Case:
    """One past observation; `account` is a pseudonym, `shared` the signals that made both alike."""

    account: str
    as_of: date
    happened: bool
    shared: tuple[str, ...]


@dataclass(frozen=True)
class Cases:
    """Past observations of a model, the oldest first; `parts` has a row of signals for each."""

    signals: tuple[str, ...]
    accounts: tuple[str, ...]
    days: tuple[date, ...]
    happened: NDArray[np.bool_]
    parts: NDArray[np.float32]

    @property
    def rate(self) -> float:
        """How often it happened in all of them."""
        return float(self.happened.mean())

    def nearest(self, parts: NDArray[np.float64], account_id: str) -> list[Case]:
        """The most similar cases of as many other accounts, the nearest first.

        `parts`: the log-odds by signal of the account that is looked at. [] where there are too
        few cases to say anything.
        """
        if len(self.accounts) < FEWEST:
            return []
        distance = ((self.parts - parts) ** 2).sum(axis=1)
        found, own = dict[str, int](), pseudonym(account_id)
        for row in np.argsort(distance, kind="stable").tolist():
            if len(found) == NEAREST:
                break
            if self.accounts[row] != own:
                found.setdefault(self.accounts[row], row)
        return [self._case(row, parts) for row in found.values()]

    def _case(self, row: int, parts: NDArray[np.float64]) -> Case:
        both = self.parts[row] * parts
        leading = [self.signals[i] for i in np.argsort(-both, kind="stable")[:2] if both[i] > 0]
        happened = bool(self.happened[row])
        return Case(self.accounts[row], self.days[row], happened, tuple(leading))


def assemble(told: Mapping[str, Any], signals: Sequence[str]) -> Cases:
    """What `cases.json` says; ValueError when it does not fit the model or itself."""
    accounts, days = (
        tuple(map(str, told["accounts"])),
        tuple(map(date.fromisoformat, told["as_of"])),
    )
    happened = np.array(told["outcome"], dtype=np.float64)
    flat = np.frombuffer(base64.b64decode(told["parts"], validate=True), dtype="<f2")
    if list(signals) != told["signals"]:
        raise ValueError("cases.json with other signals than schema.json")
    if not len(accounts) == len(days) == len(happened) == flat.size / len(signals):
        raise ValueError("cases.json with lists of different lengths")
    if not (np.isfinite(flat).all() and np.isin(happened, (0.0, 1.0)).all()):
        raise ValueError("cases.json with numbers that are not as they should be")
    parts = flat.reshape(-1, len(signals)).astype(np.float32)
    parts.setflags(write=False)
    return Cases(tuple(signals), accounts, days, happened == 1.0, parts)
