import dataclasses
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import lake
from features.catalog import catalogue
from features.code import digest
from features.errors import InputError, NotReadyError
from features.read_settings import load_settings
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import refresh
from features.workspace import Workspace
from training.observations import grid, read_history
from training.prepare import feature_table, prepare
from training.records.leavings import made_from
from training.records.origin import code, dataset_digest, portable, restored, settings_hash
from training.records.rebuild import again

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small company's lake, what a run of today would tell of its origin, and its settings."""
    place = Workspace(tmp_path_factory.mktemp("rebuilt"))
    sample = load_settings(ROOT / "goldpan.toml")
    pql = sample.outcomes.pql.model_copy(update={"every_days": 28})
    outcomes = sample.outcomes.model_copy(update={"pql": pql, "upgrade": None, "churn": None})
    settings = sample.model_copy(update={"outcomes": outcomes})
    simulate(place, accounts=700, days=360, seed=3)
    ingest(place, settings, base=ROOT)
    refresh(place, settings, grid(place, settings))
    history = read_history(place, settings)
    table = feature_table(place)
    task = prepare(settings, catalogue(settings), "pql", pql, table, history)
    return place, made_from(place, "pql", task.data), settings, task


def more_of(place, name, **changed):
    """Append the first row of a table again, changed: the lake goes on after the run."""
    row = lake.read_table(place, name).slice(0, 1).to_pylist()[0] | changed
    schema = lake.table_schema(name)
    lake.append_rows(place, name, pa.Table.from_pylist([row], schema=schema))


def test_the_data_set_is_made_again_to_the_bit_after_the_lake_went_on(made, tmp_path):
    """Rows appended since are not seen; the Parquet file holds matrix, labels and origin."""
    place, told, settings, task = made
    late = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    more_of(place, "subscriptions", status="cancelled", effective_at=late, row_id="new")
    out, before = tmp_path / "pql.parquet", {*place.tmp.iterdir()}
    found = again(place, json.loads(json.dumps(told)), restored(portable(settings)), out)
    assert found.same
    assert found.other_code is None
    assert (found.rows, found.positives) == (len(task.data.y), int(task.data.y.sum()))
    table = pq.read_table(out, page_checksum_verification=True)
    matrix = [table[f"x_{name}"].to_numpy() for name in task.data.names]
    np.testing.assert_array_equal(np.stack(matrix, axis=1), task.data.X)
    assert table["label"].to_pylist() == task.data.y.astype(int).tolist()
    assert "account_id" not in table.column_names
    assert {*place.tmp.iterdir()} == before


def test_other_code_and_another_digest_are_told(made):
    """Neither is passed over in silence."""
    place, told, settings, _ = made
    code = {**told["code"], "sources": "0" * 64, "commit": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.records.rebuild.made_again", lambda *_: made[3])
        found = again(place, {**told, "code": code, "dataset": "f" * 64}, settings)
    assert not found.same
    assert "sources 000000000000" in str(found.other_code)


def test_a_table_made_anew_and_files_gone_are_errors_in_words(made):
    """The table, what happened to it and what to do are named."""
    place, told, settings, _ = made
    version = told["lake"]["users"].partition("@")[2]
    other = {**told, "lake": {**told["lake"], "users": f"another-id@{version}"}}
    with pytest.raises(InputError, match="table 'users' in the lake that is not the one the run"):
        again(place, other, settings)
    path = Path(lake.table_files(place, "users")[0])
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(NotReadyError, match=rf"version {version} of table 'users', of which 1 fil"):
        again(place, told, settings)
    path.write_bytes(kept)
    future = {**told, "lake": {**told["lake"], "users": told["lake"]["users"] + "7"}}
    with pytest.raises(NotReadyError, match=rf"version {version}7 of table 'users'"):
        again(place, future, settings)


def test_settings_travel_without_paths_and_mean_the_same():
    """No path, mapping or condition of a source; the same hash on every machine."""
    sample = load_settings(ROOT / "goldpan.toml")
    first = sample.sources[0].model_copy(
        update={"path": "/home/somebody/x.csv", "where": "a = 'b'"}
    )
    moved = sample.model_copy(update={"sources": (first, *sample.sources[1:])})
    assert "somebody" not in json.dumps(portable(moved))
    assert settings_hash(moved) == settings_hash(sample) == settings_hash(restored(portable(moved)))
    other = sample.model_copy(update={"training": sample.training.model_copy(update={"seed": 8})})
    assert settings_hash(other) != settings_hash(sample)


def test_one_bit_changes_the_digest_and_the_kind_of_nan_does_not(made):
    """A missing value has many bit patterns and one meaning."""
    data = made[3].data
    before = dataset_digest(data)
    X = data.X.copy()
    X[3, 2] = np.nextafter(X[3, 2], np.float32(np.inf)) if not np.isnan(X[3, 2]) else 0
    assert dataset_digest(dataclasses.replace(data, X=X)) != before
    bits = data.X.copy().view(np.uint32)
    bits[np.isnan(data.X)] = 0x7FC00123
    odd = type(data)(
        bits.view(np.float32), data.y, data.account, data.as_of, data.mrr, data.columns
    )
    assert dataset_digest(odd) == before


def test_a_run_names_the_code_that_made_it():
    """The sources are those of the packages that decide a model: not none, and not any."""
    said = code()
    assert said["sources"] == digest("features", "training")
    assert digest("features") != digest("training") != digest("nowhere")
    assert (said["commit"] is not None) == (ROOT / ".git").exists()
