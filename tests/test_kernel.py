import random
from pathlib import Path

import pyarrow as pa
import pytest

from features import build as building
from features.catalog import catalogue
from features.compute import block
from features.engines.engine import running_on
from features.settings import Settings
from features.workspace import Workspace
from tests.expressions import Declarer
from tests.parity import Batch, Cells, batch, built, only, shared, table_of
from tests.worlds import ENDS, load


def by_kernel(settings: Settings) -> Settings:
    """The settings with the kernel as engine."""
    return running_on(settings, "kernel")


def assert_as_reference(one: Batch, features: list, found: Cells) -> None:
    """Whether every cell is what plain Python says."""
    differences = list(one.differences(features, found))
    assert not differences, f"{len(differences)} cells differ; {one.story(differences[0])}"


def test_every_cell_of_the_catalogue_is_what_plain_python_says() -> None:
    """The kernel and a slow, obvious reference agree on every cell of random worlds."""
    one = batch("Berlin springs forward", 7, 30)
    found = built(one.whole, by_kernel(one.settings), one.points)
    assert_as_reference(one, catalogue(one.settings).features, found)


@pytest.mark.slow
def test_every_cell_of_many_worlds_is_what_plain_python_says() -> None:
    """The same on as many worlds as the SQL is tried on."""
    one = shared()
    found = built(one.whole, by_kernel(one.settings), one.points)
    assert_as_reference(one, catalogue(one.settings).features, found)


@pytest.mark.parametrize("first", [2, pytest.param(11, marks=pytest.mark.slow)])
def test_any_expression_is_what_plain_python_says(first: int) -> None:
    """The whole algebra agrees with the reference, also where no catalogue declares it so."""
    dice = random.Random(first)  # noqa: S311 - reproducible, not secret
    one = batch(dice.choice(list(ENDS)), first, 40)
    features = Declarer(dice).features(84)
    with only(features):
        found = built(one.whole, by_kernel(one.settings), one.points)
    assert_as_reference(one, features, found)


def test_how_a_build_is_cut_changes_no_bit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small blocks and chunks, of days on which few are observed too, give the same doubles."""
    one, workspace = batch("Berlin springs forward", 3, 25), Workspace(tmp_path / "workspace")
    load(one.whole, workspace)  # once: DuckDB sums the minutes of a rollup in no fixed order
    settings = by_kernel(one.settings)
    whole = cells(table_of(workspace, settings, one.points))
    points = [p for p in one.points if p[1] == one.days[-1]]
    points += [p for p in one.points if p[1] in one.days[:2]][::9]
    monkeypatch.setattr(building, "BLOCK_POINTS", 60)
    monkeypatch.setattr(block, "CHUNK_POINTS", 70)
    monkeypatch.setattr(block, "CHUNK_RANKED", 90)
    found = cells(table_of(workspace, settings, points))
    assert found == {point: whole[point] for point in points}


def cells(table: pa.Table) -> Cells:
    """A feature table's rows by account and day."""
    return {(row["account_id"], row["as_of"]): row for row in table.to_pylist()}
