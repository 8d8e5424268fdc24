"""The state of all accounts in memory gives the rows that a build gives, to the bit."""

import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from features.declare import Feature
from features.engines.engine import running_on
from features.resident.resident import Resident
from features.settings import Settings
from features.workspace import Workspace
from tests.expressions import Declarer
from tests.parity import Batch, Cells, batch, only, table_of
from tests.worlds import ENDS, load


def resident_cells(workspace: Workspace, settings: Settings, days: Sequence[date]) -> Cells:
    """Every account on every day, from a state in memory."""
    found: Cells = {}
    with Resident(workspace, settings) as resident:
        for day in days:
            resident.rows([], day)
            assert resident.state is not None
            rows = resident.state.rows(sorted(resident.state.told)).to_pylist()
            found |= {(row["account_id"], row["as_of"]): row for row in rows}
    return found


def assert_as_built(one: Batch, workspace: Workspace, features: Sequence[Feature] | None) -> None:
    """Whether every cell is the build's, rounded to single precision."""
    load(one.whole, workspace)
    settings = running_on(one.settings, "kernel")
    built = table_of(workspace, settings, one.points).to_pylist()
    found = resident_cells(workspace, one.settings, one.days)
    assert len(built) == len(found) == len(one.points)
    for row in built:
        mine = found[row["account_id"], row["as_of"]]
        assert mine.keys() == row.keys()
        for name, value in row.items():
            told = np.float32(value) if isinstance(value, float) else value
            mine_ = np.float32(mine[name]) if isinstance(mine[name], float) else mine[name]
            assert mine_ == told, (row["account_id"], row["as_of"], name)


def test_rows_of_the_catalogue_are_those_of_a_build(tmp_path: Path) -> None:
    """Random worlds with late events, merges and moves, at the ends of days, weeks and summer."""
    assert_as_built(batch("Berlin springs forward", 7, 25), Workspace(tmp_path), None)


@pytest.mark.parametrize("first", [5, pytest.param(21, marks=pytest.mark.slow)])
def test_rows_of_any_expression_are_those_of_a_build(first: int, tmp_path: Path) -> None:
    """The whole algebra, also where no catalogue declares it so."""
    dice = random.Random(first)  # noqa: S311 - reproducible, not secret
    features = Declarer(dice).features(84)
    with only(features):
        one = batch(dice.choice(list(ENDS)), first, 25)
        assert_as_built(one, Workspace(tmp_path), features)


def test_an_accounts_row_made_again_and_again_is_the_same(tmp_path: Path) -> None:
    """To stand among one's peers once more changes nothing."""
    one = batch("Berlin springs forward", 3, 10)
    load(one.whole, Workspace(tmp_path))
    with Resident(Workspace(tmp_path), one.settings) as resident:
        resident.rows([], one.days[-1])
        state = resident.state
        assert state is not None
        first = {account: state.numbers(account) for account in state.told}
        for account, numbers in first.items():
            assert np.array_equal(state.numbers(account), numbers, equal_nan=True)
