"""The state of all accounts in memory gives the rows that a build gives, to the bit."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from features.declare import Feature
from features.engines.engine import running_on
from features.resident import resident as residing
from features.resident import state as states
from features.resident.resident import Resident
from features.settings import Settings
from features.workspace import Workspace
from tests.expressions import Declarer
from tests.parity import Batch, Cells, batch, only, table_of
from tests.reference_known import DAY, World, midnight
from tests.worlds import ENDS, load


def resident_cells(workspace: Workspace, settings: Settings, days: Sequence[date]) -> Cells:
    """Every account on every day, from a state in memory."""
    found: Cells = {}
    with Resident(workspace, settings) as resident:
        for day in days:
            resident.rows([], day)
            assert resident.state is not None
            rows = resident.state.rows(sorted(resident.state.told.accounts)).to_pylist()
            found |= {(row["account_id"], row["as_of"]): row for row in rows}
    return found


def assert_as_built(one: Batch, workspace: Workspace, features: Sequence[Feature] | None) -> None:
    """Whether every cell is the build's, rounded to single precision."""
    load(one.whole, workspace)
    settings = running_on(one.settings, "kernel")
    built = table_of(workspace, settings, one.points).to_pylist()
    found = resident_cells(workspace, one.settings, one.days)
    assert len(built) == len(one.points)
    assert_equal(found, built)


def assert_equal(found: Cells, built: Sequence[dict[str, object]]) -> None:
    """Whether cells are those of built rows, rounded to single precision."""
    assert len(found) == len(built)
    for row in built:
        account, day = str(row["account_id"]), row["as_of"]
        assert isinstance(day, date)
        mine = found[account, day]
        assert mine.keys() == row.keys()
        for name, value in row.items():
            told = np.float32(value) if isinstance(value, float) else value
            mine_ = np.float32(mine[name]) if isinstance(mine[name], float) else mine[name]
            assert mine_ == told, (account, day, name)


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
        first = {account: state.numbers(account) for account in state.told.accounts}
        for account, numbers in first.items():
            assert np.array_equal(state.numbers(account), numbers, equal_nan=True)


def between(world: World, first: datetime | None, last: datetime) -> World:
    """The rows that became known after an instant (None: ever) up to another."""
    known = world.before(last)
    if first is None:
        return known
    return World(**{
        name: [row for row in rows if row["known_at"] > first]
        for name, rows in vars(known).items()
    })  # fmt: skip


def concerned(world: World, rows: World) -> set[str]:
    """The accounts of the small worlds that some rows belong to."""
    stems = tuple({row["row_id"].split("-")[0] for part in vars(rows).values() for row in part})
    return {a["account_id"] for a in world.accounts if a["account_id"].startswith(stems)}


def lived(
    resident: Resident, world: World, days: Sequence[date], dice: random.Random
) -> Iterator[tuple[date, bool]]:
    """Lets days pass, rows become known in batches; each day, and whether the state stayed."""
    since: datetime | None = None
    for day in days:
        before = resident.state
        ends = [midnight(day) - DAY * dice.random() for _ in range(dice.randrange(3))]
        for end in (*sorted(ends), midnight(day)):
            if since is None or end > since:
                new = between(world, since, end)
                load(new, resident.workspace, more=True)
                since = end
                if dice.random() < 0.2:
                    resident.forget_peers()
                resident.rows(concerned(world, new), day)
        yield day, resident.state is before


@pytest.mark.parametrize(
    ("first", "declared"), [(12, False), pytest.param(11, True, marks=pytest.mark.slow)]
)
def test_rows_stay_those_of_a_build_while_days_pass(
    first: int, declared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late events, merges, new accounts, new events and midnights in random order.

    Account by account and all at once; from a state that goes on, by few accounts or by all.
    """
    dice = random.Random(first)  # noqa: S311 - reproducible, not secret
    one = batch(dice.choice(list(ENDS)), first, 10)
    settings, found, stayed = one.settings, [Cells(), Cells()], 0
    if not declared:
        features = settings.events.model_copy(update={"features": ()})
        settings = settings.model_copy(update={"events": features})
    days = [one.days[0] - back * DAY for back in (16, 15, 10, 9, 2, 1, 0)]
    with Resident(Workspace(tmp_path), settings) as resident:
        for day, same in lived(resident, one.whole, days, dice):
            stayed += same
            monkeypatch.setattr(residing, "FEW", dice.choice([0, 20, 1000]))
            assert resident.state is not None
            for cells, many in zip(found, dice.sample([1, 10**6], 2), strict=True):
                monkeypatch.setattr(states, "MANY", many)
                rows = resident.held(resident.state.told.accounts).to_pylist()
                cells |= {(row["account_id"], day): row for row in rows}
    built = table_of(
        Workspace(tmp_path), running_on(settings, "kernel"), list(found[0])
    ).to_pylist()
    for cells in found:
        assert_equal(cells, built)
    assert stayed >= 2
