"""Observations → the feature table. The only way features are made.

For training, nightly scoring and online use, a feature of an account is what is computed here.
"""

import json
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import provenance
from features.catalog import catalogue
from features.compute.block import Block
from features.compute.peers import comparisons
from features.compute.session import Session
from features.declare import Feature
from features.engines.engine import engine_of
from features.facts.account import CONTEXT
from features.points import blocks, numbered, observed_points, with_peers
from features.progress import Progress, silent
from features.rollups.weeks import ensure_rollups, held_rollups
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace, publish_file

BLOCK_POINTS = 800_000


def build(
    workspace: Workspace,
    settings: Settings,
    observations: pd.DataFrame,
    *,
    out: Path,
    names: Collection[str] | None = None,
    number: pa.DataType | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the feature table of the observations to `out` (Parquet) and return its path.

    In: `observations` with `account_id` and `as_of` (a date: midnight UTC, exclusive). Out: one row
    per distinct observation, by date in blocks, by account inside: account_id, as_of, the context
    columns of `features.facts.account.CONTEXT`, then the catalogue's features, or those of `names`
    (as `number`, default float32; categories as text).

    Raises NotReadyError when nothing was ingested, InputError when there is nothing to observe, or
    an account on a day on which it was not known.
    """
    points = observed_points(workspace, observations)
    with alone(workspace, "build"), publish_file(out) as staged:
        stamp = json.dumps(provenance.stamp(workspace, settings))
        features = named(settings, names)
        schema = table_schema(features, number)
        with pq.ParquetWriter(
            staged, schema.with_metadata({provenance.KEY: stamp}), write_page_checksum=True
        ) as sink:
            for rows in computed(
                workspace, settings, points, features, number=number, progress=progress
            ):
                sink.write_table(rows)
    return out


def named(settings: Settings, names: Collection[str] | None) -> tuple[Feature, ...]:
    """The catalogue's features, or those of `names`, in the catalogue's order."""
    every = catalogue(settings).features
    return every if names is None else tuple(f for f in every if f.name in names)


def computed(
    workspace: Workspace,
    settings: Settings,
    points: pd.DataFrame,
    features: Sequence[Feature],
    *,
    number: pa.DataType | None = None,
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """The feature rows of some points, block after block of days, so that memory is bounded.

    `points`: account_id and as_of_day, as `observed_points` makes them.
    """
    schema = table_schema(features, number)
    ranked = any(comparisons(f.expression) for f in features)
    with held_rollups(workspace), closing(engine_of(workspace, settings)) as engine:
        made = ensure_rollups(engine, workspace, settings, progress=progress)
        done, block_class = 0, block_of(settings)
        for block in blocks(points, BLOCK_POINTS):
            session = Session(engine, workspace, settings, made, block)
            seen = with_peers(workspace, block) if ranked else block.assign(observed=True)
            panel = numbered(seen)
            for rows in block_class(session, features, schema).rows(panel):
                done += rows.num_rows
                progress(done, len(points), "as known then")
                yield rows
            engine.forget(lasting=True)


def block_of(settings: Settings) -> type[Block]:
    """What computes a block: the kernel in this process, or SQL on the engine.

    Without numba a warning tells that it is SQL, which gives the same cells and takes longer.
    """
    if settings.engine.name != "kernel":
        return Block
    try:
        from features.kernel.block import KernelBlock  # numba takes half a second to load
    except ImportError as error:
        warnings.warn(
            f"features are computed by SQL, which is slower: found no kernel ({error}); expected "
            "numba as in requirements.lock. Install it, or choose SQL by --engine duckdb.",
            RuntimeWarning,
            stacklevel=2,
        )
        return Block
    return KernelBlock


def table_schema(features: Sequence[Feature], number: pa.DataType | None = None) -> pa.Schema:
    """The Arrow schema of the feature table."""
    numbers = number or pa.float32()
    fields = [("account_id", pa.string()), ("as_of", pa.date32()), *CONTEXT.items()]
    fields += [(f.name, pa.string() if f.categorical else numbers) for f in features]
    return pa.schema(fields)
