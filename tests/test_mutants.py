import pytest

from tests.mutants import MUTANTS, Mutant
from tests.parity import built, features_of, only, shared


def differs(names: tuple[str, ...]) -> list[str]:
    """The features, of these, in which the pipeline and the reference do not agree."""
    one = shared()
    features = features_of(one.settings, names)
    with only(features):
        found = built(one.whole, one.settings, one.points)
    return sorted({cell.feature for cell in one.differences(features, found)} & {*names})


FIRST = {mutant.function.partition(":")[0]: mutant for mutant in reversed(MUTANTS)}
"""Of each file the first mistake: these are tried every time, all of them in the long tests."""


@pytest.mark.parametrize(
    "mutant",
    [m if m in FIRST.values() else pytest.param(m, marks=pytest.mark.slow) for m in MUTANTS],
    ids=lambda mutant: mutant.name,
)
def test_a_leak_or_a_slip_is_caught(mutant: Mutant) -> None:
    """A pipeline that is wrong in one line differs from the reference, in just these features."""
    with mutant.alive():
        assert differs(mutant.seen_in) == sorted(mutant.seen_in)


def test_the_pipeline_as_it_is_is_not_caught() -> None:
    """The features by which mutants are caught agree when nothing is wrong."""
    assert differs(tuple({name for mutant in MUTANTS for name in mutant.seen_in})) == []


def test_there_are_mutants_of_many_kinds() -> None:
    """A list that somebody empties is noticed."""
    assert len({mutant.function for mutant in MUTANTS}) >= 14
