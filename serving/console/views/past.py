"""What an account went through, read when its page is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.console.views.account import Account
from serving.console.views.desk import Desk
from serving.console.views.journey import Journey, journey
from serving.console.views.trends import Index, Trend, index, signal_trends
from serving.scoring.lives import Life


@dataclass(frozen=True)
class Past:
    """What the page shows of the time before today; None: the snapshot does not tell it.

    `trends`: signal of the waterfall → how its fact went.
    """

    journey: Journey | None
    index: Index | None
    trends: Mapping[str, Trend]


def past(desk: Desk, found: Account) -> Past:
    """All of it for one account."""
    snapshot = desk.snapshot
    row = desk.table.row_of[found.account]
    life = Life() if snapshot.lives is None else snapshot.lives.life(row)
    shown = [step.signal for step in found.why.steps] if found.why else []
    return Past(
        journey=journey(snapshot, row, life),
        index=index(snapshot, row),
        trends=signal_trends(snapshot, row, shown),
    )
