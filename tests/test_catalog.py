"""The catalogue: what every declaration must say, and the page that is made of it."""

from pathlib import Path

from features.catalog import CBI_PARTS, GROUPS, catalogue
from features.compute.leaves import column
from features.described import PARTS, page
from features.read_settings import load_settings
from tests.worlds import sample_settings

ROOT = Path(__file__).parent.parent
SAMPLE = load_settings(ROOT / "goldpan.toml")


def test_the_page_of_features_is_that_of_the_catalogue() -> None:
    """docs/features.md is what `make docs` writes now."""
    assert (ROOT / "docs" / "features.md").read_text(encoding="utf-8") == page(SAMPLE)


def test_there_are_at_least_a_hundred_and_twenty_features() -> None:
    """On the sample company, each name once, each with a meaning of its own."""
    features = catalogue(SAMPLE).features
    assert len({f.name for f in features}) == len(features) >= 120
    assert len({f.meaning for f in features}) == len(features)
    assert all(f.meaning and f.unit and f.direction in (-1, 0, 1) for f in features)


def test_every_group_and_part_has_features() -> None:
    """Each group that is documented, each part of the index, and no other."""
    features = catalogue(SAMPLE).features
    assert {f.group for f in features} == set(GROUPS)
    assert tuple(PARTS) == CBI_PARTS
    names = {f.name for f in features}
    assert {f"cbi_{part.replace(' ', '_')}" for part in CBI_PARTS} | {"cbi"} <= names


def test_signals_state_facts_that_are_features() -> None:
    """The `now` and `before` of a signal are features of that signal."""
    for settings in (SAMPLE, sample_settings()):
        declared = catalogue(settings)
        for signal in declared.signals.values():
            own = {f.name for f in declared.features if f.signal == signal.name}
            assert {signal.now} | ({signal.before} - {None}) <= own, signal.name


def test_leaves_of_different_meaning_have_different_columns() -> None:
    """No two parts of the catalogue's expressions share a column by accident."""
    found = {
        leaf
        for f in catalogue(SAMPLE).features
        for leaf in f.expression.walk()
        if not list(leaf.parts())
    }
    assert len({column(leaf) for leaf in found}) == len(found)
