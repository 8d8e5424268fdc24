"""What a model would say of an account that did more or less of something."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.api.backing import Backing
from serving.api.bodies.history import WhatIfRequest
from serving.api.bodies.strict import read
from serving.api.problems import shown, unfit
from serving.api.routes.whatif import answer
from serving.console.format import exact
from serving.console.views.desk import Desk
from serving.console.views.facts import fact
from serving.scoring.explain import number
from serving.scoring.whatif import allowed

SLIDERS = 6
STEPS = 100
PREFIX = "if."


@dataclass(frozen=True)
class Slider:
    """A signal that one can act on, by its main fact; `value` is what the slider stands at."""

    signal: str
    label: str
    phrase: str
    least: str
    most: str
    step: str
    now: str
    value: str
    exact: str
    told: str

    @property
    def moved(self) -> bool:
        """Whether it stands elsewhere than the account does."""
        return self.value != self.now


@dataclass(frozen=True)
class WhatIf:
    """The sliders, and what the model would say; `changed` says that one of them was moved."""

    model: str
    sliders: tuple[Slider, ...]
    changed: bool = False
    before: float = 0.0
    after: float = 0.0


def what_if(
    backing: Backing, desk: Desk, account_id: str, model: str, signals: Sequence[str],
    asked: Mapping[str, str],
) -> WhatIf:  # fmt: skip
    """Sliders for the first of the signals (largest part first) that may be moved."""
    row, may = desk.table.row_of[account_id], set(allowed(desk.state.scorers[model].model))
    made = [_slider(desk, row, s, asked.get(f"{PREFIX}{s}", "")) for s in signals if s in may]
    sliders = tuple([slider for slider in made if slider][:SLIDERS])
    changes = {s.signal: float(s.value) for s in sliders if s.moved}
    if not changes:
        return WhatIf(model, sliders)
    request = read(json.dumps({"model": model, "changes": changes}).encode(), WhatIfRequest)
    told = answer(backing, account_id, request)
    return WhatIf(model, sliders, True, told["probability_before"], told["probability"])


def _slider(desk: Desk, row: int, signal: str, asked: str) -> Slider | None:
    """A slider from nothing to twice what the account or its peers do; None without a number."""
    snapshot = desk.snapshot
    wording = snapshot.wordings[signal]
    now = fact(snapshot, row, wording.now) if wording.now else None
    if not isinstance(now, float) or math.isnan(now) or now < 0:
        return None
    peers = snapshot.peers.get(snapshot.table.contexts[row].population, {})
    peer = peers.get(wording.now or "") or 0.0
    step = _step(2 * max(now, peer, 0.05), wording.unit)
    most = 1.0 if wording.unit == "share" and now <= 1 else 2 * max(now, peer, 5 * step)
    stands = _written(round(now / step) * step)
    value = _value(signal, asked, stands)
    return Slider(
        signal, wording.label, wording.phrase, "0", _written(math.ceil(most / step) * step),
        _written(step), stands, value, exact(now), number(float(value), wording.unit),
    )  # fmt: skip


def _step(most: float, unit: str) -> float:
    """A round step: one for what is counted, a hundredth of the way for what is measured.

    >>> _step(28.0, "count"), _step(0.8, "share"), _step(70.0, "minutes")
    (1, 0.01, 1.0)
    """
    if unit in ("count", "gap"):
        return max(1, round(most / STEPS))
    if unit in ("share", "trend"):
        return 0.01
    return float(10.0 ** math.floor(math.log10(most / STEPS) + 0.5))


def _value(signal: str, asked: str, stands: str) -> str:
    if not asked:
        return stands
    try:
        value = float(asked)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1e12:
        raise unfit(f"{PREFIX}{signal}", shown(asked), "a number, not below 0")
    return _written(value)


def _written(value: float) -> str:
    """A number as a form sends it.

    >>> _written(0.30000000000000004), _written(12.0)
    ('0.3', '12')
    """
    return f"{value:.6f}".rstrip("0").rstrip(".")
