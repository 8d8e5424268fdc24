"""Nightly scoring: every living account, by every promoted model, by the service's own code."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_serving_world import ROOT, made_up_rows, promote, seal, served

from features.errors import InputError, NotReadyError
from features.history import scoring_day
from features.provenance import meaning
from features.read_settings import load_settings
from features.workspace import Workspace, publish_json
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import an_account, encoder, load_snapshot
from serving.scoring.batch import at_risk, living, score
from serving.scoring.eligibility import Context, Rules, why_not
from serving.scoring.scorer import bind

RULES = Rules("enterprise", {"pql": 3})
PROSPECT = Context("prospect", None, False, False, 30.0, None)
CUSTOMER = Context("customer", "team", False, False, 30.0, 5.0)


def rows() -> list[dict[str, object]]:
    """The scores of the shared snapshot."""
    return list(pq.read_table(served().snapshot / "scores.parquet").to_pylist())


def test_each_account_is_scored_by_the_models_of_its_population_only() -> None:
    """Prospects get pql, customers upgrade and churn, former customers nothing."""
    models = {
        population: {r["model"] for r in rows() if r["population"] == population}
        for population in ("prospect", "customer", "former")
    }
    assert models == {"prospect": {"pql"}, "customer": {"upgrade", "churn"}, "former": set()}


def test_ranks_count_the_accounts_to_which_the_model_applies() -> None:
    """Position 1 is the highest probability; `of` is how many the model scored."""
    churn = sorted((r for r in rows() if r["model"] == "churn"), key=lambda r: -r["probability"])
    assert [r["of"] for r in churn] == [len(churn)] * len(churn)
    higher = [sum(o["probability"] > r["probability"] for o in churn) for r in churn]
    assert [r["rank"] for r in churn] == [1 + n for n in higher]


def test_every_score_has_up_to_five_reasons_without_feature_names() -> None:
    """Reasons are for people: no column of the feature table is named in them."""
    snapshot = load_snapshot(served().snapshot)
    for row in rows():
        reasons = json.loads(row["reasons"])
        assert 1 <= len(reasons) <= 5
        sizes = [abs(r["contribution"]) for r in reasons]
        assert sizes == sorted(sizes, reverse=True)
        named = [n for n in snapshot.table.names for r in reasons if "_" in n and n in r["text"]]
        assert named == []


def test_a_copy_of_a_snapshot_knows_when_it_was_scored(tmp_path: Path) -> None:
    """Its manifest says it; one of before that is as old as its file."""
    folder = shutil.copytree(served().snapshot, tmp_path / "copy", copy_function=shutil.copyfile)
    assert load_snapshot(folder).scored_at == load_snapshot(served().snapshot).scored_at
    manifest = json.loads((folder / "manifest.json").read_text())
    publish_json(folder / "manifest.json", manifest | {"scored_at": "2026-07-01T03:00:00+00:00"})
    assert load_snapshot(folder).scored_at == datetime(2026, 7, 1, 3, tzinfo=UTC)
    del manifest["scored_at"]
    publish_json(folder / "manifest.json", manifest)
    os.utime(folder / "manifest.json", (1_780_000_000, 1_780_000_000))
    assert load_snapshot(folder).scored_at == datetime.fromtimestamp(1_780_000_000, UTC)
    publish_json(folder / "manifest.json", manifest | {"scored_at": "yesterday"})
    with pytest.raises(InputError, match="wrong part"):
        load_snapshot(folder)


def test_those_at_risk_are_ordered_by_the_revenue_that_would_go() -> None:
    """Probability times MRR decides, not probability alone."""
    found = at_risk(served().snapshot, top=3)
    every = sorted(
        (r["probability"] * r["mrr"] for r in rows() if r["model"] == "churn"), reverse=True
    )
    assert [a.mrr_at_risk for a in found] == every[:3]
    assert found[0].name
    assert found[0].reasons[0]["text"]


def test_the_account_to_ask_about_first_is_the_one_with_most_to_lose_or_win() -> None:
    """Its id is one that the service knows."""
    best = max(rows(), key=lambda r: r["probability"] * r["mrr"])
    assert an_account(served().workspace) == best["account_id"]


def test_the_peers_figures_are_medians_of_the_accounts_population() -> None:
    """Medians are taken over the population's own accounts, what is missing left out."""
    snapshot = load_snapshot(served().snapshot)
    table = snapshot.table
    mine = [
        i for i, c in enumerate(table.contexts) if c.population == "prospect" and not c.is_internal
    ]
    values = table.matrix[mine, table.column_of["logins_28d"]]
    assert snapshot.peers["prospect"]["logins_28d"] == float(np.nanmedian(values))
    assert "industry" not in snapshot.peers["prospect"]


def test_a_category_that_the_model_never_saw_is_missing_to_it() -> None:
    """Words are coded by the model's own vocabulary, the unseen as NaN."""
    snapshot = load_snapshot(served().snapshot)
    model = load_bundle(promoted(served().workspace)["churn"])
    everyone = np.arange(len(snapshot.table.ids))
    coded = encoder(model, snapshot.table).rows(snapshot.table, everyone)
    column = model.names.index("plan_name")
    codes = {"free": 0.0, "team": 1.0}
    for row in everyone:
        word = snapshot.table.facts(row)["plan_name"]
        assert coded[row, column] == pytest.approx(codes.get(word, np.nan), nan_ok=True)
    numbers = [i for i, f in enumerate(model.features) if f.vocabulary is None]
    columns = [snapshot.table.column_of[model.names[i]] for i in numbers]
    same = np.array_equal(coded[:, numbers], snapshot.table.matrix[:, columns], equal_nan=True)
    assert same


def test_a_model_that_needs_a_feature_the_table_lacks_is_refused() -> None:
    """Scoring with other settings than those of training is an error that names the feature."""
    snapshot = load_snapshot(served().snapshot)
    model = load_bundle(promoted(served().workspace)["churn"])
    first = replace(model.features[0], name="other")
    changed = replace(model, features=(first, *model.features[1:]))
    with pytest.raises(InputError, match="no feature 'other' in the accounts' table"):
        bind(changed, snapshot)


@pytest.mark.parametrize(
    ("outcome", "population", "context", "reason"),
    [
        ("pql", "prospect", PROSPECT, None),
        ("pql", "prospect", replace(PROSPECT, age_days=2.9), "not yet 3 days"),
        ("pql", "prospect", CUSTOMER, "paying customer"),
        ("churn", "customer", replace(CUSTOMER, population="former"), "former customer"),
        ("churn", "customer", CUSTOMER, None),
        ("churn", "customer", replace(CUSTOMER, cancel_announced=True), "already announced"),
        ("churn", "customer", replace(CUSTOMER, is_internal=True), "internal"),
        ("upgrade", "customer", replace(CUSTOMER, plan="enterprise"), None),
        ("upgrade", "customer", replace(CUSTOMER, plan="enterprise", seats=None), "top plan"),
        ("upgrade", "customer", replace(CUSTOMER, seats=None), None),
    ],
)
def test_a_model_speaks_only_of_the_accounts_that_it_was_learnt_on(
    outcome: str, population: str, context: Context, reason: str | None
) -> None:
    """The rules of training's observations hold for scoring, and each refusal says why."""
    found = why_not(outcome, population, context, RULES)
    assert found is None if reason is None else reason in str(found)


def test_scoring_before_anything_was_promoted_says_what_to_run(tmp_path: Path) -> None:
    """Nothing is built or written."""
    with pytest.raises(NotReadyError, match=r"nothing promoted in .*Run `goldpan train`"):
        score(Workspace(tmp_path), load_settings(ROOT / "goldpan.toml"))
    assert list(tmp_path.iterdir()) == []


def test_scoring_an_empty_lake_says_what_to_run(tmp_path: Path) -> None:
    """A promoted model alone gives no accounts to score."""
    settings = load_settings(ROOT / "goldpan.toml")
    promote(Workspace(tmp_path), settings, "churn")
    with pytest.raises(NotReadyError, match=r"without events.*Run `goldpan ingest`"):
        score(Workspace(tmp_path), settings)


def test_a_model_that_learnt_under_other_settings_does_not_score(tmp_path: Path) -> None:
    """The part of the settings that gives its features another meaning is named."""
    settings = load_settings(ROOT / "goldpan.toml")
    folder = promote(Workspace(tmp_path), settings, "churn")
    card = json.loads((folder / "card.json").read_text())
    publish_json(folder / "card.json", card | {"meaning": meaning(settings) | {"events": "other"}})
    seal(folder, json.loads((folder / "manifest.json").read_text()))
    with pytest.raises(InputError, match=r"model churn 1, which learnt under other \[events\]"):
        score(Workspace(tmp_path), settings)


def test_a_day_long_after_the_last_event_is_refused() -> None:
    """All windows would be empty, and every account looks as if it had left."""
    found, settings = served(), served().settings
    with pytest.raises(InputError, match="no event in the 28 days before 2026-07-30"):
        score(found.workspace, settings, as_of=date(2026, 7, 30))


def test_only_accounts_that_existed_and_were_known_that_day_are_scored() -> None:
    """The living of an earlier day are some of those of today; before the first there are none."""
    workspace = served().workspace
    day = scoring_day(workspace)
    assert day == date(2026, 7, 1)
    early, late = living(workspace, date(2026, 3, 1)), living(workspace, day)
    assert set(early) < set(late)
    with pytest.raises(InputError, match="no account that existed before 2020-01-01"):
        living(workspace, date(2020, 1, 1))


def test_a_day_that_nobody_looks_at_is_scored_without_the_past(tmp_path: Path) -> None:
    """The weeks before, for the ledger: scores and states, no lives and no first day of a state."""
    found, place = served(), Workspace(tmp_path)
    for folder in ("lake", "rollups", "bundles"):
        shutil.copytree(found.workspace.root / folder, place.root / folder)
    week = date(2026, 6, 24)
    snapshot = load_snapshot(score(place, found.settings, as_of=week, shown=False))
    assert (snapshot.table.as_of, snapshot.lives) == ("2026-06-24", None)
    assert {p.since for p in snapshot.profiles} == {None}
    pairs = zip(snapshot.table.contexts, snapshot.profiles, strict=True)
    paying = {c.population for c, p in pairs if p.state in ("customer", "active", "renewed")}
    assert paying == {"customer"}


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    """Its table is not read when one bit of it is wrong."""
    folder = Path(shutil.copytree(served().snapshot, tmp_path / "copy"))
    content = bytearray((folder / "features.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "features.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"sha256 .*features\.parquet"):
        load_snapshot(folder)


def test_made_up_rows_have_missing_values() -> None:
    """The models of these tests have met NaN."""
    features = [{"name": "x", "unit": "count"}] * 4
    assert np.isnan(made_up_rows(features, np.random.default_rng(0))).any()
