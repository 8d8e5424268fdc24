"""Who an event belongs to and which rows can be seen, as known at one midnight, in plain Python."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

DAY = timedelta(days=1)
Row = dict[str, Any]


@dataclass(repr=False)
class World:
    """The rows of the five tables, as a source would deliver them: a few accounts, all of it."""

    accounts: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    subscriptions: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    identities: list[Row] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"World({len(self.accounts)} accounts, {len(self.events)} events)"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis would print every row."""
        printer.text(repr(self))

    def before(self, as_of: datetime) -> "World":
        """The same world with only the rows known at `as_of`."""
        return World(**{
            name: [r for r in rows if r["known_at"] <= as_of] for name, rows in vars(self).items()
        })  # fmt: skip


def midnight(day: date) -> datetime:
    """The instant an observation is made at."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def morning(moment: datetime) -> date:
    """The first day whose midnight is not before `moment`."""
    day = moment.date()
    return day if moment == midnight(day) else day + DAY


def newest(rows: Iterable[Row]) -> Row:
    """The row that was known last."""
    return max(rows, key=lambda r: (r["known_at"], r["row_id"]))


def goes_on_as(account: str, merges: list[Row]) -> str:
    """The account that an account has become, by the merges given."""
    been = [account]
    while mine := [m for m in merges if m["from_id"] == been[-1]]:
        following = max(mine, key=lambda m: (m["known_at"], m["to_id"]))["to_id"]
        if following in been:
            break
        been.append(following)
    return been[-1]


def user_of(event: Row, aliases: list[Row]) -> str:
    """Who did it, by the aliases given; '' when nobody says."""
    if event.get("user_id") is not None:
        return event["user_id"]
    nameless = event.get("anonymous_id")
    if nameless is None:
        return ""
    mine = [a for a in aliases if a["from_id"] == nameless]
    if not mine:
        return nameless
    begun = [a["since"] for a in mine if a["since"] <= event["event_time"]]
    since = max(begun) if begun else min(a["since"] for a in mine)
    return max((a for a in mine if a["since"] == since), key=lambda a: (a["known_at"], a["to_id"]))[
        "to_id"
    ]


def home_of(user: str, moment: datetime, memberships: list[Row]) -> str | None:
    """The account a user belonged to at a moment, by the memberships given."""
    stays: dict[tuple[datetime, str], list[Row]] = {}
    for row in memberships:
        if row["user_id"] == user:
            stays.setdefault((row["created_at"], row["account_id"]), []).append(row)
    rows = [newest(mine) for mine in stays.values()]
    there = [
        r for r in rows
        if r["created_at"] <= moment and not (r.get("left_at") and r["left_at"] <= moment)
    ]  # fmt: skip
    if there:
        return max(there, key=lambda r: (r["created_at"], r["account_id"]))["account_id"]
    coming = [r for r in rows if r["created_at"] > moment]
    if not coming:
        return None
    first = min(r["created_at"] for r in coming)
    return max(r["account_id"] for r in coming if r["created_at"] == first)


class Known:
    """A world as known at one midnight: every visible row under the account it belonged to."""

    def __init__(self, world: World, day: date) -> None:
        self.world, self.day, self.as_of = world, day, midnight(day)
        known = [i for i in world.identities if i["known_at"] <= self.as_of]
        self.merges = [i for i in known if i["kind"] == "merge"]
        self.aliases = [i for i in known if i["kind"] == "alias"]
        self.memberships = [u for u in world.users if u["known_at"] <= self.as_of]

    def _visible(self, rows: list[Row], time: str) -> list[Row]:
        return [r for r in rows if r[time] < self.as_of and r["known_at"] <= self.as_of]

    def owner(self, event: Row) -> tuple[str | None, str]:
        """The account and the user of an event; no account when it is not resolved."""
        user = user_of(event, self.aliases)
        account = event.get("account_id") or home_of(user, event["event_time"], self.memberships)
        return (account and goes_on_as(account, self.merges)), user

    @cached_property
    def events(self) -> dict[str, list[Row]]:
        """Account → its visible events, oldest first, each with the user who did it."""
        found: dict[str, list[Row]] = {}
        for event in self._visible(self.world.events, "event_time"):
            account, user = self.owner(event)
            if account is not None:
                found.setdefault(account, []).append(event | {"user": user})
        for rows in found.values():
            rows.sort(key=lambda e: e["event_time"])
        return found

    @cached_property
    def times(self) -> Counter[tuple[str, str]]:
        """(account, event) → how often it happened."""
        return Counter((account, e["event"]) for account, rows in self.events.items() for e in rows)

    @cached_property
    def accounts(self) -> dict[str, list[Row]]:
        """Account → its visible rows; none for one that was merged into another."""
        gone = {m["from_id"] for m in self.merges}
        rows = self._visible(self.world.accounts, "created_at")
        return _by_account(r for r in rows if r["account_id"] not in gone)

    @cached_property
    def users(self) -> dict[str, list[Row]]:
        """Account → the newest visible row of each of its users."""
        moved = self._moved(self._visible(self.world.users, "created_at"))
        by_user: dict[tuple[str, str], list[Row]] = {}
        for row in moved:
            by_user.setdefault((row["account_id"], row["user_id"]), []).append(row)
        return _by_account(newest(rows) for rows in by_user.values())

    @cached_property
    def subscriptions(self) -> dict[str, list[Row]]:
        """Account → its visible rows, in the order in which they take effect."""
        begun = {
            account: [r for r in rows if r["effective_at"] < self.as_of]
            for account, rows in self.purchases.items()
        }
        return {account: rows for account, rows in begun.items() if rows}

    @cached_property
    def purchases(self) -> dict[str, list[Row]]:
        """The same with the rows that are known but take effect from now on."""
        rows = self._moved([r for r in self.world.subscriptions if r["known_at"] <= self.as_of])
        rows.sort(key=lambda r: (r["effective_at"], r["known_at"], r["row_id"]))
        return _by_account(rows)

    def _moved(self, rows: list[Row]) -> list[Row]:
        return [r | {"account_id": goes_on_as(r["account_id"], self.merges)} for r in rows]


def _by_account(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["account_id"], []).append(row)
    return found


class Knowledge:
    """A world on each day that anything of it is looked at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._days: dict[date, Known] = {}

    def on(self, day: date) -> Known:
        """The world as known at a day's midnight."""
        if day not in self._days:
            self._days[day] = Known(self.world, day)
        return self._days[day]

    @cached_property
    def news(self) -> list[date]:
        """The mornings on which anything that can move an event became known."""
        moments = [
            r["known_at"] for rows in (self.world.users, self.world.identities) for r in rows
        ]
        days = {morning(m) for m in moments}
        days |= {
            max(morning(e["known_at"]), e["event_time"].date() + DAY) for e in self.world.events
        }
        return sorted(days)

    def reached(self, account: str, event: str, count: int, until: date) -> date | None:
        """The day in whose evening an event had first happened so often; if it still has."""
        if self.on(until).times[account, event] < count:
            return None
        first = next(day for day in self.news if self.on(day).times[account, event] >= count)
        return first - DAY
