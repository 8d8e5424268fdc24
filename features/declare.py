"""How a feature and a signal are declared: what the catalogue is written in."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from features.algebra import Expression, Growth, Ratio, Sum, Window

WINDOWS = (1, 7, 14, 28, 90)
LAST = Window(28)
BEFORE = Window(28, back=28)
EARLIER = Window(56, back=28)


@dataclass(frozen=True)
class Feature:
    """One column of the feature table."""

    name: str
    signal: str
    meaning: str
    unit: str
    group: str
    window: int | None
    direction: int
    kind: str
    expression: Expression
    categorical: bool = False
    monotone: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Signal:
    """What a person calls a group of features: the windows and changes of one behaviour.

    `now` and `before` name the features that state the account's own fact; `phrase` reads after
    the number ("3 logins in 28 days").
    """

    name: str
    label: str
    now: str
    before: str | None
    phrase: str
    unit: str
    kind: str


@dataclass(frozen=True)
class Catalogue:
    """The features of one company, in the order of the feature table's columns."""

    features: tuple[Feature, ...]
    signals: dict[str, Signal]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names in order."""
        return tuple(f.name for f in self.features)

    def hash(self) -> str:
        """A digest that changes when the meaning of a feature does."""
        text = "\n".join(f"{f.name} {f.expression!r}" for f in self.features)
        return hashlib.sha256(text.encode()).hexdigest()


Declared = tuple[Signal, list[Feature]]


@dataclass
class Maker:
    """Declares the features of one signal without saying its name, group and kind each time."""

    signal: Signal
    group: str
    direction: int
    features: list[Feature] = field(default_factory=list)

    def add(
        self,
        name: str,
        meaning: str,
        expression: Expression,
        *,
        unit: str | None = None,
        window: int | None = None,
        direction: int | None = None,
        monotone: bool = False,
        categorical: bool = False,
    ) -> None:
        """Declare one feature; `monotone` lets training hold its direction.

        `direction`: +1 where a rise is good news, -1 where it is bad, 0 where neither; default: as
        for the signal.
        """
        means = self.direction if direction is None else direction
        self.features.append(
            Feature(
                name=name,
                signal=self.signal.name,
                meaning=meaning,
                unit=unit or self.signal.unit,
                group=self.group,
                window=window,
                direction=means,
                kind=self.signal.kind,
                expression=expression,
                categorical=categorical,
                monotone=_monotone(means) if monotone else {},
            )
        )

    def sums(self, stem: str, words: str, measure: str, windows: Iterable[int] = WINDOWS) -> None:
        """Declare `<stem>_<w>d` for each window."""
        for days in windows:
            self.add(f"{stem}_{days}d", f"{words} in the last {in_days(days)}",
                     Sum(measure, Window(days)), window=days)  # fmt: skip

    def change(self, stem: str, words: str, measure: str) -> None:
        """Declare the 28 days before the last 28, the growth between them, and the short trend."""
        last, before = Sum(measure, LAST), Sum(measure, BEFORE)
        self.add(
            f"{stem}_prev_28d", f"{words} in the 28 days before the last 28", before, window=56
        )
        self.add(f"{stem}_growth_28d", f"{words}: last 28 days against the 28 before",
                 Growth(last, before), unit="ratio", window=56, monotone=True)  # fmt: skip
        self.add(f"{stem}_trend_7d_28d", f"{words}: daily pace of the last 7 days against 28",
                 Ratio(Sum(measure, Window(7)), last, times=4.0), unit="ratio",
                window=28)  # fmt: skip

    def done(self) -> Declared:
        """The signal with its features."""
        return self.signal, self.features


def _monotone(direction: int) -> dict[str, int]:
    return {"pql": direction, "upgrade": direction, "churn": -direction}


def in_days(days: int) -> str:
    """A number of days in words."""
    return "day" if days == 1 else f"{days} days"


def signal(
    name: str,
    label: str,
    phrase: str,
    *,
    now: str,
    before: str | None = None,
    unit: str = "count",
    kind: str = "act",
    group: str,
    direction: int = 1,
) -> Maker:
    """Begin to declare a signal; its features follow by `add`, `sums` and `change`."""
    return Maker(Signal(name, label, now, before, phrase, unit, kind), group, direction)
