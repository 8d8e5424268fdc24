"""How an account does against its own past, its season and its peers; the behaviour index."""

import re
from collections.abc import Iterator

from features.algebra import (
    YEAR_BACK,
    ByPlan,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    Linear,
    Mean,
    PeerMedian,
    PeerRank,
    Ratio,
    Spread,
    Sum,
    Window,
)
from features.declare import BEFORE, LAST, Declared, signal
from features.event_words import capital, event_words
from features.settings import Events, Settings

WEEKS = 12
PEERS = ("population", "plan_name", "size_band")

# fmt: off
# Declarations are set by hand: one feature, one or two lines.


def change(settings: Settings) -> Iterator[Declared]:
    """Slope and volatility of the last twelve weeks, and the same weeks a year before."""
    measures = [("events", "actions"), ("active", "active days")]
    if settings.events.core_use_cases:
        measures.append(("core_use_cases", "core use cases"))
    m = signal("course", "Trend of weekly actions", "a week", now="events_slope_12w",
               unit="trend", group="change")
    for measure, words in measures:
        weeks = tuple(Sum(measure, Window(7, back=7 * w)) for w in range(WEEKS))
        m.add(f"{measure}_slope_12w", f"weekly {words}: slope over 12 weeks, over their mean",
              Ratio(Linear(slope_weights(WEEKS), weeks), Mean(weeks)), unit="share", window=84,
              monotone=True)
        m.add(f"{measure}_volatility_12w", f"weekly {words}: spread over 12 weeks, over their mean",
              Ratio(Spread(weeks), Mean(weeks)), unit="ratio", window=84, direction=0)
    yield m.done()
    m = signal("season", "Use compared with a year ago", "of what it was", now="events_year_ratio",
               unit="share", group="change")
    for measure, words in measures:
        m.add(f"{measure}_year_ratio", f"{words}: last 28 days over the same days a year before",
              Ratio(Sum(measure, LAST), Sum(measure, Window(28, back=YEAR_BACK))), window=392)
    yield m.done()


def slope_weights(weeks: int) -> tuple[float, ...]:
    """Least squares: the slope per week is the weighted sum of weekly numbers, the newest first.

    >>> sum(w * x for w, x in zip(slope_weights(4), (9.0, 7.0, 5.0, 3.0)))
    2.0
    """
    middle = (weeks - 1) / 2
    scale = sum((middle - w) ** 2 for w in range(weeks))
    return tuple((middle - w) / scale for w in range(weeks))


def value_gap(settings: Settings) -> Iterator[Declared]:
    """Expected less delivered use: against what is usual for plan and size, and what is paid for.

    Expected is the median of the day's accounts of the same population, plan and size band.
    """
    m = signal("value_gap", "Actions compared with similar accounts", "in 28 days",
               now="value_gap_events_28d", unit="gap", group="change", direction=-1)
    for measure, words in (("events", "actions"), ("active", "active days"),
                           *((("core_use_cases", "core use cases"),)
                             if settings.events.core_use_cases else ())):
        own = Sum(measure, LAST)
        usual = PeerMedian(own, PEERS)
        gap = Linear((1.0, -1.0), (usual, own))
        m.add(f"value_gap_{measure}_28d", f"{words}: what is usual for plan and size, less own",
              gap, unit="count", window=28)
        m.add(f"value_gap_{measure}_share_28d", f"{words}: that gap over what is usual",
              Ratio(gap, usual), unit="share", window=28)
    m.add("standing_among_peers", "actions: standing among accounts of plan and size, 0 to 100",
          PeerRank(Sum("events", LAST), PEERS), unit="index", window=28, direction=1)
    yield m.done()
    if not settings.plans.features:
        return
    included = settings.plans.features
    shares = tuple(Linear((1 / len(names),), (Distinct(f"plan:{plan}", LAST),))
                   for plan, names in included.items())
    m = signal("plan_features", "The plan's features used", "in 28 days",
               now="plan_features_share_28d", unit="share", group="breadth")
    m.add("plan_features_share_28d", "share of the features that the plan includes, last 28 days",
          ByPlan(tuple(included), shares), window=28)
    yield m.done()


def cbi(settings: Settings) -> Iterator[Declared]:
    """The Customer Behavior Index: each part the mean peer rank of its measures."""
    parts = cbi_parts(settings.events)
    m = signal("cbi", "Customer Behavior Index", "of 100", now="cbi", unit="index", group="CBI")
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


def each_event(settings: Settings) -> Iterator[Declared]:
    """One signal for each event that the settings call a feature or a core use case."""
    for event in sorted({*settings.events.features, *settings.events.core_use_cases}):
        stem = "event_" + re.sub(r"\W+", "_", event).lower()
        words = event_words(event, settings.words)
        count = EventCount(event, LAST)
        m = signal(stem, capital(words), "in 28 days", now=f"{stem}_28d",
                   before=f"{stem}_prev_28d", group="breadth", direction=0)
        m.add(f"{stem}_28d", f"{words} in the last 28 days", count, window=28)
        m.add(f"{stem}_90d", f"{words} in the last 90 days", EventCount(event, Window(90)),
              window=90)
        m.add(f"{stem}_prev_28d", f"{words} in the 28 days before the last 28",
              EventCount(event, BEFORE), window=56)
        m.add(f"{stem}_share_28d", f"share of {words} in all use, last 28 days",
              Ratio(count, Sum("events", LAST)), unit="share", window=28)
        yield m.done()
