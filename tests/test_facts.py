"""What is known of an account, on small hand-made records whose answers are worked out here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest

from features.events import CONTRACT
from features.facts.account import Records, facts, populations
from features.kernel.facts import Asked, events_of_steps
from features.kernel.journeys import in_order_seen
from features.kernel.records import arranged
from features.kernel.rows import Points
from features.settings import Settings
from tests.worlds import sample_settings

NOW = 20_000
"""The day of `as_of`."""
POINTS = {"account_id": pa.string(), "as_of_day": pa.int64()}
NEVER = 2**62
Row = dict[str, Any]
SETTINGS = sample_settings(
    subscriptions={"lapse_after_days": 5},
    journeys=[{"name": "start", "steps": ["first_report", "third_share"]}],
)


def day(age: float) -> datetime:
    """The midnight (or a later hour of the day) so many days before `as_of`."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=NOW - age)


def micros(moment: datetime) -> int:
    """A moment as an instant."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def records_of(name: str, rows: list[Row]) -> pa.Table:
    """Contract rows of account 'a', known when they began unless they say otherwise."""
    time = CONTRACT[name].time
    whole = []
    for number, row in enumerate(rows):
        known = row.get("known_at", row[time])
        us = {
            "known_us": row.get("known_us", micros(known)),
            "until_us": row.get("until_us", NEVER),
        }
        base = {"account_id": "a", "row_id": f"r{number}", "known_at": known}
        whole.append(base | row | us)
    fields = [*CONTRACT[name].schema(), pa.field("known_us", pa.int64())]
    schema = pa.schema([*fields, pa.field("until_us", pa.int64())])
    return pa.Table.from_pylist(whole, schema=schema)


def known(
    *,
    users: list[Row] | None = None,
    bought: list[Row] | None = None,
    events: list[Row] | None = None,
    accounts: list[Row] | None = None,
    at: tuple[int, ...] = (NOW,),
    settings: Settings = SETTINGS,
    of: Any = facts,
) -> list[Row]:
    """The facts of account 'a', which signed up 100 days ago, on each day of `at`.

    By SQL; the kernel has to tell the same.
    """
    counted = [{"account_id": "a"} | row for row in events or []]
    types = POINTS | {"event": pa.string(), "visible_from": pa.int64(), "n": pa.float64()}
    del types["as_of_day"]
    tables = {
        "accounts": records_of("accounts", accounts or [{"created_at": day(100)}]),
        "users": records_of("users", users or []),
        "subscriptions": records_of("subscriptions", bought or []),
    }
    by_event = pa.Table.from_pylist(counted, schema=pa.schema(types))
    named = tables | {"account_event_day": by_event}
    records = Records(**{name: ibis.memtable(rows) for name, rows in named.items()})
    points = [{"account_id": "a", "as_of_day": d} for d in at]
    table = ibis.memtable(pa.Table.from_pylist(points, schema=pa.schema(POINTS)))
    found = of(table, records, settings).order_by("as_of_day").to_pyarrow().to_pylist()
    assert [row["as_of_day"] for row in found] == sorted(at)
    for row, mine in zip(found, in_memory(tables, by_event, sorted(at), settings, of), strict=True):
        assert mine.items() <= row.items()
    return found


def in_memory(
    tables: dict[str, pa.Table], by_event: pa.Table, at: list[int], settings: Settings, of: Any
) -> list[Row]:
    """The same by the kernel."""
    asked = Asked(arranged(tables), settings, Points(np.array([0, len(at)]), np.array(at)), ["a"])
    if of is populations:
        return asked.populations().table.to_pylist()
    events = events_of_steps(settings)
    listed = [r | {"account_id": 0, "key": events[r["event"]]} for r in by_event.to_pylist()]
    types = {"account_id": pa.int64(), "key": pa.int64(), "visible_from": pa.int64()}
    rows = pa.Table.from_pylist(listed, schema=pa.schema(types | {"n": pa.float64()}))
    return asked.facts(in_order_seen(rows, 0, 1), events).table.to_pylist()


def told(names: str, **world: Any) -> list[Any]:
    """Some facts on `NOW`."""
    row = known(**world)[0]
    return [row[name] for name in names.split()]


def user(name: str, joined: float, left: float | None = None, **more: Any) -> Row:
    """A person who joined so many days before `as_of`, and left."""
    gone = None if left is None else day(left)
    return {"user_id": name, "created_at": day(joined), "left_at": gone} | more


PEOPLE = "users_joined users_joined_before roles_held admins"


def test_people_are_those_who_joined_and_have_not_left() -> None:
    """Who joins on the midnight is not there yet; who leaves on it has not left."""
    users = [
        user("al", 28, role="owner"),  # joined on the midnight 28 days ago: not there before it
        user("bo", 28.1, role="admin"),
        user("cy", 50, 0, role="member"),  # leaves on the midnight of as_of: still there
        user("di", 50, 0.1, role="viewer"),  # left before it
        user("ed", 60, 28, role=None),  # left on the midnight 28 days ago: was there then
        user("fi", 0, role="new"),  # joins on the midnight of as_of: not yet there
    ]
    # Now: al, bo, cy. 28 days ago: bo, cy, di, ed. Roles: owner, admin, member; two run it.
    assert told(PEOPLE, users=users) == [3, 4, 3, 2]


def test_roles_are_missing_where_nobody_is_present() -> None:
    """An account whose only user left has no count, no roles and no admins."""
    assert told(PEOPLE, users=[user("al", 60, 3, role="owner")]) == [None, 1, None, None]
    assert told(PEOPLE) == [None] * 4
    assert told(PEOPLE, users=[user("al", 9, role=None)]) == [1, None, 0, 0]


def test_of_each_user_the_newest_known_row_counts() -> None:
    """A leaving or another role counts from when it is known, in place of the row before."""
    users = [
        user("al", 50, role="owner"),
        user("al", 50, 10, role="member", known_at=day(2)),
        user("bo", 50, role="member", row_id="r8"),
        user("bo", 50, role="admin", row_id="r9"),  # known at once: the larger row_id counts
    ]
    early, late = known(users=users, at=(NOW - 3, NOW))
    assert [early[n] for n in PEOPLE.split()] == [2, 2, 2, 2]
    # Since day 2 we know that al left on day 10.
    assert [late[n] for n in PEOPLE.split()] == [1, 2, 1, 1]


def test_a_merge_moves_people() -> None:
    """A row counts for an account until it is known as another's, and from when it is known."""
    leaving = user("al", 50, role="owner", until_us=micros(day(5)))
    coming = user("bo", 50, role="owner", known_us=micros(day(5)))
    then, now = known(users=[leaving, coming, user("cy", 50)], at=(NOW - 6, NOW - 5))
    assert (then["users_joined"], now["users_joined"]) == (2, 2)
    gone = known(users=[leaving], at=(NOW - 6, NOW - 5))
    assert [row["users_joined"] for row in gone] == [1, None]


def plan(age: float, status: str = "active", name: str = "team", **more: Any) -> Row:
    """A change of subscription 's' so many days before `as_of`."""
    base = {"subscription_id": "s", "mrr": 10.0, "seats": 5.0, "term_end": day(-100)}
    return base | {"effective_at": day(age), "status": status, "plan": name} | more


def test_days_near_the_seats() -> None:
    """A midnight counts when those then present fill exactly 80 % of today's seats, or more."""
    users = [user(str(n), 50) for n in range(3)]
    # The fourth of five seats is taken from 10 to 3 days ago: at the midnights 9 to 3 days ago.
    fourth = [*users, user("d", 10, 3)]
    assert told("seats_days_over", users=fourth, bought=[plan(40)]) == [7]
    assert told("seats_days_over", users=fourth, bought=[plan(40, seats=5.1)]) == [0]
    assert told("seats_days_over", users=fourth, bought=[plan(40, seats=None)]) == [None]
    assert told("seats_days_over", users=fourth, bought=[plan(40, seats=0.0)]) == [28]
    assert told("seats_days_over", bought=[plan(40)]) == [0]
    always = [*users, user("d", 50)]
    assert told("seats_days_over", users=always, bought=[plan(40)]) == [28]
    # The span's first midnight is 27 days ago.
    for left, days in ((27, 1), (27.1, 0), (26, 2)):
        world = [*users, user("d", 50, left)]
        assert told("seats_days_over", users=world, bought=[plan(40)]) == [days]


CHANGES = "upgrades_so_far downgrades_so_far"


@pytest.mark.parametrize(
    ("then", "now", "counts"),
    [
        ({}, {"plan": "business"}, [1, 0]),
        ({"plan": "business"}, {}, [0, 1]),
        ({}, {"seats": 6.0, "mrr": 12.0}, [1, 0]),
        ({}, {"seats": 6.0}, [0, 0]),  # seats for nothing
        ({}, {"seats": 4.0, "mrr": 8.0}, [0, 1]),
        ({}, {"seats": 6.0, "mrr": 8.0}, [0, 0]),
        ({"plan": "extra"}, {"plan": "extra", "seats": 6.0, "mrr": 12.0}, [1, 0]),
        ({"plan": "extra"}, {}, [0, 0]),  # from an add-on to the ladder is neither
        ({"status": "trial"}, {"plan": "business"}, [0, 0]),
        ({"seats": None}, {"mrr": 12.0}, [0, 0]),
    ],
)
def test_past_upgrades_and_downgrades(then: Row, now: Row, counts: list[float]) -> None:
    """A higher step of the ladder is an upgrade, and so are more seats for more money."""
    assert told(CHANGES, bought=[plan(50, name="team") | then, plan(40) | now]) == counts


def test_changes_add_up_over_subscriptions_as_known() -> None:
    """Each subscription's changes count from when they are known; 0 without any."""
    bought = [plan(50), plan(40, name="business", known_at=day(3)), plan(30),
              plan(60, subscription_id="t"),
              plan(20, subscription_id="t", name="business")]  # fmt: skip
    early, late = known(bought=bought, at=(NOW - 4, NOW))
    assert [early[n] for n in CHANGES.split()] == [1, 0]
    assert [late[n] for n in CHANGES.split()] == [2, 1]
    assert told(CHANGES) == [0, 0]


def test_days_in_state() -> None:
    """Since the main subscription came into its status, else since the last one ended."""
    trial, paid = plan(60, "trial"), plan(45.5)
    assert told("days_in_state", bought=[trial, paid, plan(20, name="business")]) == [45.5]
    assert told("days_in_state", bought=[trial]) == [60]
    cancelled = plan(30, "cancelled")
    assert told("days_in_state", bought=[trial, paid, cancelled]) == [30]
    again = [trial, paid, cancelled, plan(10)]
    assert told("days_in_state", bought=again) == [10]
    # A term that ended 5 days ago has not lapsed on this midnight; a little longer ago it has.
    assert told("days_in_state population", bought=[plan(60, term_end=day(5))]) == [60, "customer"]
    lapsed = plan(60, term_end=day(5.25))
    assert told("days_in_state population", bought=[lapsed]) == [5.25, "former"]
    other = plan(70, "cancelled", subscription_id="t")
    assert told("days_in_state", bought=[lapsed, other]) == [5.25]
    assert told("days_in_state") == [100]


def test_lapses_are_seen_between_changes() -> None:
    """A term lapses on its day although nothing new becomes known then."""
    found = known(bought=[plan(60, term_end=day(10))], at=(NOW - 5, NOW - 4, NOW))
    assert [row["population"] for row in found] == ["customer", "former", "former"]


@pytest.mark.parametrize(
    ("people", "band"),
    [(0, "0-1"), (1, "0-1"), (2, "2-4"), (4, "2-4"), (5, "5-9"), (9, "5-9"), (10, "10-24"),
     (24, "10-24"), (25, "25-99"), (99, "25-99"), (100, "100+")],
)  # fmt: skip
def test_size_bands(people: int, band: str) -> None:
    """An account's band goes by the users present; none counts as small."""
    users = [user(str(n), 50) for n in range(people)]
    assert told("size_band", users=users) == [band]


def test_what_peers_are_chosen_by_is_the_same_for_all() -> None:
    """Points that are only compared with have the population, plan and band of all facts."""
    users = [user(str(n), 50) for n in range(5)]
    for bought in ([], [plan(40)], [plan(40), plan(20, "cancelled")]):
        world: Row = {"users": users, "bought": bought}
        (full,), (slim,) = known(**world), known(**world, of=populations)
        assert slim.items() <= full.items()
        assert {"population", "plan_name", "size_band"} <= slim.keys()


def happened(event: str, age: int, n: float = 1.0) -> Row:
    """Events that are seen from `age` days before `as_of` on."""
    return {"event": event, "visible_from": NOW - age, "n": n}


STEPS = "milestones_reached steps_start days_to_first_report days_to_third_share"


def test_steps_of_a_journey() -> None:
    """Milestones are dated by the evening in which the count is full."""
    events = [happened("report", 90), happened("share", 80, 2.0), happened("share", 70)]
    # 90 days ago in the morning, so in the evening of day 91: 9 days after the sign-up.
    assert told(STEPS, events=events) == [2, 2, 9, 29]
    assert told(STEPS, events=events[:2]) == [1, 1, 9, None]
    assert told(STEPS) == [0, 0, None, None]


def test_milestones_are_net_of_what_was_taken_back() -> None:
    """A milestone whose events turn out to be another's is not reached until it is again."""
    events = [happened("report", 90), happened("report", 50, -1.0), happened("report", 20)]
    found = known(events=events, at=(NOW - 51, NOW - 50, NOW - 21, NOW - 20))
    assert [row["milestones_reached"] for row in found] == [1, 0, 0, 1]
    # It was first reached in the evening of day 91 ago, 9 days after the sign-up.
    assert [row["days_to_first_report"] for row in found] == [9, None, None, 9]
