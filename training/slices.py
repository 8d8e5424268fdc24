"""Parts of the test rows that a reader asks about, each told only where it can be."""

from collections.abc import Mapping

import numpy as np

from training.dataset import Dataset, Floats, Mask
from training.evaluate import Bootstrap, Figure, aucs, figure

FEWEST = 50  # positives, and as many negatives
BANDS: Mapping[str, tuple[str, tuple[float, ...], tuple[str, ...]]] = {
    "contract": ("billing_months", (1.5,), ("paid by the month", "paid for longer")),
    "renewal": ("days_to_renewal", (30.5, 90.5),
                ("renewal within 30 days", "renewal in 31 to 90 days", "renewal later")),
    "size": ("employees", (49.5, 249.5),
             ("under 50 employees", "50 to 249 employees", "250 employees and more")),
    "tenure": ("tenure_days", (90.5, 365.5),
               ("customer for up to 90 days", "customer for 91 to 365 days",
                "customer for over a year")),
}  # fmt: skip
WORDS = {"plan": "plan_name", "channel": "channel"}


def masks(test: Dataset, seen: Mask) -> dict[str, Mask]:
    """Name → rows: seen and never-seen accounts, contract, renewal, plan, size, tenure, channel.

    `seen`: the rows whose account was learnt from. Only what the table has columns for.
    """
    found = {"accounts seen in training": seen, "accounts never seen": ~seen}
    for column, edges, names in BANDS.values():
        values = test.column(column)
        if values is not None:
            bands = np.where(np.isnan(values), -1, np.searchsorted(edges, values))
            found |= {name: bands == place for place, name in enumerate(names)}
    for what, column in WORDS.items():
        found |= _by_word(test, what, column)
    return found


def _by_word(test: Dataset, what: str, column: str) -> dict[str, Mask]:
    values = test.column(column)
    if values is None:
        return {}
    words = test.columns[test.names.index(column)].vocabulary or ()
    return {f"{what} {word}": values == place for place, word in enumerate(words)}


def tellable(y: Floats, rows: Mask) -> bool:
    """Whether a slice holds enough of both."""
    ones = y[rows].sum()
    return bool(min(ones, rows.sum() - ones) >= FEWEST)


def sliced(
    margin: Floats, test: Dataset, sample: Bootstrap, parts: Mapping[str, Mask]
) -> dict[str, Figure]:
    """AUC within each slice that holds at least 50 positives (and as many negatives)."""
    return {
        name: figure(within(margin, test, sample, rows))
        for name, rows in parts.items()
        if tellable(test.y, rows)
    }


def within(margin: Floats, test: Dataset, sample: Bootstrap, rows: Mask) -> Floats:
    """The AUC among some rows, for each resample."""
    return aucs(margin[rows], test.y[rows], sample.take(rows))
