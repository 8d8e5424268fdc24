"""Every leaf and combination on small hand-made worlds whose answers are worked out here."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import ibis
import pyarrow as pa
import pytest

from features.algebra import (
    FAR_DAYS,
    AtLeast,
    ByPlan,
    DaysOver,
    DaysSince,
    DaysToReach,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    Linear,
    LongestGap,
    LongestStreak,
    OfBusiest,
    OnlyIn,
    PeerMedian,
    PeerRank,
    SinceBusiest,
    Spread,
    Streak,
    Sum,
    TopShare,
    Total,
    Window,
)
from features.compute.leaves import Rollups, column, leaves
from features.compute.peers import peer_ranks, peer_values
from features.compute.sql import compile_expression

NOW = 20_000
"""The day of `as_of`; age 0 is the day before it."""
LAST = Window(28)
POINTS = {"account_id": pa.string(), "as_of_day": pa.int64()}
EVENTS_OF = {"feature": ["chart", "export", "share"], "core": ["chart"], "golden": ["share"],
             "plan:team": ["chart", "export"]}  # fmt: skip
Row = dict[str, Any]
con = ibis.duckdb.connect()
numbers = itertools.count()


def keep(table: ibis.Table) -> ibis.Table:
    """Compute a table once, as a build does."""
    return con.create_table(f"kept_{next(numbers)}", table, temp=True)


def table(rows: Iterable[Row], types: dict[str, pa.DataType]) -> ibis.Table:
    """Rows as a table; a column left out is null."""
    return keep(ibis.memtable(pa.Table.from_pylist(list(rows), schema=pa.schema(types))))


def change(age: int, *, known: int = 0, settled: bool | None = None, **values: Any) -> Row:
    """A rollup row of a day, 0 for the last whole one, known so many days after its morning."""
    day = NOW - 1 - age
    seen = day + 1 + known
    row = {"account_id": "a", "day": day, "visible_from": seen}
    return row | {"settled": not known if settled is None else settled} | values


def rollup(rows: Iterable[Row], **numbers: pa.DataType) -> ibis.Table:
    """Changes as a rollup; numbers left out are 0."""
    types = {"account_id": pa.string(), "day": pa.int64(), "visible_from": pa.int64(),
             "settled": pa.bool_()} | numbers  # fmt: skip
    zeros = {name: 0.0 for name, kind in numbers.items() if kind == pa.float64()}
    return table([zeros | row for row in rows], types)


def evaluated(
    expressions: Iterable[Expression],
    *,
    days: Iterable[Row] = (),
    events: Iterable[Row] = (),
    users: Iterable[Row] = (),
    facts: Row | None = None,
    at: Iterable[int] = (NOW,),
) -> list[list[Any]]:
    """The expressions' values for account 'a' on each day of `at`."""
    points = [{"account_id": "a", "as_of_day": day} for day in at]
    number = pa.float64()
    types = {"plan_name": pa.string(), "limit_calls": number, "before": number, "here": number}
    rollups = Rollups(
        account_day=rollup(days, events=number, minutes=number, limit_calls=number),
        account_event_day=rollup(events, event=pa.string(), n=number),
        user_day=rollup(users, user_id=pa.string(), n=number, core=number),
        ever=rollup(days, events=number, minutes=number, limit_calls=number),
    )
    known = table([point | (facts or {}) for point in points], POINTS | types)
    expressions = list(expressions)
    found = leaves(expressions, table(points, POINTS), rollups, known, EVENTS_OF, keep)
    columns = {f"x{i}": compile_expression(e, found) for i, e in enumerate(expressions)}
    rows = found.select("as_of_day", **columns).order_by("as_of_day").to_pyarrow().to_pylist()
    assert [row["as_of_day"] for row in rows] == sorted(at)
    return [[row[f"x{i}"] for i in range(len(expressions))] for row in rows]


def value(expression: Expression, **world: Any) -> Any:
    """One expression's value at `NOW`."""
    return evaluated([expression], **world)[0][0]


def used(*ages: int) -> list[Row]:
    """Two events on each of some days."""
    return [change(age, events=2.0) for age in ages]


@pytest.mark.parametrize(
    ("ages", "gap", "longest", "streak"),
    [
        ((), None, 0, 0),
        ((0,), 1, 1, 1),  # used yesterday only: one day to as_of
        ((27,), 28, 1, 0),  # the span's first day
        ((28,), None, 0, 0),  # the day before the span
        ((28, 27), 28, 1, 0),  # a streak across the span's edge counts its days inside
        ((28, 5), 6, 1, 0),  # a pause that began before the span is not looked at
        ((7, 3), 4, 1, 0),  # from day 7 to day 3 it is 4, from day 3 to as_of 4
        ((20, 9, 8, 7, 0), 11, 3, 1),
        ((3, 2, 1, 0), 1, 4, 4),
        ((26, 25, 24, 23, 22, 2, 1, 0), 20, 5, 3),
        (tuple(range(40)), 1, 28, 28),
        (tuple(range(1, 28)), 2, 27, 0),
        (tuple(range(11, 28)), 12, 17, 0),
    ],
)
def test_pauses_and_streaks(
    ages: tuple[int, ...], gap: float | None, longest: float, streak: float
) -> None:
    """Pauses and streaks are those of single days inside the last 28."""
    wanted = [LongestGap("events"), LongestStreak("events"), Streak("events")]
    assert evaluated(wanted, days=used(*ages)) == [[gap, longest, streak]]


def test_late_days_join_a_streak_when_they_are_known() -> None:
    """A day that becomes known late fills a pause from then on, and not before."""
    days = [*used(6, 5, 3), change(4, known=4, events=1.0)]
    wanted = [LongestStreak("events"), LongestGap("events")]
    # The late day, NOW - 5, is seen from NOW on; on NOW - 1 days 5, 4 and 2 back are known.
    assert evaluated(wanted, days=days, at=(NOW - 1, NOW)) == [[2, 3], [4, 4]]


def test_a_day_taken_back_counts_until_then() -> None:
    """A use that turns out to be another account's is a use until that is known."""
    days = [
        change(2, settled=False, events=1.0),
        change(2, known=2, settled=False, events=-1.0),
        *used(9),
    ]
    wanted = [DaysSince("events"), Streak("events"), Sum("events", LAST), LongestGap("events")]
    # On NOW - 1 the day 2 is day 1 back from as_of - 1; from NOW on only day 9 is left.
    assert evaluated(wanted, days=days, at=(NOW - 1, NOW)) == [[2, 0, 3, 7], [10, 0, 2, 10]]


@pytest.mark.parametrize(
    ("age", "days", "back", "inside"),
    [
        (27, 28, 0, True), (28, 28, 0, False), (0, 1, 0, True), (1, 1, 0, False),
        (89, 90, 0, True), (90, 90, 0, False), (28, 28, 28, True), (55, 28, 28, True),
        (56, 28, 28, False), (27, 28, 28, False), (364, 28, 364, True), (391, 28, 364, True),
        (392, 28, 364, False), (363, 28, 364, False), (364, 1, 364, True), (365, 1, 364, False),
        (373, 10, 364, True), (374, 10, 364, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [0, 1])
def test_windows_hold_their_days(age: int, days: int, back: int, inside: bool, known: int) -> None:
    """A window holds its first and its last day, this year and the year before, late or not."""
    known = known if age >= known else 0
    world = [change(age, known=known, events=3.0), change(200, events=50.0)]
    wanted = [Sum("events", Window(days, back)), Sum("events", Window(7))]
    found = evaluated(wanted, days=world)[0]
    assert found == [3.0 if inside else 0.0, 3.0 if age < 7 else 0.0]


def test_a_total_is_all_that_was_known() -> None:
    """A total grows with what becomes known, shrinks with what is taken back, and keeps the old."""
    days = [
        change(500, events=7.0),
        change(1, known=1, events=1.0),
        change(0, events=2.0),
        change(300, known=298, settled=False, events=-4.0),
    ]
    # NOW - 2 sees the 7; NOW - 1 the taking back of day 300, known 298 days after its morning:
    # 20000 - 301 + 1 + 298 = NOW - 2. NOW sees the late day and the last.
    found = evaluated([Total("events")], days=days, at=(NOW - 3, NOW - 2, NOW - 1, NOW, NOW + 3))
    assert [row[0] for row in found] == [7, 3, 3, 6, 6]
    assert value(Total("events")) == 0.0


def test_days_over_a_limit() -> None:
    """A day counts when the rolling sum that ends with it is exactly the share or more."""
    over = DaysOver("limit_calls", 7, "limit_calls", 0.8)
    # 8 calls 10 days back: the 7-day sums of ages 10 down to 4 hold them: 7 days at 80 % of 10.
    eight = [change(10, limit_calls=8.0)]
    assert value(over, days=eight, facts={"limit_calls": 10.0}) == 7
    assert value(over, days=eight, facts={"limit_calls": 10.01}) == 0
    assert value(over, days=eight, facts={"limit_calls": None}) is None
    assert value(over, days=[], facts={"limit_calls": 0.0}) == 28
    assert value(over, days=[], facts={"limit_calls": 5.0}) == 0


def test_days_over_a_limit_reach_over_the_span() -> None:
    """The first days of the span look back over days before it, and late days count when known."""
    over = DaysOver("limit_calls", 7, "limit_calls", 0.5)
    # Ages 33 and 34: the sum of age 27 holds ages 27 to 33.
    at_edge, outside = [change(33, limit_calls=5.0)], [change(34, limit_calls=5.0)]
    assert value(over, days=at_edge, facts={"limit_calls": 10.0}) == 1
    assert value(over, days=outside, facts={"limit_calls": 10.0}) == 0
    late = [change(3, limit_calls=3.0), change(3, known=3, limit_calls=2.0)]
    found = evaluated([over], days=late, facts={"limit_calls": 10.0}, at=(NOW - 1, NOW))
    assert found == [[0], [4]]  # ages 3 to 0
    quarter = DaysOver("limit_calls", 90, "limit_calls", 1.0)
    assert value(quarter, days=[change(116, limit_calls=1.0)], facts={"limit_calls": 1.0}) == 1
    assert value(quarter, days=[change(117, limit_calls=1.0)], facts={"limit_calls": 1.0}) == 0


def seen(user: str, age: int, n: float = 1.0, **more: Any) -> Row:
    """A user's uses on a day."""
    return change(age, user_id=user, n=n, **more)


def test_keys_that_are_new_or_lost() -> None:
    """A key that is only in the one window is counted; one in both, or in neither, is not."""
    users = [seen("new", 27), seen("lost", 28), seen("stays", 3), seen("stays", 55),
             seen("old", 56), seen("", 1, 9.0)]  # fmt: skip
    before = Window(28, back=28)
    wanted = [OnlyIn("user", LAST, before), OnlyIn("user", before, LAST), Distinct("user", LAST)]
    assert evaluated(wanted, users=users) == [[1, 1, 2]]


def test_the_busiest_key() -> None:
    """The busiest key of a window is followed elsewhere; of equally busy ones the first by name."""
    users = [seen("bo", 30, 5.0), seen("al", 40, 5.0), seen("al", 12, 2.0), seen("Cy", 0, 9.0)]
    before = Window(28, back=28)
    wanted = [OfBusiest("user", LAST, before), OfBusiest("user", before, before),
              SinceBusiest("user", before), SinceBusiest("user", LAST),
              OfBusiest("user", before, LAST),
              SinceBusiest("user", Window(28, back=56))]  # fmt: skip
    # al and bo tie with 5 in `before`: al, last seen 12 days before the last whole day. Cy was
    # busiest in the last 28 days and did nothing before; nobody did anything 57 to 84 days ago.
    assert evaluated(wanted, users=users) == [[2, 5, 13, 1, 0, None]]


def test_names_are_ordered_by_bytes() -> None:
    """Of equally busy keys the first is that of the smaller bytes: capitals before small ones."""
    users = [seen("b", 3, 4.0), seen("B", 5, 4.0), seen("a", 1, 1.0)]
    assert value(SinceBusiest("user", LAST), users=users) == 6


def test_core_users_are_counted_by_core_use_cases() -> None:
    """Who completed a core use case is another question than who did anything."""
    users = [seen("al", 3, 9.0), seen("bo", 4, 2.0, core=2.0), seen("cy", 5, 3.0, core=1.0)]
    wanted = [Distinct("core_user", LAST), Distinct("core_user", LAST, 2), Distinct("user", LAST),
              SinceBusiest("core_user", LAST), SinceBusiest("user", LAST),
              TopShare("core_user", LAST)]  # fmt: skip
    assert evaluated(wanted, users=users) == [[2, 1, 3, 5, 4, pytest.approx(2 / 3)]]


def test_a_key_whose_uses_were_taken_back_is_no_key() -> None:
    """A key with a net count of 0 is not distinct, has no share and adds no entropy."""
    users = [
        seen("al", 3, 3.0), seen("bo", 4, 1.0),
        seen("gone", 5, 8.0, settled=False), seen("gone", 5, -8.0, known=4, settled=False),
    ]  # fmt: skip
    wanted = [Distinct("user", LAST), TopShare("user", LAST), Entropy("user", LAST),
              SinceBusiest("user", LAST)]  # fmt: skip
    then, now = evaluated(wanted, users=users, at=(NOW - 2, NOW))
    assert then[:2] == [3, 8 / 12]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert now == [2, 0.75, pytest.approx(entropy), 4]


def test_event_keys_cover_the_listed_events() -> None:
    """Features, core use cases, golden features and a plan's features count their own events."""
    events = [change(1, event="chart", n=4.0), change(2, event="share", n=1.0),
              change(40, event="export", n=1.0), change(3, event="login", n=9.0)]  # fmt: skip
    wanted = [Distinct("feature", LAST), Distinct("core", LAST), Distinct("golden", LAST),
              Distinct("plan:team", Window(90)), EventCount("login", LAST),
              EventCount("export", LAST), TopShare("feature", LAST),
              OnlyIn("feature", Window(28, back=28), LAST), SinceBusiest("feature", LAST),
              Distinct("feature", Window(28, back=364))]  # fmt: skip
    assert evaluated(wanted, events=events) == [[2, 1, 1, 2, 9, 0, 0.8, 1, 2, 0]]
    assert evaluated(wanted) == [[0, 0, 0, 0, 0, 0, None, 0, None, 0]]


def test_what_a_plan_does_not_list_has_no_number() -> None:
    """The number of the account's plan is taken; a plan left out, or none, has none."""
    share = ByPlan(("team", "free"), (Distinct("plan:team", LAST), Fact("before")))
    world: Row = {"events": [change(1, event="chart", n=4.0)]}
    assert value(share, **world, facts={"plan_name": "team"}) == 1
    assert value(share, **world, facts={"plan_name": "free", "before": 7.0}) == 7
    assert value(share, **world, facts={"plan_name": "other"}) is None
    assert value(share, **world) is None


def test_linear_and_spread_are_missing_with_a_part() -> None:
    """Sums and deviations are those of all parts, and missing where one is."""
    here, before = Fact("here"), Fact("before")
    difference, spread = Linear((2.0, -1.0), (here, before)), Spread((here, before))
    at_least = AtLeast(here, 3.0)
    wanted = [difference, spread, at_least]
    assert evaluated(wanted, facts={"here": 3.0, "before": 7.0}) == [[-1, 2, 1]]
    assert evaluated(wanted, facts={"here": 2.9, "before": 2.9}) == [[pytest.approx(2.9), 0, 0]]
    assert evaluated(wanted, facts={"before": 7.0}) == [[None, None, None]]


@pytest.mark.parametrize(
    ("use", "before", "limit", "days"),
    [
        (8.0, 1.0, None, None),
        (10.0, 1.0, 10.0, 0.0),  # reached exactly
        (8.0, 1.0, 10.0, 2.0),  # 7 in 7 days: 1 a day
        (1.0, 8.0, 10.0, FAR_DAYS),  # it falls
        (8.0, 8.0, 10.0, FAR_DAYS),
        (8.0, 7.99, 10.0, FAR_DAYS),  # more than a year away
        (None, 1.0, 10.0, FAR_DAYS),
        (8.0, None, 10.0, FAR_DAYS),
    ],
)
def test_days_to_reach_a_limit(
    use: float | None, before: float | None, limit: float | None, days: float | None
) -> None:
    """A limit is as far away as the present slope says."""
    e = DaysToReach(Fact("here"), Fact("before"), Fact("limit_calls"), 7)
    facts = {"here": use, "before": before, "limit_calls": limit}
    assert value(e, facts=facts) == (None if days is None else pytest.approx(days))


def compared(rows: list[Row], wanted: list[Any]) -> dict[str, list[Any]]:
    """Comparisons of accounts that are named, with their facts, in rows."""
    number, text = pa.float64(), pa.string()
    types = POINTS | {"population": text, "plan_name": text, "here": number}
    panel = table([{"as_of_day": NOW} | row for row in rows], types)
    ranks = peer_ranks(keep(peer_values(panel, wanted)), panel.select(*POINTS), wanted)
    columns = {f"x{i}": compile_expression(e, ranks) for i, e in enumerate(wanted)}
    found = ranks.select("account_id", "as_of_day", **columns).to_pyarrow().to_pylist()
    return {row["account_id"]: [row[f"x{i}"] for i in range(len(wanted))] for row in found
            if row["as_of_day"] == NOW}  # fmt: skip


def test_medians_of_peers() -> None:
    """The median of even peers is the mean of the middle two; a missing number counts as 0."""
    rows = [{"account_id": a, "population": "customer", "here": x}
            for a, x in [("a", 1.0), ("b", 4.0), ("c", 10.0), ("d", None)]]  # fmt: skip
    rows += [{"account_id": "e", "population": "prospect", "here": 5.0}]
    rows += [{"account_id": a, "population": "former", "here": x}
             for a, x in [("f", 2.0), ("g", 2.0), ("h", 9.0)]]  # fmt: skip
    # Another day is no peer.
    rows += [{"account_id": "a", "population": "customer", "here": 99.0, "as_of_day": NOW - 1}]
    found = compared(rows, [PeerMedian(Fact("here")), PeerRank(Fact("here"))])
    assert [found[a][0] for a in "abcdefgh"] == [2.5] * 4 + [5] + [2, 2, 2]
    # Among 4: below + half of the equal ones, itself included. Among f, g and h: the two ties.
    assert [found[a][1] for a in "abcd"] == [37.5, 62.5, 87.5, 12.5]
    assert [found[a][1] for a in "efgh"] == pytest.approx([50, 100 / 3, 100 / 3, 250 / 3])


def test_peers_agree_in_all_facts() -> None:
    """Peers agree in each fact; a missing plan agrees with a missing plan and no other."""
    rows = [
        {"account_id": "a", "population": "customer", "plan_name": "team", "here": 1.0},
        {"account_id": "b", "population": "customer", "plan_name": "team", "here": 3.0},
        {"account_id": "c", "population": "customer", "plan_name": None, "here": 5.0},
        {"account_id": "d", "population": "customer", "plan_name": None, "here": 7.0},
        {"account_id": "e", "population": "customer", "plan_name": "", "here": 9.0},
        {"account_id": "f", "population": None, "plan_name": "missing", "here": 11.0},
    ]
    among = ("population", "plan_name")
    wanted = [PeerMedian(Fact("here"), among), PeerRank(Fact("here"), among),
              PeerRank(Fact("here"))]  # fmt: skip
    found = compared(rows, wanted)
    assert [found[a][0] for a in "abcdef"] == [2, 2, 6, 6, 9, 11]
    assert [found[a][1] for a in "abcdef"] == [25, 75, 25, 75, 50, 50]
    assert [found[a][2] for a in "abcdef"] == pytest.approx([10, 30, 50, 70, 90, 50])


def test_numbers_are_compared_at_six_decimals() -> None:
    """Numbers that differ after the sixth decimal are equal, and their median is rounded."""
    rows = [{"account_id": a, "population": "customer", "here": x}
            for a, x in [("a", 1.00000004), ("b", 0.99999996)]]  # fmt: skip
    found = compared(rows, [PeerMedian(Fact("here")), PeerRank(Fact("here"))])
    assert found == {"a": [1, 50], "b": [1, 50]}


def test_each_leaf_has_its_own_column() -> None:
    """Leaves that differ in any part never share a column."""
    found = [
        Distinct("user", LAST), Distinct("user", LAST, 2), OnlyIn("user", LAST, Window(7)),
        OnlyIn("user", Window(7), LAST), SinceBusiest("user", LAST), LongestGap("events"),
        LongestStreak("events"), Streak("events"), DaysOver("events", 7, "limit_calls", 0.8),
        DaysOver("events", 7, "limit_calls", 1.0), Sum("events", LAST), Total("events"),
    ]  # fmt: skip
    assert len({column(leaf) for leaf in found}) == len(found)
