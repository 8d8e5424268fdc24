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
from features.algebra import Expression
from features.catalog import catalogue
from features.declare import Feature
from features.errors import NotReadyError
from features.events import CONTRACT
from features.facts import CONTEXT, Records, facts, populations
from features.leaves import Rollups, leaves
from features.peers import Compared, comparisons, peer_ranks, peer_values
from features.points import chunks, observed_points, with_peers
from features.progress import Progress, silent
from features.settings import Settings
from features.sql import compile_expression
from features.turns import alone
from features.windows import POINT
from features.workspace import Workspace, publish_file, publish_folder, publish_json

CHUNK_POINTS = 100_000
CHUNK_RANKED = 500_000
MEMORY = "2GB"
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
    made = ensure_rollups(workspace, settings, progress=progress)
    features = catalogue(settings).features
    with closing(Session(workspace, settings, made)) as session:
        rows = _rows(session, features, with_peers(workspace, points), progress)
        ranked = _ranked(session, features, rows)
        schema = table_schema(features).with_metadata({provenance.KEY: stamp})
        with pq.ParquetWriter(out, schema, write_page_checksum=True) as sink:
            for chunk in chunks(points, CHUNK_POINTS):
                sink.write_table(_finished(session, features, ranked, chunk))


def connect(workspace: Workspace, settings: Settings) -> Any:
    """An ibis connection to DuckDB with its threads, memory and spill folder set."""
    return ibis.duckdb.connect(
        threads=settings.training.threads,
        memory_limit=MEMORY,
        temp_directory=str(workspace.tmp / "duckdb"),
        preserve_insertion_order=False,
    )


def ensure_rollups(
    workspace: Workspace, settings: Settings, *, progress: Progress = silent
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
    con = connect(workspace, settings)
    with publish_folder(folder) as staged:
        rollups.write_rollups(con, lake.table_files(workspace, "events"), staged, settings)
        publish_json(staged / "stamp.json", stamp)
    con.disconnect()
    return folder


class Session:
    """One build: a connection to DuckDB, what it reads, and the tables it keeps for a while."""

    def __init__(self, workspace: Workspace, settings: Settings, folder: Path) -> None:
        self.workspace, self.settings, self.rollups = workspace, settings, folder
        self.con = connect(workspace, settings)
        self.events = use_events(
            self.con.read_parquet(folder / "account_event_day.parquet"), settings
        )
        self._kept: list[str] = []
        self._lasting: set[str] = set()

    def keep(self, table: ibis.Table) -> ibis.Table:
        """Compute a table once, until `forget`."""
        name = f"kept_{len(self._kept)}"
        self._kept.append(name)
        return self.con.create_table(name, table, temp=True, overwrite=True)

    def add(self, name: str, table: ibis.Table) -> None:
        """Append rows to a table that lives as long as the session."""
        if name in self._lasting:
            self.con.insert(name, table)
        else:
            self.con.create_table(name, table, temp=True)
            self._lasting.add(name)

    def close(self) -> None:
        """End the connection."""
        self.con.disconnect()

    def forget(self) -> None:
        """Drop the kept tables."""
        for name in self._kept:
            self.con.drop_table(name, force=True)
        self._kept.clear()

    def register(self, points: pd.DataFrame) -> ibis.Table:
        """A frame as a table that lives until `forget`."""
        arrow = pa.Table.from_pandas(points, preserve_index=False)
        return self.keep(ibis.memtable(arrow))

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

        points = self.register(chunk)
        daily = {
            name: mine(self.con.read_parquet(self.rollups / f"{name}.parquet"))
            for name in ("account_day", "account_event_day", "user_day")
        }
        tables = {
            name: _as_known(mine(self._table(name)))
            for name in ("accounts", "users", "subscriptions")
        }
        records = Records(**tables, account_event_day=daily["account_event_day"])
        profile = self.keep(known(points, records, self.settings))
        return self.keep(leaves(wanted, points, Rollups(**daily), profile, self.events, self.keep))

    def _table(self, name: str) -> ibis.Table:
        files = lake.table_files(self.workspace, name)
        if files:
            return self.con.read_parquet(files)
        return ibis.memtable(CONTRACT[name].schema().empty_table())


def _as_known(rows: ibis.Table) -> ibis.Table:
    """A contract table with the instants from which and until which its rows are known."""
    return rows.mutate(
        known_us=rollups.microseconds(rows.known_at), until_us=ibis.literal(2**62, "int64")
    )


def use_events(by_event: ibis.Table, settings: Settings) -> dict[str, list[str]]:
    """The events that the keys `feature`, `core`, `golden` and `plan:<name>` cover."""
    declared = settings.events
    if declared.features:
        features = list(declared.features)
    else:
        quiet = {*declared.passive, *declared.notifications_shown}
        seen = by_event.select("event").distinct().to_pyarrow()["event"].to_pylist()
        features = sorted(set(seen) - quiet)
    included = {f"plan:{plan}": list(names) for plan, names in settings.plans.features.items()}
    listed = {"core": list(declared.core_use_cases), "golden": list(declared.golden)}
    return {"feature": features} | listed | included


def _rows(
    session: Session, features: Sequence[Feature], panel: pd.DataFrame, progress: Progress
) -> ibis.Table:
    """Compute the panel: table `panel` (what is ranked), and the rows asked for, unranked.

    Where most of the panel is observed, as on a calendar grid, both come from one pass; where few
    are, the rest of the panel is only ranked.
    """
    own = [f for f in features if not comparisons(f.expression)]
    peers: list[Compared] = [e for f in features for e in comparisons(f.expression)]
    ranked, every = [r.of for r in peers], [f.expression for f in features]
    done = 0
    mostly_ranked = 2 * panel["observed"].sum() < len(panel)
    for chunk in chunks(panel, CHUNK_RANKED if mostly_ranked else CHUNK_POINTS):
        observed = chunk.loc[chunk["observed"], POINT]
        both = 2 * len(observed) >= len(chunk)
        parts = (
            session.parts(chunk[POINT], every) if both else session.standing(chunk[POINT], ranked)
        )
        session.add("panel", peer_values(parts, peers))
        if both:
            session.add("rows", _known(own, parts.semi_join(session.register(observed), POINT)))
        elif len(observed):
            session.add("rows", _known(own, session.parts(observed, every)))
        session.forget()
        done += len(chunk)
        progress(done, len(panel), "as known then")
    return session.con.table("rows")


def _known(features: Sequence[Feature], parts: ibis.Table) -> ibis.Table:
    """Context and features that need no peers."""
    columns = {f.name: _stored(f, compile_expression(f.expression, parts)) for f in features}
    return parts.select(*POINT, **{c: parts[c] for c in CONTEXT}, **columns)


def _stored(feature: Feature, value: Any) -> Any:
    return value.cast("string") if feature.categorical else value.cast("float32")


def _ranked(session: Session, features: Sequence[Feature], rows: ibis.Table) -> ibis.Table:
    """The rows with their standing among peers."""
    peers = [e for f in features for e in comparisons(f.expression)]
    ranks = session.keep(peer_ranks(session.con.table("panel"), rows.select(*POINT), peers))
    joined = rows.join(ranks, POINT)
    columns = {
        f.name: _stored(f, compile_expression(f.expression, joined))
        for f in features
        if comparisons(f.expression)
    }
    return joined.mutate(**columns)


def _finished(
    session: Session, features: Sequence[Feature], ranked: ibis.Table, chunk: pd.DataFrame
) -> pa.Table:
    """The feature table's rows of one chunk, in its order and types."""
    low, high = chunk["account_id"].iloc[0], chunk["account_id"].iloc[-1]
    mine = ranked.filter((ranked.account_id >= low) & (ranked.account_id <= high))
    dated = mine.mutate(as_of=ibis.literal(date(1970, 1, 1)) + mine.as_of_day.as_interval("D"))
    arrow = dated.order_by(["account_id", "as_of"]).to_pyarrow()
    return arrow.select(table_schema(features).names).cast(table_schema(features))


def table_schema(features: Sequence[Feature]) -> pa.Schema:
    """The Arrow schema of the feature table."""
    fields = [("account_id", pa.string()), ("as_of", pa.date32()), *CONTEXT.items()]
    fields += [(f.name, pa.string() if f.categorical else pa.float32()) for f in features]
    return pa.schema(fields)
