"""What an account went through, read when its page is asked for."""

from dataclasses import dataclass

from serving.console.views.desk import Desk
from serving.console.views.journey import Journey, journey
from serving.scoring.lives import Life


@dataclass(frozen=True)
class Past:
    """What the page shows of the time before today; None: the snapshot does not tell it."""

    journey: Journey | None


def past(desk: Desk, account_id: str) -> Past:
    """All of it for one account."""
    snapshot = desk.snapshot
    row = desk.table.row_of[account_id]
    life = Life() if snapshot.lives is None else snapshot.lives.life(row)
    return Past(journey=journey(snapshot, row, life))
