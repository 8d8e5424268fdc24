"""All facts of points in memory: what `features.facts.account` says in SQL, column by column."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.algebra import SPAN
from features.facts.account import LARGEST, PROFILE, SIZE_BANDS
from features.facts.people import NEAR
from features.instants import DAY_US, LONG_AGO, NEVER
from features.kernel.bought import Commercial, Ladder, commercial
from features.kernel.compiled import compiled
from features.kernel.journeys import Steps, reached
from features.kernel.known import Facts
from features.kernel.order import Floats, Ints
from features.kernel.people import ADMINS, BEFORE, NEAR_SEATS, NOW, ROLES, present
from features.kernel.records import TRIAL, Profiles, Records
from features.kernel.rows import Points, Rollup
from features.settings import Settings

POPULATIONS = pa.array(["prospect", "former", "customer"])
Columns = dict[str, Any]
"""Numbers (missing: NaN) or Arrow columns by the names of facts."""


@dataclass(frozen=True)
class Asked:
    """Points whose facts are asked for; `accounts`: the names of their accounts, in their order."""

    records: Records
    settings: Settings
    points: Points
    accounts: list[str]

    def facts(self, steps: Rollup, events: dict[str, int]) -> Facts:
        """All facts; `steps`: rows by event in the order seen, whose keys are those of `events`."""
        profile, begins = self._profile()
        columns = profile | self._bought() | self._people() | self._populations()
        age = _days(self.midnight, begins)
        columns |= {"age_days": age, "days_in_state": self._days_in_state(age)}
        return _table(columns | self._journeys(steps, events, begins))

    def populations(self) -> Facts:
        """The facts by which peers are chosen: population, plan_name and size_band."""
        return _table(self._populations())

    @cached_property
    def who(self) -> Ints:
        """The number in the records of each account."""
        numbers = map(self.records.number_of.__getitem__, self.accounts)
        return np.fromiter(numbers, np.int64, len(self.accounts))

    @cached_property
    def midnight(self) -> Ints:
        """The instant of each point."""
        return self.points.as_of * DAY_US

    @cached_property
    def bought(self) -> Commercial:
        """The state of what each point's account has bought."""
        ladder = self.settings.plans.ladder
        plans = self.records.plans.to_pylist()
        rank = [ladder.index(plan) if plan in ladder else -1 for plan in plans]
        free = [plan in self.settings.plans.free for plan in plans]
        days = self.settings.subscriptions.lapse_after_days
        told = Ladder(np.array(rank, np.int64), np.array(free, np.bool_),
                      -1 if days is None else days * DAY_US)  # fmt: skip
        return commercial(self.records.bought, self.who, self.points, told)

    @cached_property
    def present(self) -> Floats:
        """Who belongs to each point's account."""
        admins = self.settings.people.admin_roles
        is_admin = [role in admins for role in self.records.roles.to_pylist()]
        of = self.records.users, self.who, self.points, self._main("seats")
        return present(*of, np.array(is_admin, np.int64))

    @cached_property
    def population(self) -> Ints:
        """Customers pay now, former customers did once, prospects never have: by `POPULATIONS`."""
        paid = self.bought.first_paid != NEVER
        return np.where(self.bought.paying, 2, paid.astype(np.int64))

    @cached_property
    def plan(self) -> pa.Array:
        """The plan; of prospects without a subscription the first free one."""
        number = _picked(self.records.bought.plan, self.bought.main, -1)
        free = self.settings.plans.free
        texts = [*self.records.plans.to_pylist(), *free[:1]]
        if free:
            number = np.where((number < 0) & (self.population == 0), len(texts) - 1, number)
        return pa.array(texts, pa.string()).take(pa.array(number, mask=number < 0))

    def _main(self, column: str) -> Floats:
        """A number of the main subscription."""
        return _picked(getattr(self.records.bought, column), self.bought.main, np.nan)

    def _populations(self) -> Columns:
        return {
            "population": POPULATIONS.take(pa.array(self.population)),
            "plan_name": self.plan,
            "size_band": _size_bands(self.present[NOW]),
        }

    def _profile(self) -> tuple[Columns, Ints]:
        """What the account is, and when it began."""
        profiles = self.records.profiles
        row = newest(profiles, self.who, self.points)
        told = self.records.told.take(pa.array(row, mask=row < 0))
        columns = {name: told[name] for name in PROFILE}
        columns["is_internal"] = pc.fill_null(columns["is_internal"], False)
        return columns, _picked(profiles.begins, row, NEVER)

    def _bought(self) -> Columns:
        """Plan, money, dates, past changes."""
        found, plan = self.bought, self.plan
        term = _picked(self.records.bought.term, found.main, NEVER)
        status = _picked(self.records.bought.status, found.main, -1)
        ends = pa.array((term // DAY_US).astype(np.int32), mask=term == NEVER)
        numbers = {name: self._main(name) for name in ("seats", "billing_months", "discount")}
        return numbers | {
            "plan": plan, "plan_rank": self._by_plan(_ranks(self.settings)),
            "mrr": found.mrr, "mrr_now": found.mrr,
            "term_end": ends.cast(pa.date32()), "days_to_renewal": _days(term, self.midnight),
            "cancel_announced": pa.array(found.announced),
            "in_trial": (status == TRIAL).astype(np.float64),
            "tenure_days": _days(self.midnight, found.first_paid),
            "upgrades_so_far": found.upgrades, "downgrades_so_far": found.downgrades,
        } | {
            f"limit_{limit.name}": self._by_plan(limit.by_plan)
            for limit in self.settings.plans.limits
        }  # fmt: skip

    def _by_plan(self, values: dict[str, float]) -> Floats:
        """The number of each point's plan; NaN where there is none."""
        place = pc.index_in(self.plan, pa.array(values, pa.string()))
        numbers = np.array([*values.values(), np.nan], dtype=np.float64)
        return numbers[pc.fill_null(place, -1).to_numpy()]

    def _days_in_state(self, age: Floats) -> Floats:
        """Since the main subscription came into its status; else since the last one ended."""
        since = np.where(self.bought.main >= 0, self.bought.began, self.bought.ended)
        return np.where(since == LONG_AGO, age, _days(self.midnight, since))

    def _people(self) -> Columns:
        """How many users, now and before, in which roles, and on how many days near the seats."""
        found, seats = self.present, self._main("seats")
        some = found[NOW] > 0
        over = np.where(NEAR * seats <= 0, float(SPAN), found[NEAR_SEATS])
        return {
            "users_joined": np.where(some, found[NOW], np.nan),
            "users_joined_before": np.where(found[BEFORE] > 0, found[BEFORE], np.nan),
            "roles_held": np.where(some, found[ROLES], np.nan),
            "admins": np.where(some, found[ADMINS], np.nan),
            "seats_days_over": np.where(np.isnan(seats), np.nan, over),
        }

    def _journeys(self, steps: Rollup, events: dict[str, int], begins: Ints) -> Columns:
        """Milestones reached, the days that it took, and how many steps of each journey."""
        milestones = self.settings.milestones
        key = np.array([events[m.event] for m in milestones], dtype=np.int64)
        enough = np.array([m.count for m in milestones], dtype=np.float64)
        day = reached(steps.rows, self.points, Steps(key, enough))
        took = np.where((day == NEVER) | (begins == NEVER), np.nan, day - begins // DAY_US)
        done = (day != NEVER).astype(np.float64)
        place = {m.name: i for i, m in enumerate(milestones)}
        return {f"days_to_{name}": took[i] for name, i in place.items()} | {
            f"steps_{j.name}": done[sorted({place[s] for s in j.steps})].sum(axis=0)
            for j in self.settings.journeys
        } | {"milestones_reached": done.sum(axis=0)}  # fmt: skip


@compiled
def newest(rows: Profiles, who: Ints, points: Points) -> Ints:
    """For each point the row of its account that was learnt last of those it may see; -1: none."""
    found = np.full(len(points.as_of), -1)
    for account in range(len(who)):
        for point in range(points.first[account], points.first[account + 1]):
            for row in range(rows.first[who[account]], rows.first[who[account] + 1]):
                if rows.seen[row] <= points.as_of[point] < rows.until[row]:
                    found[point] = row
    return found


def events_of_steps(settings: Settings) -> dict[str, int]:
    """The events that milestones are made of, each with a number."""
    return {event: i for i, event in enumerate(sorted({m.event for m in settings.milestones}))}


def _picked(values: Any, rows: Ints, missing: float) -> Any:
    """The values of some rows; `missing` for the row -1."""
    found = np.full(len(rows), missing, dtype=values.dtype)
    some = rows >= 0
    found[some] = values[rows[some]]
    return found


def _ranks(settings: Settings) -> dict[str, float]:
    """Each plan's place on the ladder."""
    ladder = settings.plans.ladder
    return {plan: float(ladder.index(plan)) for plan in ladder}


def _size_bands(users: Floats) -> pa.Array:
    least = [below for below, _ in SIZE_BANDS]
    names = pa.array([*(name for _, name in SIZE_BANDS), LARGEST])
    return names.take(pa.array(np.searchsorted(least, users, side="right")))


def _days(later: Ints, earlier: Ints) -> Floats:
    """From one instant to another in days; NaN where one of them is NEVER."""
    days = (later - earlier).astype(np.float64) / DAY_US
    return np.where((later == NEVER) | (earlier == NEVER), np.nan, days)


def _table(columns: Columns) -> Facts:
    """Facts of columns, those without a number as missing."""
    return Facts(pa.table({
        name: pa.array(values, from_pandas=True) if isinstance(values, np.ndarray) else values
        for name, values in columns.items()
    }))  # fmt: skip
