import random

import pytest

from features import build as building
from features.catalog import catalogue
from features.compute import block
from features.engines.engine import running_on
from features.settings import Settings
from tests.expressions import Declarer
from tests.parity import Batch, Cells, batch, built, only, shared
from tests.worlds import ENDS


def by_kernel(settings: Settings) -> Settings:
    """The settings with the kernel as engine."""
    return running_on(settings, "kernel")


def assert_as_reference(one: Batch, features: list, found: Cells) -> None:
    """Whether every cell is what plain Python says."""
    differences = list(one.differences(features, found))
    assert not differences, f"{len(differences)} cells differ; {one.story(differences[0])}"


def test_every_cell_of_the_catalogue_is_what_plain_python_says() -> None:
    """The kernel and a slow, obvious reference agree on every cell of random worlds."""
    one = shared()
    found = built(one.whole, by_kernel(one.settings), one.points)
    assert_as_reference(one, catalogue(one.settings).features, found)


@pytest.mark.parametrize("first", [2, 11])
def test_any_expression_is_what_plain_python_says(first: int) -> None:
    """The whole algebra agrees with the reference, also where no catalogue declares it so."""
    dice = random.Random(first)  # noqa: S311 - reproducible, not secret
    one = batch(dice.choice(list(ENDS)), first, 60)
    features = Declarer(dice).features(84)
    with only(features):
        found = built(one.whole, by_kernel(one.settings), one.points)
    assert_as_reference(one, features, found)


def test_how_a_build_is_cut_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks and chunks, of days on which few are observed too, give the same doubles."""
    one = batch("Berlin springs forward", 3, 40)
    settings = by_kernel(one.settings)
    whole = built(one.whole, settings, one.points)
    points = [p for p in one.points if p[1] == one.days[-1]]
    points += [p for p in one.points if p[1] in one.days[:2]][::9]
    monkeypatch.setattr(building, "BLOCK_POINTS", 60)
    monkeypatch.setattr(block, "CHUNK_POINTS", 70)
    monkeypatch.setattr(block, "CHUNK_RANKED", 90)
    assert built(one.whole, settings, points) == {point: whole[point] for point in points}
