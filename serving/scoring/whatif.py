"""Changed signals → another prediction. It says what the model would say, not what would happen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.models.model import FeatureSpec, Model
from serving.scoring.explain import Wording

NEVER_NEGATIVE = ("count", "minutes", "hours", "days", "money")
MEANING = (
    "A change of the prediction, not of the world: what the model would say of an account with "
    "these facts. It does not say that bringing the facts about would change what happens."
)
SCALED = (
    "A signal changes by its main fact; its other windows in the same unit are scaled by the same "
    "ratio, the window before is left, and so are measures in another unit."
)


class NotAllowedError(Exception):
    """A change that cannot be made: of what, what was found and what was expected."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        self.name, self.found, self.expected = name, found, expected
        super().__init__(f"{name}: {found}; expected {expected}")


@dataclass(frozen=True)
class Change:
    """One feature's value before and after; NaN where it was missing. `by`: asked or scaled."""

    feature: str
    signal: str
    before: float
    after: float
    by: str


def allowed(model: Model) -> list[str]:
    """The signals of a model that the catalogue calls actionable, and may be changed."""
    return sorted({f.signal for f in model.features if _may(f)})


def changes(
    model: Model,
    row: NDArray[np.float32],
    asked: Mapping[str, float],
    wordings: Mapping[str, Wording],
) -> list[Change]:
    """What becomes of a model's row; a feature named by itself goes before its signal.

    Raises NotAllowedError for a name that is neither, that is not actionable, or a value that
    cannot be.
    """
    specs = {f.name: (place, f) for place, f in enumerate(model.features)}
    found: dict[str, Change] = {}
    for name in sorted(asked, key=lambda n: n in specs):
        value = asked[name]
        if name in specs:
            place, spec = specs[name]
            found[name] = _changed(spec, float(row[place]), value, "asked")
        elif name in model.signals:
            mine = [(i, f) for i, f in enumerate(model.features) if f.signal == name]
            found |= {c.feature: c for c in _signal(name, mine, row, value, wordings[name])}
        else:
            raise NotAllowedError(name, "neither a signal nor a feature", _expected(model))
        if not all(_may(specs[c][1]) for c in found):
            raise NotAllowedError(name, "a signal that nobody can act on", _expected(model))
    return list(found.values())


def applied(model: Model, row: NDArray[np.float32], changed: list[Change]) -> NDArray[np.float32]:
    """The row with its changes."""
    after, places = row.copy(), {name: i for i, name in enumerate(model.names)}
    for change in changed:
        after[places[change.feature]] = change.after
    return after


def _signal(
    name: str,
    mine: list[tuple[int, FeatureSpec]],
    row: NDArray[np.float32],
    value: float,
    wording: Wording,
) -> list[Change]:
    """A signal's main fact set, its other windows in the same unit scaled with it."""
    main = next(((i, f) for i, f in mine if f.name == wording.now), None)
    if main is None:
        names = ", ".join(f.name for _, f in mine)
        raise NotAllowedError(name, "a signal without a main fact", f"one of {names}")
    before = float(row[main[0]])
    ratio = value / before if before and not math.isnan(before) else math.nan
    found = [_changed(main[1], before, value, "asked")]
    for place, spec in mine:
        left = spec.name in (wording.now, wording.before) or spec.unit != main[1].unit
        if not left and not math.isnan(ratio) and not math.isnan(row[place]):
            found.append(_changed(spec, float(row[place]), float(row[place]) * ratio, "scaled"))
    return found


def _changed(spec: FeatureSpec, before: float, after: float, by: str) -> Change:
    if after < 0 and spec.unit in NEVER_NEGATIVE:
        raise NotAllowedError(spec.name, str(after), f"a number of {spec.unit}, not below 0")
    return Change(spec.name, spec.signal, before, float(np.float32(after)), by)


def _may(spec: FeatureSpec) -> bool:
    return spec.kind == "act" and spec.vocabulary is None


def _expected(model: Model) -> str:
    return f"one of {', '.join(allowed(model))}"
