"""No score leaves the service that the ledger does not hold."""

import asyncio
import datetime as dt
from collections import OrderedDict
from functools import cache
from typing import Self

from sqlalchemy import Engine

from serving.ledger.scores import ids_of
from serving.scoring.recorded import record
from serving.scoring.scorer import Scorer, Scores

MOST_SETS = 12
"""Snapshots × models whose ids are remembered."""


class Recorder:
    """Writes the scores that the ledger lacks; what the night has written costs nothing."""

    def __init__(self, ledger: Engine) -> None:
        self.ledger = ledger
        self.known: OrderedDict[tuple[str, ...], set[str]] = OrderedDict()

    @classmethod
    @cache
    def of(cls, ledger: Engine) -> Self:
        """The one recorder of a ledger."""
        return cls(ledger)

    async def keep(self, scorer: Scorer, scores: Scores) -> None:
        """Return when the ledger holds all of these scores."""
        known = await self._known(scorer)
        new = [i for i, name in enumerate(scores.ids) if name not in known]
        if new:
            mine = scores.take(new)
            await asyncio.to_thread(record, self.ledger, scorer, mine)
            known.update(mine.ids)

    async def _known(self, scorer: Scorer) -> set[str]:
        """The ids of this model and day that the ledger holds; asked for once."""
        model, table = scorer.model, scorer.snapshot.table
        key = (table.as_of, model.name, model.digest)
        if key not in self.known:
            day = dt.date.fromisoformat(table.as_of)
            found = await asyncio.to_thread(ids_of, self.ledger, model.name, model.digest, day)
            self.known[key] = self.known.get(key, set()) | found
            while len(self.known) > MOST_SETS:
                self.known.popitem(last=False)
        return self.known[key]
