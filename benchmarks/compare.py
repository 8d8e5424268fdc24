"""Two feature tables, cell by cell: a peer that computes something else is not timed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.workspace import Workspace

KEY = ["account_id", "as_of"]
RELATIVE = 1e-6
"""Features are stored as float32, which holds seven digits."""
ABSOLUTE = 1e-9


def agreement(ours: Workspace, theirs: Path) -> dict[str, Any]:
    """Compare the columns of `theirs`, on its dates, with the feature table of `ours`.

    `theirs` is a Parquet file, or a workspace with a feature table of its own.

    Says rows, columns, and what is differing; a row that only one of them has on the dates of
    `theirs` is a difference.
    """
    other = pd.read_parquet(theirs) if theirs.is_file() else _made(Workspace(theirs))
    names = [name for name in other.columns if name not in KEY]
    dates = sorted(set(other["as_of"]))
    mine = _made(ours, KEY + names)
    mine = mine[mine["as_of"].isin(dates)]
    both = mine.merge(other, on=KEY, how="outer", suffixes=("", "|"), indicator=True)
    found = []
    if len(alone := both[both["_merge"] != "both"]):
        found.append(f"{len(alone)} rows are in one of them only, such as {_row(alone)}")
    both = both[both["_merge"] == "both"]
    for name in names:
        differs = ~_equal(both[name], both[f"{name}|"])
        if differs.any():
            first = both[differs].iloc[0]
            found.append(
                f"{name}: {differs.sum()} cells; on {first['account_id']}, {first['as_of']}: "
                f"{first[name]!r} and {first[f'{name}|']!r}"
            )
    return {"rows": len(both), "columns": len(names), "differing": found}


def _made(workspace: Workspace, columns: list[str] | None = None) -> pd.DataFrame:
    """The feature table that was built in a workspace."""
    files = sorted(workspace.features.glob("*.parquet"))
    table = pa.concat_tables(pq.read_table(f, columns=columns) for f in files)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _equal(one: pd.Series, other: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(one):
        return np.isclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return ((one == other).fillna(False) | (one.isna() & other.isna())).to_numpy(dtype=bool)


def _row(rows: pd.DataFrame) -> str:
    return f"{rows.iloc[0]['account_id']} on {rows.iloc[0]['as_of']}"
