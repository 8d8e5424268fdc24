"""Events → daily sums per event and per user, as they became known.

A rollup row is a change: it says by how much a day's numbers grew when something about that day
became visible. `visible_from` is the first `as_of` (in days since 1970-01-01, like `day`) that may
see the row: the morning after, or later when the event arrived late. So the state of a day as known
at `as_of` is the sum of its rows with `visible_from <= as_of`; a late event adds rows and changes
none.

A session ends after 30 minutes without an event. A session start, and the minutes between two
events, are booked on the later event's day: additive, and never looking ahead.
"""

import hashlib
from pathlib import Path
from typing import Any

import ibis
from ibis import _

from features.engine import Engine
from features.settings import Events, Settings

DAY_US = 86_400_000_000
GAP_US = 1_800_000_000
"""A pause that ends a session; buckets of this length cannot hold a session break."""
BUCKETS_A_DAY = DAY_US // GAP_US


def known_events(events: ibis.Table, settings: Settings) -> ibis.Table:
    """The lake's events with `day`, `visible_from` and whether each counts as use.

    In: account_id, user_id, event, event_us, known_at, value. Events without a user belong to one
    nameless user ('') per account.
    """
    known_us = microseconds(events.known_at)
    quiet = [*settings.events.passive, *settings.events.notifications_shown]
    return events.select(
        "account_id",
        "event",
        "event_us",
        user_id=_.user_id.fill_null(""),
        day=(_.event_us // DAY_US).cast("int64"),
        known_day=((known_us + (DAY_US - 1)) // DAY_US).cast("int64"),
        value=_.value.fill_null(0.0),
        is_use=~_.event.isin(quiet) if quiet else ibis.literal(True),
    ).mutate(visible_from=ibis.greatest(_.day + 1, _.known_day))


def microseconds(time: Any) -> Any:
    """A timestamp as whole microseconds since 1970-01-01 UTC; cut first, for engines that round."""
    return time.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + time.microsecond()


def account_event_day(events: ibis.Table) -> ibis.Table:
    """How often each event happened: account_id, event, day, visible_from, n, value."""
    return events.group_by(["account_id", "event", "day", "visible_from"]).agg(
        n=_.count().cast("float64"), value=_.value.sum()
    )


def user_day(events: ibis.Table, settings: Events) -> ibis.Table:
    """What each user did: account_id, user_id, day, visible_from, n, sessions, minutes, active.

    `n` counts uses; `active` is 1 on the row that first shows a use that day. Rows may be negative
    in `sessions`: an event that arrives late can join two sessions into one.
    """
    uses = events.filter(_.is_use)
    late = late_user_days(uses)
    on_time = _on_time(_sessions(_buckets(uses, [])), late)
    corrected = _versions(_sessions(_buckets(_near(uses, late), ["target", "version"])))
    reported = _reported_minutes(events, settings)
    rows = on_time.union(corrected).union(reported)
    keys = ["account_id", "user_id", "day", "visible_from"]
    summed = rows.group_by(keys).agg(
        n=_.n.sum(), sessions=_.sessions.sum(), minutes=_.minutes.sum()
    )
    return summed.mutate(active=_first_seen(["account_id", "user_id", "day"]))


def late_user_days(uses: ibis.Table) -> ibis.Table:
    """The (account_id, user_id, day) whose sums changed after their morning: few, or none.

    An event that arrives late changes its own day and, across midnight, the next.
    """
    late = uses.filter(_.visible_from > _.day + 1).select("account_id", "user_id", "day")
    return late.union(late.mutate(day=(_.day + 1).cast("int64"))).distinct()


def _near(uses: ibis.Table, late: ibis.Table) -> ibis.Table:
    """The uses that bear on each late day, once for each version of what was known of it."""
    keys = ["account_id", "user_id", "target"]
    targets = late.rename(target="day")
    bearing = uses.join(targets, ["account_id", "user_id"]).filter(
        (_.day <= _.target) & (_.day >= _.target - 1)
    )
    first = targets.mutate(version=(_.target + 1).cast("int64"))
    later = bearing.filter(_.visible_from > _.target + 1).select(*keys, version=_.visible_from)
    versions = first.union(later).distinct()
    return (
        bearing.join(versions, keys)
        .filter(_.visible_from <= _.version)
        .select("account_id", "user_id", "event_us", "day", "target", "version")
    )


def _buckets(uses: ibis.Table, extra: list[str]) -> ibis.Table:
    keys = ["account_id", "user_id", *extra]
    return uses.group_by([*keys, (_.event_us // GAP_US).name("bucket")]).agg(
        first_us=_.event_us.min(), last_us=_.event_us.max(), n=_.count().cast("float64")
    )


def _sessions(buckets: ibis.Table) -> ibis.Table:
    """Sum the buckets of a day into its sessions, minutes and uses."""
    keys = [c for c in ("account_id", "user_id", "version", "target") if c in buckets.columns]
    order = ibis.window(group_by=keys, order_by="bucket")
    gaps = buckets.mutate(gap=_.first_us - _.last_us.lag().over(order))
    starts = (gaps.gap.isnull() | (gaps.gap > GAP_US)).cast("float64")
    carried = ibis.ifelse(gaps.gap <= GAP_US, gaps.gap, 0).fill_null(0)
    spent = (gaps.last_us - gaps.first_us + carried).cast("float64") / 60e6
    day = (gaps.bucket // BUCKETS_A_DAY).cast("int64")
    return gaps.group_by([*keys, day.name("day")]).agg(
        n=gaps.n.sum(), sessions=starts.sum(), minutes=spent.sum()
    )


def _on_time(sessions: ibis.Table, late: ibis.Table) -> ibis.Table:
    """The days whose events all came in time: visible the morning after."""
    return sessions.anti_join(late, ["account_id", "user_id", "day"]).select(
        "account_id", "user_id", "day", "n", "sessions", "minutes",
        visible_from=(_.day + 1).cast("int64"),
    )  # fmt: skip


def _versions(sessions: ibis.Table) -> ibis.Table:
    """What each version of a day adds to the version before it."""
    own = sessions.filter(_.day == _.target)
    order = ibis.window(group_by=["account_id", "user_id", "day"], order_by="version")
    change = {c: own[c] - own[c].lag().over(order).fill_null(0.0) for c in _SUMS}
    changes = own.select("account_id", "user_id", "day", **change, visible_from=own.version)
    return changes.filter((_.n != 0) | (_.sessions != 0) | (_.minutes != 0))


_SUMS = ("n", "sessions", "minutes")


def _reported_minutes(events: ibis.Table, settings: Events) -> ibis.Table:
    """Minutes that the source reports with the event itself (a video watched for so long)."""
    timed = events.filter(_.event.isin(list(settings.minutes) or [""]))
    keys = ["account_id", "user_id", "day", "visible_from"]
    minutes = timed.group_by(keys).agg(minutes=_.value.sum())
    none = ibis.literal(0.0)
    return minutes.select(
        "account_id", "user_id", "day", "minutes", "visible_from", n=none, sessions=none
    ).select("account_id", "user_id", "day", "n", "sessions", "minutes", "visible_from")


def _first_seen(keys: list[str]) -> Any:
    """1.0 on the first visible row with a use, among the rows of one key and day."""
    before = ibis.window(group_by=keys, order_by="visible_from", preceding=(None, 1))
    seen = _.n.sum().over(before).fill_null(0.0) > 0
    return ((_.n > 0) & ~seen).cast("float64")


def account_day(by_event: ibis.Table, by_user: ibis.Table, settings: Settings) -> ibis.Table:
    """The account's daily measures: account_id, day, visible_from, then one column a measure."""
    lists = measure_events(settings)
    keys = ["account_id", "day", "visible_from"]
    counts = by_event.group_by(keys).agg(
        **{name: (_.n * _.event.isin(names).cast("float64")).sum() for name, names in lists.items()}
    )
    use = by_user.group_by(keys).agg(
        n=_.n.sum(), sessions=_.sessions.sum(), minutes=_.minutes.sum(), user_days=_.active.sum()
    )
    use = use.mutate(active=_first_seen(["account_id", "day"])).rename(events="n")
    zeros = {name: ibis.literal(0.0) for name in lists}
    none = {name: ibis.literal(0.0) for name in USE_MEASURES}
    columns = [*keys, *USE_MEASURES, *lists]
    both = use.mutate(**zeros).select(*columns).union(counts.mutate(**none).select(*columns))
    return both.group_by(keys).agg(**{name: both[name].sum() for name in columns[3:]})


USE_MEASURES = ("events", "sessions", "minutes", "user_days", "active")


def measure_events(settings: Settings) -> dict[str, list[str]]:
    """The measures that count listed events: name → the events that it counts."""
    lists = {
        name: list(names)
        for name in (
            "logins", "core_use_cases", "notifications_shown", "notifications_clicked",
            "limit_hits", "pricing_interest", "invitations", "administration", "tickets",
            "failed_payments",
        )
        if (names := getattr(settings.events, name))
    }  # fmt: skip
    return lists | {f"limit_{limit.name}": list(limit.events) for limit in settings.plans.limits}


def write_rollups(engine: Engine, files: list[str], folder: Path, settings: Settings) -> None:
    """Read the lake's event files and write the three rollups into `folder`, sorted by account."""
    events = known_events(engine.read_parquet(files), settings)
    by_event = engine.keep(account_event_day(events))
    by_user = engine.keep(user_day(events, settings.events))
    daily = engine.keep(account_day(by_event, by_user, settings))
    for name, table in (
        ("account_event_day", by_event),
        ("user_day", by_user),
        ("account_day", daily),
    ):
        engine.write_parquet(table, folder / f"{name}.parquet", ["account_id", "day"])
    engine.forget()


def meaning(settings: Settings) -> str:
    """A digest of the settings that decide what the rollups mean."""
    said = f"{settings.events!r} {settings.plans.limits!r} {GAP_US} {USE_MEASURES}"
    return hashlib.sha256(said.encode()).hexdigest()
