"""What each account went through until the scoring day, read for the one that is asked for.

`lives.parquet` holds a row an account, in the order of the feature table; `lives.json` what all of
them share. The verified bytes are held as they are, and one account is unpacked at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LIVES, SHARED = "lives.parquet", "lives.json"
TREND = "week_"
"""Before the name of a feature: its values on the days of `Shared.days`."""


@dataclass(frozen=True)
class Stage:
    """A state that an account was in, from a day on."""

    state: str
    since: date


@dataclass(frozen=True)
class Reached:
    """A milestone, and the day on which it was reached."""

    milestone: str
    day: date


@dataclass(frozen=True)
class Change:
    """What an account bought or gave up."""

    day: date
    kind: str
    mrr_before: float
    mrr_after: float


@dataclass(frozen=True)
class Member:
    """A person of the account: an opaque id, and what they do in it."""

    user_id: str
    role: str | None
    joined: date | None
    left: date | None
    last: date | None
    uses: float
    days: float
    before: float
    weeks: tuple[float, ...]


@dataclass(frozen=True)
class Life:
    """One account: its states and milestones by day, what it bought, its people, its weeks.

    `core` and `tickets` are counts by week, the oldest first; the last ends on the scoring day.
    `people` are the most active of `members`.
    """

    states: tuple[Stage, ...] = ()
    milestones: tuple[Reached, ...] = ()
    changes: tuple[Change, ...] = ()
    core: tuple[float, ...] = ()
    tickets: tuple[float, ...] = ()
    people: tuple[Member, ...] = ()
    members: int = 0


@dataclass(frozen=True)
class Lives:
    """The lives of all accounts of a snapshot.

    `days`: those before the scoring day on which features are known; `peers`: population → feature
    → the medians then. `milestones` in the settings' order; `journeys`: name → its steps.
    """

    content: bytes
    days: tuple[date, ...] = ()
    peers: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    milestones: tuple[str, ...] = ()
    journeys: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        return pq.read_metadata(pa.BufferReader(self.content))

    def life(self, row: int) -> Life:
        """What the account in a row of the feature table went through; empty if made since."""
        if row >= self._metadata.num_rows:
            return Life()
        told = self._read(row, _COLUMNS)
        return Life(
            states=tuple(Stage(**s) for s in told["states"]),
            milestones=tuple(Reached(**m) for m in told["milestones"]),
            changes=tuple(Change(**c) for c in told["changes"]),
            core=tuple(told["core"]),
            tickets=tuple(told["tickets"]),
            people=tuple(Member(**p | {"weeks": tuple(p["weeks"])}) for p in told["people"]),
            members=told["members"],
        )

    def trends(self, row: int, features: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """Feature → an account's values on `days`, NaN where it had none; only those kept."""
        if row >= self._metadata.num_rows:
            return {}
        kept = {n.removeprefix(TREND) for n in self._names if n.startswith(TREND)}
        wanted = [name for name in dict.fromkeys(features) if name in kept]
        told = self._read(row, [f"{TREND}{name}" for name in wanted]) if wanted else {}
        return {name: tuple(told[f"{TREND}{name}"]) for name in wanted}

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self._metadata.schema.to_arrow_schema().names)

    def _read(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        source = pa.BufferReader(self.content)
        file = pq.ParquetFile(source, metadata=self._metadata, page_checksum_verification=True)
        size = self._metadata.row_group(0).num_rows
        group = file.read_row_group(row // size, columns=list(columns), use_threads=False)
        return dict(group.slice(row % size, 1).to_pylist()[0])


_COLUMNS = ("states", "milestones", "changes", "core", "tickets", "people", "members")


def read_lives(content: bytes, shared: Mapping[str, Any], ids: Sequence[str]) -> Lives:
    """The lives of the accounts `ids`, in their order; KeyError when the file has others."""
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    if file.read(["account_id"])["account_id"].to_pylist() != list(ids):
        raise KeyError("lives of other accounts than those of the feature table")
    return Lives(
        content,
        tuple(date.fromisoformat(text) for text in shared["days"]),
        shared["peers"],
        tuple(shared["milestones"]),
        shared["journeys"],
    )
