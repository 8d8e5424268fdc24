"""Events as parallel arrays, and when they reach us."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.simulate.offer import CODE, DAY_US, Floats, Ints

SECOND_US = 1_000_000
LATE_SHARE = 0.01
NOBODY = -1
NAMES = ("time", "known", "account", "slot", "code", "value")


@dataclass(frozen=True)
class Batch:
    """Microseconds, account, user slot (or NOBODY), event code and value (or NaN) of each event."""

    time: Ints
    known: Ints
    account: Ints
    slot: Ints
    code: Ints
    value: Floats

    def __len__(self) -> int:
        """How many events there are."""
        return len(self.time)

    def __getitem__(self, rows: np.ndarray) -> Self:
        """Some of the events."""
        return type(self)(*(getattr(self, name)[rows] for name in NAMES))


def joined(batches: list[Batch]) -> Batch:
    """Several batches as one."""
    return Batch(*(np.concatenate([getattr(b, name) for b in batches]) for name in NAMES))


def named(
    event: str,
    time: Ints,
    account: Ints,
    slot: Ints,
    rng: np.random.Generator,
    value: Floats | None = None,
) -> Batch:
    """Events of one name."""
    return arriving(time, account, slot, np.full(len(time), CODE[event]), rng, value)


def arriving(
    time: Ints,
    account: Ints,
    slot: Ints,
    code: Ints,
    rng: np.random.Generator,
    value: Floats | None = None,
) -> Batch:
    """Nearly all events reach us within seconds; a few one to three days late."""
    late = rng.random(len(time)) < LATE_SHARE
    delay = np.where(late, rng.uniform(1, 3, len(time)) * DAY_US, 0)
    delay = delay + rng.exponential(6 * SECOND_US, len(time))
    said = np.full(len(time), np.nan) if value is None else value
    return Batch(time, time + delay.astype(np.int64), account, slot, code, said)
