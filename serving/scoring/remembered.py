"""Answers that were given: an account's row gives the same again until a row or a model is new."""

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = int(os.environ.get("GOLDPAN_REMEMBERED", "2000"))
"""Answers kept for each model and worker, about 5 KB each; 0: each is made anew."""

Answer = Mapping[str, Any]


@dataclass
class Remembered:
    """The last answers of one scorer, which never changes; those asked for longest ago go first.

    >>> told = Remembered(most=1)
    >>> told.keep(3, True, {"grade": "A"}), told.keep(4, True, {"grade": "B"})
    (None, None)
    >>> told.find(3, True), told.find(4, True), told.find(4, False)
    (None, {'grade': 'B'}, None)
    """

    most: int = MOST
    answers: OrderedDict[tuple[int, bool], Answer] = field(default_factory=OrderedDict)

    def find(self, row: int, explained: bool) -> Answer | None:
        """The answer about a row of the table, with reasons or without; None when not kept."""
        found = self.answers.get((row, explained))
        if found is not None:
            self.answers.move_to_end((row, explained))
        return found

    def keep(self, row: int, explained: bool, answer: Answer) -> None:
        """Remember an answer, which nobody changes any more."""
        self.answers[row, explained] = answer
        while len(self.answers) > self.most:
            self.answers.popitem(last=False)
