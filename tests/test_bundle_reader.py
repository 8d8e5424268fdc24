"""A promoted model is read only when every file is what its manifest says, and scores as it did."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_serving_world import FILES, booster_of, card, made_up_rows, seal, write_bundle

from features.errors import InputError, NotReadyError
from features.workspace import Workspace, publish_json
from serving.models.model import contract_hash, load_bundle, promoted, promoted_folder
from serving.scoring.score import by_signal, grade
from training.dataset import Column, schema
from training.records.bundle import export
from training.records.registry import Candidate

FEATURES = [
    {"name": f"f{i}", "dtype": "float32", "signal": f"s{i // 3}", "unit": "count", "kind": "act"}
    for i in range(10)
] + [
    {"name": "plan", "dtype": "category", "signal": "plan", "unit": "category", "kind": "context",
     "vocabulary": ["free", "team", "Übergröße"]}
]  # fmt: skip
ROWS = made_up_rows(FEATURES, np.random.default_rng(4))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without fault."""
    folder = tmp_path_factory.mktemp("bundles") / "churn" / "7"
    write_bundle(folder, "churn", FEATURES, ROWS, booster_of(ROWS))
    return folder


@pytest.fixture
def bundle(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(sound, tmp_path / "churn" / "7"))


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    publish_json(path, json.loads(path.read_text()) | changes)


def reseal(bundle: Path) -> None:
    """Make the manifest agree with the damaged files again, as an attacker would."""
    seal(bundle, json.loads((bundle / "manifest.json").read_text()))


def test_a_sound_bundle_scores_its_golden_rows_to_the_bit(sound: Path) -> None:
    """Name, version and contract come from its files; the golden rows give the same bits."""
    model = load_bundle(sound)
    golden = json.loads((sound / "manifest.json").read_text())["golden"]
    rows = np.array([g["values"] for g in golden], dtype=np.float64)
    assert (model.name, model.version) == ("churn", "7")
    assert model.names[-1] == "plan"
    assert model.predict(rows).tolist() == [g["probability"] for g in golden]


def test_contributions_sum_to_the_calibrated_log_odds(sound: Path) -> None:
    """Over 400 rows the parts by signal and the base are the logit of the probability, to 1e-9."""
    model = load_bundle(sound)
    parts, chance = model.contributions(ROWS), model.predict(ROWS)
    logit = np.log(chance) - np.log1p(-chance)
    assert np.abs(parts.sum(axis=1) - logit).max() < 1e-9
    assert np.abs(by_signal(model, parts).sum(axis=1) + parts[:, -1] - logit).max() < 1e-9


def test_all_windows_of_a_signal_are_one_part(sound: Path) -> None:
    """Features that share a signal are summed; others are left apart."""
    model = load_bundle(sound)
    parts = model.contributions(ROWS)
    assert model.signals == ("s0", "s1", "s2", "s3", "plan")
    assert by_signal(model, parts)[:, 1] == pytest.approx(parts[:, 3:6].sum(axis=1), abs=1e-12)


def test_one_row_scores_as_it_does_among_many(sound: Path) -> None:
    """Probability and contributions do not depend on the rows beside it."""
    model = load_bundle(sound)
    for row in (0, 199, 399):
        assert model.predict(ROWS[[row]])[0] == model.predict(ROWS)[row]
        assert (model.contributions(ROWS[[row]])[0] == model.contributions(ROWS)[row]).all()


def test_grades_are_cut_at_the_cards_reference_quantiles(sound: Path) -> None:
    """A score must lie above a quantile to earn its grade."""
    model = load_bundle(sound)
    cuts = [model.quantiles[q] for q in (90, 70, 40)]
    assert [grade(model, cut + 1e-6) for cut in cuts] == ["A", "B", "C"]
    assert [grade(model, cut) for cut in cuts] == ["B", "C", "D"]


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_bundle_without_one_of_its_files_is_refused(bundle: Path, name: str) -> None:
    """The error names the file."""
    (bundle / name).unlink()
    with pytest.raises(InputError, match=f"no readable file .*{name}; expected a complete folder"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_changed_bit_is_refused_unparsed(bundle: Path, name: str) -> None:
    """LightGBM never sees a model text whose digest is wrong."""
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(InputError, match=f"sha256 [0-9a-f]+ for .*{name}; expected"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features[::-1],
        lambda features: features[1:],
        lambda features: [features[0] | {"name": "other"}, *features[1:]],
        lambda features: [*features[:-1], features[-1] | {"vocabulary": ["team", "free"]}],
    ],
)
def test_a_changed_feature_contract_is_refused(bundle: Path, change: Any) -> None:
    """Order, names and vocabulary belong to the contract even when the digests agree."""
    features = json.loads((bundle / "schema.json").read_text())["features"]
    edit(bundle / "schema.json", features=change(features))
    reseal(bundle)
    with pytest.raises(InputError, match=r"feature contract in .*schema\.json that differs"):
        load_bundle(bundle)


def test_a_contract_with_other_features_than_the_model_is_refused(bundle: Path) -> None:
    """A schema with a valid hash still has to fit the model's inputs."""
    publish_json(
        bundle / "schema.json", {"features": FEATURES[1:], "hash": contract_hash(FEATURES[1:])}
    )
    reseal(bundle)
    with pytest.raises(InputError, match=r"11 features in model\.txt.*expected 10"):
        load_bundle(bundle)


def test_another_models_text_is_found_by_the_golden_rows(bundle: Path) -> None:
    """A model that loads but scores differently by the last bit is not the promoted one."""
    (bundle / "model.txt").write_text(booster_of(ROWS, seed=1).model_to_string())
    reseal(bundle)
    with pytest.raises(InputError, match=r"golden row \d+ scoring 0\.\d+ in the bundle"):
        load_bundle(bundle)


def test_text_that_is_no_model_is_refused(bundle: Path) -> None:
    """A sealed file that LightGBM cannot read is an error of ours, not a crash."""
    (bundle / "model.txt").write_text("not a model\n")
    reseal(bundle)
    with pytest.raises(InputError, match=r"model\.txt that LightGBM cannot read"):
        load_bundle(bundle)


def test_a_card_without_its_quantiles_is_refused(bundle: Path) -> None:
    """What serving needs of a card must be there."""
    told = card("churn", np.array([0.1, 0.9]))
    del told["reference_quantiles"]
    publish_json(bundle / "card.json", told)
    reseal(bundle)
    with pytest.raises(InputError, match=r"a part that cannot be read \(KeyError\('reference"):
        load_bundle(bundle)


def test_a_model_that_was_never_promoted_says_what_to_run(tmp_path: Path) -> None:
    """The error names the model and the two commands."""
    expected = "nothing promoted for churn. Run `goldpan train` and `goldpan promote`"
    with pytest.raises(NotReadyError, match=expected):
        promoted_folder(Workspace(tmp_path), "churn")
    with pytest.raises(NotReadyError, match=r"nothing promoted in .*Run `goldpan train`"):
        promoted(Workspace(tmp_path))


def test_a_bundle_that_training_wrote_is_read(tmp_path: Path) -> None:
    """Both sides of the promoted files agree on hashes, codes and bits."""
    rows = np.nan_to_num(ROWS)
    columns = [
        Column(f["name"], f["signal"], f["unit"], f["kind"], 0, words or None)
        for f in FEATURES
        for words in [tuple(f.get("vocabulary", ()))]
    ]
    text = booster_of(rows).model_to_string()
    told = card("pql", np.array([0.1, 0.9]))
    found = Candidate("pql", "3", "a run", text, {"schema.json": schema(columns)})
    folder = export(Workspace(tmp_path), found, told)
    model = load_bundle(folder)
    assert (model.name, model.version) == ("pql", "3")
    assert model.features[-1].vocabulary == ("free", "team", "Übergröße")
    assert hashlib.sha256(text.encode()).hexdigest() in (folder / "manifest.json").read_text()
