"""The feature rows of one block of days, accounts after accounts, so that memory is bounded."""

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from features.compute.faults import check_finite, located
from features.compute.leaves import column
from features.compute.peers import comparisons, peer_ranks, peer_values
from features.compute.session import Session
from features.compute.sql import compile_expression
from features.declare import Feature
from features.facts.account import CONTEXT
from features.points import POINT, chunks

CHUNK_POINTS = 100_000
CHUNK_RANKED = 500_000


class Block:
    """What accounts show by themselves on some days, then their place among peers."""

    def __init__(self, session: Session, features: Sequence[Feature], schema: pa.Schema) -> None:
        self.session, self.engine = session, session.engine
        self.features, self.schema = features, schema
        self.every = [f.expression for f in features]
        self.compared = [e for whole in self.every for e in comparisons(whole)]

    def rows(self, panel: pd.DataFrame) -> Iterator[pa.Table]:
        """The rows of the panel's observations, in its order.

        `panel`: as `with_peers` makes it.
        """
        own: list[pa.Table] = []
        for chunk, both in _passes(panel):
            with located(self.features, chunk, self._alone):
                own += (_aside(rows, self.session.tmp) for rows in self._own(chunk, both))
        self.engine.forget()
        ranked = self._standings()
        observed, at = panel.loc[panel["observed"], POINT], 0
        while own:
            part = own.pop(0)
            mine = observed[at : at + len(part)]
            rows = self._joined(mine, part, ranked.slice(at, len(part)))
            at += len(part)
            yield check_finite(rows, self.features)

    def standing(self, panel: pd.DataFrame) -> pa.Table:
        """What all points of the panel are compared by: account_id, as_of_day and the numbers."""
        for chunk in chunks(panel, CHUNK_RANKED):
            self.session.look_at(chunk)
            self.session.repeat("standing", self._standing)
        rows = self.engine.to_arrow(self.engine.table("panel"))
        self.engine.forget(lasting=True)
        return _renamed(rows, panel, "number", "account_id")

    def among(self, panel: pd.DataFrame, standing: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows of the panel's few observations, when the `standing` of the others is known.

        Returns them, and how they stand themselves.
        """
        mine = panel[panel["observed"]]
        with located(self.features, mine, self._alone):
            self.session.look_at(mine)
            work = partial(self._observed, ranked=True)
            own = self.engine.to_arrow(self.session.repeat("all", work))
        stand = self.engine.to_arrow(self.engine.table("panel"))
        others = _renamed(standing, panel[~panel["observed"]], "account_id", "number")
        self.engine.add("panel", self.engine.register(others.cast(stand.schema)))
        self.engine.forget()
        ranked = self.engine.to_arrow(self.session.repeat("ranked", self._ranked))
        self.engine.forget(lasting=True)
        rows = check_finite(self._joined(mine[POINT], own, ranked), self.features)
        return rows, _renamed(stand, panel, "number", "account_id")

    def _own(self, chunk: pd.DataFrame, both: bool) -> Iterator[pa.Table]:
        """What needs no peers of the chunk's observations; fills what `_ranked` reads."""
        session, repeat = self.session, self.session.repeat
        session.look_at(chunk)
        if both:
            yield self.engine.to_arrow(repeat("all", partial(self._observed, ranked=True)))
            return
        repeat("standing", self._standing)
        if chunk["observed"].any():
            session.look_at(chunk[chunk["observed"]])
            yield self.engine.to_arrow(repeat("observed", self._observed))

    def _observed(self, *, ranked: bool = False) -> ibis.Table:
        """Context and features that need no peers; aside goes what the others are made of."""
        parts = self.session.parts(self.every)
        if ranked:
            self.engine.add("panel", peer_values(parts, self.compared))
        mine = parts.semi_join(self.session.points.filter(_.observed), POINT)
        self.engine.add("beside", mine.select(*POINT, **self._beside(mine)))
        own = {f.name: self._stored(f, mine) for f in self.those(compared=False)}
        return mine.select(*POINT, *CONTEXT, **own).order_by(POINT)

    def _standing(self) -> ibis.Table:
        """The numbers of points that others are compared with."""
        standing = self.session.standing([e.of for e in self.compared])
        values = peer_values(standing, self.compared)
        self.engine.add("panel", values)
        return values

    def _standings(self) -> pa.Table:
        """The features that compare with peers, of all observations in their order."""
        return self.engine.to_arrow(self.session.repeat("ranked", self._ranked))

    def _ranked(self) -> ibis.Table:
        beside = self.engine.table("beside")
        ranks = peer_ranks(self.engine.table("panel"), beside.select(*POINT), self.compared)
        both = beside.join(self.engine.keep(ranks), POINT)
        features = {f.name: self._stored(f, both) for f in self.those(compared=True)}
        return both.select(*POINT, **features).order_by(POINT)

    def those(self, *, compared: bool) -> list[Feature]:
        """The features that compare with peers, or those that do not."""
        return [f for f in self.features if bool(comparisons(f.expression)) is compared]

    def _beside(self, parts: ibis.Table) -> dict[str, Any]:
        """The leaves of the features that are compared with peers."""
        walked = [e for f in self.those(compared=True) for e in f.expression.walk()]
        return {column(e): parts[column(e)] for e in walked if not list(e.parts())}

    def _stored(self, feature: Feature, table: ibis.Table) -> Any:
        """A feature's value in the type of its column."""
        one = pa.schema([self.schema.field(feature.name)])
        kind = ibis.Schema.from_pyarrow(one)[feature.name]
        return compile_expression(feature.expression, table).cast(kind)

    def _joined(self, points: pd.DataFrame, own: pa.Table, ranked: pa.Table) -> pa.Table:
        """The feature table's rows of some points from their two halves, all in one order."""
        days = pa.array(points["as_of_day"], pa.int32())
        known = {"account_id": pa.array(points["account_id"], pa.string()),
                 "as_of": days.cast(pa.date32())}  # fmt: skip
        halves = {c: half[c] for half in (ranked, own) for c in half.column_names}
        columns = [known[c] if c in known else halves[c] for c in self.schema.names]
        return pa.table(columns, names=self.schema.names).cast(self.schema)

    def _alone(self, feature: Feature, points: pd.DataFrame) -> None:
        """Compute one feature, or what is compared in it, and keep nothing of it."""
        inner = [e.of for e in comparisons(feature.expression)] or [feature.expression]
        try:
            self.session.look_at(points)
            parts = self.session.parts(inner)
            columns = {f"part_{i}": compile_expression(e, parts) for i, e in enumerate(inner)}
            self.engine.to_arrow(parts.select(**columns))
        finally:
            self.engine.forget()


def _aside(rows: pa.Table, folder: Path) -> pa.Table:
    """The rows on the disk instead of in memory, for as long as somebody holds them."""
    path = folder / f"rows-{uuid.uuid4().hex}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as sink:
        sink.write_table(rows)
    held = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    path.unlink()
    return held


def _renamed(rows: pa.Table, panel: pd.DataFrame, by: str, to: str) -> pa.Table:
    """Rows of the panel's accounts under their names instead of their numbers, or the reverse."""
    names = panel[["account_id", "number"]].drop_duplicates("number").set_index(by)[to]
    mine = rows.filter(pc.is_in(rows["account_id"], pa.array(names.index)))
    renamed = pa.array(names.loc[mine["account_id"].to_pandas()])
    return mine.set_column(0, "account_id", renamed)


def _passes(panel: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, bool]]:
    """The panel in chunks, and whether to compute all of a chunk at once.

    Where most of the panel is observed, as on a calendar grid, one pass serves observations and
    peers; where few are, the others are only ranked.
    """
    mostly_ranked = 2 * panel["observed"].sum() < len(panel)
    for chunk in chunks(panel, CHUNK_RANKED if mostly_ranked else CHUNK_POINTS):
        yield chunk, 2 * int(chunk["observed"].sum()) >= len(chunk)
