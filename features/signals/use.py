"""What accounts do in the product: how often, how long, which use cases, how broadly."""

from collections.abc import Iterator

from features.algebra import (
    DaysSince,
    Distinct,
    Entropy,
    Growth,
    Linear,
    LongestGap,
    LongestStreak,
    OnlyIn,
    Ratio,
    Streak,
    Sum,
    TopShare,
    Window,
)
from features.declare import BEFORE, EARLIER, LAST, Declared, signal
from features.settings import Settings

# fmt: off
# Declarations are set by hand: one feature, one or two lines.


def frequency(settings: Settings) -> Iterator[Declared]:
    """How often: actions, active days, logins, pauses and streaks, when in the week."""
    m = signal("use", "Actions in the product", "in 28 days", now="events_28d",
               before="events_prev_28d", group="frequency")
    m.sums("events", "actions", "events")
    m.change("events", "actions", "events")
    m.add("days_since_use", "days since anything was done", DaysSince("events"), unit="days",
          window=90, direction=-1)
    m.add("actions_per_active_day_28d", "actions per active day, last 28 days",
          Ratio(Sum("events", LAST), Sum("active", LAST)), window=28)
    m.add("actions_per_user_28d", "actions per active user, last 28 days",
          Ratio(Sum("events", LAST), Distinct("user", LAST)), window=28)
    yield m.done()
    m = signal("active_days", "Active days", "in 28 days", now="active_days_28d",
               before="active_days_prev_28d", unit="days", group="frequency")
    m.sums("active_days", "days with use", "active", (7, 14, 28, 90))
    m.add("active_days_prev_28d", "days with use in the 28 days before the last 28",
          Sum("active", BEFORE), window=56)
    m.add("dau_mau_28d", "daily over monthly active users",
          Ratio(Sum("user_days", LAST), Distinct("user", LAST), times=1 / 28), unit="share",
          window=28)
    m.add("wau_mau_28d", "weekly over monthly active users",
          Ratio(Distinct("user", Window(7)), Distinct("user", LAST)), unit="share", window=28)
    yield m.done()
    m = signal("rhythm", "Longest pause", "of the last 28", now="longest_gap_28d", unit="days",
               group="frequency", direction=-1)
    m.add("longest_gap_28d", "the most days from one day with use to the next, last 28 days",
          LongestGap("events"), window=28)
    m.add("longest_streak_28d", "the most days in a row with use, last 28 days",
          LongestStreak("events"), window=28, direction=1)
    m.add("streak", "days in a row with use up to now", Streak("events"), window=28, direction=1)
    yield m.done()
    m = signal("week", "Use at weekends", "of all use in 28 days", now="weekend_share_28d",
               unit="share", group="frequency", direction=0)
    m.add("weekend_share_28d", "share of actions on Saturdays and Sundays, last 28 days",
          Ratio(Sum("weekend", LAST), Sum("events", LAST)), window=28)
    m.add("weekday_share_28d", "share of actions on Mondays to Fridays, last 28 days",
          Ratio(Linear((1.0, -1.0), (Sum("events", LAST), Sum("weekend", LAST))),
                Sum("events", LAST)), window=28)
    m.add("office_hours_share_28d", "share of actions in office hours, last 28 days",
          Ratio(Sum("office", LAST), Sum("events", LAST)), window=28)
    yield m.done()
    if settings.events.logins:
        m = signal("logins", "Logins", "in 28 days", now="logins_28d",
                   before="logins_prev_28d", group="frequency")
        m.sums("logins", "logins", "logins")
        m.change("logins", "logins", "logins")
        m.add("days_since_login", "days since the last login", DaysSince("logins"), unit="days",
              window=90, direction=-1)
        m.add("logins_per_user_28d", "logins per active user, last 28 days",
              Ratio(Sum("logins", LAST), Distinct("user", LAST)), window=28)
        yield m.done()


def time(settings: Settings) -> Iterator[Declared]:
    """How long: minutes and sessions, per session, per user, per active day."""
    minutes = Sum("minutes", LAST)
    m = signal("minutes", "Time in the product", "in 28 days", now="minutes_28d",
               before="minutes_prev_28d", unit="minutes", group="time")
    m.sums("minutes", "minutes of use", "minutes")
    m.change("minutes", "minutes of use", "minutes")
    for days in (28, 90):
        m.add(f"minutes_per_session_{days}d", f"minutes per session, last {days} days",
              Ratio(Sum("minutes", Window(days)), Sum("sessions", Window(days))), window=days)
    m.add("minutes_per_user_28d", "minutes per active user, last 28 days",
          Ratio(minutes, Distinct("user", LAST)), window=28)
    m.add("minutes_per_active_day_28d", "minutes per active day, last 28 days",
          Ratio(minutes, Sum("active", LAST)), window=28)
    yield m.done()
    m = signal("sessions", "Sessions", "in 28 days", now="sessions_28d",
               before="sessions_prev_28d", group="time")
    m.sums("sessions", "sessions", "sessions", (7, 28, 90))
    m.add("sessions_prev_28d", "sessions in the 28 days before the last 28",
          Sum("sessions", BEFORE), window=56)
    m.add("sessions_per_user_28d", "sessions per active user, last 28 days",
          Ratio(Sum("sessions", LAST), Distinct("user", LAST)), window=28)
    yield m.done()


def use_cases(settings: Settings) -> Iterator[Declared]:
    """What customers come for: core use cases, and who completes them."""
    if not settings.events.core_use_cases:
        return
    m = signal("core_use_cases", "Core use cases completed", "in 28 days",
               now="core_use_cases_28d", before="core_use_cases_prev_28d", group="use cases")
    m.sums("core_use_cases", "core use cases completed", "core_use_cases")
    m.change("core_use_cases", "core use cases completed", "core_use_cases")
    for days in (28, 90):
        m.add(f"distinct_core_{days}d", f"different core use cases in the last {days} days",
              Distinct("core", Window(days)), window=days)
    m.add("days_since_core", "days since the last core use case", DaysSince("core_use_cases"),
          unit="days", window=90, direction=-1)
    users = Distinct("core_user", LAST)
    m.add("core_users_28d", "users who completed a core use case, last 28 days", users, window=28)
    m.add("core_user_share_28d", "active users who completed a core use case, last 28 days",
          Ratio(users, Distinct("user", LAST)), unit="share", window=28)
    m.add("core_share_28d", "core use cases per action, last 28 days",
          Ratio(Sum("core_use_cases", LAST), Sum("events", LAST)), unit="ratio", window=28)
    yield m.done()


def breadth(settings: Settings) -> Iterator[Declared]:
    """How broadly: different features, how evenly, which are new and which given up."""
    m = signal("breadth", "Different features used", "in 28 days",
               now="features_used_28d", before="features_used_prev_28d", group="breadth")
    for days in (7, 28, 90):
        m.add(f"features_used_{days}d", f"different features used in the last {days} days",
              Distinct("feature", Window(days)), window=days)
    m.add("features_used_prev_28d", "different features used in the 28 days before the last 28",
          Distinct("feature", BEFORE), window=56)
    for days in (28, 90):
        m.add(f"feature_entropy_{days}d", f"how evenly use spreads over features, {days} days",
              Entropy("feature", Window(days)), unit="nats", window=days)
    m.add("top_feature_share_28d", "share of the most used feature, last 28 days",
          TopShare("feature", LAST), unit="share", window=28, direction=-1)
    yield m.done()
    m = signal("adoption", "Features newly taken up", "in 28 days", now="features_adopted_28d",
               group="breadth")
    m.add("features_adopted_28d", "features used in the last 28 days, not in the 56 before",
          OnlyIn("feature", LAST, EARLIER), window=84)
    m.add("features_abandoned_28d", "features used in the 56 days before the last 28, not since",
          OnlyIn("feature", EARLIER, LAST), window=84, direction=-1)
    yield m.done()
    if settings.events.golden:
        m = signal("golden", "Uses of golden features", "in 28 days", now="golden_28d",
                   before="golden_prev_28d", group="breadth")
        m.sums("golden", "uses of golden features", "golden", (7, 28, 90))
        m.add("golden_prev_28d", "uses of golden features in the 28 days before the last 28",
              Sum("golden", BEFORE), window=56)
        m.add("distinct_golden_28d", "different golden features used in the last 28 days",
              Distinct("golden", LAST), window=28)
        yield m.done()


def notifications(settings: Settings) -> Iterator[Declared]:
    """How responsive to in-product messages, also against the account's own past."""
    if not settings.events.notifications_shown:
        return
    m = signal("notifications", "In-product messages clicked",
               "of those shown in 28 days", now="notification_click_rate_28d",
               before="notification_click_rate_earlier", unit="share", group="notifications")
    for stem, words in (("notifications_shown", "messages shown"),
                        ("notifications_clicked", "messages clicked")):
        for days in (28, 90):
            m.add(f"{stem}_{days}d", f"{words} in the last {days} days",
                  Sum(stem, Window(days)), unit="count", window=days)
    for days in (28, 90):
        m.add(f"notification_click_rate_{days}d", f"clicked of shown, last {days} days",
              _click_rate(Window(days)), window=days)
    m.add("notification_click_rate_earlier", "clicked of shown in the 56 days before the last 28",
          _click_rate(EARLIER), window=84)
    m.add("notification_rate_change", "click rate of the last 28 days over that of the 56 before",
          Ratio(_click_rate(LAST), _click_rate(EARLIER)), unit="ratio", window=84)
    m.add("notification_clicks_growth_28d", "messages clicked: last 28 days against the 28 before",
          Growth(Sum("notifications_clicked", LAST), Sum("notifications_clicked", BEFORE)),
          unit="ratio", window=56)
    yield m.done()


def _click_rate(window: Window) -> Ratio:
    return Ratio(Sum("notifications_clicked", window), Sum("notifications_shown", window))
