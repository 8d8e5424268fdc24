"""All insights of a company as one report: `training.insights.insights`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from features.catalog import catalogue
from features.errors import RefusedError
from features.instants import day_number
from features.lifecycle.adoption import adopted
from features.progress import Progress, silent
from features.settings import Outcome as Timing
from features.settings import Settings
from features.table import check_current, read_features
from features.workspace import Workspace, publish_json, publish_text
from training.insights import adjust, frequency, signals
from training.insights.candidates import SESSIONS, SHOWN, steps, with_steps
from training.insights.frequency import Frequency, frequencies
from training.insights.golden import GoldenTable, golden
from training.insights.landmarks import Landmarks, of_outcome, of_renewals
from training.insights.rule_text import toml
from training.insights.rules import Patterns, search, sign_ups
from training.insights.signals import Association, associations
from training.observations import PAIR, History, read_history
from training.outcomes import chosen

CAUTION = "Association, not cause: what was not measured is not adjusted for."
CONTEXT = (*PAIR, "population", "plan", "mrr", "term_end", "cancel_announced", "is_internal",
           "age_days")  # fmt: skip
SHUFFLES = 100


@dataclass(frozen=True)
class Looked:
    """How much an insight rests on."""

    observations: int
    accounts: int
    outcomes: int
    first: str
    last: str


@dataclass(frozen=True)
class OfOutcome:
    """What goes with one outcome; `refused` says why there is nothing to say."""

    outcome: str
    horizon_days: int
    looked: Looked | None = None
    golden: GoldenTable | None = None
    signals: tuple[Association, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class OfRenewal:
    """What goes with renewal of a term, and which frequencies of use do."""

    looked: Looked | None = None
    rate: float | None = None
    signals: tuple[Association, ...] = ()
    frequencies: tuple[Frequency, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class OfPaths:
    """Sequences that go with buying, and each confirmed one as a rule for the settings."""

    patterns: Patterns | None = None
    rules: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class Insights:
    """The whole report; every part is as of the days that it names."""

    company: str
    simulated: bool
    caution: str
    outcomes: tuple[OfOutcome, ...]
    paths: OfPaths | None
    renewal: OfRenewal | None

    def plain(self) -> dict[str, Any]:
        """The report as JSON has it: what is not finite is null."""
        return dict(_plain(asdict(self)))


def insights(
    workspace: Workspace,
    settings: Settings,
    outcomes: Iterable[str] | None = None,
    *,
    shuffles: int = SHUFFLES,
    progress: Progress = silent,
) -> Insights:
    """What goes with each outcome (None: all declared), with buying early and with renewal.

    Reads the feature table of `goldpan build` and the rollups: everything is as known at each row's
    `as_of`. A part for which there is too little says so in `refused`; raises RefusedError when all
    do, NotReadyError before the build.
    """
    timings = chosen(settings, outcomes)
    check_current(workspace, settings)
    progress(0, 0, "reading")
    table, history = _table(workspace, settings), read_history(workspace, settings)
    spans = adopted(workspace, settings, steps(settings))
    parts = tuple(
        _of_outcome(name, timing, table, history, spans, settings, shuffles, progress)
        for name, timing in timings.items()
    )
    paths = renewal = None
    if "pql" in timings:
        progress(0, 0, "pql: sequences")
        paths = _paths(settings, timings["pql"], history, spans)
    if "churn" in timings:
        progress(0, 0, "renewal")
        renewal = _renewal(table, history, settings)
    _something(parts, paths, renewal)
    company = settings.company
    return Insights(company.name, company.simulated, CAUTION, parts, paths, renewal)


def columns_read(settings: Settings) -> list[str]:
    """The features that insights read, of those that the settings have."""
    declared = set(catalogue(settings).names)
    wanted = [*adjust.READ, *frequency.READ, SESSIONS, SHOWN, *signals.columns(settings)]
    return [name for name in dict.fromkeys(wanted) if name in declared]


def _table(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    frame = read_features(workspace, [*CONTEXT, *columns_read(settings)]).to_pandas()
    return frame.assign(as_of=frame["as_of"].astype("datetime64[us]"))


def _of_outcome(
    name: str,
    timing: Timing,
    table: pd.DataFrame,
    history: History,
    spans: pd.DataFrame,
    settings: Settings,
    shuffles: int,
    progress: Progress,
) -> OfOutcome:
    progress(0, shuffles, f"{name}: golden features")
    try:
        bare = of_outcome(name, timing, table, history, settings)
    except RefusedError as error:
        return OfOutcome(name, timing.horizon_days, refused=str(error))
    found = with_steps(bare, spans, [step.name for step in steps(settings)])
    telling = golden(
        found,
        settings,
        shuffles=shuffles,
        seed=settings.training.seed,
        told=lambda done: progress(done, shuffles, f"{name}: golden features against chance"),
    )
    progress(0, 0, f"{name}: signals")
    both = associations(found, settings)
    return OfOutcome(name, timing.horizon_days, looked(found), telling, both)


def _renewal(table: pd.DataFrame, history: History, settings: Settings) -> OfRenewal:
    try:
        found = of_renewals(table, history)
    except RefusedError as error:
        return OfRenewal(refused=str(error))
    told = associations(found, settings)
    return OfRenewal(looked(found), float(found.y.mean()), told, frequencies(found))


def _paths(settings: Settings, timing: Timing, history: History, spans: pd.DataFrame) -> OfPaths:
    asked = steps(settings)
    people = sign_ups(history, spans, [m.name for m in asked])
    try:
        found = search(people, timing.horizon_days, day_number(history.until))
    except RefusedError as error:
        return OfPaths(refused=str(error))
    texts = (
        toml(p, asked, settings, settings.company.simulated) for p in found.rules if p.confirmed
    )
    return OfPaths(found, tuple(texts))


def looked(found: Landmarks) -> Looked:
    """What the rows of an insight are."""
    days = found.rows["as_of"].dt.date
    ones = int(found.y.sum())
    return Looked(len(found.y), found.accounts, ones, str(days.min()), str(days.max()))


def _something(
    parts: tuple[OfOutcome, ...], paths: OfPaths | None, renewal: OfRenewal | None
) -> None:
    every = [*parts, *(p for p in (paths, renewal) if p is not None)]
    if all(part.refused for part in every):
        raise RefusedError(
            "too little for any insight:\n  " + "\n  ".join(p.refused for p in every) + "\n",
            do="Come back when there is more.",
        )


def write(workspace: Workspace, found: Insights) -> tuple[str, ...]:
    """Write the report (JSON) and the confirmed rules (TOML) to WORKSPACE/insights; their paths."""
    folder = workspace.insights
    folder.mkdir(parents=True, exist_ok=True)
    made_at = datetime.now(UTC).isoformat()
    publish_json(folder / "insights.json", found.plain() | {"made_at": made_at})
    written = [folder / "insights.json"]
    if found.paths and found.paths.rules:
        publish_text(folder / "pql_rules.toml", "\n".join(found.paths.rules))
        written.append(folder / "pql_rules.toml")
    return tuple(map(str, written))


def _plain(value: Any) -> Any:
    """Numbers that JSON knows.

    >>> import json
    >>> json.dumps(_plain({"a": [np.float64(1.0), float("inf")]}))
    '{"a": [1.0, null]}'
    """
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value
