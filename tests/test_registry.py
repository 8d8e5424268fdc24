import base64
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from made_up import made_up_settings, world
from scipy.special import expit

from features.errors import InputError, NotReadyError, RefusedError
from features.pseudonym import pseudonym
from features.workspace import Workspace, publish_text
from training.dataset import coded
from training.fitting.calibrate import contributions
from training.promoting.promotion import promote
from training.records import bundle
from training.records.tracking import connect, quietly
from training.train import learn_all

ONE = {"churn": {"horizon_days": 30, "every_days": 15}}
BUSY = {"convert": -4.0, "churn": -5.5}


def trained(workspace, strength, seed=1):
    """Train churn on a world of this strength."""
    said = {"accounts": 500, "days": 450, "strength": strength, "rates": BUSY, "seed": seed}
    made = world(made_up_settings(**ONE), **said)
    timings = made.settings.outcomes.declared()
    return learn_all(workspace, made.settings, timings, made.table, made.history)[0]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with version 1, which passed, and version 2, which did not."""
    place = Workspace(tmp_path_factory.mktemp("work space"))
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    before = set(Path.cwd().iterdir())
    first, second = trained(place, 2.0), trained(place, 0.0, seed=2)
    assert (first.version, first.verdict.passed) == ("1", True), first.verdict.reasons
    assert (second.version, second.verdict.passed) == ("2", False)
    assert set(Path.cwd().iterdir()) == before
    return place


SETTINGS = made_up_settings(**ONE)


def champion(workspace):
    """The version that MLflow's alias names."""
    with quietly():
        _, client = connect(workspace)
        found = client.get_model_version_by_alias("goldpan-churn", "champion")
    return str(found.version)


def test_the_newest_version_that_failed_the_gate_is_refused_with_reasons(workspace):
    """Exit code 3, each failed condition with its figure, nothing moved."""
    current = bundle.current(workspace, "churn")
    with pytest.raises(
        RefusedError, match=r"version 2 of goldpan-churn(.|\n)*better than chance"
    ) as e:
        promote(workspace, SETTINGS, "churn")
    assert e.value.exit_code == 3
    assert bundle.current(workspace, "churn") == current


def test_promotion_writes_a_whole_bundle_and_moves_pointer_and_alias(workspace):
    """The files, their digests, the pointer and the alias agree."""
    done = promote(workspace, SETTINGS, "churn", "1")
    names = {p.name for p in done.folder.iterdir()}
    assert names - {"when.txt", "when.json", "cases.json"} == {
        "model.txt", "schema.json", "card.json", "manifest.json",
    }  # fmt: skip
    assert bundle.whole(done.folder)
    assert bundle.current(workspace, "churn") == champion(workspace) == "1"
    card = json.loads((done.folder / "card.json").read_text())
    assert (card["name"], card["version"], card["simulated"]) == ("churn", "1", True)
    assert len(card["reference_quantiles"]) == 101
    assert card["reference_quantiles"] == sorted(card["reference_quantiles"])
    assert card["metrics"]["auc"]["low"] > 0.5


def test_the_bundle_holds_past_cases_by_why_they_scored(workspace):
    """Test rows only, named by a digest; their parts sum to the model's own log-odds."""
    folder = promote(workspace, SETTINGS, "churn", "1").folder
    told = json.loads((folder / "cases.json").read_text())
    made = world(SETTINGS, accounts=500, days=450, strength=2.0, rates=BUSY, seed=1)
    table = made.table.assign(
        who=made.table["account_id"].map(pseudonym), day=made.table["as_of"].astype(str).str[:10]
    ).set_index(["who", "day"])
    names = list(zip(told["accounts"], told["as_of"], strict=True))
    schema = json.loads((folder / "schema.json").read_text())["features"]
    assert told["signals"] == list(dict.fromkeys(f["signal"] for f in schema))
    flat = np.frombuffer(base64.b64decode(told["parts"]), dtype="<f2").astype(float)
    parts = flat.reshape(len(names), len(told["signals"]))
    rows = table.loc[names]
    X = np.stack([coded(rows[f["name"]], f.get("vocabulary")) for f in schema], axis=1)
    whole = contributions(lgb.Booster(model_file=str(folder / "model.txt")), X, 1)
    np.testing.assert_allclose(parts.sum(axis=1), whole[:, :-1].sum(axis=1), atol=0.01)
    card = json.loads((folder / "card.json").read_text())
    assert min(told["as_of"]) >= card["blocks"]["test"]["from"]
    assert sum(told["outcome"]) == card["blocks"]["test"]["positives"]


def test_the_promoted_model_scores_its_golden_rows(workspace):
    """A reader that codes values by the schema gets the stated probabilities, exactly explained."""
    folder = promote(workspace, SETTINGS, "churn", "1").folder
    booster = lgb.Booster(model_file=str(folder / "model.txt"))
    rows = json.loads((folder / "manifest.json").read_text())["golden"]
    X = np.array([[np.nan if v is None else v for v in r["values"]] for r in rows], np.float32)
    assert len(rows) == 20
    assert X.shape[1] == len(json.loads((folder / "schema.json").read_text())["features"])
    expected = np.array([r["probability"] for r in rows])
    np.testing.assert_allclose(booster.predict(X), expected, atol=1e-12)
    parts = contributions(booster, X, 1).sum(axis=1)
    np.testing.assert_allclose(expit(parts), expected, atol=1e-9)


def test_a_promotion_that_was_killed_is_put_right_by_the_next(workspace):
    """Half a bundle, a pointer elsewhere, an alias missing: the same end state."""
    folder = promote(workspace, SETTINGS, "churn", "1").folder
    (folder / "model.txt").write_text("half a mod")
    publish_text(workspace.bundles / "churn" / "current", "0\n")
    with quietly():
        connect(workspace)[1].delete_registered_model_alias("goldpan-churn", "champion")
    promote(workspace, SETTINGS, "churn", "1")
    assert bundle.whole(folder)
    assert bundle.current(workspace, "churn") == champion(workspace) == "1"


def test_a_version_left_by_a_killed_training_is_never_promoted(workspace):
    """Registered, but without a verdict: it is passed over, and refused by name."""
    with quietly():
        client = connect(workspace)[1]
        whole = client.get_model_version("goldpan-churn", "1")
        client.create_model_version("goldpan-churn", whole.source, run_id=whole.run_id)
    with pytest.raises(InputError, match="version '3' of goldpan-churn; expected one of 1, 2"):
        promote(workspace, SETTINGS, "churn", "3")
    with pytest.raises(RefusedError, match="version 2"):
        promote(workspace, SETTINGS, "churn")


def test_nothing_trained_says_so(tmp_path):
    """An empty workspace names the command to run first."""
    with pytest.raises(NotReadyError, match=r"no trained model for outcome 'churn'\. Run goldpan"):
        promote(Workspace(tmp_path), SETTINGS, "churn")


def test_mlflow_keeps_no_account_no_user_and_no_pickle(workspace):
    """No account id, no name of whoever ran it, no pickled file in the store or the artefacts."""
    files = [p for p in workspace.mlflow.rglob("*") if p.is_file()]
    assert any(p.name == "contributions.png" for p in files)
    assert not [p for p in files if p.suffix in {".pkl", ".pickle", ".joblib", ".parquet", ".csv"}]
    content = b"".join(p.read_bytes() for p in files if p.suffix != ".png")
    assert b"a00001" not in content
    users = sqlite3.connect(workspace.mlflow / "mlflow.db").execute(
        "select distinct value from tags where key in ('mlflow.user', 'mlflow.source.name')"
    )
    assert {row[0] for row in users} == {"goldpan", "goldpan train"}


def test_metrics_carry_their_intervals_and_their_baselines(workspace):
    """value, _low and _high for the model and under each baseline's name."""
    with quietly():
        client = connect(workspace)[1]
        run = client.get_run(client.get_model_version("goldpan-churn", "1").run_id)
    metrics = run.data.metrics
    assert metrics["auc_low"] < metrics["auc"] < metrics["auc_high"]
    assert {"cbi_auc", "recency_auc", "logistic_log_loss"} <= set(metrics)
    assert run.data.params["protocol"] == "development and test"


def test_importing_the_job_does_not_import_mlflow():
    """It takes seconds, and only recording a run needs it."""
    code = "import sys, training.train; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
