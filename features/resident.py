"""Feature rows of a few accounts, again and again, while events come in.

They are what `features.build.build` would make of them on that day. Two things are kept from one
time to the next, so that a few accounts cost a second and not the minute of all: the statements,
which mean the same again, and how every account stands among its peers, which changes only for the
accounts that something was learnt of.
"""

from collections.abc import Collection
from datetime import date
from types import TracebackType

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features import lake
from features.build import named, table_schema
from features.compute.block import Block
from features.compute.session import Session
from features.engines.engine import Engine, engine_of, running_on
from features.events import CONTRACT
from features.identity import resolve
from features.points import known_points, numbered, observed_points, with_peers
from features.rollups.weeks import ensure_rollups
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace


class Resident:
    """Computes rows in one process for as long as it lives; to be closed."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace, self.settings = workspace, running_on(settings, "duckdb")
        self.features = named(settings, None)
        self.schema = table_schema(self.features)
        self._engine: Engine | None = None
        self._tables = ""
        self._stand: tuple[date, pa.Table] | None = None

    def forget_peers(self) -> None:
        """Something was learnt of other accounts than those that will be asked for."""
        self._stand = None

    def rows(self, accounts: Collection[str], day: date) -> pa.Table:
        """The feature table's rows of the accounts that are known on the day, as known then.

        All accounts of which anything was learnt since the last time must be among `accounts`,
        unless `forget_peers` was called.
        """
        asked = pd.DataFrame({"account_id": sorted(accounts), "as_of": pd.Timestamp(day)})
        observations = known_points(self.workspace, asked)
        with alone(self.workspace, "build", brief=True):
            engine = self._ready()
            made = ensure_rollups(engine, self.workspace, self.settings)
            if observations.empty:
                return self.schema.empty_table()
            points = observed_points(self.workspace, observations)
            session = Session(engine, self.workspace, self.settings, made, points)
            panel = numbered(with_peers(self.workspace, points))
            block = Block(session, self.features, self.schema)
            rows, mine = block.among(panel, self._standing(block, panel, day))
        self._note(mine, day)
        return rows

    def _standing(self, block: Block, panel: pd.DataFrame, day: date) -> pa.Table:
        """How the accounts of the panel stand: as noted, if all that are not asked for are."""
        others = set(panel.loc[~panel["observed"], "account_id"])
        if self._stand is not None:
            then, known = self._stand
            if then != day or others - set(known["account_id"].to_pylist()):
                self._stand = None
        if self._stand is None:
            self._stand = day, block.standing(panel)
        return self._stand[1]

    def _note(self, mine: pa.Table, day: date) -> None:
        assert self._stand is not None  # noqa: S101 - made by `_standing`
        former = self._stand[1]
        again = pc.is_in(former["account_id"], mine["account_id"].combine_chunks())
        kept = former.filter(pc.invert(again)).cast(mine.schema)
        self._stand = day, pa.concat_tables([kept, mine])

    def _ready(self) -> Engine:
        """The engine; a new one when what its statements read is no longer what it was."""
        there = [name for name in CONTRACT if lake.table_files(self.workspace, name)]
        tables = f"{there} {resolve.read_links(self.workspace).merges.to_pylist()}"
        if self._engine is not None and tables != self._tables:
            self.close()
        if self._engine is None:
            self._engine, self._tables = engine_of(self.workspace, self.settings), tables
        return self._engine

    def close(self) -> None:
        """End the engine; the next rows start one again."""
        self._stand = None
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def __enter__(self) -> "Resident":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
