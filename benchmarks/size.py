"""How large a simulated company is, and when its data begin and end."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday


@dataclass(frozen=True)
class Size:
    """The events aimed at, the accounts, the days, and the seed."""

    events: int
    accounts: int
    days: int = 365
    seed: int = 7

    @property
    def end(self) -> datetime:
        """The midnight at which the lake was last filled."""
        return START + timedelta(days=self.days)
