"""What the night worked out of every account, so that no worker has to work it out again.

`parts.parquet` holds the log-odds of each score and their parts by signal, as the ledger has them:
the same bits that the model would give again.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

PARTS = "parts.parquet"
SCHEMA = pa.schema(
    [
        ("bundle", pa.string()),
        ("row", pa.int32()),
        ("log_odds", pa.float64()),
        ("parts", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True)
class Night:
    """By the rows of the snapshot's table, NaN where the model does not apply.

    `log_odds`: shaped (n,); `parts`: (n, signals + 1), the base last.
    """

    log_odds: NDArray[np.float64]
    parts: NDArray[np.float64]

    def fits(self, rows: NDArray[np.intp], signals: int) -> bool:
        """Whether it tells of just these rows, by as many signals as the model has."""
        told = np.flatnonzero(~np.isnan(self.log_odds))
        return self.parts.shape[1] == signals + 1 and np.array_equal(told, rows)


def written(
    bundle: str,
    rows: NDArray[np.intp],
    log_odds: NDArray[np.float64],
    parts: NDArray[np.float64],
) -> pa.Table:
    """Some scores of a model's bundle as rows of `parts.parquet`."""
    columns = [
        pa.array([bundle] * len(rows)),
        pa.array(rows, pa.int32()),
        pa.array(log_odds),
        pa.FixedSizeListArray.from_arrays(parts.ravel(), parts.shape[1]),
    ]
    return pa.table(columns, names=SCHEMA.names).cast(SCHEMA)


def read_night(content: bytes, accounts: int) -> Mapping[str, Night]:
    """Bundle → what is told of it in a `parts.parquet`; `accounts`: the rows of the table.

    Raises ValueError for rows that the table does not have, or parts of unequal number.
    """
    table = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read()
    bundles = np.array(table["bundle"].to_pylist(), dtype=object)
    rows, log_odds = (table[name].to_numpy() for name in ("row", "log_odds"))
    if len(rows) and not 0 <= rows.min() <= rows.max() < accounts:
        raise ValueError(f"parts of row {rows.max()} of {accounts}")
    lists = table["parts"].combine_chunks()
    flat, ends = lists.flatten().to_numpy(), lists.offsets.to_numpy()
    found = {}
    for bundle in dict.fromkeys(bundles.tolist()):
        mine = np.flatnonzero(bundles == bundle)
        width = int(ends[mine[0] + 1] - ends[mine[0]])
        parts = np.full((accounts, width), np.nan)
        parts[rows[mine]] = flat[ends[mine[0]] : ends[mine[-1] + 1]].reshape(len(mine), width)
        every = np.full(accounts, np.nan)
        every[rows[mine]] = log_odds[mine]
        found[bundle] = Night(every, parts)
    return found
