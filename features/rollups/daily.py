"""Events → daily sums per event and per user, as they became known.

A rollup row is a change: it says by how much a day's numbers grew when something about that day
became visible. `visible_from` is the first `as_of` (in days since 1970-01-01, like `day`) that may
see the row: the morning after, or later when the event arrived late. So the state of a day as known
at `as_of` is the sum of its rows with `visible_from <= as_of`; a late event adds rows and changes
none, and an event that turns out to be another account's is taken back by a row with negative
numbers. `settled` rows were visible the morning after and are never taken back: most, by far.

A session ends after 30 minutes without an event. A session start, and the minutes between two
events, are booked on the later event's day: additive, and never looking ahead.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import ibis
from ibis import _

from features import instants
from features.instants import DAY_US, morning
from features.settings import Events, Settings
from features.zones import local_microseconds

Stage = Callable[[ibis.Table], ibis.Table]
HOUR_US = 3_600_000_000
GAP_US = 1_800_000_000
"""A pause that ends a session; buckets of this length cannot hold a session break."""
BUCKETS_A_DAY = DAY_US // GAP_US
NEVER = instants.NEVER // DAY_US
USER = ["account_id", "user_id"]
USES = ("n", "weekend", "office")
SPENT = (*USES, "sessions", "minutes")
USE_MEASURES = ("events", "weekend", "office", "sessions", "minutes", "user_days", "active")
VALUES = {
    "severity": "tickets",
    "answer_hours": "tickets_answered",
    "nps_score": "nps",
    "csat_score": "csat",
}
"""Measures that sum the `value` of listed events."""


def known_events(
    events: ibis.Table, settings: Settings, span: tuple[datetime, datetime]
) -> ibis.Table:
    """Events with their day, who may see them from when to when, and what kind of use they are.

    In: account_id, user_id ('' for nobody in particular), event, event_us, known_us, until_us,
    value, as `resolve.assigned` gives them; `span` holds all of them. Left out: what no
    midnight ever saw.
    """
    quiet = [*settings.events.passive, *settings.events.notifications_shown]
    local = local_microseconds(events.event_us, settings.calendar.zone, *span)
    weekday, hour = (local // DAY_US + 3) % 7, local % DAY_US // HOUR_US
    first, last = settings.calendar.office_hours
    day = (events.event_us // DAY_US).cast("int64")
    rows = events.select(
        *USER, "event", "event_us", day=day,
        visible_from=ibis.greatest(day + 1, morning(_.known_us).cast("int64")),
        visible_until=morning(_.until_us).cast("int64"),
        value=_.value.fill_null(0.0),
        is_use=~_.event.isin(quiet) if quiet else ibis.literal(True),
        weekend=(weekday >= 5).cast("float64"),
        office=((weekday < 5) & (hour >= first) & (hour < last)).cast("float64"),
    )  # fmt: skip
    return rows.filter(_.visible_from < _.visible_until)


def account_event_day(events: ibis.Table) -> ibis.Table:
    """How often each event happened: account_id, event, day, visible_from, n, value."""
    one = events.mutate(n=ibis.literal(1.0))
    return _changes(one, ["account_id", "event"], ("n", "value"))


def _changes(rows: ibis.Table, keys: list[str], numbers: tuple[str, ...]) -> ibis.Table:
    """What rows add from the day on which they are seen, and take back when they no longer are."""
    by = [*keys, "day", "visible_from"]
    added = rows.group_by(by).agg(**{c: rows[c].sum() for c in numbers})
    gone = rows.filter(_.visible_until < NEVER).mutate(visible_from=_.visible_until)
    taken = gone.group_by(by).agg(**{c: -gone[c].sum() for c in numbers})
    both = added.union(taken)
    return both.group_by(by).agg(**{c: both[c].sum() for c in numbers})


def user_day(events: ibis.Table, settings: Events, stage: Stage) -> ibis.Table:
    """What each user did: account_id, user_id, day, visible_from, then the numbers.

    `n`, `weekend`, `office` count uses, `core` completed core use cases; `active` is 1 on the row
    that first shows a use that day. Rows may be negative: an event that arrives late can join two
    sessions into one. `stage` keeps an intermediate table, so that each reads the events once.
    """
    uses = events.filter(_.is_use)
    late = stage(late_user_days(uses))
    on_time = _on_time(_sessions(_buckets(uses, [])), late)
    corrected = _corrected(uses, late, stage)
    core = _changes(_listed(events, settings.core_use_cases), USER, ("n",)).rename(core="n")
    timed = _listed(events, settings.minutes).mutate(minutes=_.value)
    reported = _changes(timed, USER, ("minutes",))
    parts = [stage(_filled(part)) for part in (on_time, corrected, core, reported)]
    rows = ibis.union(*parts)
    numbers = [c for c in rows.columns if c not in _KEYS]
    return rows.group_by(_KEYS).agg(**{c: rows[c].sum() for c in numbers})


_KEYS = [*USER, "day", "visible_from"]


def _listed(events: ibis.Table, names: tuple[str, ...]) -> ibis.Table:
    return events.filter(_.event.isin(list(names) or [""])).mutate(n=ibis.literal(1.0))


def _filled(rows: ibis.Table) -> ibis.Table:
    """All columns of `user_day`, 0 where a part does not have them."""
    numbers = (*SPENT, "core", "active")
    filled = {c: rows[c] if c in rows.columns else ibis.literal(0.0) for c in numbers}
    return rows.select(*_KEYS, **filled)


def late_user_days(uses: ibis.Table) -> ibis.Table:
    """The (account_id, user_id, day) whose sums changed after their morning: few, or none.

    An event that comes late or goes again changes its own day and, across midnight, the next.
    """
    late = uses.filter((_.visible_from > _.day + 1) | (_.visible_until < NEVER))
    days = late.select(*USER, "day")
    return days.union(days.mutate(day=(_.day + 1).cast("int64"))).distinct()


def _buckets(uses: ibis.Table, extra: list[str]) -> ibis.Table:
    by = [*USER, *extra, (_.event_us // GAP_US).name("bucket")]
    return uses.group_by(by).agg(
        first_us=_.event_us.min(),
        last_us=_.event_us.max(),
        n=_.count().cast("float64"),
        weekend=_.weekend.sum(),
        office=_.office.sum(),
    )


def _sessions(buckets: ibis.Table) -> ibis.Table:
    """Sum the buckets of a day into its sessions, minutes and uses."""
    keys = [c for c in (*USER, "version", "target") if c in buckets.columns]
    order = ibis.window(group_by=keys, order_by="bucket")
    gaps = buckets.mutate(gap=_.first_us - _.last_us.lag().over(order))
    starts = (gaps.gap.isnull() | (gaps.gap > GAP_US)).cast("float64")
    carried = ibis.ifelse(gaps.gap <= GAP_US, gaps.gap, 0).fill_null(0)
    spent = (gaps.last_us - gaps.first_us + carried).cast("float64") / 60e6
    day = (gaps.bucket // BUCKETS_A_DAY).cast("int64")
    return gaps.group_by([*keys, day.name("day")]).agg(
        **{c: gaps[c].sum() for c in USES}, sessions=starts.sum(), minutes=spent.sum()
    )


def _on_time(sessions: ibis.Table, late: ibis.Table) -> ibis.Table:
    """The days whose events all came in time: visible the morning after."""
    return sessions.anti_join(late, [*USER, "day"]).mutate(
        visible_from=(_.day + 1).cast("int64"), active=ibis.literal(1.0)
    )


def _corrected(uses: ibis.Table, late: ibis.Table, stage: Stage) -> ibis.Table:
    """What each version of a late day adds to the version before it."""
    keys = [*USER, "target"]
    targets = late.rename(target="day")
    both = targets.mutate(day=_.target).union(targets.mutate(day=_.target - 1))
    bearing = stage(uses.join(both, [*USER, "day"]))
    versions = _version_days(targets, bearing)
    seen = bearing.join(versions, keys).filter(
        (_.visible_from <= _.version) & (_.version < _.visible_until)
    )
    sums = _sessions(_buckets(seen, ["target", "version"])).filter(_.day == _.target)
    both = versions.left_join(sums, [*keys, "version"])
    state = both.select(*keys, "version", **{c: both[c].fill_null(0.0) for c in SPENT})
    order = ibis.window(group_by=keys, order_by="version")
    state = state.mutate(active=(_.n > 0).cast("float64"))
    change = {c: state[c] - state[c].lag().over(order).fill_null(0.0) for c in (*SPENT, "active")}
    rows = state.select(*USER, day=state.target, visible_from=state.version, **change)
    return rows.filter(ibis.or_(*(rows[c] != 0 for c in SPENT)))


def _version_days(targets: ibis.Table, bearing: ibis.Table) -> ibis.Table:
    """The mornings on which more, or less, was known of each late day."""
    keys = [*USER, "target"]
    first = targets.mutate(version=(_.target + 1).cast("int64"))
    comes = bearing.select(*keys, version=_.visible_from)
    goes = bearing.filter(_.visible_until < NEVER).select(*keys, version=_.visible_until)
    later = comes.union(goes).filter(_.version > _.target + 1)
    return first.union(later).distinct()


def account_day(by_event: ibis.Table, by_user: ibis.Table, settings: Settings) -> ibis.Table:
    """The account's daily measures: account_id, day, visible_from, then one column a measure."""
    keys = ["account_id", "day", "visible_from"]
    counts = by_event.group_by(keys).agg(**_listed_sums(settings))
    summed = {c: by_user[c].sum() for c in (*SPENT, "active")}
    use = by_user.group_by(keys).agg(**summed).rename(events="n", user_days="active")
    so_far = ibis.cumulative_window(group_by=["account_id", "day"], order_by="visible_from")
    use = use.mutate(so_far=_.events.sum().over(so_far))
    use = use.mutate(
        active=(_.so_far > 0).cast("float64") - (_.so_far - _.events > 0).cast("float64")
    )
    lists = [c for c in counts.columns if c not in keys]
    columns = [*keys, *USE_MEASURES, *lists]
    zeros = {name: ibis.literal(0.0) for name in lists}
    none = {name: ibis.literal(0.0) for name in USE_MEASURES}
    both = use.mutate(**zeros).select(*columns).union(counts.mutate(**none).select(*columns))
    return both.group_by(keys).agg(**{name: both[name].sum() for name in columns[3:]})


def _listed_sums(settings: Settings) -> dict[str, Any]:
    """The counts, and sums of values, of the settings' lists over `account_event_day`."""
    counts = {
        name: (_.n * _.event.isin(names).cast("float64")).sum()
        for name, names in measure_events(settings).items()
    }
    values = {
        name: (_.value * _.event.isin(list(names)).cast("float64")).sum()
        for name, stem in VALUES.items()
        if (names := getattr(settings.events, stem))
    }
    return counts | values


def measure_events(settings: Settings) -> dict[str, list[str]]:
    """The measures that count listed events: name → the events that it counts."""
    lists = {
        name: list(names)
        for name in (
            "logins", "core_use_cases", "golden", "notifications_shown", "notifications_clicked",
            "limit_hits", "pricing_interest", "invitations", "administration", "tickets",
            "tickets_answered", "tickets_closed", "nps", "csat", "failed_payments",
        )
        if (names := getattr(settings.events, name))
    }  # fmt: skip
    return lists | {f"limit_{limit.name}": list(limit.events) for limit in settings.plans.limits}


def settled(rows: ibis.Table, key: list[str]) -> ibis.Table:
    """Rows of a rollup with `settled`: seen the morning after, and nothing of that day taken back.

    `key`: what the rollup's days are kept for, such as account_id and event.
    """
    numbers = [c for c in rows.columns if c not in (*key, "day", "visible_from")]
    least = rows.mutate(least=ibis.least(*(rows[c] for c in numbers)))
    negative = least.filter(_.least < 0).select(*key, "day").distinct()
    plain = rows.anti_join(negative, [*key, "day"]).mutate(settled=_.visible_from == _.day + 1)
    moved = rows.semi_join(negative, [*key, "day"]).mutate(settled=ibis.literal(False))
    return plain.union(moved)


def meaning(settings: Settings) -> str:
    """A digest of the settings that decide what the rollups mean."""
    said = f"{settings.events!r} {settings.plans.limits!r} {settings.calendar!r} {GAP_US} "
    return hashlib.sha256(f"{said}{USE_MEASURES} {VALUES}".encode()).hexdigest()
