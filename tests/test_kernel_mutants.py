from contextlib import nullcontext

import pytest

from tests.kernel_mutants import ONLY_SQL, OWN, SHARED, interpreted
from tests.mutants import MUTANTS, Mutant
from tests.parity import Batch, batch, built, features_of, only, shared
from tests.test_kernel import by_kernel

FEW = ("everybody always was where they are in the end",)
"""Of the mistakes that both engines share, those that are tried through the kernel every time."""


def differs(names: tuple[str, ...], one: Batch) -> list[str]:
    """The features, of these, in which the kernel and the reference do not agree."""
    features = features_of(one.settings, names)
    with only(features):
        found = built(one.whole, by_kernel(one.settings), one.points)
    return sorted({cell.feature for cell in one.differences(features, found)} & {*names})


def assert_caught(mutant: Mutant) -> None:
    """Whether a mistake is seen in just the features that it says."""
    own = mutant.function.startswith("kernel.")
    with interpreted() if own else nullcontext(), mutant.alive():
        assert differs(mutant.seen_in, shared()) == sorted(mutant.seen_in)


@pytest.mark.parametrize("mutant", [m for m in SHARED if m.name in FEW], ids=lambda m: m.name)
def test_a_leak_before_the_kernel_is_caught_through_it(mutant: Mutant) -> None:
    """A mistake in what both engines read shows in the kernel's cells."""
    assert_caught(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in SHARED if m.name not in FEW], ids=lambda m: m.name)
def test_any_leak_before_the_kernel_is_caught_through_it(mutant: Mutant) -> None:
    """So does each other one."""
    assert_caught(mutant)


@pytest.mark.parametrize("mutant", OWN[:2], ids=lambda m: m.name)
def test_a_slip_of_the_kernel_is_caught(mutant: Mutant) -> None:
    """A kernel that is wrong in one line differs from the reference, in just these features."""
    assert_caught(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", OWN[2:], ids=lambda m: m.name)
def test_any_slip_of_the_kernel_is_caught(mutant: Mutant) -> None:
    """So does each other one."""
    assert_caught(mutant)


def test_the_kernel_in_plain_python_is_not_caught() -> None:
    """What is changed for a mutant, that nothing is compiled, changes no cell."""
    with interpreted():
        assert differs(tuple({n for m in OWN for n in m.seen_in}), batch("leap day", 5, 30)) == []


def test_every_mistake_of_the_sql_has_a_twin_or_is_shared() -> None:
    """No mutant of the SQL is forgotten; a ring has no late rows to be joined."""
    left = {m.name for m in MUTANTS if m.function.startswith(ONLY_SQL)}
    assert left <= {m.name for m in OWN}
    assert len(SHARED) + len(left) == len(MUTANTS)
