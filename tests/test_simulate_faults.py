"""Faults: each shows in what is written as it says, and none touches what truly happened."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from features.errors import InputError
from features.identity.successors import read_merges
from features.read_settings import load_settings
from features.simulate.faults.listed import FAULTS
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.workspace import Workspace
from goldpan import main

END = date(2026, 6, 30)
SIZE: dict[str, Any] = {"accounts": 120, "days": 200, "seed": 5, "end": END}
TABLES = ("events", "accounts", "users", "subscriptions", "identities")
SETTINGS = Path(__file__).parent.parent / "goldpan.toml"
ID = "message_id"


@dataclass
class Written:
    """One company as it was written, by table, and what SIMULATED.json says of its faults."""

    tables: dict[str, pd.DataFrame]
    did: dict[str, Any]

    @property
    def events(self) -> pd.DataFrame:
        """Its events."""
        return self.tables["events"]


def _written(root: Path, *faults: str) -> Written:
    simulate(Workspace(root), **SIZE, faults=faults)
    raw = root / "raw"
    paths = [raw / "events", *raw.glob("*.parquet")]
    said = json.loads((raw / "SIMULATED.json").read_text())
    assert said["events"] == len(pd.read_parquet(raw / "events"))
    return Written({path.stem: pd.read_parquet(path) for path in paths}, said["faults"])


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The company without faults."""
    return _written(tmp_path_factory.mktemp("clean"))


def _rename(now: Written, clean: Written, did: dict[str, Any]) -> None:
    moved = now.events["event"] == "report_built"
    assert moved.sum() == did["events"] > 100
    assert now.events.loc[moved, "event_time"].min() >= pd.Timestamp(did["from"], tz="UTC")
    late = now.events[now.events["event_time"] >= pd.Timestamp(did["from"], tz="UTC")]
    assert "report_created" not in set(late["event"])
    back = now.events.assign(event=now.events["event"].where(~moved, "report_created"))
    pd.testing.assert_frame_equal(back, clean.events)


def _lost(now: Written, clean: Written) -> pd.DataFrame:
    """What is missing; everything else is as it was."""
    here = clean.events[ID].isin(now.events[ID])
    kept = clean.events[here].reset_index(drop=True)
    pd.testing.assert_frame_equal(now.events, kept)
    return clean.events[~here]


def _outage(now: Written, clean: Written, did: dict[str, Any]) -> None:
    lost = _lost(now, clean)
    begins, ends = (pd.Timestamp(did[k], tz="UTC") for k in ("from", "until"))
    inside = clean.events["event_time"].between(begins, ends, inclusive="left")
    assert len(lost) == (inside & clean.events["user_id"].notna()).sum() == did["events"] > 50
    assert lost["event_time"].between(begins, ends, inclusive="left").all()


def _adblock(now: Written, clean: Written, did: dict[str, Any]) -> None:
    lost = _lost(now, clean)
    of = clean.events["user_id"].isin(lost["user_id"])
    assert 0.6 < len(lost) / of.sum() < 0.8
    assert 0.03 < lost["user_id"].nunique() / clean.events["user_id"].nunique() < 0.25


def _stopped(now: Written, clean: Written, did: dict[str, Any]) -> None:
    lost = _lost(now, clean)
    assert len(lost) == did["events"] > 20
    assert set(lost["event"]) <= {"integration_synced", "api_called"}
    assert set(lost["account_id"]) <= set(did["accounts"])
    assert lost["event_time"].min() >= pd.Timestamp(did["from"], tz="UTC")


def _late(now: Written, clean: Written, did: dict[str, Any]) -> None:
    delay = now.events["known_at"] - now.events["event_time"]
    whole = now.events["event_time"] < pd.Timestamp("2026-06-27", tz="UTC")
    assert 0.14 < (delay >= pd.Timedelta(days=1))[whole].mean() < 0.18
    assert delay.max() < pd.Timedelta(days=3, minutes=2)
    both = now.events.merge(clean.events, on=ID, suffixes=("", "_was"))
    assert (both["event_time"] == both["event_time_was"]).all()


def _duplicates(now: Written, clean: Written, did: dict[str, Any]) -> None:
    again = now.events[now.events.duplicated(ID, keep=False)].sort_values([ID, "known_at"])
    assert 0.02 < again[ID].nunique() / len(clean.events) < 0.04
    wait = again.groupby(ID)["known_at"].agg(["min", "max"])
    assert (wait["max"] - wait["min"]).between(pd.Timedelta(0), pd.Timedelta(hours=6)).all()
    once = now.events.sort_values("known_at").drop_duplicates(ID).set_index(ID)
    pd.testing.assert_frame_equal(once.loc[clean.events[ID]], clean.events.set_index(ID))


def _skew(now: Written, clean: Written, did: dict[str, Any]) -> None:
    both = now.events.merge(clean.events, on=ID, suffixes=("", "_was"))
    shift = both["event_time"] - both["event_time_was"]
    moved = both[shift != pd.Timedelta(0)].assign(shift=shift)
    assert 0 < moved["user_id"].nunique() <= did["users"]
    assert (moved.groupby("user_id")["shift"].nunique() == 1).all()
    assert moved["shift"].abs().max() <= pd.Timedelta(hours=12)
    assert (both["known_at"] == both["known_at_was"]).all()


def _bots(now: Written, clean: Written, did: dict[str, Any]) -> None:
    bots = now.events[~now.events[ID].isin(clean.events[ID])]
    assert set(bots["event"]) == {"dashboard_viewed"}
    assert set(bots["account_id"]) == set(did["accounts"])
    a_day = bots.groupby(["account_id", bots["event_time"].dt.floor("D")]).size()
    assert set(a_day) == {150}
    assert (a_day.groupby("account_id").size() == 30).all()
    assert not set(bots["user_id"]) & set(now.tables["users"]["user_id"])


def _merges(now: Written, clean: Written, did: dict[str, Any]) -> None:
    merges = now.tables["identities"].set_index("from_id")
    accounts = now.tables["accounts"]
    assert set(accounts["account_id"]) - set(clean.tables["accounts"]["account_id"]) == set(
        merges.index
    )
    assert set(merges["to_id"]) == set(did["accounts"])
    apart = now.events[now.events["account_id"].isin(merges.index)]
    assert len(apart) == did["events"] > 5
    found = merges.loc[apart["account_id"], "since"].to_numpy()
    assert (apart["known_at"].to_numpy() < found).all()
    joined = now.events.replace({"account_id": merges["to_id"].to_dict()})
    pd.testing.assert_frame_equal(joined, clean.events)
    assert now.tables["users"]["account_id"].isin(merges.index).any()


def _backfill(now: Written, clean: Written, did: dict[str, Any]) -> None:
    accounts, before = now.tables["accounts"], clean.tables["accounts"]
    pd.testing.assert_frame_equal(accounts.head(len(before)), before)
    filled = accounts[len(before) :]
    assert len(filled) == did["rows"] > 10
    log = clean.tables["subscriptions"].sort_values("effective_at")
    bought = log[log["mrr"] > 0].groupby("account_id")["effective_at"].first()
    won = filled[filled["channel"] == "closed-won"].drop_duplicates("account_id")
    ahead = bought.loc[won["account_id"]].to_numpy() - won["known_at"].to_numpy()
    assert (ahead <= pd.Timedelta(days=75)).all()
    assert (ahead > pd.Timedelta(0)).all()
    assert set(won["account_id"]) == set(bought.index)


CHECKS: dict[str, tuple[Callable[[Written, Written, dict[str, Any]], None], set[str]]] = {
    "rename": (_rename, {"events"}),
    "bots": (_bots, {"events"}),
    "outage": (_outage, {"events"}),
    "adblock": (_adblock, {"events"}),
    "stopped": (_stopped, {"events"}),
    "merges": (_merges, {"events", "users", "accounts", "identities"}),
    "skew": (_skew, {"events"}),
    "late": (_late, {"events"}),
    "duplicates": (_duplicates, {"events"}),
    "backfill": (_backfill, {"accounts"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_does_what_it_says_and_nothing_else(
    name: str, clean: Written, tmp_path: Path
) -> None:
    """It shows in the data as declared; the other tables and all that happened stay the same."""
    check, touched = CHECKS[name]
    now = _written(tmp_path, name)
    assert now.did[name]["means"] == FAULTS[name].meaning
    check(now, clean, now.did[name])
    assert not clean.did
    for table in {*TABLES} - touched:
        pd.testing.assert_frame_equal(now.tables[table], clean.tables[table])


def test_faults_are_independent_of_one_another(clean: Written, tmp_path: Path) -> None:
    """Two at once do what each does alone; the same faults give the same bytes, in any order."""
    both = _written(tmp_path / "a", "outage", "rename")
    alone = _written(tmp_path / "b", "rename")
    again = _written(tmp_path / "c", "rename", "outage")
    inside = alone.events[ID].isin(both.events[ID])
    pd.testing.assert_frame_equal(both.events, alone.events[inside].reset_index(drop=True))
    pd.testing.assert_frame_equal(both.events, again.events)


def test_the_sample_settings_read_what_merges_tell(tmp_path: Path) -> None:
    """The lake knows each second account's merge; without the fault there is none, and no error."""
    for name, faults in (("with", ("merges",)), ("without", ())):
        place = Workspace(tmp_path / name)
        simulate(place, **SIZE, faults=faults)
        ingest(place, load_settings(SETTINGS), base=SETTINGS.parent, only=("identities",))
        raw = pd.read_parquet(place.raw / "identities.parquet")
        told = {(m.account, m.into) for m in read_merges(place)}
        assert told == set(zip(raw["from_id"], raw["to_id"], strict=True))
        assert bool(told) == bool(faults)


def test_the_help_tells_every_fault_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    """`simulate --help` lists each by name; another name is answered with those there are."""
    said = CliRunner().invoke(main, ["simulate", "--help"]).output
    assert all(f"\n  {name} " in said for name in FAULTS)
    with pytest.raises(InputError, match="fault 'renamed'; expected one of rename, bots"):
        simulate(Workspace(tmp_path), **SIZE, faults=("renamed",))
    assert not (tmp_path / "raw").exists()
