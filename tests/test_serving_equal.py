"""The night and the service say the same of every account, to the bit, however many there are."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from asked import Asked
from test_ledger_scores import counted
from test_serving_world import promote, served

from features.errors import InputError
from features.workspace import Workspace, publish_text
from serving.ledger.database import opened
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import FILES, PROFILES, SHOWN, load_snapshot
from serving.scoring.batch import SCORES, write_manifest, write_scores
from serving.scoring.night import PARTS

NAME = "2026-07-01-9"


def multiplied(to: Path, accounts: int) -> Workspace:
    """A workspace whose snapshot holds so many accounts: the shared world's, each with a twist."""
    shared = served()
    place, rng = Workspace(to), np.random.default_rng(11)
    shutil.copytree(shared.workspace.bundles, place.bundles)
    folder = place.scores / NAME
    shutil.copytree(shared.snapshot, folder)
    rows = pq.read_table(folder / FILES[0])
    which = rng.integers(0, rows.num_rows, accounts)
    names = pa.array([f"made_{number:06d}" for number in range(accounts)])
    for file in (FILES[0], PROFILES):
        table = pq.read_table(folder / file).take(which)
        table = table.set_column(0, "account_id", names)
        for at, field in enumerate(table.schema):
            if pa.types.is_float32(field.type) and field.name != "age_days":
                twist = rng.gamma(4, 0.25, accounts).astype(np.float32)
                values = table.column(at).to_numpy() * twist
                table = table.set_column(at, field, pa.array(values, pa.float32()))
        pq.write_table(table, folder / file, write_page_checksum=True)
    day = date(2026, 7, 1)
    models = [load_bundle(at) for at in promoted(place).values()]
    write_manifest(folder, FILES, day, models)
    write_scores(folder, models, load_snapshot(folder), opened(place))
    write_manifest(folder, (*FILES, SCORES, SHOWN), day, models)
    publish_text(place.scores / "current", f"{NAME}\n")
    return place


def keeping_parts(place: Workspace) -> None:
    """Let the snapshot's manifest name what the night worked out, as `goldpan score` does."""
    models = [load_bundle(at) for at in promoted(place).values()]
    write_manifest(place.scores / NAME, (*FILES, SCORES, SHOWN, PARTS), date(2026, 7, 1), models)


def compared(place: Workspace, accounts: int) -> None:
    """Ask the service for all accounts by the thousand, and hold it against the night's file."""
    night = {
        (r["model"], r["account_id"]): r
        for r in pq.read_table(place.scores / NAME / SCORES).to_pylist()
    }
    service = Asked(place)
    kept = counted(service.ledger)
    assert kept == len(night) > accounts / 2
    ids = list(load_snapshot(place.scores / NAME).table.ids)
    seen = 0
    for start in range(0, accounts, 1000):
        told = service.post("/v1/scores", accounts=ids[start : start + 1000])
        for result in told["results"]:
            for score in result["scores"]:
                row = night[score["model"], result["account_id"]]
                for name in ("score_id", "probability", "grade"):
                    assert score[name] == row[name]
                assert score["rank"] == {"position": row["rank"], "of": row["of"]}
                seen += 1
    assert seen == len(night)
    assert counted(service.ledger) == kept


def test_a_thousand_accounts_are_told_alike_by_night_and_by_day(tmp_path: Path) -> None:
    """Ids, probabilities, grades and ranks; and the service writes nothing."""
    compared(multiplied(tmp_path, 1_000), 1_000)


def test_what_the_night_worked_out_is_what_the_model_says_again(tmp_path: Path) -> None:
    """Log-odds and parts to the bit; every answer, with reasons, the same with them as without."""
    place = multiplied(tmp_path, 200)
    anew = Asked(place)
    keeping_parts(place)
    kept = Asked(place)
    for name, scorer in kept.state.scorers.items():
        other = anew.state.scorers[name]
        assert scorer.parts is not None
        assert other.parts is None
        assert np.array_equal(scorer.log_odds, other.log_odds, equal_nan=True)
        rows = np.flatnonzero(~np.isnan(scorer.log_odds))
        inputs = scorer.encoder.rows(scorer.snapshot.table, rows)
        assert np.array_equal(scorer.parts_of(rows, inputs), other.parts_of(rows, inputs))
    asked = {"accounts": list(load_snapshot(place.scores / NAME).table.ids), "reasons": True}
    one, two = (service.post("/v1/scores", **asked) for service in (anew, kept))
    assert one["results"] == two["results"]


def test_a_new_model_works_out_its_own_parts(tmp_path: Path) -> None:
    """What the night worked out with a former bundle is not taken for those of the next."""
    place = multiplied(tmp_path, 50)
    keeping_parts(place)
    shutil.rmtree(place.bundles / "churn")
    promote(place, served().settings, "churn", seed=9, version="2")
    scorers = Asked(place).state.scorers
    assert scorers["churn"].parts is None
    assert scorers["pql"].parts is not None


def test_parts_of_rows_that_are_not_there_are_a_defect_of_the_snapshot(tmp_path: Path) -> None:
    """It says what is wrong and what to do."""
    place = multiplied(tmp_path, 50)
    folder = place.scores / NAME
    table = pq.read_table(folder / PARTS)
    rows = pa.array(table["row"].to_numpy() + 1_000, pa.int32())
    pq.write_table(table.set_column(1, "row", rows), folder / PARTS, write_page_checksum=True)
    keeping_parts(place)
    with pytest.raises(InputError, match=r"parts of row 10\d\d of 50.*goldpan score"):
        load_snapshot(folder)


@pytest.mark.slow
def test_ten_thousand_accounts_are_told_alike_by_night_and_by_day(tmp_path: Path) -> None:
    """The same at the size of a company."""
    compared(multiplied(tmp_path, 10_000), 10_000)
