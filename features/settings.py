"""`goldpan.toml` as checked, immutable objects; the only configuration."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.texts import Day, Name, Said, Zone

TABLES = ("events", "accounts", "users", "subscriptions", "identities")
TableName = Literal["events", "accounts", "users", "subscriptions", "identities"]
GROUPED = ("amplitude", "mixpanel", "posthog")
"""Vendors whose customers may group users in several ways."""
OUTCOMES = ("pql", "upgrade", "churn")


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Company(Section):
    """Whose data these are."""

    name: str
    simulated: bool = False
    currency: str = "USD"


class Calendar(Section):
    """Where the working week is: for the shares of use at weekends and in office hours.

    `office_hours`: from the first hour to before the second, Monday to Friday, in `zone`. Days are
    those of UTC all the same.
    """

    zone: Zone = "UTC"
    office_hours: tuple[int, int] = (8, 18)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        first, last = self.office_hours
        if not 0 <= first < last <= 24:
            raise ValueError("office_hours are two hours of a day, the first before the second")
        return self


class Lookup(Section):
    """Columns that a source's rows take over from another file.

    `key` is a column that both files have; the other file has one row for each of its values.
    """

    path: str
    key: str
    columns: tuple[str, ...] = Field(min_length=1)


class Source(Section):
    """One file (or glob of files), mapped to a table of the contract or exported by a vendor.

    A mapped source says `table` and `columns`. `once`: an expression; of rows for which it is equal
    only the first known is kept. `first_wins`: of events of one message_id the first stored is
    kept, whatever the others say. `optional`: columns that a file may lack, which are then empty.
    A vendor's export feeds several tables, each a source of its own (`name`_events and so on):
    those in `take`. `group_type`: which of the vendor's kinds of groups is an account; without it
    the vendor does not tell accounts.
    """

    name: Name
    path: str
    table: TableName | None = None
    columns: dict[str, str] = {}
    vendor: Literal["segment", "rudderstack", "amplitude", "mixpanel", "posthog"] | None = None
    group_type: str | None = Field(default=None, pattern=r"^[\w $.:/-]+$")
    take: tuple[Literal["events", "users", "accounts", "identities"], ...] = Field(
        default=("events", "users", "accounts", "identities"), min_length=1
    )
    format: Literal["csv", "jsonl", "parquet"] | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    zone: Zone | None = None
    where: str | None = None
    once: str | None = None
    first_wins: bool = False
    optional: tuple[str, ...] = ()
    lookup: Lookup | None = None

    @property
    def parts(self) -> dict[str, str]:
        """Table → the name of the source that feeds it."""
        if self.vendor is None:
            return {str(self.table): self.name}
        ungrouped = self.vendor in GROUPED and self.group_type is None
        left_out = ("users", "accounts") if ungrouped else ()
        return {table: f"{self.name}_{table}" for table in self.take if table not in left_out}

    @model_validator(mode="after")
    def _mapped_or_exported(self) -> Self:
        said = self.model_fields_set
        mapping = {"table", "columns", "once", "optional", "lookup"} & said
        if self.vendor is None:
            if missing := [key for key in ("table", "columns") if key not in said]:
                raise ValueError(f"source '{self.name}' without {' and without '.join(missing)}; "
                                 "say both, or the vendor whose export it is")  # fmt: skip
            if strange := {"group_type", "take"} & said:
                raise ValueError(f"{strange.pop()} in source '{self.name}', which has no vendor")
        elif mapping:
            raise ValueError(f"source '{self.name}' has a vendor, which maps it; "
                             f"leave out {', '.join(sorted(mapping))}")  # fmt: skip
        if self.vendor and self.group_type and self.vendor not in GROUPED:
            raise ValueError(f"group_type in source '{self.name}': {self.vendor} has one kind of "
                             "group; leave it out")  # fmt: skip
        if self.table == "events" and self.once:
            raise ValueError(f"once in source '{self.name}' of events; map message_id instead")
        return self


class Events(Section):
    """Which event names carry which meaning; a name may stand in several lists.

    Every event counts as use, except those in `passive` and `notifications_shown`.
    `features` empty means: every event that counts as use is a feature of the product.
    The `value` of an event says how grave a ticket is, how many hours an answer took, what score
    an NPS (0 to 10) or CSAT answer gave, how many minutes an event of `minutes` lasted.
    """

    logins: tuple[str, ...] = ()
    core_use_cases: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()
    notifications_shown: tuple[str, ...] = ()
    notifications_clicked: tuple[str, ...] = ()
    limit_hits: tuple[str, ...] = ()
    pricing_interest: tuple[str, ...] = ()
    invitations: tuple[str, ...] = ()
    administration: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    tickets_answered: tuple[str, ...] = ()
    tickets_closed: tuple[str, ...] = ()
    nps: tuple[str, ...] = ()
    csat: tuple[str, ...] = ()
    failed_payments: tuple[str, ...] = ()
    minutes: tuple[str, ...] = ()
    passive: tuple[str, ...] = ()


class Milestone(Section):
    """A named step of a journey: the `count`-th time that `event` happens."""

    name: Name
    event: str
    count: int = Field(default=1, ge=1)
    initial_value: bool = False


class Journey(Section):
    """Milestones that belong together; how many of them are done tells how far an account is."""

    name: Name
    steps: tuple[str, ...] = Field(min_length=1)


Comparison = Annotated[str, Field(pattern=r"^(>=|<=|>|<|==) ?-?\d+(\.\d+)?$")]


class Rule(Section):
    """What an account must show: all these milestones, and each of these features so.

    `features`: a feature's name → a comparison with a number, such as ">= 60". A feature that is
    missing does not meet a comparison.
    """

    milestones: tuple[str, ...] = ()
    features: dict[str, Comparison] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.milestones and not self.features:
            raise ValueError("a rule without milestones and without features; say at least one")
        return self


class Lifecycle(Section):
    """What makes a prospect product-qualified and a customer active: any one of the rules.

    Without `pql`, the milestone of initial value makes one; without `active`, any use in 28 days.
    """

    pql: tuple[Rule, ...] = ()
    active: tuple[Rule, ...] = ()


class People(Section):
    """Which roles of users run an account."""

    admin_roles: tuple[str, ...] = ("owner", "admin")


class Limit(Section):
    """A metered limit: how often `events` may happen in `days`, by plan (absent: unlimited)."""

    name: Name
    events: tuple[str, ...]
    days: Literal[7, 14, 28, 90] = 28
    by_plan: dict[str, float]


class Plans(Section):
    """The plan ladder, lowest first; add-ons stand beside it.

    `features`: a plan → the features that it includes (a plan left out: not known).
    """

    ladder: tuple[str, ...] = Field(min_length=1)
    free: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    features: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _on_the_ladder(self) -> Self:
        for plan in self.free:
            self._check(plan, "free")
        for limit in self.limits:
            for plan in limit.by_plan:
                self._check(plan, f"limits.{limit.name}.by_plan")
        for plan in self.features:
            self._check(plan, "features")
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
    complete_until: Day | None = None


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


class Engine(Section):
    """How features are computed, and with how much memory.

    The kernel is the fastest on one machine; `duckdb` says the same in SQL, and so does Spark.

    `memory` is what DuckDB may take before it spills to disk; accounts go through in chunks. For
    Spark, `master` is its address; anything else it reads from its own configuration.
    """

    name: Literal["kernel", "duckdb", "spark"] = "kernel"
    memory: str = Field(default="700MB", pattern=r"^\d+(MB|GB)$")
    master: str = "local[2]"


class Training(Section):
    """How models are fitted and judged."""

    seed: int = 7
    threads: int = Field(default=2, ge=1)
    bootstrap: int = Field(default=400, ge=50)
    capacity: int = Field(default=50, ge=1)


class Contact(Section):
    """What contacting an account costs and brings: the assumptions behind the profit curve.

    `works`: the chance that a contact keeps an account that would have left, for `months` months.
    """

    cost: float = Field(default=20.0, ge=0)
    works: float = Field(default=0.2, gt=0, le=1)
    months: int = Field(default=12, ge=1)


class Grades(Section):
    """Grade A is for scores above the share `a` of the reference scores; B and C likewise."""

    a: float = Field(default=0.9, gt=0, lt=1)
    b: float = Field(default=0.7, gt=0, lt=1)
    c: float = Field(default=0.4, gt=0, lt=1)


class Plays(Section):
    """What to do: a signal or a group of the catalogue → a suggestion, by outcome."""

    pql: dict[str, Said] = {}
    upgrade: dict[str, Said] = {}
    churn: dict[str, Said] = {}


class Settings(Section):
    """All of `goldpan.toml`; `words`: an event → what people call it, as a plural."""

    company: Company
    sources: tuple[Source, ...]
    calendar: Calendar = Calendar()
    events: Events = Events()
    words: dict[str, Said] = {}
    people: People = People()
    milestones: tuple[Milestone, ...] = ()
    journeys: tuple[Journey, ...] = ()
    lifecycle: Lifecycle = Lifecycle()
    plans: Plans
    subscriptions: Subscriptions = Subscriptions()
    outcomes: Outcomes = Outcomes()
    engine: Engine = Engine()
    training: Training = Training()
    contact: Contact = Contact()
    grades: Grades = Grades()
    plays: Plays = Plays()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        if not self.sources:
            raise ValueError("sources is empty; name at least one source")
        for key, names in {
            "sources": [name for s in self.sources for name in {s.name, *s.parts.values()}],
            "milestones": [m.name for m in self.milestones],
            "journeys": [j.name for j in self.journeys],
        }.items():
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{key} uses the name '{twice[0]}' twice; names must differ")
        return self

    @model_validator(mode="after")
    def _milestones_known(self) -> Self:
        known = [m.name for m in self.milestones]
        rules = [*self.lifecycle.pql, *self.lifecycle.active]
        named = [(f"journey {j.name}", step) for j in self.journeys for step in j.steps]
        named += [("lifecycle", step) for rule in rules for step in rule.milestones]
        for where, name in named:
            if name not in known:
                said = ", ".join(known) or "none"
                raise ValueError(f"{where} names milestone '{name}'; there are: {said}")
        return self
