"""Every feature, declared once: name, meaning, unit, CBI part, what a rise in it means.

SQL, documentation, the wording of reasons and the contract of a model all derive from what stands
here. Which features exist depends on the settings: without notifications there is no click rate.
"""

import re
from collections.abc import Callable, Iterator

from features.algebra import (
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Fact,
    Growth,
    Largest,
    Mean,
    PeerRank,
    Ratio,
    Sum,
    TopShare,
    Window,
)
from features.declare import (
    BEFORE,
    LAST,
    WINDOWS,
    Catalogue,
    Declared,
    Feature,
    Signal,
    in_days,
    signal,
)
from features.errors import SettingsError
from features.settings import Events, Settings

CBI_PARTS = ("frequency", "time", "use cases", "breadth", "notifications")
Declaration = Callable[[Settings], Iterator[Declared]]


def catalogue(settings: Settings) -> Catalogue:
    """The features that the settings allow.

    Raises SettingsError when two event names give one feature name.
    """
    signals: dict[str, Signal] = {}
    features: list[Feature] = []
    for declare in (*DECLARATIONS, _each_event):
        for its_signal, its_features in declare(settings):
            signals[its_signal.name] = its_signal
            features.extend(its_features)
    names = [f.name for f in features]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise SettingsError(
            f"two events whose features would both be called '{twice[0]}'",
            do="Map one of them to another event name in its source.",
        )
    return Catalogue(tuple(features), signals)


# fmt: off
# Declarations are set by hand: one feature, one or two lines.


def _frequency(settings: Settings) -> Iterator[Declared]:
    m = signal("use", "Actions in the product", "in 28 days", now="events_28d",
               before="events_prev_28d", group="frequency")
    m.sums("events", "actions", "events")
    m.change("events", "actions", "events")
    m.add("days_since_use", "days since anything was done", DaysSince("events"), unit="days",
          window=90)
    yield m.done()
    m = signal("active_days", "Active days", "in 28 days", now="active_days_28d",
               before="active_days_prev_28d", unit="days", group="frequency")
    m.sums("active_days", "days with use", "active", (7, 14, 28, 90))
    m.add("active_days_prev_28d", "days with use in the 28 days before the last 28",
          Sum("active", BEFORE), window=56)
    m.add("dau_mau_28d", "daily over monthly active users",
          Ratio(Sum("user_days", LAST), Distinct("user", LAST), times=1 / 28), unit="share",
          window=28)
    yield m.done()
    if settings.events.logins:
        m = signal("logins", "Logins", "in 28 days", now="logins_28d",
                   before="logins_prev_28d", group="frequency")
        m.sums("logins", "logins", "logins")
        m.change("logins", "logins", "logins")
        m.add("days_since_login", "days since the last login", DaysSince("logins"), unit="days",
              window=90)
        yield m.done()


def _time(settings: Settings) -> Iterator[Declared]:
    m = signal("minutes", "Time in the product", "in 28 days", now="minutes_28d",
               before="minutes_prev_28d", unit="minutes", group="time")
    m.sums("minutes", "minutes of use", "minutes")
    m.change("minutes", "minutes of use", "minutes")
    for days in (28, 90):
        m.add(f"minutes_per_session_{days}d", f"minutes per session, last {days} days",
              Ratio(Sum("minutes", Window(days)), Sum("sessions", Window(days))),
              window=days)
    m.add("minutes_per_user_28d", "minutes per active user, last 28 days",
          Ratio(Sum("minutes", LAST), Distinct("user", LAST)), window=28)
    m.add("minutes_per_active_day_28d", "minutes per active day, last 28 days",
          Ratio(Sum("minutes", LAST), Sum("active", LAST)), window=28)
    yield m.done()
    m = signal("sessions", "Sessions", "in 28 days", now="sessions_28d",
               before="sessions_prev_28d", group="time")
    m.sums("sessions", "sessions", "sessions", (7, 28, 90))
    m.add("sessions_prev_28d", "sessions in the 28 days before the last 28",
          Sum("sessions", BEFORE), window=56)
    yield m.done()


def _use_cases(settings: Settings) -> Iterator[Declared]:
    if not settings.events.core_use_cases:
        return
    m = signal("core_use_cases", "Core use cases completed", "in 28 days",
               now="core_use_cases_28d", before="core_use_cases_prev_28d",
               group="use cases")
    m.sums("core_use_cases", "core use cases completed", "core_use_cases")
    m.change("core_use_cases", "core use cases completed", "core_use_cases")
    for days in (28, 90):
        m.add(f"distinct_core_{days}d", f"different core use cases in the last {days} days",
              Distinct("core", Window(days)), window=days)
    m.add("days_since_core", "days since the last core use case", DaysSince("core_use_cases"),
          unit="days", window=90)
    yield m.done()


def _breadth(settings: Settings) -> Iterator[Declared]:
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
          TopShare("feature", LAST), unit="share", window=28)
    yield m.done()


def _notifications(settings: Settings) -> Iterator[Declared]:
    if not settings.events.notifications_shown:
        return
    m = signal("notifications", "In-product messages clicked",
               "of those shown in 28 days", now="notification_click_rate_28d",
               unit="share", group="notifications")
    for stem, words in (("notifications_shown", "messages shown"),
                        ("notifications_clicked", "messages clicked")):
        for days in (28, 90):
            m.add(f"{stem}_{days}d", f"{words} in the last {days} days",
                  Sum(stem, Window(days)), unit="count", window=days)
    for days in (28, 90):
        m.add(f"notification_click_rate_{days}d", f"clicked of shown, last {days} days",
              Ratio(Sum("notifications_clicked", Window(days)),
                    Sum("notifications_shown", Window(days))), window=days)
    yield m.done()


def _people(settings: Settings) -> Iterator[Declared]:
    users = Distinct("user", LAST)
    m = signal("active_users", "Active users", "in 28 days", now="active_users_28d",
               before="active_users_prev_28d", group="people")
    for days in WINDOWS:
        m.add(f"active_users_{days}d", f"users who did anything in the last {in_days(days)}",
              Distinct("user", Window(days)), window=days)
    before = Distinct("user", BEFORE)
    m.add("active_users_prev_28d", "active users in the 28 days before the last 28", before,
          window=56)
    m.add("active_users_growth_28d", "active users: last 28 days against the 28 before",
          Growth(users, before), unit="ratio", window=56, monotone=True)
    m.add("wau_mau_28d", "weekly over monthly active users",
          Ratio(Distinct("user", Window(7)), users), unit="share", window=28)
    m.add("active_share_28d", "active users among those who joined",
          Ratio(users, Fact("users_joined")), unit="share", window=28)
    m.add("users_joined", "users who ever joined the account", Fact("users_joined"))
    yield m.done()
    m = signal("champion", "Share of the busiest user", "of use in 28 days",
               now="top_user_share_28d", unit="share", group="people", direction=-1)
    m.add("top_user_share_28d", "share of the busiest user, last 28 days",
          TopShare("user", LAST), window=28)
    m.add("power_users_28d", "users with 20 or more actions in the last 28 days",
          Distinct("user", LAST, at_least=20), unit="count", window=28)
    yield m.done()


def _listed_events(settings: Settings) -> Iterator[Declared]:
    """One signal for each list of the settings that is a behaviour of its own."""
    for stem, label, words, group, direction in (
        ("invitations", "Invitations sent", "invitations sent", "people", 1),
        ("administration", "Admin actions", "admin actions", "people", 1),
        ("limit_hits", "Limits reached", "limits reached", "limits", 0),
        ("pricing_interest", "Looks at pricing", "looks at pricing", "commercial", 0),
        ("failed_payments", "Failed payments", "failed payments", "commercial", -1),
        ("tickets", "Support tickets opened", "tickets opened", "support", 0),
    ):
        if getattr(settings.events, stem):
            m = signal(stem, label, "in 28 days", now=f"{stem}_28d",
                       before=f"{stem}_prev_28d", group=group, direction=direction)
            m.sums(stem, words, stem, (7, 28, 90))
            m.add(f"{stem}_prev_28d", f"{words} in the 28 days before the last 28",
                  Sum(stem, BEFORE), window=56)
            yield m.done()


def _limits(settings: Settings) -> Iterator[Declared]:
    m = signal("seat_use", "Seats in use", "in 28 days", now="seat_use_28d",
               unit="share", group="limits")
    m.add("seat_use_28d", "active users over seats, last 28 days",
          Ratio(Distinct("user", LAST), Fact("seats")), window=28)
    m.add("seats_taken", "users who joined over seats", Ratio(Fact("users_joined"), Fact("seats")))
    yield m.done()
    if not settings.plans.limits:
        return
    m = signal("limit_use", "Tightest limit used", "of what the plan allows",
               now="limit_use", unit="share", group="limits")
    shares: list[Expression] = []
    for limit in settings.plans.limits:
        share = Ratio(Sum(f"limit_{limit.name}", Window(limit.days)), Fact(f"limit_{limit.name}"))
        m.add(f"limit_{limit.name}_use", f"{limit.name} used over the plan's limit", share,
              window=limit.days)
        shares.append(share)
    m.add("limit_use", "the largest share of a limit that is used", Largest(tuple(shares)),
          monotone=False)
    yield m.done()


def _commercial(settings: Settings) -> Iterator[Declared]:
    for name, label, phrase, unit, kind, facts in (
        ("plan", "Plan", "", "category", "context",
         (("plan_name", "the plan"), ("plan_rank", "the plan's place on the ladder"),
          ("in_trial", "1 while in a trial"))),
        ("price", "Price", "a month", "money", "context",
         (("mrr_now", "monthly recurring revenue"), ("seats", "seats bought"),
          ("discount", "share taken off the list price"))),
        ("renewal", "Renewal date", "away", "days", "context",
         (("days_to_renewal", "days to the end of the term"),
          ("billing_months", "months a term lasts"))),
        ("tenure", "Time as a customer", "", "days", "context",
         (("tenure_days", "days since the first payment"),)),
    ):
        m = signal(name, label, phrase, now=facts[0][0], unit=unit, kind=kind, group="commercial",
                   direction=0)
        for fact, meaning in facts:
            m.add(fact, meaning, Fact(fact), categorical=fact == "plan_name",
                  unit=_FACT_UNITS.get(fact, unit))
        if name == "price":
            m.add(
                "price_per_seat", "monthly revenue per seat", Ratio(Fact("mrr_now"), Fact("seats"))
            )
            m.add("price_per_active_user_28d", "monthly revenue per active user",
                  Ratio(Fact("mrr_now"), Distinct("user", LAST)), window=28)
        yield m.done()


_FACT_UNITS = {"plan_rank": "count", "in_trial": "share", "seats": "count", "discount": "share",
               "billing_months": "months"}


def _journeys(settings: Settings) -> Iterator[Declared]:
    if not settings.milestones:
        return
    m = signal("milestones", "Milestones reached", "", now="milestones_reached",
               group="journeys")
    m.add("milestones_reached", "milestones reached so far", Fact("milestones_reached"))
    for milestone in settings.milestones:
        m.add(f"days_to_{milestone.name}", f"days from sign-up to '{milestone.name}'",
              Fact(f"days_to_{milestone.name}"), unit="days")
    yield m.done()


def _company(settings: Settings) -> Iterator[Declared]:
    m = signal("age", "Time since sign-up", "", now="age", unit="days", kind="context",
               group="company", direction=0)
    m.add("age", "days since sign-up", Fact("age_days"))
    yield m.done()
    m = signal("size", "Employees", "", now="employees", kind="fixed", group="company",
               direction=0)
    m.add("employees", "people the company employs", Fact("employees"))
    yield m.done()
    for name in ("industry", "country", "channel"):
        m = signal(name, name.capitalize(), "", now=name, unit="category",
                   kind="fixed", group="company", direction=0)
        m.add(name, f"the account's {name}", Fact(name), categorical=True)
        yield m.done()


def _cbi(settings: Settings) -> Iterator[Declared]:
    """The Customer Behavior Index: each part the mean peer rank of its measures."""
    parts = cbi_parts(settings.events)
    m = signal("cbi", "Customer Behavior Index", "of 100", now="cbi",
               unit="index", group="CBI")
    expressions = {part: Mean(tuple(PeerRank(e) for e in of)) for part, of in parts.items()}
    for part, expression in expressions.items():
        m.add(f"cbi_{part.replace(' ', '_')}", f"CBI {part}: standing among peers, 0 to 100",
              expression, window=28)
    m.add("cbi", "Customer Behavior Index: the mean of its parts",
          Mean(tuple(expressions.values())), window=28)
    yield m.done()


def cbi_parts(events: Events) -> dict[str, tuple[Expression, ...]]:
    """The measures behind each CBI part that these settings can fill, all over 28 days.

    Source of the parts: "Mastering Product Experience in SaaS"; the normalisation is `PeerRank`.
    """
    frequency: list[Expression] = [Sum("active", LAST), Sum("user_days", LAST)]
    if events.logins:
        frequency.append(Sum("logins", LAST))
    parts: dict[str, tuple[Expression, ...]] = {
        "frequency": tuple(frequency),
        "time": (Sum("minutes", LAST), Ratio(Sum("minutes", LAST), Sum("sessions", LAST))),
    }
    if events.core_use_cases:
        parts["use cases"] = (Sum("core_use_cases", LAST), Distinct("core", LAST))
    parts["breadth"] = (Distinct("feature", LAST), Entropy("feature", LAST))
    if events.notifications_shown:
        clicked, shown = Sum("notifications_clicked", LAST), Sum("notifications_shown", LAST)
        parts["notifications"] = (clicked, Ratio(clicked, shown))
    return parts


def _each_event(settings: Settings) -> Iterator[Declared]:
    """One signal for each event that the settings call a feature or a core use case."""
    for event in sorted({*settings.events.features, *settings.events.core_use_cases}):
        stem = "event_" + re.sub(r"\W+", "_", event).lower()
        words = re.sub(r"[\W_]+", " ", event).strip()
        count = EventCount(event, LAST)
        m = signal(stem, words.capitalize(), "times in 28 days", now=f"{stem}_28d",
                   before=f"{stem}_prev_28d", group="breadth", direction=0)
        m.add(f"{stem}_28d", f"'{words}' in the last 28 days", count, window=28)
        m.add(f"{stem}_90d", f"'{words}' in the last 90 days", EventCount(event, Window(90)),
              window=90)
        m.add(f"{stem}_prev_28d", f"'{words}' in the 28 days before the last 28",
              EventCount(event, BEFORE), window=56)
        m.add(f"{stem}_share_28d", f"share of '{words}' in all use, last 28 days",
              Ratio(count, Sum("events", LAST)), unit="share", window=28)
        yield m.done()


DECLARATIONS: tuple[Declaration, ...] = (
    _frequency,
    _time,
    _use_cases,
    _breadth,
    _notifications,
    _people,
    _listed_events,
    _limits,
    _commercial,
    _journeys,
    _company,
    _cbi,
)
