"""The feature rows of one block of days by the kernel."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from features.algebra import Expression
from features.compute.block import Block
from features.compute.peers import Compared, comparisons
from features.compute.session import Session
from features.declare import Feature
from features.facts.account import CONTEXT
from features.kernel.combine import combined
from features.kernel.held import arrays, facts, group_numbers, populations
from features.kernel.known import Facts
from features.kernel.leaves import Values, computed, innermost
from features.kernel.peers import rounded, standings
from features.kernel.records import read_records
from features.kernel.rows import Floats, Ints


class KernelBlock(Block):
    """What accounts show by themselves on some days, then their place among peers."""

    def __init__(self, session: Session, features: Sequence[Feature], schema: pa.Schema) -> None:
        super().__init__(session, features, schema)
        self.panel = Panel(tuple(dict.fromkeys(self.compared)))
        self.beside = innermost([f.expression for f in self.those(compared=True)])
        self.later: list[tuple[Values, Facts]] = []
        self.records = read_records(session.workspace)

    def _own(self, chunk: pd.DataFrame, both: bool) -> Iterator[pa.Table]:
        observed = chunk["observed"].to_numpy(dtype=bool)
        ranked = [e.of for e in self.panel.compared]
        self.session.look_at(chunk)
        if not both:
            found = innermost(ranked)
            known = populations(self.session, chunk, self.records)
            self._stand(chunk, self._values(chunk, found, known), known)
            if not observed.any():
                return
            chunk, observed = chunk[observed], observed[observed]
            self.session.look_at(chunk)
        known = facts(self.session, chunk, self.records)
        values = self._values(chunk, innermost([*self.every, *ranked]), known)
        if both:
            self._stand(chunk, values, known)
        mine = {e: values[e][observed] for e in values}
        seen = Facts(known.table.filter(pa.array(observed)))
        self.later.append(({e: mine[e] for e in self.beside}, seen))
        yield self._table(self.those(compared=False), mine, seen, tuple(CONTEXT))

    def _values(self, chunk: pd.DataFrame, found: Sequence[Expression], known: Facts) -> Values:
        return computed(found, arrays(self.session, chunk, found), known)

    def _stand(self, chunk: pd.DataFrame, values: Values, known: Facts) -> None:
        days = chunk["as_of_day"].to_numpy(dtype=np.int64)
        self.panel.add(days, chunk["observed"].to_numpy(dtype=bool), values, known)

    def _standings(self) -> pa.Table:
        """The features that compare with peers, of all observations in their order."""
        placed = self.panel.placed()
        parts, at = [], 0
        for values, known in self.later:
            here = slice(at, at := at + len(known.table))
            both = values | {e: place[here] for e, place in placed.items()}
            parts.append(self._table(self.those(compared=True), both, known, ()))
        self.later.clear()
        self.panel.clear()
        return pa.concat_tables(parts)

    def _alone(self, feature: Feature, points: pd.DataFrame) -> None:
        """Compute one feature, or what is compared in it, and keep nothing of it."""
        inner = [e.of for e in comparisons(feature.expression)] or [feature.expression]
        try:
            self.session.look_at(points)
            known = facts(self.session, points, self.records)
            values = self._values(points, innermost(inner), known)
            for e in inner:
                if not feature.categorical:
                    combined(e, values, known)
        finally:
            self.engine.forget()

    def _table(
        self, features: Sequence[Feature], values: Values, known: Facts, context: tuple[str, ...]
    ) -> pa.Table:
        columns = {name: known.table[name] for name in context}
        columns |= {f.name: self._column(f, values, known) for f in features}
        return pa.table(columns)

    def _column(self, feature: Feature, values: Values, known: Facts) -> pa.Array:
        kind = self.schema.field(feature.name).type
        if feature.categorical:
            return known.table[feature.expression.name].cast(kind)  # type: ignore[attr-defined]
        numbers = combined(feature.expression, values, known)
        return pa.array(numbers.astype(kind.to_pandas_dtype()), kind, from_pandas=True)


class Panel:
    """What the points of a block are compared by, gathered chunk after chunk."""

    def __init__(self, compared: tuple[Compared, ...]) -> None:
        self.compared = compared
        self.clear()

    def clear(self) -> None:
        """Forget the points."""
        self.days: list[Ints] = []
        self.observed: list[np.ndarray] = []
        self.numbers: dict[Expression, list[Floats]] = {e.of: [] for e in self.compared}
        self.facts: dict[str, list[pa.ChunkedArray]] = {
            f: [] for e in self.compared for f in e.among
        }

    def add(self, days: Ints, observed: np.ndarray, values: Values, known: Facts) -> None:
        """Some more points."""
        self.days.append(days)
        self.observed.append(observed)
        for of, parts in self.numbers.items():
            parts.append(rounded(combined(of, values, known)))
        for fact, texts in self.facts.items():
            texts.append(known.group(fact))

    def placed(self) -> Values:
        """Each comparison, for the points that are observed."""
        if not self.compared:
            return {}
        groups = {fact: group_numbers(texts) for fact, texts in self.facts.items()}
        groups["as_of_day"] = np.concatenate(self.days)
        numbers = {of: np.concatenate(parts) for of, parts in self.numbers.items()}
        observed = np.concatenate(self.observed)
        found = standings(self.compared, numbers, groups)
        return {e: place[observed] for e, place in found.items()}
