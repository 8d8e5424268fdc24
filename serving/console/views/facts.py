"""What one account did, in words and figures, from the snapshot's row of it."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from serving.console.format import day, exact, in_days
from serving.scoring.accounts import Snapshot
from serving.scoring.explain import Fact, clauses, number


@dataclass(frozen=True)
class Shown:
    """A value as people read it, and exactly."""

    text: str
    exact: str = ""


@dataclass(frozen=True)
class Phrase:
    """One signal in words: what the account did, and how its peers stand; `play`: what to do."""

    signal: str
    short: str
    peers: str
    kind: str
    raises: bool = True
    play: str = ""

    @property
    def text(self) -> str:
        """Both in one sentence."""
        return f"{self.short}; {self.peers}" if self.peers else self.short


NONE = Shown("–", "not known")


def phrase(snapshot: Snapshot, row: int, signal: str, part: float) -> Phrase:
    """One signal's reason for an account, in words."""
    wording, currency = snapshot.wordings[signal], str(snapshot.company["currency"])
    facts = {name: fact(snapshot, row, name) for name in (wording.now, wording.before) if name}
    peers = snapshot.peers.get(snapshot.table.contexts[row].population, {})
    own, beside = clauses(wording, facts, peers, currency)
    return Phrase(signal, own, beside, wording.kind, part > 0)


def fact(snapshot: Snapshot, row: int, feature: str) -> Fact:
    """One feature of an account: a number (NaN when missing) or a word (None)."""
    table = snapshot.table
    if feature not in table.column_of:
        return None
    value = float(table.matrix[row, table.column_of[feature]])
    if feature not in table.categories:
        return value
    return None if np.isnan(value) else table.categories[feature][int(value)]


def figure(snapshot: Snapshot, row: int, feature: str, unit: str) -> Shown:
    """One number of an account."""
    value = fact(snapshot, row, feature)
    if not isinstance(value, float) or np.isnan(value):
        return NONE
    return Shown(number(value, unit), exact(value))


def renewal(when: date | None, as_of: date) -> Shown:
    """When an account renews, seen from the scoring day."""
    if when is None:
        return NONE
    return Shown(in_days((when - as_of).days), day(when))
