"""The part of a queue that was asked for: which accounts, in which order, under which figures."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.console.format import day
from serving.console.views.asked import PER_PAGE, Asked
from serving.console.views.desk import Desk, Queue
from serving.console.views.facts import Phrase, Shown, figure, phrase, renewal
from serving.console.views.filters import Choice, choices, days_to_renewal, matching, waiting
from serving.console.views.models import Sentence, caught
from serving.console.views.words import Words


@dataclass(frozen=True)
class Line:
    """One account of a queue."""

    account: str
    name: str
    probability: float
    grade: str
    mrr: float
    expected: float
    share: float
    moved: float | None
    plan: str
    owner: str
    renewal: Shown
    facts: tuple[Shown, ...]
    reasons: tuple[Phrase, ...]


@dataclass(frozen=True)
class Head:
    """The figures above a queue, all of it whatever was filtered."""

    accounts: int
    outcomes: float
    mrr: float
    expected: float
    tenth: int
    top_share: float
    horizon_days: int
    lead_days: int
    proof: Sentence | None


@dataclass(frozen=True)
class Part:
    """What a queue's page shows; `first` and `last` count from 1."""

    words: Words
    asked: Asked
    head: Head
    lines: tuple[Line, ...]
    found: int
    found_expected: float
    first: int
    last: int
    choices: dict[str, tuple[Choice, ...]]
    sort: str
    eligibility: str
    since: str
    new: int

    @property
    def page(self) -> int:
        """Which page this is, from 1."""
        return (self.first - 1) // PER_PAGE + 1

    @property
    def window(self) -> str:
        """Which days the probabilities are about, counted from the scoring day."""
        lead, horizon = self.head.lead_days, self.head.horizon_days
        return f"days {lead + 1}–{lead + horizon}" if lead else f"{horizon} days"

    @property
    def sorts(self) -> tuple[tuple[str, str], ...]:
        """The orders there are, the usual one first, and what they are called."""
        return sorts(self.words)

    @property
    def sort_text(self) -> str:
        """What the present order is called."""
        return dict(self.sorts)[self.sort]

    def address(self, **changes: object) -> str:
        """The address of another part of the same queue."""
        return self.asked.address(self.words.place, **changes)


def part(desk: Desk, words: Words, asked: Asked, settled: Collection[str] = frozenset()) -> Part:
    """The page that was asked for; `settled`: the accounts that its reader is done with."""
    queue = desk.queues[words.model]
    places, sort = ordered(desk, words, asked, settled)
    start = min((asked.page - 1) * PER_PAGE, max(0, (len(places) - 1) // PER_PAGE * PER_PAGE))
    shown = places[start : start + PER_PAGE]
    return Part(
        words=words,
        asked=asked,
        head=head(queue),
        lines=tuple(lines(desk, words, shown)),
        found=len(places),
        found_expected=float(queue.expected[places].sum()),
        first=start + 1,
        last=start + len(shown),
        choices=choices(desk, words, asked),
        sort=sort,
        eligibility=str(queue.scorer.model.card["eligibility"]),
        since=day(queue.since) if queue.since else "",
        new=int(waiting(queue, settled).sum()),
    )


def ordered(
    desk: Desk, words: Words, asked: Asked, settled: Collection[str] = frozenset()
) -> tuple[NDArray[np.intp], str]:
    """The places in the queue of those asked for, in the order asked for, and its name."""
    queue = desk.queues[words.model]
    default = "expected" if words.by_money else "probability"
    usable = {key for key, _ in sorts(words)}
    sort = asked.sort if asked.sort in usable else default
    found = np.flatnonzero(matching(desk, queue, asked, settled))
    keys = _key(desk, queue, sort)[found]
    return found[np.lexsort((queue.rows[found], -queue.probability[found], keys))], sort


def sorts(words: Words) -> tuple[tuple[str, str], ...]:
    """The orders that a queue can be in, the usual one first, and what they are called."""
    every = (
        ("expected", words.by_money, bool(words.by_money)),
        ("probability", "probability", True),
        ("movement", "movement", True),
        ("mrr", "MRR", words.has_mrr),
        ("renewal", "renewal", words.renews),
        ("name", "name", True),
    )
    return tuple((key, text) for key, text, used in every if used)


def head(queue: Queue) -> Head:
    """What is said above a queue."""
    card, expected = queue.scorer.model.card, queue.expected
    tenth = max(1, len(expected) // 10)
    total = float(expected.sum())
    return Head(
        accounts=len(queue.rows),
        outcomes=float(queue.probability.sum()),
        mrr=float(queue.mrr.sum()),
        expected=total,
        tenth=tenth,
        top_share=float(np.sort(expected)[-tenth:].sum()) / total if total else 0.0,
        horizon_days=int(card["horizon_days"]),
        lead_days=int(card["lead_days"]),
        proof=caught(card),
    )


def lines(desk: Desk, words: Words, places: NDArray[np.intp]) -> list[Line]:
    """The accounts at some places of a queue, in words."""
    return [_line(desk, words, desk.queues[words.model], place) for place in places.tolist()]


def _line(desk: Desk, words: Words, queue: Queue, place: int) -> Line:
    snapshot, row = queue.scorer.snapshot, int(queue.rows[place])
    account, signals = snapshot.table.ids[row], queue.scorer.model.signals
    as_of = date.fromisoformat(snapshot.table.as_of)
    return Line(
        account=account,
        name=desk.known.name(account),
        probability=float(queue.probability[place]),
        grade=str(queue.grades[place]),
        mrr=float(queue.mrr[place]),
        expected=float(queue.expected[place]),
        share=_share(queue.expected if words.by_money else queue.probability, place),
        moved=_moved(queue, place),
        plan=str(queue.plans[place]),
        owner=str(queue.owners[place]),
        renewal=renewal(desk.known.renewals.get(account), as_of),
        facts=tuple(figure(snapshot, row, c.feature, c.unit) for c in words.facts),
        reasons=tuple(
            phrase(snapshot, row, signals[signal], 1.0)
            for signal in queue.top[place].tolist()
            if signal >= 0
        ),
    )


def _moved(queue: Queue, place: int) -> float | None:
    moved = float(queue.moved[place])
    return None if np.isnan(moved) else moved


def _share(values: NDArray[np.float64], place: int) -> float:
    most = float(values.max())
    return float(values[place]) / most if most > 0 else 0.0


def _key(desk: Desk, queue: Queue, sort: str) -> NDArray[Any]:
    if sort == "name":
        return np.array(queue.haystack)
    if sort == "renewal":
        away = days_to_renewal(desk, queue)
        return np.where(away < 0, np.inf, away)
    values = {"expected": queue.expected, "mrr": queue.mrr, "probability": queue.probability,
              "movement": np.nan_to_num(queue.moved, nan=-np.inf)}  # fmt: skip
    return -values[sort]
