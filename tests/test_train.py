import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import START, made_up_settings, world

from features import lake, provenance
from features.catalog import catalogue
from features.errors import NotReadyError, RefusedError
from features.settings import Subscriptions
from features.workspace import Workspace, publish_json
from training.fitting.fit import fit
from training.observations import grid
from training.prepare import feature_table, prepare
from training.promoting.promotion import promote
from training.train import STEPS, learn_all, train

ONE = {"churn": {"horizon_days": 30, "every_days": 15}}
BUSY = {"convert": -4.0, "churn": -5.5}


def moments(days):
    """Days after the start as UTC microseconds."""
    return pa.array(days.astype("datetime64[us]"), pa.timestamp("us", tz="UTC"))


def filled(name, **columns):
    """Rows of a table of the lake; columns not given are empty."""
    schema = lake.table_schema(name)
    rows = len(next(iter(columns.values())))
    return pa.table({f.name: columns.get(f.name, pa.nulls(rows, f.type)) for f in schema}, schema)


@pytest.fixture(scope="module")
def made():
    """A world whose churn shows in use, its commercial changes complete to the end."""
    complete = Subscriptions(complete_until=str(START + np.timedelta64(450, "D")))
    settings = made_up_settings(**ONE).model_copy(update={"subscriptions": complete})
    return world(settings, accounts=500, days=450, strength=2.0, rates=BUSY)


@pytest.fixture(scope="module")
def workspace(made, tmp_path_factory):
    """The world's accounts, subscriptions, first and last event in a lake; its features on disk."""
    place = Workspace(tmp_path_factory.mktemp("disk"))
    people, told = made.history.accounts, made.history.changes
    born = people["created_at"].to_numpy(dtype="datetime64[us]")
    ids = people["account_id"].tolist()
    lake.append_rows(place, "accounts", filled("accounts", account_id=ids, row_id=ids,
                     created_at=moments(born), known_at=moments(born)))  # fmt: skip
    at = moments(told["time"].to_numpy(dtype="datetime64[us]"))
    lake.append_rows(place, "subscriptions", filled(
        "subscriptions", subscription_id=told["account_id"].tolist(), effective_at=at, known_at=at,
        account_id=told["account_id"].tolist(), row_id=[str(i) for i in range(len(told))],
        plan=told["kind"].map({"convert": "team", "upgrade": "pro", "churn": "team"}).tolist(),
        status=told["kind"].map({"churn": "cancelled"}).fillna("active").tolist(),
        mrr=told["kind"].map({"convert": 20.0, "upgrade": 40.0, "churn": 0.0}).tolist(),
    ))  # fmt: skip
    ends = np.array([START, START + np.timedelta64(450, "D")])
    lake.append_rows(place, "events", filled(
        "events", message_id=["1", "2"], row_id=["1", "2"], account_id=ids[:2],
        event=["login", "login"], event_time=moments(ends), known_at=moments(ends),
        event_us=ends.astype("datetime64[us]").astype(np.int64).tolist(),
        event_month=["2023-01", "2024-03"],
    ))  # fmt: skip
    place.features.mkdir()
    table = made.table.assign(as_of=made.table["as_of"].dt.date)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(arrow, place.features / "all.parquet")
    manifest = {"stamp": provenance.stamp(place, made.settings), "months": {"all": "all.parquet"}}
    publish_json(place.features / "manifest.json", manifest)
    return place


def test_training_without_a_feature_table_names_the_step_before(tmp_path):
    """The message says what to run."""
    with pytest.raises(NotReadyError, match=r"without a feature table. Run `goldpan build` first"):
        train(Workspace(tmp_path), made_up_settings(**ONE))


def test_the_grid_is_the_union_of_the_outcomes_days(made, workspace):
    """Read from the lake it equals the made-up world's own observations, as dates."""
    found = grid(workspace, made.settings)
    assert list(found.columns) == ["account_id", "as_of"]
    assert found["account_id"].tolist() == made.table["account_id"].tolist()
    assert found["as_of"].tolist() == made.table["as_of"].dt.date.tolist()


def test_the_job_runs_from_disk_to_a_promoted_bundle(made, workspace):
    """Feature table and lake in, a judged version out, and the card says what was done."""
    seen = []
    (result,) = train(workspace, made.settings, ["churn"], lambda *step: seen.append(step))
    assert result.verdict.passed, result.verdict.reasons
    assert result.figures["auc"].low > 0.5
    assert set(result.baselines) == {"cbi", "recency", "logistic"}
    assert seen[-1][:2] == (len(STEPS), len(STEPS))
    folder = promote(workspace, made.settings, "churn").folder
    card = json.loads((folder / "card.json").read_text())
    assert card["protocol"] == "development and test"
    assert card["cut_off"] < card["test"]["from"]
    gap = pd.Timestamp(card["test"]["from"]) - pd.Timestamp(card["blocks"]["development"]["to"])
    assert gap >= pd.Timedelta(days=30)
    assert card["positives"] == card["blocks"]["development"]["positives"]
    bins, test = card["calibration"]["bins"], card["blocks"]["test"]
    assert sum(b["rows"] for b in bins) == test["rows"]
    assert sum(b["rows"] * b["observed"] for b in bins) == pytest.approx(test["positives"])
    assert all(b["low"] <= b["observed"] <= b["high"] for b in bins)


def test_the_same_data_and_seed_give_the_same_model(made):
    """To the last bit of the model's text."""
    timing = made.settings.outcomes.declared()["churn"]
    task = prepare(
        made.settings, catalogue(made.settings), "churn", timing, made.table, made.history
    )
    texts = {fit(task.data, task.split, made.settings.training).booster.model_to_string()
             for _ in range(2)}  # fmt: skip
    assert len(texts) == 1


def test_an_outcome_that_never_happened_is_refused_before_anything_is_fitted(made, tmp_path):
    """Counts are named, and no run is left behind."""
    settings = made_up_settings()
    whole = world(settings, accounts=150, rates={"upgrade": -30.0})
    place = Workspace(tmp_path)
    with pytest.raises(RefusedError, match=r"no positives for outcome 'upgrade' in \d+ obs") as e:
        learn_all(place, settings, settings.outcomes.declared(), whole.table, whole.history)
    assert e.value.exit_code == 3
    assert not place.mlflow.exists()


def test_a_table_of_an_older_catalogue_is_refused(made):
    """The missing features are named."""
    timing = made.settings.outcomes.declared()["churn"]
    table = made.table.drop(columns=["logins_7d"])
    with pytest.raises(NotReadyError, match="1 of the catalogue's features: logins_7d"):
        prepare(made.settings, catalogue(made.settings), "churn", timing, table, made.history)


def test_categories_not_seen_in_training_are_missing(made):
    """A word that only the test period knows becomes NaN, and is not in the vocabulary."""
    timing = made.settings.outcomes.declared()["churn"]
    name = next(f.name for f in catalogue(made.settings).features if f.categorical)
    table = made.table.copy()
    late = table["as_of"] == table["as_of"].max()
    table.loc[late, name] = "omega"
    task = prepare(made.settings, catalogue(made.settings), "churn", timing, table, made.history)
    column = task.data.columns[task.data.names.index(name)]
    assert set(column.vocabulary) == {"alpha", "beta", "gamma"}
    values = task.data.column(name)
    assert np.isnan(values[task.data.as_of == task.data.as_of.max()]).all()


def test_features_are_read_back_as_written(made, workspace):
    """as_of as datetime, numbers as float32."""
    table = feature_table(workspace)
    assert table["as_of"].equals(made.table["as_of"])
    assert table["logins_7d"].dtype == np.float32
