"""All accounts at one day: what their rows are made of, and how they stand among each other."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from features.algebra import RING_DAYS, SPAN, YEAR_BACK, Expression, Fact
from features.compute.faults import check_finite
from features.compute.peers import comparisons
from features.compute.session import events_of
from features.declare import Feature
from features.engines.engine import Engine
from features.facts.account import CONTEXT
from features.kernel.leaves import Held, measured, numbered
from features.kernel.rows import Floats, Ints, Points, Rollup, encoded
from features.resident.columns import Columns, points
from features.resident.kept import Kept, Kind, grown
from features.resident.leaves import Leaves
from features.resident.peers import Stand, Standing
from features.resident.records import Known
from features.resident.tape import Registers, play, taped
from features.resident.told import Groups, Told
from features.rollups.weeks import Manifest
from features.settings import Settings

EVER = 10**6
RING = ((RING_DAYS, 1), (YEAR_BACK + SPAN, YEAR_BACK + 1))
MANY = 40
"""From so many accounts on, columns over all of them cost less than one row after the other."""


class State:
    """What is held of all accounts that are known on a day (days since 1970-01-01)."""

    def __init__(
        self, engine: Engine, known: Known, made: Manifest, accounts: Sequence[str], day: int,
        features: Sequence[Feature], schema: pa.Schema,
    ) -> None:  # fmt: skip
        self.engine, self.known = engine, known
        self.features, self.schema = features, schema
        every = [f.expression for f in features if not f.categorical]
        self.standing = Standing(list(dict.fromkeys(c for e in every for c in comparisons(e))))
        self.columns = Columns(every, self.standing)
        self.seen = _weeks_before(made, day)
        self.events_of = self._events_of(known, made, day)
        self.kept = {n: Kept(kind) for n, kind in self._kinds(known.settings).items()}
        self.names = pa.array([], pa.string())
        self.number_of: dict[str, int] = {}
        self._compile(every)
        self.take(made, accounts, day)

    def goes_on(self, made: Manifest, day: int) -> bool:
        """Whether this state can become that of a day, of these rollups.

        It cannot where most weeks were made anew, or a new event changes what the keys cover.
        """
        weeks = _weeks_before(made, day)
        new = {week: name for week, name in weeks.items() if self.seen.get(week) != name}
        if 2 * sum(self.seen.get(week) == name for week, name in weeks.items()) < len(self.seen):
            return False
        self.seen = weeks
        if self.known.settings.events.features:
            return True
        quiet = self.known.settings.events
        passed = {*self.events_of["feature"], *quiet.passive, *quiet.notifications_shown}
        return _events(self.known, new.values()) <= passed

    def lost(self, made: Manifest) -> bool:
        """Whether a week is gone from the rollups."""
        return not self.made.weeks.keys() <= made.weeks.keys()

    def take(self, made: Manifest, accounts: Sequence[str], day: int) -> None:
        """Be the state of a day: what changed is read again of all accounts, the rest stays.

        `accounts`: those that are known on the day, sorted.
        """
        workspace, self.made, self.day = self.known.workspace, made, day
        self.one = points(ALONE, 1, day)
        weeks = {n: kept.kind.files(workspace, made, day) for n, kept in self.kept.items()}
        missing = {n: kept.missing(weeks[n]) for n, kept in self.kept.items()}
        named = [encoded(table["account_id"])[1] for table in missing.values()]
        self._number([*named, pa.array(accounts, pa.string())])
        for n, kept in self.kept.items():
            kept.take(weeks[n], missing[n], self.names, self.moved)
        self.known.learnt()
        steps = self.kept["steps"].in_order_seen(self._numbers(accounts))
        self.told.take(accounts, self.known.facts(accounts, day, steps))
        self.standing.forget()

    def stand(self) -> None:
        """Let everybody stand among the others, so that one can find its place."""
        if not self.standing.filled:
            facts, groups = self.told.some(self.told.accounts)
            numbers = self.columns.stood(self._many(self.told.accounts), facts)
            self.standing.fill(self.told.row_of, numbers, groups)

    def fold(self, made: Manifest, learnt_of: Collection[str], accounts: Sequence[str]) -> None:
        """Take over what the rollups and the contract tables say of some accounts now.

        `accounts`: those of them that are known on the day, sorted. The rows of the others wait
        until they are.
        """
        self.stand()
        steps = self.kept["steps"]
        before = [steps.rows(account, self.number_of.get(account)) for account in accounts]
        weeks = changed_weeks(self.made, made)
        for kept in self.kept.values():
            files = kept.kind.files(self.known.workspace, made, self.day)
            mine = {week: file for week, file in files.items() if week in weeks}
            now = kept.kind.read(mine.values(), learnt_of)
            for account in learnt_of:
                kept.change(account, self.number_of.get(account), weeks, now)
        self.made = made
        learnt = self.known.learnt()
        asked = [
            account
            for account, rows in zip(accounts, before, strict=True)
            if learnt or account not in self.told or rows != steps.rows(account, None)
        ]
        if asked:
            theirs = steps.few_in_order_seen(asked)
            self.told.change(asked, self.known.facts(asked, self.day, theirs))
        for account in accounts:
            self._stand(self._alone(account), account)

    def numbers(self, account: str) -> Floats:
        """One account's features that are numbers, in their order, made again from what is held."""
        self.stand()
        r = self._alone(account)
        r[self.compared] = self.standing.places(self._stand(r, account))
        play(self.last, r)
        return r[self.asked].astype(np.float32)

    def rows(self, accounts: Sequence[str]) -> pa.Table:
        """The feature table's rows of some accounts (sorted)."""
        if len(accounts) >= MANY:
            return self._table(accounts, *self._columns(accounts))
        matrix = np.array([self.numbers(account) for account in accounts]).T
        facts = pa.concat_tables([self.told.row(account) for account in accounts])
        return self._table(accounts, list(matrix), facts)

    def _columns(self, accounts: Sequence[str]) -> tuple[list[Floats], pa.Table]:
        """The features that are numbers, and the facts, of many accounts."""
        held = self._many(accounts)
        facts, groups = self.told.some(accounts)
        if len(accounts) < len(self.told.accounts):
            self.stand()
        values, lines = self.columns.alone(held, facts)
        placed = (
            self.standing.many(lines, groups)
            if self.standing.filled
            else self.standing.fill(self.told.row_of, lines, groups)
        )
        return self.columns.numbers(values, placed, facts), facts.table

    def _table(
        self, accounts: Sequence[str], numbers: Sequence[Floats], facts: pa.Table
    ) -> pa.Table:
        columns = {"account_id": pa.array(accounts), **{name: facts[name] for name in CONTEXT}}
        days = pa.array(np.full(len(accounts), self.day, np.int32))
        columns["as_of"] = days.cast(pa.date32())
        number = iter(numbers)
        for feature in self.features:
            columns[feature.name] = (
                facts[feature.expression.name]  # type: ignore[attr-defined]
                if feature.categorical
                else pa.array(next(number), from_pandas=True)
            )
        table = pa.table([columns[name] for name in self.schema.names], names=self.schema.names)
        rows = table.cast(self.schema)
        unbound = any(np.isinf(column).any() for column in numbers)
        return check_finite(rows, self.features) if unbound else rows

    def _many(self, accounts: Sequence[str]) -> Held:
        """What the leaves of many accounts (sorted) are computed from."""
        if any(len(kept.apart()) for kept in self.kept.values()):
            self._number([kept.apart() for kept in self.kept.values()])
            for kept in self.kept.values():
                kept.gather(self.names, self.moved)
        at = points(self._numbers(accounts), len(self.names), self.day)
        return self._held({n: kept.whole for n, kept in self.kept.items()}, at)

    def _numbers(self, accounts: Sequence[str]) -> Ints:
        return np.array([self.number_of[account] for account in accounts], dtype=np.int64)

    def _number(self, names: Iterable[pa.Array]) -> None:
        """Give accounts that have none their numbers; `moved`: those of the former ones."""
        before = len(self.names)
        self.names, self.moved = grown(self.names, names)
        if len(self.names) > before:
            self.number_of = {name: i for i, name in enumerate(self.names.to_pylist())}

    def _events_of(self, known: Known, made: Manifest, day: int) -> dict[str, list[str]]:
        files = made.files(known.workspace.rollups, "account_event_day", 0, day - 1)
        by_event = self.engine.read_parquet(files, "ever_account_event_day")
        return events_of(self.engine, by_event, known.settings)

    def _kinds(self, settings: Settings) -> dict[str, Kind]:
        """The rows that the leaves are made of, as `features.kernel.held` reads them."""
        near, far = map(tuple, measured(self.columns.found))
        some = reduce(or_, [ds.field(name) != 0 for name in far] or [ds.scalar(False)])
        self.event_number = numbered(self.columns.found, self.events_of)
        steps = tuple({m.event: None for m in settings.milestones})
        ever, named = ((EVER, 1),), ds.field("user_id") != ""
        return {
            "daily": Kind("account_day", near, RING),
            "ever": Kind("account_day", far, ever, some=some),
            "users": Kind("user_day", ("n", "core"), RING, "user_id", some=named),
            "events": Kind("account_event_day", ("n",), RING, "event", tuple(self.event_number)),
            "steps": Kind("account_event_day", ("n",), ever, "event", steps),
        }

    def _held(self, rollups: Mapping[str, Rollup], at: Points) -> Held:
        daily, ever, users, events = (rollups[n] for n in ("daily", "ever", "users", "events"))
        return Held(at, daily, ever, users, events, self.events_of, self.event_number)

    def _compile(self, every: Sequence[Expression]) -> None:
        """Give everything that features are made of its register, and the steps their order."""
        self.registers = Registers()
        of = [of for of, _ in self.standing.of]
        walked = [e for whole in [*every, *of] for e in whole.walk()]
        facts = [e for e in dict.fromkeys(walked) if isinstance(e, Fact)]
        self.known_at = np.append(0, self.registers.add(facts))
        self.compared = self.registers.add(self.standing.compared)
        like = self._held({n: k.whole for n, k in self.kept.items()}, points(ALONE, 1, 0))
        self.leaves = Leaves(self.columns.found, like, self.registers)
        self.first = taped([*of, *(e for e in every if not comparisons(e))], self.registers)
        self.last = taped(every, self.registers)
        self.asked = self.registers.add(every)
        self.ranked = self.registers.add(of)
        self.told = Told(facts, Groups(self.standing.among), self.registers.plan)

    def _alone(self, account: str) -> Floats:
        """The registers of one account, filled with all that needs no peers."""
        r = np.full(len(self.registers), np.nan)
        r[self.known_at] = self.told.one(account).numbers
        number = self.number_of.get(account)
        mine = {n: kept.of(account, number) for n, kept in self.kept.items() if n != "steps"}
        self.leaves.fill(self._held(mine, self.one), r)
        play(self.first, r)
        return r

    def _stand(self, r: Floats, account: str) -> Stand:
        return self.standing.move(account, r[self.ranked], self.told.one(account).groups)


ALONE = np.zeros(1, dtype=np.int64)


def _weeks_before(made: Manifest, day: int) -> dict[int, str]:
    """Week → the name of its files, of the weeks in which a day lies before `day`."""
    return {int(w): name for w, name in made.weeks.items() if 0 <= int(w) <= (day - 1) // 7}


def _events(known: Known, names: Iterable[str]) -> set[str]:
    """The events in the files of some weeks."""
    folder = known.workspace.rollups / "account_event_day"
    files = [str(folder / f"{name}.parquet") for name in names]
    if not files:
        return set()
    form = ds.ParquetFileFormat(dictionary_columns={"event"})
    rows = ds.dataset(files, format=form).to_table(["event"])
    return set(encoded(rows["event"])[1].to_pylist())


def changed_weeks(before: Manifest, now: Manifest) -> set[int]:
    """The weeks whose files are others than before."""
    return {int(week) for week, name in now.weeks.items() if before.weeks.get(week) != name}
