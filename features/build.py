"""Observations → the feature table. The only way features are made.

For training, nightly scoring and online use, a feature of an account is what is computed here.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import lake, provenance, rollups
from features.algebra import Expression, PeerRank
from features.catalog import catalogue
from features.declare import Feature
from features.engine import Engine, engine_of
from features.errors import NotReadyError
from features.events import CONTRACT
from features.facts import CONTEXT, Records, facts, populations
from features.points import chunks, observed_points, with_peers
from features.progress import Progress, silent
from features.settings import Settings
from features.sql import Rollups, compile_expression, leaves, peer_ranks, peer_values
from features.turns import alone
from features.windows import POINT
from features.workspace import Workspace, publish_file, publish_folder, publish_json

CHUNK_POINTS = 100_000
CHUNK_RANKED = 500_000
Known = Callable[[ibis.Table, Records, Settings], ibis.Table]


def build(
    workspace: Workspace,
    settings: Settings,
    observations: pd.DataFrame,
    *,
    out: Path,
    progress: Progress = silent,
) -> Path:
    """Write the feature table of the observations to `out` (Parquet) and return its path.

    In: `observations` with `account_id` and `as_of` (a date: midnight UTC, exclusive). Out: one row
    per distinct observation, sorted by account and date: account_id, as_of, the context columns of
    `features.facts.CONTEXT`, then the catalogue's features (float32; categories as text).

    Raises NotReadyError when nothing was ingested, InputError when there is nothing to observe.
    """
    points = observed_points(observations)
    with alone(workspace, "build"), publish_file(out) as staged:
        _write(workspace, settings, points, staged, progress)
    return out


def _write(
    workspace: Workspace, settings: Settings, points: pd.DataFrame, out: Path, progress: Progress
) -> None:
    stamp = json.dumps(provenance.stamp(workspace, settings))
    features = catalogue(settings).features
    with closing(engine_of(workspace, settings)) as engine:
        made = ensure_rollups(engine, workspace, settings, progress=progress)
        session = Session(engine, workspace, settings, made)
        rows = _rows(session, features, with_peers(workspace, points), progress)
        ranked = _ranked(session, features, rows)
        schema = table_schema(features).with_metadata({provenance.KEY: stamp})
        with pq.ParquetWriter(out, schema, write_page_checksum=True) as sink:
            for chunk in chunks(points, CHUNK_POINTS):
                sink.write_table(_finished(session, features, ranked, chunk))


def ensure_rollups(
    engine: Engine, workspace: Workspace, settings: Settings, *, progress: Progress = silent
) -> Path:
    """Make the rollups of the lake's events unless they are those of its current version."""
    state = lake.table_state(workspace, "events")
    if not state:
        raise NotReadyError("a workspace without events", do="Run `goldpan ingest` first.")
    stamp = {"events": state, "meaning": rollups.meaning(settings)}
    folder = workspace.rollups
    if (folder / "stamp.json").is_file() and json.loads(
        (folder / "stamp.json").read_text()
    ) == stamp:
        return folder
    progress(0, 0, "rolling up events")
    with publish_folder(folder) as staged:
        rollups.write_rollups(engine, lake.table_files(workspace, "events"), staged, settings)
        publish_json(staged / "stamp.json", stamp)
    return folder


class Session:
    """One build: its engine, and what it reads."""

    def __init__(
        self, engine: Engine, workspace: Workspace, settings: Settings, folder: Path
    ) -> None:
        self.engine, self.workspace, self.settings, self.rollups = (
            engine, workspace, settings, folder,
        )  # fmt: skip
        by_event = engine.read_parquet(folder / "account_event_day.parquet")
        self.events = use_events(engine, by_event, settings)

    def parts(self, chunk: pd.DataFrame, wanted: list[Expression]) -> ibis.Table:
        """The leaves of `wanted` and all facts, one row a point of the chunk."""
        return self._parts(chunk, wanted, facts)

    def standing(self, chunk: pd.DataFrame, ranked: list[Expression]) -> ibis.Table:
        """The leaves of `ranked` and the population, for points that are only compared with."""
        return self._parts(chunk, ranked, populations)

    def _parts(self, chunk: pd.DataFrame, wanted: list[Expression], known: Known) -> ibis.Table:
        low, high = chunk["account_id"].iloc[0], chunk["account_id"].iloc[-1]

        def mine(table: ibis.Table) -> ibis.Table:
            return table.filter((table.account_id >= low) & (table.account_id <= high))

        keep = self.engine.keep
        points = self.engine.register(chunk)
        daily = {
            name: mine(self.engine.read_parquet(self.rollups / f"{name}.parquet"))
            for name in ("account_day", "account_event_day", "user_day")
        }
        tables = {name: mine(self._table(name)) for name in ("accounts", "users", "subscriptions")}
        records = Records(**tables, account_event_day=daily["account_event_day"])
        profile = keep(known(points, records, self.settings))
        return keep(leaves(wanted, points, Rollups(**daily), profile, self.events, keep))

    def _table(self, name: str) -> ibis.Table:
        files = lake.table_files(self.workspace, name)
        if files:
            return self.engine.read_parquet(files)
        return self.engine.register(CONTRACT[name].schema().empty_table())


def use_events(engine: Engine, by_event: ibis.Table, settings: Settings) -> dict[str, list[str]]:
    """The events that the keys `feature` and `core` cover."""
    declared = settings.events
    if declared.features:
        features = list(declared.features)
    else:
        quiet = {*declared.passive, *declared.notifications_shown}
        seen = engine.to_arrow(by_event.select("event").distinct())["event"].to_pylist()
        features = sorted(set(seen) - quiet)
    return {"feature": features, "core": list(declared.core_use_cases)}


def _rows(
    session: Session, features: Sequence[Feature], panel: pd.DataFrame, progress: Progress
) -> ibis.Table:
    """Compute the panel: table `panel` (what is ranked), and the rows asked for, unranked.

    Where most of the panel is observed, as on a calendar grid, both come from one pass; where few
    are, the rest of the panel is only ranked.
    """
    engine = session.engine
    own = [f for f in features if not _ranks_in(f)]
    peers = [e for f in features for e in _ranks_in(f)]
    ranked, every = [r.of for r in peers], [f.expression for f in features]
    done = 0
    mostly_ranked = 2 * panel["observed"].sum() < len(panel)
    for chunk in chunks(panel, CHUNK_RANKED if mostly_ranked else CHUNK_POINTS):
        observed = chunk.loc[chunk["observed"], POINT]
        both = 2 * len(observed) >= len(chunk)
        parts = (
            session.parts(chunk[POINT], every) if both else session.standing(chunk[POINT], ranked)
        )
        engine.add("panel", peer_values(parts, peers))
        if both:
            engine.add("rows", _known(own, parts.semi_join(engine.register(observed), POINT)))
        elif len(observed):
            engine.add("rows", _known(own, session.parts(observed, every)))
        engine.forget()
        done += len(chunk)
        progress(done, len(panel), "as known then")
    return engine.table("rows")


def _ranks_in(feature: Feature) -> list[PeerRank]:
    return [e for e in feature.expression.walk() if isinstance(e, PeerRank)]


def _known(features: Sequence[Feature], parts: ibis.Table) -> ibis.Table:
    """Context and features that need no peers."""
    columns = {f.name: _stored(f, compile_expression(f.expression, parts)) for f in features}
    return parts.select(*POINT, **{c: parts[c] for c in CONTEXT}, **columns)


def _stored(feature: Feature, value: Any) -> Any:
    return value.cast("string") if feature.categorical else value.cast("float32")


def _ranked(session: Session, features: Sequence[Feature], rows: ibis.Table) -> ibis.Table:
    """The rows with their standing among peers."""
    peers = [e for f in features for e in _ranks_in(f)]
    ranks = session.engine.keep(
        peer_ranks(session.engine.table("panel"), rows.select(*POINT), peers)
    )
    joined = rows.join(ranks, POINT)
    columns = {
        f.name: _stored(f, compile_expression(f.expression, joined))
        for f in features
        if _ranks_in(f)
    }
    return joined.mutate(**columns)


def _finished(
    session: Session, features: Sequence[Feature], ranked: ibis.Table, chunk: pd.DataFrame
) -> pa.Table:
    """The feature table's rows of one chunk, in its order and types."""
    low, high = chunk["account_id"].iloc[0], chunk["account_id"].iloc[-1]
    mine = ranked.filter((ranked.account_id >= low) & (ranked.account_id <= high))
    dated = mine.mutate(as_of=ibis.literal(date(1970, 1, 1)) + mine.as_of_day.as_interval("D"))
    arrow = session.engine.to_arrow(dated.order_by(["account_id", "as_of"]))
    return arrow.select(table_schema(features).names).cast(table_schema(features))


def table_schema(features: Sequence[Feature]) -> pa.Schema:
    """The Arrow schema of the feature table."""
    fields = [("account_id", pa.string()), ("as_of", pa.date32()), *CONTEXT.items()]
    fields += [(f.name, pa.string() if f.categorical else pa.float32()) for f in features]
    return pa.schema(fields)
