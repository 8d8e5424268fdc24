"""How all accounts stand, so that some that change find their place among the others at once."""

from collections.abc import Sequence

import numpy as np

from features.algebra import PeerRank
from features.compute.peers import Compared
from features.kernel.order import changes
from features.kernel.peers import ordered, placed, rounded
from features.kernel.rows import Floats, Ints

Group = tuple[str, ...]
Stand = tuple[Floats, Ints]
"""What an account is compared by, and the number of its group for each way to choose peers."""


class Standing:
    """What accounts are compared by; the numbers of each group of peers in order."""

    def __init__(self, compared: Sequence[Compared]) -> None:
        self.compared = tuple(compared)
        self.of = list(dict.fromkeys((e.of, e.among) for e in self.compared))
        self.among = list(dict.fromkeys(among for _, among in self.of))
        self.way = [self.among.index(among) for _, among in self.of]
        self.which = [self.of.index((e.of, e.among)) for e in self.compared]
        self.ranks = np.array([isinstance(e, PeerRank) for e in self.compared], dtype=bool)
        self.forget()

    def forget(self) -> None:
        """Nobody stands anywhere until `fill`."""
        self.filled = False
        self._ordered: dict[tuple[int, int], Floats] = {}
        self._mine: dict[str, Stand] = {}
        self._row_of: dict[str, int] = {}

    def fill(self, row_of: dict[str, int], numbers: Floats, groups: Ints) -> list[Floats]:
        """Begin with these accounts, each in its row; returns each comparison of all of them.

        `numbers`: a line for each comparison, `groups`: one for each way to choose peers.
        """
        self.forget()
        self.filled, self._row_of = True, row_of
        values = rounded(numbers)
        self._values, self._groups = values.T.copy(), groups.T.copy()
        found = []
        for place, way in enumerate(self.way):
            order = ordered(groups[way], values[place])
            group, value = groups[way][order], values[place][order]
            begins = np.flatnonzero(changes(group))
            for number, part in zip(group[begins], np.split(value, begins[1:]), strict=True):
                self._ordered[place, int(number)] = part
            found.append(placed(order, group, value))
        return self._told(found)

    def move(self, account: str, numbers: Floats, groups: Ints) -> Stand:
        """Let an account stand elsewhere than before; a new one joins. Returns where it stands."""
        now = rounded(numbers), groups
        former = self._former(account)
        if former is not None and _same(former, now):
            return former
        self._mine[account] = now
        for place, way in enumerate(self.way):
            if former is not None:
                self._leave((place, int(former[1][way])), former[0][place])
            self._join((place, int(groups[way])), now[0][place])
        return now

    def places(self, stand: Stand) -> Floats:
        """Each comparison of one account: a rank from 0 to 100, or a median."""
        values, groups = stand[0].tolist(), stand[1].tolist()
        found = [self._place(i, groups[way], values[i]) for i, way in enumerate(self.way)]
        return np.array([found[w][not r] for w, r in zip(self.which, self.ranks, strict=True)])

    def many(self, numbers: Floats, groups: Ints) -> list[Floats]:
        """The same for many, who stand where they are held to: for each comparison, each account.

        `numbers` and `groups` as for `fill`.
        """
        values = rounded(numbers)
        found = np.empty((len(self.of), 2, groups.shape[1]))
        for way in range(len(self.among)):
            members = _members(groups[way])
            for place in (i for i, w in enumerate(self.way) if w == way):
                for number, rows in members:
                    mine = self._ordered[place, number], values[place, rows]
                    found[place][:, rows] = _standing(*mine)
        return self._told(found)

    def _told(self, found: Sequence[Sequence[Floats]] | Floats) -> list[Floats]:
        """Of each comparison what it asks for: the rank or the median."""
        return [found[w][int(not r)] for w, r in zip(self.which, self.ranks, strict=True)]

    def _former(self, account: str) -> Stand | None:
        if account in self._mine:
            return self._mine[account]
        row = self._row_of.get(account)
        return None if row is None else (self._values[row], self._groups[row])

    def _place(self, place: int, group: int, value: float) -> tuple[float, float]:
        """Its rank and its median: as `features.kernel.peers` works them out for all."""
        line = self._ordered[place, group]
        below, up_to = (int(line.searchsorted(value, side)) for side in ("left", "right"))
        rank = 100.0 * (up_to - (up_to - below) / 2.0) / len(line)
        return rank, _median(line)

    def _leave(self, key: tuple[int, int], value: float) -> None:
        line = self._ordered[key]
        at = int(line.searchsorted(value))
        self._ordered[key] = np.concatenate([line[:at], line[at + 1 :]])

    def _join(self, key: tuple[int, int], value: float) -> None:
        line = self._ordered.get(key, np.empty(0))
        at = int(line.searchsorted(value))
        self._ordered[key] = np.concatenate([line[:at], [value], line[at:]])


def _same(one: Stand, other: Stand) -> bool:
    return bool((one[0] == other[0]).all() and (one[1] == other[1]).all())


def _median(line: Floats) -> float:
    """The middle of numbers in order; of two the mean."""
    return float((line[(len(line) - 1) // 2] + line[len(line) // 2]) / 2.0)


def _members(groups: Ints) -> list[tuple[int, Ints]]:
    """Each group's number, and who stands in it."""
    return [(int(number), np.flatnonzero(groups == number)) for number in np.unique(groups)]


def _standing(line: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Rank and median of some among the numbers of their group."""
    order = np.argsort(values)
    below, up_to = np.empty(len(values)), np.empty(len(values))
    below[order] = line.searchsorted(values[order], "left")
    up_to[order] = line.searchsorted(values[order], "right")
    rank = 100.0 * (up_to - (up_to - below) / 2.0) / len(line)
    return rank, np.full(len(values), _median(line))
