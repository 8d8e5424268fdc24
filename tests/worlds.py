"""Small random worlds that seek the boundaries of time, and how they get into a lake."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import write_deltalake
from hypothesis import strategies as st

from features import lake
from features.events import CONTRACT
from features.read_settings import parse_settings
from features.settings import Settings
from features.workspace import Workspace
from tests.reference import Row, World

END = date(2024, 3, 4)
"""Shortly after a leap day."""
DAYS = [END - timedelta(days=d) for d in (0, 1, 3, 7, 28, 35)]
EVENTS = ["login", "report", "share", "search", "shown", "clicked", "paid_late", "lesson"]


def sample_settings(**more: object) -> Settings:
    """Settings that use every list, limit and milestone."""
    values: dict[str, object] = {
        "company": {"name": "World"},
        "sources": [{"name": "e", "table": "events", "path": "e.csv", "columns": {}}],
        "plans": {
            "ladder": ["free", "team", "business"], "free": ["free"], "addons": ["extra"],
            "limits": [
                {"name": "reports", "events": ["report"], "by_plan": {"free": 3.0, "team": 9.0}}
            ],
        },
        "events": {
            "logins": ["login"], "core_use_cases": ["report", "share"],
            "features": ["report", "share", "search"], "notifications_shown": ["shown"],
            "notifications_clicked": ["clicked"], "failed_payments": ["paid_late"],
            "passive": ["paid_late"], "minutes": ["lesson"],
        },
        "milestones": [
            {"name": "first_report", "event": "report", "initial_value": True},
            {"name": "third_share", "event": "share", "count": 3},
        ],
    }  # fmt: skip
    return parse_settings(values | more)


def at(day: date, seconds: float = 0.0) -> datetime:
    """A moment of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)


moments = st.builds(
    lambda back, seconds, tick: (
        at(END - timedelta(days=back), seconds) + timedelta(microseconds=tick)
    ),
    st.sampled_from([0, 1, 2, 3, 4, 6, 7, 8, 13, 14, 27, 28, 29, 55, 56, 83, 84, 89, 90, 91, 92]),
    st.sampled_from([0, 60, 900, 1799, 1800, 1801, 43_200, 84_600, 85_500, 86_399]),
    st.sampled_from([0, 0, 1, -1]),
)
delays = st.sampled_from(
    [timedelta()] * 5
    + [
        timedelta(seconds=5),
        timedelta(minutes=16),
        timedelta(hours=20),
        timedelta(days=1),
        timedelta(days=2),
        timedelta(days=9),
        timedelta(days=40),
    ]
)


@st.composite
def events(draw: st.DrawFn, account: str) -> list[Row]:
    """Bursts of events, pauses of just under and over 30 minutes, late and repeated ones."""
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        moment = draw(moments)
        for pause in draw(
            st.lists(st.sampled_from([0, 1, 60, 1799, 1800, 1801, 5000]), max_size=5)
        ):
            moment += timedelta(seconds=pause)
            rows.append({
                "account_id": account, "event_time": moment, "known_at": moment + draw(delays),
                "user_id": draw(st.sampled_from([f"{account}-u1", f"{account}-u2", None])),
                "event": draw(st.sampled_from(EVENTS)), "value": draw(st.sampled_from([None, 2.5])),
            })  # fmt: skip
    return rows


@st.composite
def subscriptions(draw: st.DrawFn, account: str) -> list[Row]:
    """Plans, seats and terms that change on and around the boundaries, some known late."""
    rows = []
    for n in range(draw(st.integers(0, 4))):
        start = draw(moments)
        rows.append({
            "account_id": account, "subscription_id": f"{account}-{draw(st.sampled_from('ab'))}",
            "effective_at": start,
            "known_at": start + draw(st.one_of(delays, st.just(timedelta(days=-3)))),
            "status": draw(st.sampled_from(["trial", "active", "active", "cancelled"])),
            "plan": draw(st.sampled_from(["free", "team", "business", "extra"])),
            "mrr": draw(st.sampled_from([0.0, 50.0, 120.0])),
            "seats": draw(st.sampled_from([None, 2.0, 5.0])), "billing_months": 1.0,
            "term_end": draw(st.sampled_from([None, start + timedelta(days=30), at(END)])),
            "discount": None, "row_id": f"{account}-{n}",
        })  # fmt: skip
    return rows


@st.composite
def worlds(draw: st.DrawFn, accounts: int = 12) -> World:
    """A dozen accounts, some without users, plans or events."""
    world = World()
    for number in range(accounts):
        account = f"a{number:02d}"
        born = draw(moments) - timedelta(days=draw(st.sampled_from([0, 30])))
        world.accounts.append({
            "account_id": account, "created_at": born, "known_at": born + draw(delays),
            "industry": draw(st.sampled_from(["retail", None])), "employees": 10.0,
            "row_id": account,
        })  # fmt: skip
        for n in range(draw(st.integers(0, 2))):
            joined = draw(moments)
            user = {"account_id": account, "user_id": f"{account}-u{n}", "row_id": f"{account}{n}"}
            world.users.append(user | {"created_at": joined, "known_at": joined})
        world.events += draw(events(account))
        world.subscriptions += draw(subscriptions(account))
    for n, row in enumerate(world.events):
        row["message_id"] = row["row_id"] = f"m{n}"
    return world


def load(world: World, workspace: Workspace) -> None:
    """Write a world into the lake as ingest would."""
    for name in CONTRACT:
        schema = lake.table_schema(name)
        rows = [_whole(name, r) for r in getattr(world, name, [])]
        if rows:
            table = pa.Table.from_pylist(rows, schema=schema)
            workspace.lake.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                workspace.lake.resolve() / name, table,
                partition_by=["event_month"] if name == "events" else None,
            )  # fmt: skip


def _whole(name: str, row: Row) -> Row:
    if name != "events":
        return row
    moment = row["event_time"]
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return row | {"event_us": micros, "event_month": f"{moment:%Y-%m}"}
