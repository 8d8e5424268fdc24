"""Many small worlds, their features by the pipeline and by the reference, cell beside cell."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import build as building
from features.catalog import catalogue
from features.declare import Catalogue, Feature
from features.facts.account import CONTEXT
from features.settings import Settings
from features.workspace import Workspace
from tests.reference import Day
from tests.reference_known import DAY, Knowledge, World
from tests.worlds import BACK, ENDS, load, sample_settings, together, worlds_of

WORLDS = 150
"""How many stand in one lake: a build costs the same for a few as for so many."""
Point = tuple[str, date]
Cells = dict[Point, dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One number of one account on one day, as the pipeline and as the reference has it."""

    account: str
    day: date
    feature: str
    found: Any
    expected: Any


@dataclass
class Batch:
    """Worlds that stand in one lake, observed on the same days."""

    worlds: list[World]
    settings: Settings
    days: list[date]

    @cached_property
    def whole(self) -> World:
        """All rows of all worlds."""
        return together(self.worlds)

    @cached_property
    def sides(self) -> list[Day]:
        """Each day with the accounts that are known on it."""
        known = [Knowledge(world) for world in self.worlds]
        return [Day(known, self.settings, day) for day in self.days]

    @cached_property
    def points(self) -> list[Point]:
        """Every account on every day on which it is known."""
        return [
            (account, day)
            for day, side in zip(self.days, self.sides, strict=True)
            for account in side.observers
        ]

    def expected(self, features: Sequence[Feature]) -> Cells:
        """What the reference says."""
        return {
            (account, day): {f.name: observer.value(f.expression) for f in features}
            | {name: observer.facts[name] for name in CONTEXT}
            for day, side in zip(self.days, self.sides, strict=True)
            for account, observer in side.observers.items()
        }

    @cached_property
    def found(self) -> Cells:
        """What the pipeline says of the whole catalogue."""
        return built(self.whole, self.settings, self.points)

    def differences(self, features: Sequence[Feature], found: Cells) -> Iterator[Cell]:
        """The cells in which the two do not agree; asks for the same points on both sides."""
        expected = self.expected(features)
        assert found.keys() == expected.keys()
        for (account, day), row in expected.items():
            for name, value in row.items():
                other = found[account, day][name]
                rough = 1e-6 if name in CONTEXT else 1e-9  # the context stays in single precision
                if not same(other, value, rough):
                    yield Cell(account, day, name, other, value)

    def story(self, cell: Cell) -> str:
        """A difference with all rows of the world that it lies in."""
        world = next(
            w for w in self.worlds if cell.account in {row["account_id"] for row in w.accounts}
        )
        rows = "\n".join(
            f"  {name}: " + ", ".join(f"{k}={v}" for k, v in row.items() if v is not None)
            for name, table in vars(world).items()
            for row in table
        )
        return f"{cell}\nin a world with these rows:\n{rows}"


def batch(end: str, first: int, count: int) -> Batch:
    """So many worlds from seeds in a row, around an end of `tests.worlds.ENDS`; by SQL."""
    last, zone = ENDS[end]
    settings = sample_settings(
        calendar={"zone": zone}, subscriptions={"lapse_after_days": 2}, engine={"name": "duckdb"}
    )
    worlds = worlds_of(range(first, first + count), last)
    return Batch(worlds, settings, [last - back * DAY for back in BACK])


SHARED = "Berlin falls back"
"""The end of the batch that several tests look at."""


@cache
def shared() -> Batch:
    """A batch that is built once for all tests."""
    return batch(SHARED, 1, WORLDS)


def built(world: World, settings: Settings, points: Sequence[Point]) -> Cells:
    """The features of some points, by the pipeline, in double precision."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        load(world, workspace)
        table = table_of(workspace, settings, points)
    return {(row["account_id"], row["as_of"]): row for row in table.to_pylist()}


def table_of(workspace: Workspace, settings: Settings, points: Sequence[Point]) -> pa.Table:
    """The feature table of a workspace, in double precision."""
    wanted = pd.DataFrame(points, columns=["account_id", "as_of"])
    out = workspace.root / "parity.parquet"
    return pq.read_table(building.build(workspace, settings, wanted, out=out, number=pa.float64()))


@contextmanager
def only(features: Sequence[Feature]) -> Iterator[None]:
    """For a while the catalogue holds these features."""
    whole = Catalogue(tuple(features), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "catalogue", lambda settings: whole)
        yield


def features_of(settings: Settings, names: Sequence[str]) -> list[Feature]:
    """Some features of the catalogue."""
    known = {f.name: f for f in catalogue(settings).features}
    return [known[name] for name in names]


def same(found: Any, expected: Any, rough: float = 1e-9) -> bool:
    """Whether two cells agree: missing with missing, numbers up to a relative difference."""
    if found is None or expected is None:
        return found is expected
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=rough, abs_tol=rough)
    return bool(found == expected)
