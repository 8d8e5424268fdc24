"""Which frequencies of use go with renewal, and from where more use goes with no more of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from training.insights.effects import Effect, Floats, share, sums_by
from training.insights.landmarks import Landmarks

FEWEST_ROWS = 30
CONTRACTS = (("all contracts", None), ("monthly", False), ("annual", True))
MEASURES = (
    ("active days a week", "active_days_28d", 4.0, (0.0, 0.01, 1.0, 2.0, 3.0, 4.0, 5.0)),
    ("DAU/MAU", "dau_mau_28d", 1.0, (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
)
"""What is banded: its name, its feature, the divisor of that, and where the bands begin."""
READ = tuple(feature for _, feature, _, _ in MEASURES)
LEVEL = 0.05


@dataclass(frozen=True)
class Band:
    """The terms whose use, two weeks or more before their end, lay in [low, high)."""

    low: float
    high: float | None
    terms: int
    renewed: Effect


@dataclass(frozen=True)
class Frequency:
    """Renewal by band of one measure; bands with fewer than 30 terms are joined to the next.

    `flat_from`: the beginning of the lowest band from which on renewal does not surely differ (the
    first band's: not at all; None: up to the last band it does).
    """

    measure: str
    contracts: str
    bands: tuple[Band, ...]
    flat_from: float | None


def frequencies(found: Landmarks) -> tuple[Frequency, ...]:
    """Renewal by frequency of use: for all terms, and apart for monthly and annual contracts."""
    made = []
    for measure, feature, divisor, edges in MEASURES:
        if feature not in found.rows:
            continue
        for contracts, yearly in CONTRACTS:
            part = found if yearly is None else _of(found, yearly)
            if part is not None and len(part.y) >= 2 * FEWEST_ROWS:
                value = part.rows[feature].fillna(0).to_numpy(dtype=float) / divisor
                made.append(_banded(measure, contracts, value, edges, part))
    return tuple(made)


def _of(found: Landmarks, yearly: bool) -> Landmarks | None:
    if "billing_months" not in found.rows:
        return None
    return found.take(((found.rows["billing_months"] >= 12) == yearly).to_numpy())


def _banded(
    measure: str, contracts: str, value: Floats, edges: tuple[float, ...], found: Landmarks
) -> Frequency:
    starts = _joined(value, edges)
    bands = []
    for low, high in zip(starts, [*starts[1:], None], strict=True):
        mine = (value >= low) & (value < (np.inf if high is None else high))
        renewed = share(found.y[mine], found.account[mine])
        bands.append(Band(low, high, int(mine.sum()), renewed))
    return Frequency(measure, contracts, tuple(bands), _flat_from(value, starts, found))


def _joined(value: Floats, edges: tuple[float, ...]) -> list[float]:
    """The beginnings of the bands, each of which holds enough terms."""
    starts: list[float] = []
    last = np.inf
    for low in reversed(edges):
        if ((value >= low) & (value < last)).sum() >= FEWEST_ROWS:
            starts.insert(0, low)
            last = low
    if starts and (value < starts[0]).any():
        starts[0] = edges[0]
    return starts or [edges[0]]


def _flat_from(value: Floats, starts: list[float], found: Landmarks) -> float | None:
    """The beginning of the lowest band from which on renewal neither rises nor differs surely."""
    place = np.searchsorted(starts, value, side="right") - 1
    for first in range(len(starts) - 1):
        mine = place >= first
        rises = _rises(place[mine], found.take(mine))
        if 2 * min(rises, _differ(place, range(first, len(starts)), found)) > LEVEL:
            return starts[first]
    return None


def _rises(place: NDArray[np.int64], found: Landmarks) -> float:
    """The chance of such a slope of renewal over the bands, if there were none (two-sided)."""
    x = place - place.mean()
    slope = (x @ found.y) / (x @ x)
    part = x * (found.y - found.y.mean() - slope * x)
    error = np.sqrt((sums_by(found.account, part) ** 2).sum()) / (x @ x)
    return float(2 * norm.sf(abs(slope) / error)) if error > 0 else 1.0


def _differ(place: NDArray[np.int64], bands: range, found: Landmarks) -> float:
    """The chance of so different bands, if they were alike (Wald); clustered by account."""
    y, parts, rates = found.y, [], []
    for band in bands:
        mine = place == band
        rates.append(y[mine].mean())
        parts.append(mine * (y - rates[-1]) / mine.sum())
    contrasts = np.diff(np.eye(len(rates)), axis=0)
    sums = sums_by(found.account, np.column_stack(parts))
    inner = contrasts @ (sums.T @ sums) @ contrasts.T
    apart = contrasts @ np.array(rates)
    return float(chi2.sf(apart @ np.linalg.pinv(inner) @ apart, len(contrasts)))
