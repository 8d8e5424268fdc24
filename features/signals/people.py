"""Who uses the product, whether the champion is still there, and how near the limits are."""

from collections.abc import Iterator

from features.algebra import (
    AtLeast,
    DaysOver,
    DaysToReach,
    Distinct,
    Entropy,
    Expression,
    Fact,
    Growth,
    Largest,
    OfBusiest,
    OnlyIn,
    Ratio,
    SinceBusiest,
    Sum,
    TopShare,
    Window,
)
from features.declare import BEFORE, EARLIER, LAST, WINDOWS, Declared, in_days, signal
from features.settings import Limit, Settings

NEAR = 0.8
"""The share of a limit from which on an account is near it."""
QUIET_DAYS = 14
"""A champion of whom nothing was seen for so long has gone quiet."""
SLOPE_DAYS = 14

# fmt: off
# Declarations are set by hand: one feature, one or two lines.


def people(settings: Settings) -> Iterator[Declared]:
    """Active, new and lost users, and what the account's people are."""
    users, before = Distinct("user", LAST), Distinct("user", BEFORE)
    m = signal("active_users", "Active users", "in 28 days", now="active_users_28d",
               before="active_users_prev_28d", group="people")
    for days in WINDOWS:
        m.add(f"active_users_{days}d", f"users who did anything in the last {in_days(days)}",
              Distinct("user", Window(days)), window=days)
    m.add("active_users_prev_28d", "active users in the 28 days before the last 28", before,
          window=56)
    m.add("active_users_growth_28d", "active users: last 28 days against the 28 before",
          Growth(users, before), unit="ratio", window=56, monotone=True)
    m.add("active_share_28d", "active users among those who belong to the account",
          Ratio(users, Fact("users_joined")), unit="share", window=28)
    yield m.done()
    m = signal("turnover", "Users gone quiet", "in 28 days", now="users_lost_28d",
               group="people", direction=-1)
    m.add("users_lost_28d", "users active in the 56 days before the last 28, not since",
          OnlyIn("user", EARLIER, LAST), window=84)
    m.add("users_new_28d", "users active in the last 28 days, not in the 56 before",
          OnlyIn("user", LAST, EARLIER), window=84, direction=1)
    m.add("users_lost_share_28d", "users lost of those active in the 56 days before the last 28",
          Ratio(OnlyIn("user", EARLIER, LAST), Distinct("user", EARLIER)), unit="share", window=84)
    yield m.done()
    m = signal("team", "Users in the account", "over 28 days", now="users_joined",
               before="users_joined_before", group="people")
    m.add("users_joined", "users who belong to the account", Fact("users_joined"))
    m.add("users_joined_before", "users who belonged to the account 28 days ago",
          Fact("users_joined_before"))
    m.add("users_joined_growth", "users who belong to the account, over those 28 days ago",
          Ratio(Fact("users_joined"), Fact("users_joined_before")), unit="ratio")
    m.add("roles_held", "different roles among the account's users", Fact("roles_held"),
          direction=0)
    m.add("admins", "users of the account who run it", Fact("admins"), direction=0)
    m.add("admin_share", "share of the account's users who run it",
          Ratio(Fact("admins"), Fact("users_joined")), unit="share", direction=0)
    yield m.done()


def champion(settings: Settings) -> Iterator[Declared]:
    """The most engaged user: how much hangs on one person, and whether that one is still there."""
    m = signal("concentration", "Share of the busiest user", "of use in 28 days",
               now="top_user_share_28d", unit="share", group="people", direction=-1)
    m.add("top_user_share_28d", "share of the busiest user, last 28 days",
          TopShare("user", LAST), window=28)
    m.add("user_entropy_28d", "how evenly use spreads over users, last 28 days",
          Entropy("user", LAST), unit="nats", window=28, direction=1)
    for least in (20, 100):
        m.add("power_users_28d" if least == 20 else f"power_users_{least}_28d",
              f"users with {least} or more actions in the last 28 days",
              Distinct("user", LAST, at_least=least), unit="count", window=28, direction=1)
    yield m.done()
    since = SinceBusiest("user", EARLIER)
    now, then = OfBusiest("user", LAST, EARLIER), OfBusiest("user", EARLIER, EARLIER)
    m = signal("champion", "Champion last seen", "ago", now="champion_days_quiet", unit="days",
               group="people", direction=-1)
    m.add("champion_days_quiet", "days since the busiest user of the 56 days before the last 28 "
          "did anything", since, window=90)
    m.add("champion_gone_quiet", f"1 when that champion has done nothing for {QUIET_DAYS} days",
          AtLeast(since, float(QUIET_DAYS)), unit="count", window=90)
    m.add("champion_actions_28d", "that champion's actions in the last 28 days", now, unit="count",
          window=84, direction=1)
    m.add("champion_change", "that champion's actions in 28 days over those in the 56 before, "
          "per day", Ratio(now, then, times=2.0), unit="ratio", window=84, direction=1)
    yield m.done()


def seats(settings: Settings) -> Iterator[Declared]:
    """The seats paid for: how many are taken, how many used, how soon they run out."""
    m = signal("seat_use", "Seats in use", "in 28 days", now="seat_use_28d",
               unit="share", group="limits")
    m.add("seat_use_28d", "active users over seats, last 28 days",
          Ratio(Distinct("user", LAST), Fact("seats")), window=28)
    m.add("seats_taken", "users who belong to the account over seats",
          Ratio(Fact("users_joined"), Fact("seats")))
    m.add("seats_full", "1 when as many users belong to the account as it has seats",
          AtLeast(Ratio(Fact("users_joined"), Fact("seats")), 1.0), unit="count")
    m.add("seats_days_near_28d", "days of the last 28 on which 80 % of the seats were taken",
          Fact("seats_days_over"), unit="days", window=28)
    m.add("days_to_full_seats", "days until all seats are taken at the pace of the last 28 days",
          DaysToReach(Fact("users_joined"), Fact("users_joined_before"), Fact("seats"), 28),
          unit="days", direction=-1)
    yield m.done()


def limits(settings: Settings) -> Iterator[Declared]:
    """Each metered limit of the plan, and the tightest of them."""
    if not settings.plans.limits:
        return
    m = signal("limit_use", "Tightest limit used", "of what the plan allows",
               now="limit_use", unit="share", group="limits")
    shares: list[Expression] = []
    for limit in settings.plans.limits:
        use, allowed = Sum(f"limit_{limit.name}", Window(limit.days)), Fact(f"limit_{limit.name}")
        share = Ratio(use, allowed)
        m.add(f"limit_{limit.name}_use", f"{limit.name} used over the plan's limit", share,
              window=limit.days)
        shares.append(share)
    m.add("limit_use", "the largest share of a limit that is used", Largest(tuple(shares)))
    yield m.done()
    for limit in settings.plans.limits:
        yield _limit(limit)


def _limit(limit: Limit) -> Declared:
    """One metered limit: days near it, days at it, days until it is reached."""
    name, measure = limit.name, f"limit_{limit.name}"
    words = name.replace("_", " ")
    m = signal(f"limit_{name}", f"Days near the limit of {words}", "of 28 days",
               now=f"limit_{name}_days_near_28d", unit="days", group="limits")
    for stem, said, share in (("near", "80 % of", NEAR), ("at", "", 1.0)):
        m.add(f"limit_{name}_days_{stem}_28d",
              f"days of the last 28 on which use had reached {said} the limit of {words}".replace(
                  "  ", " "),
              DaysOver(measure, limit.days, measure, share), window=28)
    if limit.days + SLOPE_DAYS <= 90:
        m.add(f"days_to_limit_{name}", f"days until the limit of {words} is reached at the pace of "
              f"the last {SLOPE_DAYS} days",
              DaysToReach(Sum(measure, Window(limit.days)),
                          Sum(measure, Window(limit.days, back=SLOPE_DAYS)),
                          Fact(measure), SLOPE_DAYS), direction=-1)
    return m.done()
