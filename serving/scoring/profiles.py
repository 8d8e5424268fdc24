"""Who an account is, beside its features: read from a snapshot's `profiles.parquet`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Profile:
    """What people know of an account; None where nobody said it.

    `since`: the first day of its state.
    """

    name: str | None = None
    owner: str | None = None
    channel: str | None = None
    industry: str | None = None
    country: str | None = None
    employees: float | None = None
    created_at: str | None = None
    state: str | None = None
    champion: str | None = None
    since: str | None = None


def read_profiles(content: bytes, ids: Sequence[str]) -> tuple[Profile, ...]:
    """The profiles of the accounts `ids`, in their order; KeyError when the file has others."""
    rows = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read().to_pylist()
    if [row.pop("account_id") for row in rows] != list(ids):
        raise KeyError("profiles of other accounts than those of the feature table")
    return tuple(Profile(**row) for row in rows)
