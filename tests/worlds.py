"""Small random worlds that seek the boundaries of time, and how they get into a lake.

A world is three to six accounts whose people, links and merges concern each other and nobody else.
It is made from one seed, so a test that fails names the seed and the world can be made again. Many
worlds stand in one lake at once: they meet only where peers are compared.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from features import lake
from features.events import CONTRACT
from features.read_settings import parse_settings
from features.settings import Settings
from features.workspace import Workspace
from tests.reference_known import DAY, Row, World

ENDS = {
    "leap day": (date(2024, 3, 4), "Europe/Berlin"),
    "New York springs forward": (date(2024, 3, 12), "America/New_York"),
    "Berlin springs forward": (date(2024, 4, 2), "Europe/Berlin"),
    "Berlin falls back": (date(2024, 10, 29), "Europe/Berlin"),
    "New York falls back": (date(2024, 11, 5), "America/New_York"),
}
"""The last midnight of a world, shortly after something odd, and the zone where it is odd."""
BACK = (0, 1, 7, 28)
"""How many days before the end the worlds are observed."""
OFTEN = ["login", "report", "share", "shown", "clicked", "invite", "report", "share"]
EVENTS = [
    "login", "report", "share", "search", "shown", "clicked", "limit", "pricing", "invite",
    "admin", "ticket", "answer", "close", "nps", "csat", "paid_late", "lesson", "stray",
]  # fmt: skip
EDGES = [0, 1, 2, 3, 6, 7, 8, 13, 14, 15, 27, 28, 29, 34, 35, 36, 55, 56, 57, 83, 84, 89, 90, 91]
NEAR_EDGES = [1, 1, 2, 3, 6, 7, 8, 9, 14, 15, 27, 28, 29, 30, 35, 36, 56, 57]
FAR_EDGES = [118, 363, 364, 365, 371, 378, 391, 392, 393]
SECONDS = [0, 60, 1799, 1800, 1801, 43_200, 84_600, 85_500, 86_399]
LOCAL = [3600 * hour for hour in (4, 5, 6, 7, 8, 12, 13, 15, 16, 17, 22, 23)]
PAUSES = [0, 0, 1, 60, 1799, 1800, 1801, 5000]


def sample_settings(**more: object) -> Settings:
    """Settings that use every list, limit, journey and milestone."""
    values: dict[str, object] = {
        "company": {"name": "World"},
        "sources": [{"name": "e", "table": "events", "path": "e.csv", "columns": {}}],
        "plans": {
            "ladder": ["free", "team", "business"], "free": ["free"], "addons": ["extra"],
            "features": {"free": ["report"], "team": ["report", "share"],
                         "business": ["report", "share", "search"]},
            "limits": [
                {"name": "reports", "events": ["report"], "by_plan": {"free": 3.0, "team": 9.0}},
                {"name": "shares", "events": ["share", "invite"], "days": 7,
                 "by_plan": {"free": 1.0, "team": 2.0, "business": 5.0}},
            ],
        },
        "events": {
            "logins": ["login"], "core_use_cases": ["report", "share"],
            "features": ["report", "share", "search"], "golden": ["share", "invite"],
            "notifications_shown": ["shown"], "notifications_clicked": ["clicked"],
            "limit_hits": ["limit"], "pricing_interest": ["pricing"], "invitations": ["invite"],
            "administration": ["admin"], "tickets": ["ticket"], "tickets_answered": ["answer"],
            "tickets_closed": ["close"], "nps": ["nps"], "csat": ["csat"],
            "failed_payments": ["paid_late"], "minutes": ["lesson"],
            "passive": ["paid_late", "answer", "close"],
        },
        "milestones": [
            {"name": "first_report", "event": "report", "initial_value": True},
            {"name": "third_share", "event": "share", "count": 3},
            {"name": "second_invite", "event": "invite", "count": 2},
        ],
        "journeys": [
            {"name": "start", "steps": ["first_report", "third_share"]},
            {"name": "spread", "steps": ["second_invite"]},
        ],
        "people": {"admin_roles": ["owner", "admin"]},
    }  # fmt: skip
    return parse_settings(values | more)


def at(day: date, seconds: float = 0.0) -> datetime:
    """A moment of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


@dataclass
class Maker:
    """Makes one world from a seed; its accounts' names begin with `stem`."""

    seed: int
    end: date
    stem: str = "w"

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed} {self.end}")  # noqa: S311 - reproducible, not secret
        self.world = World()
        count = self.dice.randint(3, 6)
        self.accounts = [f"{self.stem}{n}" for n in range(count)]
        self.people = [f"{self.stem}-{name}" for name in ("u1", "u10", "u9", "U2", "ü")]
        self.nameless = [f"{self.stem}-anon{n}" for n in range(3)]

    def make(self) -> World:
        """The world, each row with an id of its own."""
        for account in self.accounts:
            self._account(account)
            self._events(account)
            self._subscriptions(account)
        self._memberships()
        self._identities()
        for name, rows in vars(self.world).items():
            for n, row in enumerate(rows):
                row["row_id"] = f"{self.stem}-{name}-{self.dice.randrange(10)}{n}"
                if name == "events":
                    row["message_id"] = row["row_id"]
        return self.world

    def _chance(self, share: float) -> bool:
        return self.dice.random() < share

    def _moment(self, edges: list[int] = EDGES) -> datetime:
        """An instant at, just before or just after a boundary."""
        seconds = self.dice.choice(SECONDS if self._chance(0.6) else LOCAL)
        tick = timedelta(microseconds=self.dice.choice([0, 0, 1, -1]))
        return at(self.end - self.dice.choice(edges) * DAY, seconds) + tick

    def _known(self, moment: datetime) -> datetime:
        """When it was learnt: at once, late, or in the very instant of a later midnight."""
        if self._chance(0.6):
            return moment
        if self._chance(0.3):
            days = self.dice.choice([1, 1, 2, 8, 29])
            tick = timedelta(microseconds=self.dice.choice([0, 0, 1, -1]))
            return max(moment, at(moment.date() + days * DAY) + tick)
        hours = self.dice.choice([0.001, 0.3, 20, 24, 48, 9 * 24, 40 * 24])
        return moment + timedelta(hours=hours)

    def _account(self, account: str) -> None:
        born = self._moment() - self.dice.choice([0, 30, 365]) * DAY
        learnt = self._known(born)
        for known in sorted(
            {learnt, self._known(learnt + 3 * DAY) if self._chance(0.3) else learnt}
        ):
            self.world.accounts.append({
                "account_id": account, "created_at": born, "known_at": known,
                "industry": self.dice.choice(["retail", "law", None]),
                "country": self.dice.choice(["DE", "US"]),
                "channel": self.dice.choice(["ad", None]),
                "employees": self.dice.choice([10.0, 250.0, None]),
                "is_internal": self.dice.choice([None, None, True]),
            })  # fmt: skip

    def _events(self, account: str) -> None:
        """Bursts with pauses of just under and over 30 minutes; some accounts have none, or one."""
        bursts = self.dice.choice([0, 1, 4, 7, 11])
        if bursts == 1:
            return self._event(account, self._moment(), self.dice.choice(EVENTS))
        for _ in range(bursts):
            edges = self.dice.choice([NEAR_EDGES, NEAR_EDGES, NEAR_EDGES, EDGES, FAR_EDGES])
            moment = self._moment(edges)
            alike = self.dice.choice(EVENTS) if self._chance(0.3) else None
            for _ in range(self.dice.randint(1, 6)):
                self._event(account, moment, alike or self.dice.choice(EVENTS + OFTEN))
                moment += timedelta(seconds=self.dice.choice(PAUSES))
                if self._chance(0.1):
                    moment += DAY
        if self._chance(0.1):
            self._zeal(account)
        return None

    def _zeal(self, account: str) -> None:
        """One user does as much as makes a power user, or one less, or one more."""
        moment, user = self._moment(NEAR_EDGES), self.dice.choice(self.people)
        count = self.dice.choice([20, 100]) + self.dice.choice([-1, 0, 1])
        for n in range(count):
            self._event(account, moment + timedelta(seconds=n), "search")
            self.world.events[-1] |= {"account_id": account, "user_id": user}

    def _event(self, account: str, moment: datetime, name: str) -> None:
        """One event, of an account, or of a user, or of somebody who is nameless yet."""
        whose = self.dice.random()
        user = self.dice.choice(self.people) if self._chance(0.6) else None
        nameless = self.dice.choice(self.nameless) if self._chance(0.3) else None
        if user is None and nameless is None and whose > 0.7:
            nameless = self.nameless[0]
        self.world.events.append({
            "account_id": account if whose <= 0.7 else None, "user_id": user,
            "anonymous_id": nameless, "event": name, "event_time": moment,
            "known_at": self._known(moment),
            "value": self.dice.choice([None, 0.0, 2.5, 7.0, 10.0]),
        })  # fmt: skip

    def _subscriptions(self, account: str) -> None:
        """Plans, seats and terms that change on and around the boundaries, some known late."""
        steady = self._chance(0.4)
        for _ in range(self.dice.choice([0, 0, 1, 2, 4, 6])):
            start = self._moment()
            ahead = start - self.dice.choice([3, 10]) * DAY
            ends = [None, None, start + 30 * DAY, at(self.end), at(self.end) - 2 * DAY]
            states = ["active"] if steady else ["trial", "active", "active", "cancelled"]
            self.world.subscriptions.append({
                "account_id": account,
                "subscription_id": f"{account}-{self.dice.choice('a' if steady else 'aab')}",
                "effective_at": start,
                "known_at": ahead if self._chance(0.2) else self._known(start),
                "status": self.dice.choice(states),
                "plan": self.dice.choice(["free", "team", "team", "business", "extra"]),
                "mrr": self.dice.choice([0.0, 50.0, 120.0]),
                "seats": self.dice.choice([None, 1.0, 2.0, 2.5, 5.0]),
                "billing_months": self.dice.choice([None, 1.0, 12.0]),
                "term_end": self.dice.choice(ends), "discount": self.dice.choice([None, 0.1]),
            })  # fmt: skip

    def _memberships(self) -> None:
        """People who join, leave, move and come back, told at once or late."""
        for user in [*self.people, *self.nameless[:1]]:
            for _ in range(self.dice.choice([0, 1, 1, 2, 3])):
                joined = self._moment() - self.dice.choice([0, 0, 30]) * DAY
                learnt = self._known(joined)
                left = self.dice.choice([None, None, joined + 7 * DAY, self._moment()])
                row = {
                    "user_id": user, "account_id": self.dice.choice(self.accounts),
                    "created_at": joined, "known_at": learnt, "left_at": left,
                    "role": self.dice.choice(["owner", "admin", "member", None]),
                }  # fmt: skip
                self.world.users.append(row)
                if self._chance(0.3):
                    later = self._known(learnt + self.dice.choice([0, 1, 5]) * DAY)
                    self.world.users.append(row | {"known_at": later, "left_at": self._moment()})

    def _identities(self) -> None:
        """Who the nameless are, and accounts that were merged, in chains and circles too."""
        for nameless in self.nameless:
            for _ in range(self.dice.choice([0, 1, 1, 2])):
                self._link("alias", nameless, self.dice.choice(self.people))
        for _ in range(self.dice.choice([0, 0, 0, 1, 1, 2])):
            self._link("merge", *self.dice.sample(self.accounts, 2))

    def _link(self, kind: str, one: str, other: str) -> None:
        since = self._moment()
        self.world.identities.append({
            "kind": kind, "from_id": one, "to_id": other, "since": since,
            "known_at": self._known(since),
        })  # fmt: skip


def worlds_of(seeds: Iterable[int], end: date) -> list[World]:
    """One world for each seed, their accounts named apart."""
    return [Maker(seed, end, f"w{n:03d}a").make() for n, seed in enumerate(seeds)]


def together(worlds: Iterable[World]) -> World:
    """All rows of several worlds."""
    whole = World()
    for world in worlds:
        for name, rows in vars(world).items():
            getattr(whole, name).extend(rows)
    return whole


def load(world: World, workspace: Workspace, *, more: bool = False) -> None:
    """Write a world into the lake as ingest would; with `more`, beside what is there."""
    for name in CONTRACT:
        schema = lake.table_schema(name)
        rows = [_whole(name, r) for r in getattr(world, name, [])]
        if rows:
            table = pa.Table.from_pylist(rows, schema=schema)
            workspace.lake.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                workspace.lake.resolve() / name, table, mode="append" if more else "error",
                partition_by=["event_month"] if name == "events" else None,
            )  # fmt: skip


def _whole(name: str, row: Row) -> dict[str, Any]:
    if name != "events":
        return row
    moment = row["event_time"]
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return row | {"event_us": micros, "event_month": f"{moment:%Y-%m}"}
