"""What goes with buying, staying and leaving, and how accounts move on: as the commands found it.

`goldpan insights --write` and `goldpan lifecycle --write` keep it; it is only read here.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from features.event_words import capital
from features.workspace import Workspace
from serving.console.format import ago, day, days, percent, plural, whole
from serving.console.views.facts import Shown
from serving.console.views.funnel import Lifecycle, lifecycle

Made = TypeVar("Made")
MOST_BYTES = 8 * 2**20
SIGNALS = 8
WIDEST = math.log(4)
"""What is beyond four times, or a quarter, is drawn to the edge."""
GOES_WITH = {"pql": "buying", "upgrade": "upgrading", "churn": "leaving"}
ASKED = {
    "pql": "Whose early use goes with starting to pay",
    "upgrade": "Whose use goes with paying more later",
    "churn": "Whose use goes with leaving: to the left of 1, those who use it stay",
}


@dataclass(frozen=True)
class Effect:
    """One behaviour and its effect: how many times the odds, with the 95 % interval."""

    label: str
    note: str
    value: float
    low: float
    high: float
    sure: bool

    @property
    def ends(self) -> tuple[float, float, float]:
        """The three on the scale on which half and double are as far apart."""
        return math.log(self.value), math.log(self.low), math.log(self.high)

    @property
    def text(self) -> str:
        """As people read it.

        >>> Effect("", "", 2.32, 1.74, 3.1, True).text
        '2.3 times'
        """
        return f"{self.value:.1f} times"


@dataclass(frozen=True)
class Golden:
    """What goes with one outcome; `refused`: why there is nothing to say."""

    outcome: str
    title: str
    asked: str
    effects: tuple[Effect, ...] = ()
    untold: tuple[tuple[str, str], ...] = ()
    looked: str = ""
    chance: str = ""
    doubt: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Found:
    """The whole page; a part is None when nothing was kept, `broken` when it cannot be read."""

    golden: tuple[Golden, ...] | None
    renewal: Golden | None
    lifecycle: Lifecycle | None
    made: Shown | None
    broken: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[float, float]:
        """One scale for all effects, on which half and double are as far apart."""
        parts = [*(self.golden or ()), *([self.renewal] if self.renewal else [])]
        ends = [end for part in parts for effect in part.effects for end in effect.ends]
        most = min(max([abs(end) for end in ends] or [1.0]), WIDEST)
        return -most, most


def found(workspace: Workspace) -> Found:
    """What the commands have kept in the workspace."""
    broken: list[str] = []
    told = _read(workspace.insights / "insights.json", _golden, broken)
    moves = _read(workspace.insights / "lifecycle.json", lifecycle, broken)
    golden, renewal = told or (None, None)
    return Found(golden, renewal, moves, _made(workspace), tuple(broken))


def _read(path: Path, made: Callable[[Mapping[str, Any]], Made], broken: list[str]) -> Made | None:
    """A kept report; None when there is none, or when it is not one: then its name is noted."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("more than a report holds")
        return made(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        broken.append(path.name)
        return None


def _made(workspace: Workspace) -> Shown | None:
    """How old the older of the two is."""
    times = [
        _made_at(path)
        for name in ("insights.json", "lifecycle.json")
        if (path := workspace.insights / name).is_file()
    ]
    if not times:
        return None
    then = min(times)
    return Shown(ago(then), f"{day(then.date())}, {then:%H:%M} UTC")


def _made_at(path: Path) -> datetime:
    """When a report was made; of one that does not say it, when its file was written."""
    said = _read(path, lambda told: datetime.fromisoformat(told["made_at"]).astimezone(UTC), [])
    return said or datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _golden(report: Mapping[str, Any]) -> tuple[tuple[Golden, ...], Golden | None]:
    outcomes = tuple(_of(part) for part in report["outcomes"] if part["outcome"] in GOES_WITH)
    return outcomes, _renewal(report["renewal"]) if report.get("renewal") else None


def _of(part: Mapping[str, Any]) -> Golden:
    name, table = part["outcome"], part.get("golden")
    title, asked = f"Goes with {GOES_WITH[name]}", ASKED[name]
    if not table:
        return Golden(name, title, asked, refused=str(part.get("refused") or "Nothing was found."))
    rows = table["rows"]
    return Golden(
        name, title, asked,
        effects=tuple(e for row in rows if (e := _effect(row, row["adjusted"], _share(row)))),
        untold=tuple((capital(r["label"]), r["note"]) for r in rows if not r["adjusted"]),
        looked=_looked(part["looked"]),
        chance=_chance(table.get("shuffled")),
        doubt=_doubt(table.get("controls") or ()),
    )  # fmt: skip


def _renewal(part: Mapping[str, Any]) -> Golden:
    title, asked = "Goes with renewing", "More of it than others of the same kind have"
    if part.get("refused") or not part.get("looked"):
        return Golden("renewal", title, asked, refused=str(part.get("refused") or "Nothing found."))
    rows = [row for row in part["signals"] if row["discovery"]][:SIGNALS]
    effects = (_effect(row, row["beyond_use"] or row["alone"], "") for row in rows)
    looked = part["looked"]
    renewed = f"{percent(part['rate'])} of {plural(looked['observations'], 'term')} were renewed"
    return Golden("renewal", title, asked, tuple(filter(None, effects)),
                  looked=f"{renewed}, {_days(looked)}")  # fmt: skip


def _effect(row: Mapping[str, Any], effect: Mapping[str, Any] | None, note: str) -> Effect | None:
    if not effect or not all(effect.get(k) for k in ("value", "low", "high")):
        return None
    value, low, high = (float(effect[k]) for k in ("value", "low", "high"))
    return Effect(capital(row["label"]), note, value, low, high, bool(row["discovery"]))


def _share(row: Mapping[str, Any]) -> str:
    return f"{percent(row['share'])} had used it"


def _looked(looked: Mapping[str, Any]) -> str:
    outcomes, accounts = (
        plural(looked["outcomes"], "outcome"),
        plural(looked["accounts"], "account"),
    )
    rows = whole(looked["observations"])
    return f"{outcomes} in {rows} observations of {accounts}, {_days(looked)}"


def _days(looked: Mapping[str, Any]) -> str:
    return days(*(date.fromisoformat(looked[k]) for k in ("first", "last")))


def _chance(shuffled: Mapping[str, Any] | None) -> str:
    """How often the same search finds something where nothing is."""
    if not shuffled:
        return ""
    times, hits = shuffled["times"], shuffled["with_discoveries"]
    tried = f"Tried {whole(times)} times on shuffled outcomes, the search found something"
    return f"{tried} {whole(hits)} times; up to {whole(shuffled['most'] * times)} are as expected."


def _doubt(controls: Sequence[Mapping[str, Any]]) -> str:
    """A control that is not at 1 says that something unmeasured is at work."""
    off = [c["label"] for c in controls if (e := c["adjusted"]) and not e["low"] <= 1 <= e["high"]]
    if not off:
        return ""
    return (f"Doubt: what cannot matter ({', '.join(off)}) seems to. Something that was not "
            "measured may be behind others of this list too.")  # fmt: skip
