"""What the models said about a week before: from the ledger, once for each state."""

import datetime as dt

from sqlalchemy import Engine

from serving.ledger.scores import day_of
from serving.scoring.queues import Queues

WEEK, LONGEST = dt.timedelta(days=7), dt.timedelta(days=28)
"""Movement is told since the last score at least a week old, and at most four."""


def remembered(queues: Queues, ledger: Engine, model: str) -> None:
    """Let the queues know what a model said then, unless they do."""
    if model not in queues.before:
        today = dt.date.fromisoformat(queues.snapshot.table.as_of)
        day, then = day_of(ledger, model, today - WEEK, today - LONGEST)
        queues.remember(model, None if day is None else day.isoformat(), then)
