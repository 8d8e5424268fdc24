"""What each filter of a queue offers, with how many accounts it would leave."""

from dataclasses import dataclass

import numpy as np

from serving.console.views.asked import GRADES, MOVES, RENEWALS, SIZES, Asked
from serving.console.views.desk import Desk
from serving.console.views.picked import Mask, moved, sized
from serving.console.views.words import Words
from serving.scoring.queues import Words as Codes


@dataclass(frozen=True)
class Choice:
    """One option of a filter, with how many accounts of the whole queue it would leave."""

    value: str
    text: str
    count: int
    chosen: bool


def choices(desk: Desk, words: Words, asked: Asked) -> dict[str, tuple[Choice, ...]]:
    """What each filter offers: only what the queue holds."""
    queues, model = desk.queues, words.model
    applies = ~np.isnan(queues.scorers[model].chances)
    grades = queues.grades(model)
    found = {
        "grade": tuple(
            Choice(g, g, int(grades.among([g])[applies].sum()), g in asked.grade) for g in GRADES
        ),
        "plan": _named(queues.words["plan"], applies, asked.plan),
        "owner": _named(queues.words["owner"], applies, asked.owner),
        "reason": _reasons(desk, model, asked),
        "size": tuple(
            Choice(name, f"{name.replace('-', '–')}{'' if most else ' or more'}", n,
                   name == asked.size)
            for name, (_, most) in SIZES.items()
            if (n := int(sized(desk, name)[applies].sum()))
        ),
        "moved": tuple(
            Choice(way, text, n, way == asked.moved)
            for way, text in MOVES.items()
            if (n := int(moved(desk, model, way).sum()))
        ),
    }  # fmt: skip
    if words.renews:
        away = queues.to_renewal[applies]
        found["renewal"] = tuple(
            Choice(str(n), f"within {n} days", int((away <= n).sum()), n == asked.renewal)
            for n in RENEWALS
        )
    return found


def _named(found: Codes, applies: Mask, chosen: str) -> tuple[Choice, ...]:
    """The words of a column, each with how many of the queue's accounts have it."""
    counts = np.bincount(found.codes[applies & (found.codes >= 0)], minlength=len(found.code_of))
    return tuple(
        Choice(word, word, n, word == chosen)
        for word, code in found.code_of.items()
        if (n := int(counts[code]))
    )


def _reasons(desk: Desk, model: str, asked: Asked) -> tuple[Choice, ...]:
    top, signals = desk.leading[model].top, desk.queues.scorers[model].model.signals
    used, counts = np.unique(top[top >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(
        Choice(signals[s], desk.snapshot.wordings[signals[s]].label, int(n),
               signals[s] == asked.reason)
        for s, n in zip(used[order].tolist(), counts[order].tolist(), strict=True)
    )  # fmt: skip
