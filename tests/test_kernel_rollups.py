"""The rollups by the kernel beside those by SQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.engines.engine import engine_of, running_on
from features.kernel.maker import KernelMaker
from features.rollups import weeks
from features.rollups.maker import KEYS
from features.rollups.weeks import ensure_rollups
from features.settings import Settings
from features.workspace import Workspace
from tests.parity import batch
from tests.reference_known import World
from tests.worlds import at, load, sample_settings


def rolled(world: World, settings: Settings, root: Path, engine: str) -> dict[str, pd.DataFrame]:
    """The rows of each rollup of a world, in order, by an engine."""
    workspace, told = Workspace(root / engine), running_on(settings, engine)
    load(world, workspace)
    with closing(engine_of(workspace, told)) as running:
        made = ensure_rollups(running, workspace, told)
    return {
        name: in_order(made.files(workspace.rollups, name, -(10**6), 10**6), keys)
        for name, keys in KEYS.items()
    }


def in_order(files: list[str], keys: list[str]) -> pd.DataFrame:
    """The rows of some files; each file has whole accounts and days one after another."""
    parts = [pq.read_table(file).to_pandas() for file in files]
    for part in parts:
        assert part[["account_id", "day"]].equals(
            part[["account_id", "day"]].sort_values(["account_id", "day"], ignore_index=True)
        )
    rows = pd.concat(parts, ignore_index=True)
    by = [*keys, "day", "visible_from"]
    return rows[sorted(rows.columns)].sort_values(by, ignore_index=True)


@contextmanager
def whose_events_were_asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each block that the kernel makes, whether links had to say whose its events are."""
    asked: list[bool] = []
    complete = KernelMaker._complete

    def noted(self: KernelMaker, *told: object) -> object:
        rows = complete(self, *told)  # type: ignore[arg-type]
        asked.append(rows is None)
        return rows

    monkeypatch.setattr(KernelMaker, "_complete", noted)
    yield asked


@pytest.mark.parametrize(
    ("end", "named", "count"),
    [
        ("Berlin falls back", False, 8),
        ("leap day", True, 8),
        pytest.param("leap day", False, 60, marks=pytest.mark.slow),
        pytest.param("Berlin falls back", True, 60, marks=pytest.mark.slow),
    ],
)
def test_rollups_of_random_worlds_are_those_of_sql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, named: bool, count: int
) -> None:
    """Every row that SQL has and no other: late events, moved people, merges, midnights."""
    one = batch(end, 21, count)
    world = plain(one.whole) if named else one.whole
    by_sql = rolled(world, one.settings, tmp_path, "duckdb")
    monkeypatch.setattr(weeks, "BLOCK_EVENTS", 15 * count)
    with whose_events_were_asked(monkeypatch) as asked:
        by_kernel = rolled(world, one.settings, tmp_path, "kernel")
    assert len(asked) > 1
    assert any(asked) is not named
    for name, expected in by_sql.items():
        found = by_kernel[name]
        assert set(found.columns) == set(expected.columns)
        expected = expected[found.columns]
        # SQL leaves 1e-15 minutes of a day that nothing changed, and calls it unsettled.
        assert not (expected.pop("settled") & ~found.pop("settled")).any()
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-9)


def plain(world: World) -> World:
    """A world whose events all name their account and user, and in which nobody merges."""
    events = [
        row | {"user_id": row["user_id"] or row["anonymous_id"]}
        for row in world.events
        if row["account_id"]
    ]
    return World(**vars(world) | {"events": events, "identities": []})


def test_a_guest_who_becomes_a_member_by_the_same_id_is_rolled_up_again(tmp_path: Path) -> None:
    """Events with no user and no account count for the account of which their id is a user now."""
    workspace, settings = Workspace(tmp_path), running_on(sample_settings(), "kernel")
    known = {"known_at": at(date(2024, 3, 1))}
    named = {"row_id": "e1", "message_id": "e1", "anonymous_id": "guest", "event": "login"}
    account = {"row_id": "a1", "account_id": "a", "created_at": at(date(2024, 2, 1))}
    user = {"row_id": "u1", "account_id": "a", "user_id": "guest", "created_at": known["known_at"]}
    event = named | known | {"event_time": known["known_at"]}
    seen = []
    with closing(engine_of(workspace, settings)) as engine:
        for more in (
            World(accounts=[account | known], events=[event]),
            World(users=[user | known]),
        ):
            load(more, workspace, more=True)
            made = ensure_rollups(engine, workspace, settings)
            files = made.files(workspace.rollups, "user_day", 0, 10**6)
            seen.append(pq.read_table(files).select(["account_id", "user_id"]).to_pylist())
    assert seen == [[], [{"account_id": "a", "user_id": "guest"}]]


@pytest.mark.parametrize("engine", ["duckdb", "kernel"])
def test_a_day_whose_hours_alone_changed_is_corrected(tmp_path: Path, engine: str) -> None:
    """One use turns out to be another's as one of the night comes: as many uses, fewer in hours."""
    monday, friday = date(2024, 3, 4), date(2024, 3, 8)
    base = {"account_id": "a", "event": "login", "user_id": None, "anonymous_id": None}
    own = {"event_time": at(monday, 3 * 3600), "known_at": at(friday), "user_id": "u"}
    other = {"event_time": at(monday, 9 * 3600), "known_at": at(monday, 9 * 3600)}
    alias = {"kind": "alias", "from_id": "guest", "since": at(monday)}
    world = World(
        events=[base | {"row_id": name, "message_id": name} | told for name, told in (
            ("e1", own), ("e2", other | {"anonymous_id": "guest"}))],
        identities=[alias | {"row_id": who, "to_id": who, "known_at": at(day)}
                    for who, day in (("u", monday), ("v", friday))],
    )  # fmt: skip
    rows = rolled(world, sample_settings(), tmp_path, engine)["user_day"]
    mine = rows[rows["user_id"] == "u"]
    assert mine[["n", "office", "sessions"]].to_numpy().tolist() == [[1, 1, 1], [0, -1, 0]]
