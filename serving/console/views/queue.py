"""The part of a queue that was asked for: which accounts, in which order, under which figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.console.views.asked import PER_PAGE, Asked
from serving.console.views.choices import Choice, choices
from serving.console.views.desk import Desk
from serving.console.views.lines import Line, lines
from serving.console.views.models import Reach, Sentence, caught, reached
from serving.console.views.picked import NOBODY, Asker, ordered, sorts, waiting
from serving.console.views.saved import View, saved
from serving.console.views.words import Words


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
    reach: Reach | None
    new: int


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
    views: tuple[View, ...]
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


def part(desk: Desk, words: Words, asked: Asked, asker: Asker = NOBODY) -> Part:
    """The page of a queue that was asked for."""
    rows, sort = ordered(desk, words, asked, asker)
    start = min((asked.page - 1) * PER_PAGE, max(0, (len(rows) - 1) // PER_PAGE * PER_PAGE))
    shown = rows[start : start + PER_PAGE]
    model = words.model
    return Part(
        words=words,
        asked=asked,
        head=head(desk, model, asker),
        lines=tuple(lines(desk, words, shown, asker.ledger)),
        found=len(rows),
        found_expected=float(_expected(desk, model)[rows].sum()),
        first=start + 1,
        last=start + len(shown),
        choices=choices(desk, words, asked),
        views=saved(words, asked),
        sort=sort,
        eligibility=str(desk.queues.scorers[model].model.card["eligibility"]),
    )


def head(desk: Desk, model: str, asker: Asker = NOBODY) -> Head:
    """What is said above a queue."""
    scorer, expected = desk.queues.scorers[model], _expected(desk, model)
    card, applies = scorer.model.card, ~np.isnan(scorer.chances)
    tenth = max(1, int(applies.sum()) // 10)
    total = float(expected.sum())
    return Head(
        accounts=int(applies.sum()),
        outcomes=float(np.nansum(scorer.chances)),
        mrr=float(np.nansum(desk.table.mrr[applies])),
        expected=total,
        tenth=tenth,
        top_share=float(np.sort(expected)[-tenth:].sum()) / total if total else 0.0,
        horizon_days=int(card["horizon_days"]),
        lead_days=int(card["lead_days"]),
        proof=caught(card),
        reach=reached(card),
        new=int((applies & waiting(desk, asker)).sum()),
    )


def _expected(desk: Desk, model: str) -> NDArray[np.float64]:
    """Probability × MRR of every row, 0 where the model does not apply."""
    return np.nan_to_num(desk.queues.scorers[model].chances * desk.table.mrr)
