"""What every engine reads: Parquet files, and rows of this process as Arrow."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa


def parquet_files(files: Path | Sequence[str]) -> list[str]:
    """The Parquet files of a file, a folder or a list; Spark writes folders, DuckDB files."""
    if not isinstance(files, Path):
        return list(files)
    if files.is_dir():
        return sorted(str(path) for path in files.rglob("*.parquet"))
    return [str(files)]


def as_arrow(rows: pd.DataFrame | pa.Table) -> pa.Table:
    """A frame as Arrow, without its index."""
    return rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
