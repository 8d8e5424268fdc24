"""The part of a queue that was asked for: which accounts, in which order, under which figures."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.console.views.asked import PER_PAGE, RENEWALS, SIZES, Asked
from serving.console.views.desk import Desk, Queue
from serving.console.views.facts import Phrase, Shown, figure, phrase, renewal
from serving.console.views.models import Sentence, caught
from serving.console.views.words import Words

Mask = NDArray[np.bool_]


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
    plan: str
    owner: str
    renewal: Shown
    facts: tuple[Shown, ...]
    reasons: tuple[Phrase, ...]


@dataclass(frozen=True)
class Choice:
    """One option of a filter, with how many accounts of the whole queue it would leave."""

    value: str
    text: str
    count: int
    chosen: bool


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


def part(desk: Desk, words: Words, asked: Asked) -> Part:
    """The page of a queue that was asked for."""
    queue = desk.queues[words.model]
    places, sort = ordered(desk, words, asked)
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
    )


def ordered(desk: Desk, words: Words, asked: Asked) -> tuple[NDArray[np.intp], str]:
    """The places in the queue of those asked for, in the order asked for, and its name."""
    queue = desk.queues[words.model]
    default = "expected" if words.by_money else "probability"
    usable = {key for key, _ in sorts(words)}
    sort = asked.sort if asked.sort in usable else default
    found = np.flatnonzero(matching(desk, queue, asked))
    keys = _key(desk, queue, sort)[found]
    return found[np.lexsort((queue.rows[found], -queue.probability[found], keys))], sort


def matching(desk: Desk, queue: Queue, asked: Asked) -> Mask:
    """Which accounts of a queue are asked for."""
    wanted = np.ones(len(queue.rows), dtype=bool)
    if asked.q:
        wanted &= np.array([asked.q.casefold() in text for text in queue.haystack], dtype=bool)
    if asked.plan:
        wanted &= queue.plans == asked.plan
    if asked.owner:
        wanted &= queue.owners == asked.owner
    if asked.grade:
        wanted &= np.isin(queue.grades, asked.grade)
    if asked.reason in queue.scorer.model.signals:
        wanted &= (queue.top == queue.scorer.model.signals.index(asked.reason)).any(axis=1)
    if asked.size:
        wanted &= _sized(queue, asked.size)
    if asked.renewal:
        away = _days_to_renewal(desk, queue)
        wanted &= (away >= 0) & (away <= asked.renewal)
    return wanted


def sorts(words: Words) -> tuple[tuple[str, str], ...]:
    """The orders that a queue can be in, the usual one first, and what they are called."""
    every = (
        ("expected", words.by_money, bool(words.by_money)),
        ("probability", "probability", True),
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


def choices(desk: Desk, words: Words, asked: Asked) -> dict[str, tuple[Choice, ...]]:
    """What each filter offers: only what the queue holds."""
    queue = desk.queues[words.model]
    found = {"grade": _counted(queue.grades, asked.grade), "plan": _words(queue.plans, asked.plan)}
    found["owner"] = _words(queue.owners, asked.owner)
    found["reason"] = _reasons(queue, asked)
    found["size"] = tuple(
        Choice(name, f"{name.replace('-', '–')}{'' if most else ' or more'}", n, name == asked.size)
        for name, (_, most) in SIZES.items()
        if (n := int(_sized(queue, name).sum()))
    )
    if words.renews:
        away = _days_to_renewal(desk, queue)
        found["renewal"] = tuple(
            Choice(str(n), f"within {n} days", int(((away >= 0) & (away <= n)).sum()),
                   n == asked.renewal)
            for n in RENEWALS
        )  # fmt: skip
    return found


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


def _share(values: NDArray[np.float64], place: int) -> float:
    most = float(values.max())
    return float(values[place]) / most if most > 0 else 0.0


def _key(desk: Desk, queue: Queue, sort: str) -> NDArray[Any]:
    if sort == "name":
        return np.array(queue.haystack)
    if sort == "renewal":
        away = _days_to_renewal(desk, queue)
        return np.where(away < 0, np.inf, away)
    values = {"expected": queue.expected, "mrr": queue.mrr, "probability": queue.probability}
    return -values[sort]


def _days_to_renewal(desk: Desk, queue: Queue) -> NDArray[np.float64]:
    """Days from the scoring day; -1 where nothing renews."""
    table = queue.scorer.snapshot.table
    as_of = date.fromisoformat(table.as_of)
    ends = (desk.known.renewals.get(table.ids[row]) for row in queue.rows.tolist())
    return np.array([(end - as_of).days if end else -1 for end in ends], dtype=np.float64)


def _sized(queue: Queue, size: str) -> Mask:
    table, (least, most) = queue.scorer.snapshot.table, SIZES[size]
    if "employees" not in table.column_of:
        return np.zeros(len(queue.rows), dtype=bool)
    employees = table.matrix[queue.rows, table.column_of["employees"]]
    return (employees >= least) & (employees <= (most or np.inf))


def _counted(values: NDArray[np.str_], chosen: tuple[str, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(g, g, int((values == g).sum()), g in chosen) for g in ("A", "B", "C", "D"))


def _words(values: NDArray[np.str_], chosen: str) -> tuple[Choice, ...]:
    names, counts = np.unique(values[values != ""], return_counts=True)
    pairs = zip(names.tolist(), counts.tolist(), strict=True)
    return tuple(Choice(name, name, count, name == chosen) for name, count in pairs)


def _reasons(queue: Queue, asked: Asked) -> tuple[Choice, ...]:
    model, wordings = queue.scorer.model, queue.scorer.snapshot.wordings
    used, counts = np.unique(queue.top[queue.top >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        Choice(model.signals[s], wordings[model.signals[s]].label, int(n),
               model.signals[s] == asked.reason)
        for s, n in zip(used[order].tolist(), counts[order].tolist(), strict=True)
    )  # fmt: skip
