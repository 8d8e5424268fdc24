"""Which reasons each night showed: the next one lets them give way only to what beats them."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Engine

from serving.ledger.database import METADATA

SHOWN = sa.Table(
    "reasons_shown",
    METADATA,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("as_of", sa.Date, primary_key=True),
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("signals", sa.Text, nullable=False),
)


def keep_shown(
    ledger: Engine, model: str, as_of: dt.date, told: Mapping[str, Sequence[str]]
) -> None:
    """Keep what a night showed, in the place of what was shown of the same day before."""
    day = (SHOWN.c.model == model) & (SHOWN.c.as_of == as_of)
    rows = [
        {"model": model, "as_of": as_of, "account_id": account, "signals": json.dumps(signals)}
        for account, signals in told.items()
    ]
    with ledger.begin() as connection:
        connection.execute(sa.delete(SHOWN).where(day))
        if rows:
            connection.execute(sa.insert(SHOWN), rows)


def shown_until(ledger: Engine, model: str, until: dt.date) -> dict[str, list[str]]:
    """Account id → what the last night up to a day showed of it."""
    mine = SHOWN.c.model == model
    last = sa.select(sa.func.max(SHOWN.c.as_of)).where(mine, SHOWN.c.as_of <= until)
    query = sa.select(SHOWN.c.account_id, SHOWN.c.signals)
    with ledger.connect() as connection:
        day = connection.scalar(last)
        rows = connection.execute(query.where(mine, SHOWN.c.as_of == day))
        return {row.account_id: json.loads(row.signals) for row in rows}
