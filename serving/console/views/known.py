"""What is known of accounts beside their features: names and renewals, of the snapshot's files."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow.parquet as pq

from features.workspace import Workspace
from serving.models.integrity import read_verified
from serving.scoring.accounts import SCORE_AGAIN, Snapshot

FILES = ("features.parquet", "scores.parquet")


@dataclass(frozen=True)
class Known:
    """By account id; an account without a name goes by its id."""

    names: Mapping[str, str]
    renewals: Mapping[str, date]

    def name(self, account: str) -> str:
        """What people call the account."""
        return self.names.get(account) or account


def known(workspace: Workspace, snapshot: Snapshot) -> Known:
    """Read it, verified; InputError for a damaged file."""
    folder = workspace.scores / snapshot.version
    contents, _ = read_verified(folder, FILES, do=SCORE_AGAIN)
    named = _columns(contents["scores.parquet"], "account_id", "name")
    ending = _columns(contents["features.parquet"], "account_id", "term_end")
    renewals = {account: _day(end) for account, end in ending if end is not None}
    return Known({account: name for account, name in named if name}, renewals)


def _columns(content: bytes, *names: str) -> list[tuple[str, ...]]:
    file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
    if not set(names) <= set(file.schema_arrow.names):
        return []
    frame = file.read(list(names))
    return list(zip(*(frame.column(name).to_pylist() for name in names), strict=True))


def _day(value: object) -> date:
    return value.date() if isinstance(value, datetime) else date.fromisoformat(str(value)[:10])
