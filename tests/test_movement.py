"""Why a score moved: exact parts, each with its cause, in words."""

import datetime as dt
import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from test_serving_world import made_up_rows, promote, served

from features.workspace import Workspace
from serving.api.routes.history import _loaded
from serving.ledger.scores import Kept
from serving.models.model import FeatureSpec, Model, load_bundle, promoted
from serving.scoring.accounts import load_snapshot
from serving.scoring.explain import Wording
from serving.scoring.facts import facts, through
from serving.scoring.movement import CAUSES, Movement, moved
from serving.scoring.recorded import contract
from serving.scoring.score import by_signal

WORDINGS = load_snapshot(served().snapshot).wordings


@cache
def model() -> Model:
    """The shared world's churn model."""
    return load_bundle(promoted(served().workspace)["churn"])


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Another version, of other trees."""
    workspace = Workspace(tmp_path_factory.mktemp("second"))
    return load_bundle(promote(workspace, served().settings, "churn", seed=21, version="2"))


def rows() -> np.ndarray:
    """Made-up rows under the contract."""
    described = [
        {"name": f.name, "unit": f.unit} | ({} if f.vocabulary is None else {"vocabulary": []})
        for f in model().features
    ]
    return made_up_rows(described, np.random.default_rng(12))


def kept(by: Model, row: np.ndarray, day: int) -> Kept:
    """A score as the ledger would have it."""
    log_odds = float(by.log_odds(row.reshape(1, -1))[0])
    contributions = by.contributions(row.reshape(1, -1))
    parts = np.append(by_signal(by, contributions)[0], contributions[0, -1])
    return Kept(
        score_id="", account_id="a", model="churn", model_version=by.version, bundle=by.digest,
        as_of=dt.date(2026, 7, day), snapshot="", made_at=dt.datetime.now(dt.UTC),
        probability=float(expit(log_odds)), log_odds=log_odds, low=None, high=None, grade="A",
        contract="", row_sha256="", inputs=row, parts=parts,
        features=tuple(json.loads(contract(by))),
    )  # fmt: skip


def is_exact(found: Movement) -> bool:
    """Whether the parts, and the causes, sum to the difference."""
    parts = math.fsum(p.contribution for p in found.parts)
    causes = math.fsum(found.by_cause.values())
    return max(abs(parts - found.difference), abs(causes - found.difference)) < 1e-9


def test_the_parts_sum_to_the_difference_in_log_odds() -> None:
    """For two hundred pairs of rows, to 1e-9; all causes but the version's occur."""
    made, seen = rows(), set()
    for one, other in zip(made[:200], made[200:], strict=True):
        found = moved(kept(model(), one, 1), kept(model(), other, 8), WORDINGS, "USD")
        assert is_exact(found)
        assert found.by_cause["model_version"] == 0
        seen |= {part.cause for part in found.parts}
        sizes = [abs(p.contribution) for p in found.parts]
        assert sizes == sorted(sizes, reverse=True)
    assert seen == set(CAUSES) - {"model_version"}


def test_of_two_versions_the_version_has_a_part_of_its_own(second: Model) -> None:
    """It is what the later version says of the earlier facts, less what the earlier said."""
    made = rows()
    for one, other in zip(made[:50], made[200:], strict=False):
        before, after = kept(model(), one, 1), kept(second, other, 8)
        found = moved(before, after, WORDINGS, "USD", second)
        assert is_exact(found)
        version = float(second.log_odds(one.reshape(1, -1))[0]) - before.log_odds
        assert found.by_cause["model_version"] == version
        assert found.lacking == ()
    [part] = [p for p in found.parts if p.cause == "model_version"]
    assert part.text.startswith("Version 2 of the model took the place of version 1: of the same")


def test_another_version_on_the_same_day_moves_by_the_version_alone(second: Model) -> None:
    """Nothing else has changed."""
    row = rows()[3]
    found = moved(kept(model(), row, 1), kept(second, row, 1), WORDINGS, "USD", second)
    assert [p.cause for p in found.parts] == ["model_version"]
    assert is_exact(found)


def test_a_later_version_without_its_model_is_refused(second: Model) -> None:
    """The earlier facts cannot be scored by what is not there."""
    row = rows()[3]
    with pytest.raises(ValueError, match="no model of the later"):
        moved(kept(model(), row, 1), kept(second, row, 8), WORDINGS, "USD")


def test_features_that_the_earlier_row_lacks_are_named(second: Model) -> None:
    """They count as missing to the later version, and the parts are exact all the same."""
    row = rows()[3]
    before = kept(model(), row, 1)
    fewer = replace(before, features=before.features[5:], inputs=row[5:])
    found = moved(fewer, kept(second, row, 8), WORDINGS, "USD", second)
    assert found.lacking == model().names[:5]
    assert is_exact(found)


def test_a_row_goes_through_another_versions_contract_by_names_and_words() -> None:
    """Order and codes are the other's; an unseen word is missing, a number for one is lacking."""
    known: dict[str, Any] = {"a": 1.5, "plan": "team", "country": "FR", "odd": 3.0, "none": None}
    columns = [
        {"name": "plan", "vocabulary": ["free", "team"]},
        {"name": "a"},
        {"name": "country", "vocabulary": ["US"]},
        {"name": "odd", "vocabulary": ["x"]},
        {"name": "new"},
        {"name": "none", "vocabulary": ["x"]},
    ]
    row, lacking = through(known, columns)
    np.testing.assert_array_equal(row, np.array([1, 1.5, *[np.nan] * 4], dtype=np.float32))
    assert lacking == ["odd", "new"]


def test_of_a_signal_whose_main_fact_stayed_the_measure_that_changed_is_told() -> None:
    """A price that stayed is no news; what each active user pays of it may be."""
    wording = Wording("price", "Price", "mrr_now", None, "a month", "money", "context")
    names = {"mrr_now": "monthly recurring revenue", "per_user": "monthly revenue per active user"}
    specs = tuple(FeatureSpec(name, "price", "money", "context", None) for name in names)
    columns = tuple(json.loads(contract(replace(model(), features=specs, signals=("price",)))))
    day = replace(kept(model(), rows()[0], 1), features=columns, log_odds=0.0)

    def told(now: float, part: float) -> str:
        one = replace(day, inputs=np.array([625, 62.5], np.float32), parts=np.array([0.0, 0.0]))
        other = replace(day, inputs=np.array([625, now], np.float32), parts=np.array([part, 0.0]))
        [found] = moved(one, other, {"price": wording}, "USD", None, names).parts
        return found.text

    assert told(125.0, 0.2) == ("Price stayed at 625 USD a month; monthly revenue per active user "
                                "rose from 62.5 to 125")  # fmt: skip
    assert told(62.5, 0.2) == ("Price stayed at 625 USD a month, but counts differently beside "
                               "what changed")  # fmt: skip


def said(signal: str, unit: str, kind: str, before: Any, now: Any) -> tuple[str, str]:
    """The sentence and the cause of one signal, between two values of one feature."""
    words = ("team", "business") if unit == "category" else None
    spec = FeatureSpec("x", signal, unit, kind, words)
    wording = Wording(signal, signal.capitalize(), "x", None, "in 28 days", unit, kind)
    made = replace(model(), features=(spec,), signals=(signal,))
    columns = tuple(json.loads(contract(made)))
    ends = [
        replace(
            kept(model(), rows()[0], 1), inputs=np.array([v], np.float32), features=columns,
            parts=np.array([v, 0.0]), log_odds=v,
        )
        for v in (before, now)
    ]  # fmt: skip
    [part] = moved(*ends, {signal: wording}, "USD").parts
    assert facts(ends[0])["x"] in (before, *(words or ()))
    return part.text, part.cause


@pytest.mark.parametrize(
    ("unit", "kind", "before", "now", "text", "cause"),
    [
        ("count", "act", 14.0, 3.0, "Logins fell from 14 to 3 in 28 days", "behaviour"),
        ("days", "context", 20.0, 13.0, "Logins fell from 20 to 13 in 28 days",
         "passing_time"),
        ("money", "context", 50.0, 80.0, "Logins rose from 50 to 80 USD in 28 days",
         "circumstances"),
        ("category", "context", 0.0, 1.0, "Logins changed from team to business",
         "circumstances"),
        ("count", "fixed", 1.0, 1.01, "Logins hardly changed: 1 in 28 days", "circumstances"),
    ],
)  # fmt: skip
def test_each_part_says_its_fact_and_its_cause(
    unit: str, kind: str, before: float, now: float, text: str, cause: str
) -> None:
    """What was done, what the calendar did, and what is bought or given are told apart."""
    assert said("logins", unit, kind, before, now) == (text, cause)


def test_a_former_version_is_loaded_once_for_many_movements() -> None:
    """The same object answers again; what is not that bundle, or is gone, is none."""
    folder = promoted(served().workspace)["churn"]
    first = _loaded(folder, model().digest)
    assert first is not None
    assert _loaded(folder, model().digest) is first
    assert _loaded(folder, "another") is None
    assert _loaded(folder.parent / "gone", model().digest) is None
