"""A feature that fails names itself and the account."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from features import build as building
from features.algebra import AtLeast, Fact, Sum, Window
from features.build import build
from features.declare import Catalogue, signal
from features.errors import InputError
from features.table import refresh
from features.workspace import Workspace
from tests.reference_known import World
from tests.worlds import at, load, sample_settings

DAY = date(2024, 3, 1)
SETTINGS = sample_settings(events={"minutes": ("lesson",)})


def world(value: float) -> World:
    """Three accounts, one of them on a plan, one with a lesson of so many minutes, twice."""
    accounts = [
        {"account_id": a, "created_at": at(DAY, -9e5), "known_at": at(DAY, -9e5), "row_id": a}
        for a in ("a", "b", "c")
    ]
    lessons = [
        {"account_id": "c", "user_id": "u", "event": "lesson", "value": value, "message_id": row,
         "event_time": at(DAY, -3600), "known_at": at(DAY, -3600), "row_id": row}
        for row in ("1", "2")
    ]  # fmt: skip
    bought = {
        "account_id": "b", "subscription_id": "s", "status": "active", "plan": "team", "mrr": 1.0,
        "effective_at": at(DAY, -7200), "known_at": at(DAY, -7200), "row_id": "s",
    }  # fmt: skip
    return World(accounts=accounts, events=lessons, subscriptions=[bought])


def built(folder: Path, made: World) -> Path:
    """The features of all three accounts on DAY."""
    workspace = Workspace(folder)
    load(made, workspace)
    points = pd.DataFrame({"account_id": ["a", "b", "c"], "as_of": DAY})
    return build(workspace, SETTINGS, points, out=folder / "out.parquet")


def test_a_feature_that_fails_names_itself_and_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan's name is no number: only the account that has a plan fails."""
    m = signal("odd", "Odd", "", now="plan_as_number", group="company")
    m.add("fine", "minutes", Sum("minutes", Window(7)))
    m.add("plan_as_number", "the plan as a number", AtLeast(Fact("plan"), 1.0))
    mine, features = m.done()
    made = Catalogue(tuple(features), {"odd": mine})
    monkeypatch.setattr(building, "catalogue", lambda settings: made)
    with pytest.raises(InputError, match=r"feature 'plan_as_number' that cannot .* account '[ab]'"):
        built(tmp_path, world(1.0))
    assert not (tmp_path / "out.parquet").exists()


def test_a_number_without_bound_names_its_feature_and_account(tmp_path: Path) -> None:
    """Two amounts that are finite, and whose sum is not."""
    with pytest.raises(InputError, match=r"feature 'minutes_1d' .* account 'c' on 2024-03-01: a n"):
        built(tmp_path, world(1.7e308))


def test_a_table_that_cannot_be_made_leaves_no_file(tmp_path: Path) -> None:
    """What was begun before a number turned out to be without bound is gone."""
    workspace = Workspace(tmp_path)
    load(world(1.7e308), workspace)
    points = pd.DataFrame({"account_id": ["a", "b", "c"], "as_of": DAY})
    with pytest.raises(InputError, match="a number without bound"):
        refresh(workspace, SETTINGS, points)
    assert list(workspace.features.glob("*")) == []
