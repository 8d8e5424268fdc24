"""What one id stood for: an answer for each event time, as it was known at each instant.

Both clocks are instants (`features.instants`) and half open. A timeline begins with one answer for
all event times and is told, in the order in which things became known, what changed.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from features.instants import LONG_AGO, NEVER

Answer = str | None


class Held(NamedTuple):
    """For events in [from_us, to_us), as known in [known_us, until_us), the answer is `answer`."""

    answer: str
    from_us: int
    to_us: int
    known_us: int
    until_us: int


class Start(NamedTuple):
    """From `start` on, until another start follows, the answer is `answer`: known at `known`."""

    known: int
    start: int
    answer: str


class Stay(NamedTuple):
    """A user belongs to `account` from `start` until `end`; known at `known`."""

    known: int
    start: int
    account: str
    end: int


class Timeline:
    """Pieces of event time, each with the answers that it had one after the other.

    They hold for those who ask after the event; what was known before it happened may be left out.
    """

    def __init__(self, answer: Answer) -> None:
        self._starts = [LONG_AGO]
        self._told: list[list[tuple[int, Answer]]] = [[(LONG_AGO, answer)]]

    def tell(self, start: int, end: int, answer: Answer, known: int) -> None:
        """From `known` on, the answer for events in [start, end) is `answer`."""
        if start >= end:
            return
        first = self._cut(start)
        last = self._cut(end) if end < NEVER else len(self._starts)
        for told in self._told[first:last]:
            if told[-1][0] == known:
                told.pop()
            if not told or told[-1][1] != answer:
                told.append((known, answer))

    def _cut(self, at: int) -> int:
        """The number of the piece that begins at `at`, made if there is none."""
        place = bisect_left(self._starts, at)
        if place == len(self._starts) or self._starts[place] != at:
            told = self._told[place - 1]
            # Nobody sees an event before it happened: what was replaced by then is forgotten.
            first = max(bisect_right(told, at, key=lambda said: said[0]) - 1, 0)
            self._starts.insert(place, at)
            self._told.insert(place, told[first:])
        return place

    def held(self) -> Iterator[Held]:
        """All that was ever answered; neighbours that never differed are one."""
        whole = [n for n, told in enumerate(self._told) if n == 0 or told != self._told[n - 1]]
        ends = [self._starts[n] for n in whole[1:]] + [NEVER]
        for n, end in zip(whole, ends, strict=True):
            told = self._told[n]
            until = [known for known, _ in told[1:]] + [NEVER]
            for (known, answer), to in zip(told, until, strict=True):
                if answer is not None:
                    yield Held(answer, self._starts[n], end, known, to)


def by_start(
    rows: Iterable[Start], before: Answer, wins: Callable[[str, str], bool]
) -> Iterator[Held]:
    """The answer is that of the latest start at or before the event, else of the earliest.

    `before` is the answer while nothing is known; `wins(new, old)` decides between equal starts.
    Rows go in the order of `known`. Each costs the logarithm of their number.
    """
    timeline, starts, answers = Timeline(before), list[int](), dict[int, str]()
    for row in sorted(rows):
        if row.start in answers:
            if not wins(row.answer, answers[row.start]):
                continue
        else:
            insort(starts, row.start)
        answers[row.start] = row.answer
        place = bisect_right(starts, row.start)
        begin = row.start if place > 1 else LONG_AGO
        end = starts[place] if place < len(starts) else NEVER
        timeline.tell(begin, end, row.answer, row.known)
    return timeline.held()


def by_stay(rows: Iterable[Stay]) -> Iterator[Held]:
    """The account of the latest stay that holds at the event, else of the next one to begin.

    Of stays that begin together the largest account counts; where none holds and none follows
    there is no answer. Of rows with the same account and start the one known last counts, of those
    known together the last given.
    """
    stays = _Stays()
    for row in sorted(rows, key=lambda row: row.known):
        stays.add(row)
    return stays.timeline.held()


class _Stays:
    """The stays of one user as known so far, and the timeline that they have told."""

    def __init__(self) -> None:
        self.timeline = Timeline(None)
        self._ends: dict[int, dict[str, int]] = {}
        self._starts: list[int] = []
        self._turns: list[int] = []

    def add(self, row: Stay) -> None:
        """Learn of a stay; only what lies from the start before it to its end can change."""
        if row.start not in self._ends:
            insort(self._starts, row.start)
        accounts = self._ends.setdefault(row.start, {})
        last = max(row.start, row.end, accounts.get(row.account, row.start))
        accounts[row.account] = row.end
        for turn in (row.start, row.end):
            insort(self._turns, turn)
        place = bisect_left(self._starts, row.start)
        first = self._starts[place - 1] if place else LONG_AGO
        inside = self._turns[bisect_left(self._turns, first) : bisect_left(self._turns, last)]
        for start, end in pairwise([first, *inside, last]):
            self.timeline.tell(start, end, self._account_at(start), row.known)

    def _account_at(self, moment: int) -> Answer:
        following = bisect_right(self._starts, moment)
        for start in reversed(self._starts[:following]):
            here = [account for account, end in self._ends[start].items() if end > moment]
            if here:
                return max(here)
        return max(self._ends[self._starts[following]]) if following < len(self._starts) else None
