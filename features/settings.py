"""`goldpan.toml` as checked, immutable objects; the only configuration.

Secrets are never written there: `${NAME}` in a path is read from the environment.
"""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from features.errors import SettingsError

TABLES = ("events", "accounts", "users", "subscriptions")
OUTCOMES = ("pql", "upgrade", "churn")


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Company(Section):
    """Whose data these are."""

    name: str
    simulated: bool = False
    currency: str = "USD"


class Lookup(Section):
    """Columns that a source's rows take over from another file.

    `key` is a column that both files have; the other file has one row for each of its values.
    """

    path: str
    key: str
    columns: tuple[str, ...] = Field(min_length=1)


class Source(Section):
    """One mapped file (or glob of files) and how its columns become a table of the contract."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    table: Literal["events", "accounts", "users", "subscriptions"]
    path: str
    format: Literal["csv", "jsonl", "parquet"] | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    zone: str | None = None
    where: str | None = None
    lookup: Lookup | None = None
    columns: dict[str, str]

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError):
                raise ValueError(
                    f"zone '{self.zone}' is no time zone; say one like 'UTC' or 'Europe/Berlin'"
                ) from None
        return self


class Events(Section):
    """Which event names carry which meaning; a name may stand in several lists.

    Every event counts as use, except those in `passive` and `notifications_shown`.
    `features` empty means: every event that counts as use is a feature of the product.
    """

    logins: tuple[str, ...] = ()
    core_use_cases: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    notifications_shown: tuple[str, ...] = ()
    notifications_clicked: tuple[str, ...] = ()
    limit_hits: tuple[str, ...] = ()
    pricing_interest: tuple[str, ...] = ()
    invitations: tuple[str, ...] = ()
    administration: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    failed_payments: tuple[str, ...] = ()
    minutes: tuple[str, ...] = ()
    passive: tuple[str, ...] = ()


class Milestone(Section):
    """A named step of a journey: the `count`-th time that `event` happens."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    event: str
    count: int = Field(default=1, ge=1)
    initial_value: bool = False


class Limit(Section):
    """A metered limit: how often `events` may happen in `days`, by plan (absent: unlimited)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    events: tuple[str, ...]
    days: Literal[7, 14, 28, 90] = 28
    by_plan: dict[str, float]


class Plans(Section):
    """The plan ladder, lowest first; add-ons stand beside it."""

    ladder: tuple[str, ...] = Field(min_length=1)
    free: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    @model_validator(mode="after")
    def _on_the_ladder(self) -> Self:
        for plan in self.free:
            self._check(plan, "free")
        for limit in self.limits:
            for plan in limit.by_plan:
                self._check(plan, f"limits.{limit.name}.by_plan")
        return self

    def _check(self, plan: str, where: str) -> None:
        if plan not in self.ladder:
            raise ValueError(
                f"{where} names plan '{plan}', which is not on the ladder; "
                f"allowed: {', '.join(self.ladder)}"
            )


class Subscriptions(Section):
    """How the end of a subscription is known.

    `lapse_after_days`: a term that nobody renewed within so many days ended at its `term_end`;
    absent: a subscription runs until a row says `cancelled`.
    `complete_until`: the day up to which all changes are in the data (default: the last change).
    """

    lapse_after_days: int | None = Field(default=None, ge=0)
    complete_until: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")


class Outcome(Section):
    """When an account is observed, and how far ahead we look.

    The outcome is searched in `(as_of + lead, as_of + lead + horizon]`.
    Exactly one of `every_days` (a calendar grid), `at_age_days` (days after sign-up) and
    `before_renewal_days` (days before the term ends) says when.
    """

    lead_days: int = Field(default=0, ge=0)
    horizon_days: int = Field(ge=1, le=365)
    min_age_days: int = Field(default=0, ge=0)
    every_days: int | None = Field(default=None, ge=1)
    at_age_days: tuple[int, ...] = ()
    before_renewal_days: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        said = [bool(self.every_days), bool(self.at_age_days), bool(self.before_renewal_days)]
        if sum(said) != 1:
            raise ValueError(
                f"{sum(said)} of every_days, at_age_days and before_renewal_days are set; "
                "set exactly one"
            )
        return self


class Outcomes(Section):
    """The outcomes to learn; one left out is not trained."""

    pql: Outcome | None = None
    upgrade: Outcome | None = None
    churn: Outcome | None = None

    def declared(self) -> dict[str, Outcome]:
        """Name → outcome, for those that the settings hold."""
        return {name: value for name in OUTCOMES if (value := getattr(self, name)) is not None}


class Training(Section):
    """How models are fitted and judged."""

    seed: int = 7
    threads: int = Field(default=2, ge=1)
    bootstrap: int = Field(default=400, ge=50)
    capacity: int = Field(default=50, ge=1)


class Grades(Section):
    """Grade A is for scores above the share `a` of the reference scores; B and C likewise."""

    a: float = Field(default=0.9, gt=0, lt=1)
    b: float = Field(default=0.7, gt=0, lt=1)
    c: float = Field(default=0.4, gt=0, lt=1)


class Settings(Section):
    """All of `goldpan.toml`."""

    company: Company
    sources: tuple[Source, ...]
    events: Events = Events()
    milestones: tuple[Milestone, ...] = ()
    plans: Plans
    subscriptions: Subscriptions = Subscriptions()
    outcomes: Outcomes = Outcomes()
    training: Training = Training()
    grades: Grades = Grades()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        if not self.sources:
            raise ValueError("sources is empty; name at least one source")
        for key, names in {
            "sources": [s.name for s in self.sources],
            "milestones": [m.name for m in self.milestones],
        }.items():
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{key} uses the name '{twice[0]}' twice; names must differ")
        return self


def load_settings(path: Path) -> Settings:
    """Read and check a settings file.

    Raises SettingsError naming the key, what was found and what is allowed.
    """
    if not path.is_file():
        raise SettingsError(
            f"no settings file at {path}", do="Name one with --settings, or run where it stands."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"text in {path.name} that is not TOML: {error}", do="Correct that line."
        ) from None
    return parse_settings(values, path.name)


def parse_settings(values: dict[str, Any], name: str = "goldpan.toml") -> Settings:
    """Check settings given as plain values; errors as in `load_settings`."""
    try:
        return Settings.model_validate(_tuples(values))
    except ValidationError as error:
        lines = "\n  ".join(_explain(e, values) for e in error.errors())
        raise SettingsError(
            f"{error.error_count()} thing(s) in {name} that cannot be meant:\n  {lines}\n",
            do="Correct them and run the command again.",
        ) from None


def resolve_path(path: str, *, workspace: Path, base: Path) -> Path:
    """A source's path with `{workspace}` and `${NAME}` filled in; relative ones start at `base`."""

    def environment(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise SettingsError(
                f"a source path that needs the environment variable {match[1]}, which is not set",
                do=f"Set {match[1]} and run the command again.",
            )
        return value

    filled = re.sub(r"\$\{(\w+)\}", environment, path.replace("{workspace}", str(workspace)))
    return base / filled


def _tuples(value: Any) -> Any:
    """TOML arrays as tuples, which strict validation of immutable sections asks for."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(error: ErrorDetails, values: dict[str, Any]) -> str:
    """One line: the key, what was found, what is allowed."""
    location = error["loc"]
    key = _key(location)
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields_at(location[:-1])))
        return f"{key}: found an unknown key; allowed here: {allowed}"
    if error["type"] == "missing":
        return f"{key}: found nothing; this key is needed"
    found = error["input"]
    shown = "" if isinstance(found, dict) else f"found {found!r}; "
    return f"{key or 'settings'}: {shown}{error['msg'].removeprefix('Value error, ')}"


def _key(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fields_at(location: Sequence[int | str]) -> set[str]:
    """The keys that the section at `location` knows."""
    section: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_of(section.model_fields[part].annotation) or section
    return set(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _section_of(inner):
            return found
    return None
