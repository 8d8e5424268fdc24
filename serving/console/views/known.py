"""What is known of accounts beside their features: names, owners, renewals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from serving.scoring.accounts import Snapshot


@dataclass(frozen=True)
class Known:
    """By account id; an account without a name goes by its id."""

    names: Mapping[str, str]
    owners: Mapping[str, str]
    renewals: Mapping[str, date]

    def name(self, account: str) -> str:
        """What people call the account."""
        return self.names.get(account) or account


def known(snapshot: Snapshot) -> Known:
    """Gather it from a snapshot."""
    ids, profiles, ends = snapshot.table.ids, snapshot.profiles, snapshot.table.term_ends
    return Known(
        names={i: p.name for i, p in zip(ids, profiles, strict=True) if p.name},
        owners={i: p.owner for i, p in zip(ids, profiles, strict=True) if p.owner},
        renewals={i: date.fromisoformat(e) for i, e in zip(ids, ends, strict=True) if e},
    )
