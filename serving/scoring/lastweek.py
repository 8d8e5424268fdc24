"""What the models said about a week before: from the ledger, once for each state."""

import datetime as dt

from sqlalchemy import Engine

from serving.ledger.scores import week_before
from serving.scoring.queues import Queues


def remembered(queues: Queues, ledger: Engine, model: str) -> None:
    """Let the queues know what a model said then, unless they do."""
    if model not in queues.before:
        today = dt.date.fromisoformat(queues.snapshot.table.as_of)
        day, then = week_before(ledger, model, today)
        queues.remember(model, None if day is None else day.isoformat(), then)
