"""Observations → the feature table. The only way features are made.

For training, nightly scoring and online use, a feature of an account is what is computed here.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import provenance
from features.catalog import catalogue
from features.compute.faults import check_finite, located
from features.compute.leaves import column
from features.compute.peers import comparisons, peer_ranks, peer_values
from features.compute.session import Session
from features.compute.sql import compile_expression
from features.declare import Feature
from features.engines.engine import Engine, engine_of
from features.facts.account import CONTEXT
from features.points import POINT, blocks, chunks, observed_points, with_peers
from features.progress import Progress, silent
from features.rollups.weeks import ensure_rollups
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace, publish_file

BLOCK_POINTS = 200_000
CHUNK_POINTS = 100_000
CHUNK_RANKED = 500_000
CHUNK_FINISHED = 50_000


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
    with closing(engine_of(workspace, settings)) as engine:
        made = ensure_rollups(engine, workspace, settings, progress=progress)
        done = 0
        for block in blocks(points, BLOCK_POINTS):
            session = Session(engine, workspace, settings, made, block)
            panel = with_peers(workspace, block) if ranked else block.assign(observed=True)
            for rows in _block(session, features, panel, schema):
                done += rows.num_rows
                progress(done, len(points), "as known then")
                yield rows
            engine.forget(lasting=True)


def _block(
    session: Session, features: Sequence[Feature], panel: pd.DataFrame, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows of some days: all that accounts show by themselves, then their place among peers."""
    compared = [e for f in features for e in comparisons(f.expression)]
    engine = session.engine
    for chunk, both in _passes(panel):
        with located(features, chunk, partial(_alone, session)):
            _compute(session, features, schema, chunk, both)
    rows = engine.table("rows")
    ranks = engine.keep(peer_ranks(engine.table("panel"), rows.select(*POINT), compared))
    observed = panel.loc[panel["observed"], POINT]
    for chunk in chunks(observed, CHUNK_FINISHED):
        finished = _finished(engine, features, rows.join(ranks, POINT), chunk, schema)
        yield check_finite(finished, features)


def _passes(panel: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, bool]]:
    """The panel in chunks, and whether to compute all of a chunk at once.

    Where most of the panel is observed, as on a calendar grid, one pass serves observations and
    peers; where few are, the others are only ranked.
    """
    mostly_ranked = 2 * panel["observed"].sum() < len(panel)
    for chunk in chunks(panel, CHUNK_RANKED if mostly_ranked else CHUNK_POINTS):
        yield chunk, 2 * int(chunk["observed"].sum()) >= len(chunk)


def _compute(
    session: Session,
    features: Sequence[Feature],
    schema: pa.Schema,
    chunk: pd.DataFrame,
    both: bool,
) -> None:
    """Add a chunk's numbers to the table `panel`, and its observations' features to `rows`."""
    engine, every = session.engine, [f.expression for f in features]
    compared = [e for whole in every for e in comparisons(whole)]
    observed = chunk.loc[chunk["observed"], POINT]
    if both:
        parts = session.parts(chunk[POINT], every)
        engine.add("panel", peer_values(parts, compared))
        mine = (
            parts
            if len(observed) == len(chunk)
            else parts.semi_join(engine.register(observed), POINT)
        )
        engine.add("rows", _known(features, mine, schema))
    else:
        standing = session.standing(chunk[POINT], [e.of for e in compared])
        engine.add("panel", peer_values(standing, compared))
        if len(observed):
            engine.add("rows", _known(features, session.parts(observed, every), schema))
    engine.forget()


def _alone(session: Session, feature: Feature, points: pd.DataFrame) -> None:
    """Compute one feature, or what is compared in it, and keep nothing of it."""
    inner = [e.of for e in comparisons(feature.expression)] or [feature.expression]
    try:
        parts = session.parts(points[POINT], inner)
        columns = {f"part_{i}": compile_expression(e, parts) for i, e in enumerate(inner)}
        session.engine.to_arrow(parts.select(**columns))
    finally:
        session.engine.forget()


def _known(features: Sequence[Feature], parts: ibis.Table, schema: pa.Schema) -> ibis.Table:
    """Context, features that need no peers, and for the others what they are made of besides."""
    own = {f.name: _stored(f, parts, schema) for f in features if not comparisons(f.expression)}
    columns = {c: parts[c] for c in CONTEXT}
    beside = _beside(features, parts)
    return parts.select(*POINT, **columns, **own, **beside)


def _beside(features: Sequence[Feature], parts: ibis.Table) -> dict[str, Any]:
    """The leaves of the features that are compared with peers."""
    compared = [f.expression for f in features if comparisons(f.expression)]
    leaves = [e for whole in compared for e in whole.walk() if not list(e.parts())]
    return {f"leaf__{column(e)}": parts[column(e)] for e in leaves}


def _stored(feature: Feature, table: ibis.Table, schema: pa.Schema) -> Any:
    """A feature's value in the type of its column."""
    kind = ibis.Schema.from_pyarrow(pa.schema([schema.field(feature.name)]))[feature.name]
    return compile_expression(feature.expression, table).cast(kind)


def _finished(
    engine: Engine,
    features: Sequence[Feature],
    rows: ibis.Table,
    chunk: pd.DataFrame,
    schema: pa.Schema,
) -> pa.Table:
    """The feature table's rows of one chunk, in its order and types."""
    low, high = chunk["account_id"].iloc[0], chunk["account_id"].iloc[-1]
    mine = rows.filter((rows.account_id >= low) & (rows.account_id <= high))
    leaves = {c.removeprefix("leaf__"): mine[c] for c in mine.columns if c.startswith("leaf__")}
    known = mine.mutate(**leaves)
    ranked = {f.name: _stored(f, known, schema) for f in features if comparisons(f.expression)}
    as_of = ibis.literal(date(1970, 1, 1)) + mine.as_of_day.as_interval("D")
    dated = known.mutate(as_of=as_of, **ranked).select(*schema.names)
    return engine.to_arrow(dated.order_by(["account_id", "as_of"])).cast(schema)


def table_schema(features: Sequence[Feature], number: pa.DataType | None = None) -> pa.Schema:
    """The Arrow schema of the feature table."""
    numbers = number or pa.float32()
    fields = [("account_id", pa.string()), ("as_of", pa.date32()), *CONTEXT.items()]
    fields += [(f.name, pa.string() if f.categorical else numbers) for f in features]
    return pa.schema(fields)
