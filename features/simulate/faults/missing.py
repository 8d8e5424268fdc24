"""Events that never arrive."""

import numpy as np
import pyarrow as pa

from features.simulate.faults.fault import (
    Fault,
    done_by_somebody,
    instants,
    is_one_of,
    midnight,
    some,
)
from features.simulate.offer import Flags

OUTAGE_AT, OUTAGE_DAYS = 0.8, 3
BLOCKING, BLOCKED = 0.12, 0.7
STOPPED, STOPPED_AT = 0.3, 0.75
SYNCED = pa.array(["integration_synced", "api_called"])


class Outage(Fault):
    """A release that broke the client's library."""

    name = "outage"
    meaning = "for three days, at 80 % of the time, no client sends anything; our servers still do"

    def __post_init__(self) -> None:
        """Fix the days."""
        self.begins = self.scene.instant(OUTAGE_AT)
        self.ends = self.begins + np.timedelta64(OUTAGE_DAYS, "D")
        self.did |= {"from": str(self.begins), "until": str(self.ends)}

    def events(self, rows: pa.Table) -> pa.Table:
        """Lose what users did on those days."""
        time = instants(rows["event_time"])
        inside = (time >= midnight(self.begins)) & (time < midnight(self.ends))
        return _without(self, rows, inside & done_by_somebody(rows))


class AdBlock(Fault):
    """Browsers that keep the tracker out."""

    name = "adblock"
    meaning = "12 % of the users block the tracker: 7 in 10 of their events never reach us"

    def __post_init__(self) -> None:
        """Draw who blocks it."""
        self.users = some(self.scene.users, BLOCKING, self.rng)
        self.did["users"] = len(self.users)

    def events(self, rows: pa.Table) -> pa.Table:
        """Lose most of theirs."""
        blocked = self.rng.random(len(rows)) < BLOCKED
        return _without(self, rows, blocked & is_one_of(rows, "user_id", self.users))


class Stopped(Fault):
    """Credentials that ran out, and nobody noticed."""

    name = "stopped"
    meaning = (
        "in 30 % of the accounts the integration stops reporting at 75 % of the time: no "
        "integration_synced and no api_called any more, though they are used as before"
    )

    def __post_init__(self) -> None:
        """Draw whose reports stop."""
        self.accounts = some(self.scene.accounts, STOPPED, self.rng)
        self.begins = self.scene.instant(STOPPED_AT)
        self.did |= {"from": str(self.begins), "accounts": self.accounts.to_pylist()}

    def events(self, rows: pa.Table) -> pa.Table:
        """Lose what the integration would have said."""
        after = instants(rows["event_time"]) >= midnight(self.begins)
        theirs = is_one_of(rows, "account_id", self.accounts) & is_one_of(rows, "event", SYNCED)
        return _without(self, rows, after & theirs)


def _without(fault: Fault, rows: pa.Table, lost: Flags) -> pa.Table:
    fault.count("events", lost.sum())
    return rows.filter(pa.array(~lost))
