"""Ranks and medians among the peers of the day, in numpy: what `features.compute.peers` says."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.algebra import Expression, PeerMedian, PeerRank
from features.kernel.order import changes
from features.kernel.rows import Floats, Ints

Compared = PeerRank | PeerMedian
DECIMALS = 1e6


@np.errstate(over="ignore", invalid="ignore")  # `check_finite` names what is without bound
def rounded(numbers: Floats) -> Floats:
    """Numbers at 6 decimals, halves away from 0, so that ties are ties; missing is 0."""
    scaled = np.nan_to_num(numbers, nan=0.0) * DECIMALS
    whole = np.trunc(scaled)
    return (whole + np.sign(scaled) * (np.abs(scaled - whole) >= 0.5)) / DECIMALS


def standings(
    compared: Sequence[Compared], numbers: Mapping[Expression, Floats], groups: Mapping[str, Ints]
) -> dict[Expression, Floats]:
    """Each comparison by point: a rank from 0 to 100, or a median.

    `numbers`: what is compared (rounded); `groups`: for "as_of_day" and each fact of an `among`,
    a number that peers have in common.
    """
    found: dict[Expression, Floats] = {}
    together: dict[tuple[Expression, tuple[str, ...]], list[Compared]] = {}
    for e in dict.fromkeys(compared):
        together.setdefault((e.of, e.among), []).append(e)
    peers = {among: _peers(groups, among) for _, among in together}
    for (of, among), mine in together.items():
        rank, median = _standing(peers[among], numbers[of])
        found |= {e: rank if isinstance(e, PeerRank) else median for e in mine}
    return found


def _peers(groups: Mapping[str, Ints], among: tuple[str, ...]) -> Ints:
    """For each point the number of its group of peers."""
    key = groups["as_of_day"] - groups["as_of_day"].min()
    for fact in among:
        key = key * (int(groups[fact].max()) + 1) + groups[fact]
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def _standing(peers: Ints, numbers: Floats) -> tuple[Floats, Floats]:
    """Rank and median of each point among its peers."""
    order = ordered(peers, numbers)
    return placed(order, peers[order], numbers[order])


def ordered(peers: Ints, numbers: Floats) -> Ints:
    """The order of points by their peers' number (from 0), then by what is compared."""
    order = np.argsort(numbers)
    small = peers.astype(np.uint16) if peers.max() < 2**16 else peers  # which are sorted by digits
    return order[np.argsort(small[order], kind="stable")]


def placed(order: Ints, group: Ints, value: Floats) -> tuple[Floats, Floats]:
    """Rank and median of each point, from its peers' numbers and what is compared, in order."""
    first = changes(group)
    begins = np.flatnonzero(first)
    which = np.cumsum(first) - 1
    begin, every = begins[which], np.diff(np.append(begins, len(group)))[which]
    new = first | changes(value)
    tie = np.cumsum(new) - 1
    equal = np.bincount(tie)[tie]
    up_to = (np.arange(len(group)) - begin)[new][tie] + equal
    rank, median = np.empty(len(group)), np.empty(len(group))
    rank[order] = 100.0 * (up_to - equal / 2.0) / every
    # The middle one or two: where the peers up to a number first are half of all, and more.
    lower, upper = begin + (every - 1) // 2, begin + every // 2
    median[order] = (value[lower] + value[upper]) / 2.0
    return rank, median
