"""Every fault that can be switched on, by name."""

from collections.abc import Sequence

import numpy as np

from features.errors import InputError
from features.simulate.faults.arrival import Duplicates, Late, Skew
from features.simulate.faults.crm import Backfill, Merges
from features.simulate.faults.fault import Fault, Scene
from features.simulate.faults.missing import AdBlock, Outage, Stopped
from features.simulate.faults.wrong import Bots, Rename

# In the order in which they act: what is lost cannot be late, what is late can come twice.
FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        Rename, Bots, Outage, AdBlock, Stopped, Merges, Skew, Late, Duplicates, Backfill,
    )
}  # fmt: skip


def switched_on(names: Sequence[str], scene: Scene, seed: int) -> list[Fault]:
    """The faults of these names, each with dice of its own: one changes nothing in another."""
    for name in names:
        if name not in FAULTS:
            raise InputError(
                f"fault '{name}'",
                expected=f"one of {', '.join(FAULTS)}",
                do="Name one of these; `goldpan simulate --help` says what each does.",
            )
    order = list(FAULTS)
    return [
        FAULTS[name](scene, np.random.default_rng([seed, 3, order.index(name)]))
        for name in order
        if name in names
    ]
