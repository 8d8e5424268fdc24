"""All accounts at one day: what their rows are made of, and how they stand among each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from features.algebra import RING_DAYS, SPAN, YEAR_BACK, EventCount, Expression, Fact
from features.compute.faults import check_finite
from features.compute.peers import comparisons
from features.compute.session import events_of
from features.declare import Feature
from features.engines.engine import Engine
from features.facts.account import CONTEXT
from features.kernel.combine import combined
from features.kernel.known import Facts
from features.kernel.leaves import OVER_KEYS, USER_COUNTS, Held, computed, innermost, is_far
from features.kernel.rows import Floats, Points
from features.resident.kept import Kept, Kind, by_user, numbered
from features.resident.leaves import Leaves
from features.resident.peers import Group, Standing, groups_of
from features.resident.records import Known
from features.resident.tape import Registers, play, taped
from features.rollups.weeks import Manifest
from features.settings import Settings

EVER = -(10**6)


@dataclass(frozen=True)
class Told:
    """The facts of one account: as numbers for registers, as groups of peers, as a table's row."""

    numbers: Floats
    groups: list[Group]
    table: pa.Table
    row: int


class State:
    """What is held of all accounts that are known on a day (days since 1970-01-01)."""

    def __init__(
        self, engine: Engine, known: Known, made: Manifest, accounts: Sequence[str], day: int,
        features: Sequence[Feature], schema: pa.Schema,
    ) -> None:  # fmt: skip
        self.engine, self.known, self.day = engine, known, day
        self.features, self.schema = features, schema
        self.every = [f.expression for f in features if not f.categorical]
        self.standing = Standing(list(dict.fromkeys(c for e in self.every for c in comparisons(e))))
        self.found = innermost([*self.every, *(of for of, _ in self.standing.of)])
        self.events_of = self._events_of(known, made)
        self.kinds = self._kinds(known.settings)
        workspace, self.made = known.workspace, made
        self.kept = {n: Kept(k, k.read(workspace, made), accounts) for n, k in self.kinds.items()}
        self.told: dict[str, Told] = {}
        self._compile(self._held({n: kept.whole for n, kept in self.kept.items()}, len(accounts)))
        self._begin(accounts)

    def fold(self, made: Manifest, accounts: Sequence[str]) -> None:
        """Take over what the rollups and the contract tables say of some accounts now."""
        steps = self.kept["steps"]
        before = [steps.rows(account) for account in accounts]
        weeks = changed_weeks(self.made, made)
        for kind, kept in self.kept.items():
            mine = weeks & set(self.kinds[kind].files(self.known.workspace, made))
            now = self.kinds[kind].read(self.known.workspace, made, mine, accounts)
            for account in accounts:
                kept.change(account, mine, now)
        self.made = made
        learnt = self.known.learnt()
        asked = [
            account
            for account, rows in zip(accounts, before, strict=True)
            if learnt or account not in self.told or rows != steps.rows(account)
        ]
        if asked:
            theirs = pa.concat_tables([steps.rows(account) for account in asked])
            self._tell(asked, self._facts(asked, theirs, whole=False))
        for account in accounts:
            self.standing.move(account, *self._stands(self._alone(account), account))

    def numbers(self, account: str) -> Floats:
        """One account's features that are numbers, in their order, made again from what is held."""
        r = self._alone(account)
        self.standing.move(account, *self._stands(r, account))
        r[self.compared] = self.standing.places(account)
        play(self.last, r)
        return r[self.asked].astype(np.float32)

    def rows(self, accounts: Sequence[str]) -> pa.Table:
        """The feature table's rows of some accounts (sorted)."""
        matrix = np.array([self.numbers(account) for account in accounts]).T
        numbers = iter(matrix)
        told = [self.told[account] for account in accounts]
        facts = pa.concat_tables([one.table.slice(one.row, 1) for one in told])
        columns = {"account_id": pa.array(accounts), **{name: facts[name] for name in CONTEXT}}
        days = pa.array([self.day] * len(accounts), pa.int32())
        columns["as_of"] = days.cast(pa.date32())
        for feature in self.features:
            columns[feature.name] = (
                facts[feature.expression.name]  # type: ignore[attr-defined]
                if feature.categorical
                else pa.array(next(numbers), from_pandas=True)
            )
        table = pa.table([columns[name] for name in self.schema.names], names=self.schema.names)
        rows = table.cast(self.schema)
        return check_finite(rows, self.features) if np.isinf(matrix).any() else rows

    def knows(self, made: Manifest, accounts: Collection[str]) -> bool:
        """Whether `fold` can take over rollups: no week is gone, no event changes what keys are."""
        if not self.made.weeks.keys() <= made.weeks.keys():
            return False
        if self.known.settings.events.features:
            return True
        weeks = changed_weeks(self.made, made)
        seen = replace(self.kinds["events"], some=None, names=())
        new = seen.read(self.known.workspace, made, weeks, accounts)["event"].unique().to_pylist()
        quiet = self.known.settings.events
        passed = {*self.events_of["feature"], *quiet.passive, *quiet.notifications_shown}
        return set(new) <= passed

    def _events_of(self, known: Known, made: Manifest) -> dict[str, list[str]]:
        files = made.files(known.workspace.rollups, "account_event_day", 0, self.day - 1)
        by_event = self.engine.read_parquet(files, "ever_account_event_day")
        return events_of(self.engine, by_event, known.settings)

    def _kinds(self, settings: Settings) -> dict[str, Kind]:
        """The rows that the leaves are made of, as `features.kernel.held` reads them."""
        last, year = self.day - 1, self.day - YEAR_BACK
        ring = ((self.day - RING_DAYS, last), (year - SPAN, year - 1))
        ever = ((EVER, last),)
        measured = [e for e in self.found if hasattr(e, "measure")]
        near = tuple(sorted({e.measure for e in measured if not is_far(e)}))
        far = tuple(sorted({e.measure for e in measured if is_far(e)}))
        some = reduce(or_, [ds.field(name) != 0 for name in far] or [ds.scalar(False)])
        self.number_of = {e: i for i, e in enumerate(sorted(self._covered()))}
        named, event = pa.array(self.number_of, pa.string()), ds.field("event")
        steps = pa.array([m.event for m in settings.milestones], pa.string())
        return {
            "daily": Kind("account_day", near, ring),
            "ever": Kind("account_day", far, ever, some=some),
            "users": Kind("user_day", ("n", "core"), ring, "user_id", ds.field("user_id") != "",
                          by_user),
            "events": Kind("account_event_day", ("n",), ring, "event", event.isin(named),
                           numbered(self.number_of)),
            "steps": Kind("account_event_day", ("n",), ever, "event", event.isin(steps)),
        }  # fmt: skip

    def _covered(self) -> set[str]:
        """The events that some leaf counts."""
        by_event = [e for e in self.found if type(e) in OVER_KEYS]
        by_event = [e for e in by_event if getattr(e, "key", "") not in USER_COUNTS]
        return {
            name
            for e in by_event
            for name in ((e.event,) if isinstance(e, EventCount) else self.events_of[_key(e)])
        }

    def _held(self, rollups: dict[str, object], points: int) -> Held:
        at = Points(np.arange(points + 1), np.full(points, self.day))
        those = {name: rollups[name] for name in ("daily", "ever", "users", "events")}
        return Held(at, **those, events_of=self.events_of, number_of=self.number_of)  # type: ignore[arg-type]

    def _compile(self, like: Held) -> None:
        """Give everything that features are made of its register, and the steps their order."""
        self.registers = Registers()
        walked = [e for whole in self.every for e in whole.walk()]
        self.facts = [e for e in dict.fromkeys(walked) if isinstance(e, Fact)]
        self.known_at = self.registers.add(self.facts)
        self.compared = self.registers.add(self.standing.compared)
        self.leaves = Leaves(self.found, like, self.registers)
        alone = [e for e in self.every if not comparisons(e)]
        self.first = taped([*(of for of, _ in self.standing.of), *alone], self.registers)
        self.last = taped(self.every, self.registers)
        self.asked = self.registers.add(self.every)
        self.ranked = self.registers.add(of for of, _ in self.standing.of)

    def _begin(self, accounts: Sequence[str]) -> None:
        """The facts of all accounts, and where they stand."""
        facts = self._facts(accounts, self.kept["steps"].table, whole=True)
        self._tell(accounts, facts)
        whole = self._held({n: kept.whole for n, kept in self.kept.items()}, len(accounts))
        values = computed(innermost([of for of, _ in self.standing.of]), whole, facts)
        numbers = [combined(of, values, facts) for of, _ in self.standing.of]
        groups = [self.told[account].groups for account in accounts]
        self.standing.fill(accounts, np.array(numbers).T, groups)

    def _facts(self, accounts: Sequence[str], steps: pa.Table, *, whole: bool) -> Facts:
        return self.known.facts(self.engine, accounts, self.day, steps, whole=whole)

    def _tell(self, accounts: Sequence[str], facts: Facts) -> None:
        numbers = np.array([facts[fact.name] for fact in self.facts]).reshape(-1, len(accounts)).T
        among = self.standing.among
        texts = {name: facts.group(name).to_pylist() for of in among for name in of}
        groups = groups_of(among, texts) if among else [[] for _ in accounts]
        for row, account in enumerate(accounts):
            self.told[account] = Told(numbers[row], groups[row], facts.table, row)

    def _alone(self, account: str) -> Floats:
        """The registers of one account, filled with all that needs no peers."""
        r = np.full(len(self.registers), np.nan)
        told = self.told[account]
        r[0] = self.registers.plan(told.table["plan_name"][told.row].as_py())
        r[self.known_at] = told.numbers
        self.leaves.fill(self._held({n: kept.of(account) for n, kept in self.kept.items()}, 1), r)
        play(self.first, r)
        return r

    def _stands(self, r: Floats, account: str) -> tuple[Floats, list[Group]]:
        return r[self.ranked], self.told[account].groups


def _key(e: Expression) -> str:
    return str(getattr(e, "key", ""))


def changed_weeks(before: Manifest, now: Manifest) -> set[int]:
    """The weeks whose files are others than before."""
    return {int(week) for week, name in now.weeks.items() if before.weeks.get(week) != name}
