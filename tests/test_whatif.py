"""What if: only what can be acted on, and windows that hang together move together."""

from functools import cache

import numpy as np
import pytest
from test_serving_world import made_up_rows, served

from serving.models.model import Model, load_bundle, promoted
from serving.scoring.accounts import load_snapshot
from serving.scoring.whatif import Change, NotAllowedError, allowed, applied, changes

WORDINGS = load_snapshot(served().snapshot).wordings


@cache
def model() -> Model:
    """The shared world's churn model."""
    return load_bundle(promoted(served().workspace)["churn"])


def row(**values: float) -> np.ndarray:
    """A made-up row with some values said."""
    described = [{"name": f.name, "unit": f.unit} for f in model().features]
    made = made_up_rows(described, np.random.default_rng(2))[0]
    for name, value in values.items():
        made[model().names.index(name)] = value
    return made


LOGINS = {"logins_7d": 2.0, "logins_28d": 14.0, "logins_90d": 40.0, "logins_prev_28d": 9.0,
          "logins_growth_28d": 1.5, "days_since_login": 3.0}  # fmt: skip


def test_a_signal_moves_by_its_main_fact_and_its_windows_by_the_same_ratio() -> None:
    """The window before, the growth and the days since stay; all changed features are told."""
    made = row(**LOGINS)
    found = {c.feature: c for c in changes(model(), made, {"logins": 7.0}, WORDINGS)}
    assert found["logins_28d"] == Change("logins_28d", "logins", 14.0, 7.0, "asked")
    assert found["logins_7d"] == Change("logins_7d", "logins", 2.0, 1.0, "scaled")
    assert found["logins_90d"].after == 20.0
    assert not {"logins_prev_28d", "logins_growth_28d", "days_since_login"} & found.keys()
    after = applied(model(), made, list(found.values()))
    changed = np.flatnonzero(~((after == made) | (np.isnan(after) & np.isnan(made))))
    assert {model().names[i] for i in changed} <= found.keys()


@pytest.mark.parametrize("before", [0.0, np.nan])
def test_where_there_is_no_ratio_only_the_main_fact_changes(before: float) -> None:
    """Nothing can be scaled from nothing."""
    made = row(**{**LOGINS, "logins_28d": before})
    [change] = changes(model(), made, {"logins": 7.0}, WORDINGS)
    assert (change.feature, change.after, change.by) == ("logins_28d", 7.0, "asked")


def test_a_feature_named_by_itself_goes_before_its_signal() -> None:
    """Who knows better says it."""
    asked = {"logins_7d": 5.0, "logins": 7.0}
    found = {c.feature: c for c in changes(model(), row(**LOGINS), asked, WORDINGS)}
    assert (found["logins_7d"].after, found["logins_7d"].by) == (5.0, "asked")
    assert found["logins_90d"].by == "scaled"


@pytest.mark.parametrize(
    ("name", "value", "found", "expected"),
    [
        ("tenure", 3.0, "nobody can act on", "logins"),
        ("industry", 1.0, "nobody can act on", "logins"),
        ("mrr_now", 3.0, "nobody can act on", "logins"),
        ("nonsense", 3.0, "neither a signal nor a feature", "logins"),
        ("logins_28d", -1.0, "-1.0", "a number of count, not below 0"),
        ("logins", -1.0, "-1.0", "a number of count, not below 0"),
    ],
)
def test_what_cannot_be_acted_on_is_refused(
    name: str, value: float, found: str, expected: str
) -> None:
    """The error says which signals may be changed."""
    with pytest.raises(NotAllowedError) as refused:
        changes(model(), row(**LOGINS), {name: value}, WORDINGS)
    assert found in refused.value.found
    assert expected in refused.value.expected


def test_every_signal_that_is_allowed_can_be_changed() -> None:
    """And none that is context or fixed is among them."""
    made = row()
    kinds = {f.signal: f.kind for f in model().features}
    assert {kinds[name] for name in allowed(model())} == {"act"}
    for name in allowed(model()):
        assert changes(model(), made, {name: 1.0}, WORDINGS)
