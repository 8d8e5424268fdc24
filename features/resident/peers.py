"""How all accounts stand, so that one that changes finds its place among the others at once."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.algebra import PeerRank
from features.compute.peers import Compared
from features.kernel.peers import rounded
from features.kernel.rows import Floats

Group = tuple[str, ...]


class Standing:
    """What accounts are compared by; the numbers of each group of peers in order."""

    def __init__(self, compared: Sequence[Compared]) -> None:
        self.compared = tuple(compared)
        self.of = list(dict.fromkeys((e.of, e.among) for e in self.compared))
        self.among = [among for _, among in self.of]
        self.which = [self.of.index((e.of, e.among)) for e in self.compared]
        self.ranks = np.array([isinstance(e, PeerRank) for e in self.compared], dtype=bool)
        self._ordered: dict[tuple[int, Group], Floats] = {}
        self._mine: dict[str, tuple[Floats, list[Group]]] = {}

    def fill(self, accounts: Sequence[str], numbers: Floats, groups: Sequence[list[Group]]) -> None:
        """Begin with these accounts: a row of numbers each, and the groups that they stand in."""
        values = rounded(numbers)
        self._mine = dict(zip(accounts, zip(values, groups, strict=True), strict=True))
        for place in range(len(self.of)):
            members: dict[Group, list[int]] = {}
            for row, mine in enumerate(groups):
                members.setdefault(mine[place], []).append(row)
            for group, rows in members.items():
                self._ordered[place, group] = np.sort(values[rows, place])

    def move(self, account: str, numbers: Floats, groups: list[Group]) -> None:
        """Let an account stand elsewhere than before; a new one joins."""
        values = rounded(numbers)
        former = self._mine.get(account)
        self._mine[account] = values, groups
        for place, group in enumerate(groups):
            now = (group, values[place])
            if former is not None and now == (before := (former[1][place], former[0][place])):
                continue
            if former is not None:
                self._leave((place, before[0]), before[1])
            self._join((place, group), values[place])

    def places(self, account: str) -> Floats:
        """Each comparison of one account: a rank from 0 to 100, or a median."""
        values, groups = self._mine[account]
        found = [self._place(i, groups[i], values[i]) for i in range(len(self.of))]
        return np.array([found[w][not r] for w, r in zip(self.which, self.ranks, strict=True)])

    def _place(self, place: int, group: Group, value: float) -> tuple[float, float]:
        """Its rank and its median: as `features.kernel.peers` works them out for all."""
        ordered = self._ordered[place, group]
        below, up_to = (int(ordered.searchsorted(value, side)) for side in ("left", "right"))
        every = len(ordered)
        rank = 100.0 * (up_to - (up_to - below) / 2.0) / every
        return rank, float((ordered[(every - 1) // 2] + ordered[every // 2]) / 2.0)

    def _leave(self, key: tuple[int, Group], value: float) -> None:
        ordered = self._ordered[key]
        at = int(ordered.searchsorted(value))
        self._ordered[key] = np.concatenate([ordered[:at], ordered[at + 1 :]])

    def _join(self, key: tuple[int, Group], value: float) -> None:
        ordered = self._ordered.get(key, np.empty(0))
        at = int(ordered.searchsorted(value))
        self._ordered[key] = np.concatenate([ordered[:at], [value], ordered[at:]])


def groups_of(among: Sequence[Group], facts: Mapping[str, Sequence[str]]) -> list[list[Group]]:
    """For each account the group of peers that it stands in, of each comparison."""
    zipped = {a: list(zip(*(facts[name] for name in a), strict=True)) for a in set(among)}
    return [list(mine) for mine in zip(*(zipped[a] for a in among), strict=True)]
