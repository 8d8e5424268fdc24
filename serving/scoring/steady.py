"""Which reasons are shown, so that a list does not change from day to day without a cause. Pure.

Two signals of nearly the same size would change places at every small move of an account. So a
reason that was shown at the former nightly score keeps its place, until another signal's part is
larger by more than `MARGIN` log-odds (0.1: the odds differ by a tenth). A reason must be one that
the model uses now, with the same sign as then; one that it does not use is never shown.

Place by place: of the signals that are left, the one with the largest part, where whoever held this
place or a better one counts `MARGIN` more. Signals that raise and signals that lower the score are
placed among themselves, and so is context (renewal date, tenure, plan) beside what one can act on;
then they are merged by the same rule, so that the first of each kind are the same in every list.
Told again of the same parts, the same are shown.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.1
PLACES = 5
"""Held among the signals that raise and can be acted on; as many among those that lower, …"""
RAISES, LOWERS = "+", "-"
Floats = NDArray[np.float64]


def shown(
    parts: Mapping[str, float], former: Sequence[str] = (), context: Collection[str] = ()
) -> list[str]:
    """The signals to tell, the first first, each after its sign; `former`: what this said before.

    `context`: the signals that nobody can act on.

    >>> shown({"logins": -0.5, "price": 0.31, "seats": 0.3, "age": 0.0})
    ['-logins', '+price', '+seats']
    >>> shown({"logins": -0.5, "price": 0.31, "seats": 0.3}, ["-logins", "+seats", "+price"])
    ['-logins', '+seats', '+price']
    """
    heads = [
        [f"{sign}{name}" for name in _placed(sizes, _of(former, sign, sizes))]
        for sign, sizes in _kinds(parts, context)
    ]
    rank = {name: place for place, name in enumerate(former)}
    told: list[str] = []
    while heads := [left for left in heads if left]:
        sizes = [abs(parts[left[0][1:]]) + _bonus(rank.get(left[0]), len(told)) for left in heads]
        told.append(heads[sizes.index(max(sizes))].pop(0))
    return told


def _kinds(
    parts: Mapping[str, float], context: Collection[str]
) -> list[tuple[str, dict[str, float]]]:
    """The sizes of what raises and of what lowers, of context and of all else."""
    return [
        (sign, {s: abs(p) for s, p in parts.items() if p and (p > 0) == up and (s in context) == c})
        for sign, up in ((RAISES, True), (LOWERS, False))
        for c in (False, True)
    ]


def leading(
    parts: Floats, signals: Sequence[str], former: Sequence[Sequence[str]], count: int
) -> NDArray[np.intp]:
    """Of many accounts the first raising signals that `shown` tells, as indices; -1 for none.

    `parts`: shaped (n, signals), only of context or only of what one can act on; `former`: what was
    shown of each before.

    >>> leading(np.array([[0.1, -0.5, 0.3], [-1.0, 0.2, 0.0]]), "abc", [["+a"], []], 2).tolist()
    [[2, 0], [1, -1]]
    """
    rows, column = np.arange(len(parts)), {signal: i for i, signal in enumerate(signals)}
    left = np.where(parts > 0, parts, -np.inf)
    held = [
        [column[s] for s in _of(names, RAISES, column) if parts[row, column[s]] > 0]
        for row, names in enumerate(former)
    ]
    top = np.full((len(parts), count), -1, dtype=np.intp)
    for place in range(count):
        sizes = left.copy()
        for row, columns in enumerate(held):
            sizes[row, columns[: place + 1]] += MARGIN
        best = sizes.argmax(axis=1) if sizes.shape[1] else rows * 0
        there = np.isfinite(left[rows, best])
        top[there, place] = best[there]
        left[rows, best] = -np.inf
    return top


def _of(former: Sequence[str], sign: str, among: Collection[str]) -> list[str]:
    return [name[1:] for name in former if name[0] == sign and name[1:] in among]


def _placed(sizes: Mapping[str, float], former: Sequence[str]) -> list[str]:
    """The first signals by size, where a former place counts."""
    rank = {signal: place for place, signal in enumerate(former)}
    largest = sorted(sizes, key=lambda s: (-sizes[s], s))[:PLACES]
    left = dict.fromkeys([*largest, *(s for s in former if s in sizes)])
    found: list[str] = []
    while left and len(found) < PLACES:
        place = len(found)
        first = min(left, key=lambda s: (-sizes[s] - _bonus(rank.get(s), place), s))
        found.append(first)
        del left[first]
    return found


def _bonus(rank: int | None, place: int) -> float:
    return MARGIN if rank is not None and rank <= place else 0.0
