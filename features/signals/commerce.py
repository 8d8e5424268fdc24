"""What accounts buy, ask for and say; who they are, and how far they have come."""

from collections.abc import Iterator

from features.algebra import (
    AtLeast,
    DaysSince,
    Distinct,
    Expression,
    Fact,
    Linear,
    Ratio,
    Sum,
    Total,
    Window,
)
from features.declare import BEFORE, LAST, Declared, Maker, signal
from features.settings import Settings

QUARTER = Window(90)

# fmt: off
# Declarations are set by hand: one feature, one or two lines.


def listed_events(settings: Settings) -> Iterator[Declared]:
    """One signal for each list of the settings that is a behaviour of its own."""
    for stem, label, words, group, direction in (
        ("invitations", "Invitations sent", "invitations sent", "people", 1),
        ("administration", "Admin actions", "admin actions", "people", 1),
        ("limit_hits", "Limits reached", "limits reached", "limits", 0),
        ("pricing_interest", "Looks at pricing", "looks at pricing", "commercial", 0),
        ("failed_payments", "Failed payments", "failed payments", "commercial", -1),
    ):
        if getattr(settings.events, stem):
            m = signal(stem, label, "in 28 days", now=f"{stem}_28d",
                       before=f"{stem}_prev_28d", group=group, direction=direction)
            _counted(m, stem, words)
            yield m.done()


def _counted(m: Maker, stem: str, words: str) -> None:
    """How often in three windows and before, and how long ago."""
    m.sums(stem, words, stem, (7, 28, 90))
    m.add(f"{stem}_prev_28d", f"{words} in the 28 days before the last 28",
          Sum(stem, BEFORE), window=56)
    m.add(f"days_since_{stem}", f"days since the last of: {words}", DaysSince(stem), unit="days",
          window=90, direction=-m.direction)


def commercial(settings: Settings) -> Iterator[Declared]:
    """Plan, price, renewal, tenure, and what was bought more or less of before."""
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
        ("purchases", "Upgrades so far", "", "count", "context",
         (("upgrades_so_far", "times that a subscription was upgraded"),
          ("downgrades_so_far", "times that a subscription was downgraded"))),
    ):
        m = signal(name, label, phrase, now=facts[0][0], unit=unit, kind=kind, group="commercial",
                   direction=0)
        for fact, meaning in facts:
            m.add(fact, meaning, Fact(fact), categorical=fact == "plan_name",
                  unit=_FACT_UNITS.get(fact, unit))
        if name == "price":
            m.add("price_per_seat", "monthly revenue per seat",
                  Ratio(Fact("mrr_now"), Fact("seats")))
            m.add("price_per_active_user_28d", "monthly revenue per active user",
                  Ratio(Fact("mrr_now"), Distinct("user", LAST)), window=28)
        yield m.done()


_FACT_UNITS = {"plan_rank": "count", "in_trial": "share", "seats": "count", "discount": "share",
               "billing_months": "months"}


def support(settings: Settings) -> Iterator[Declared]:
    """Tickets opened, open and grave, how soon they were answered."""
    events = settings.events
    if not events.tickets:
        return
    m = signal("tickets", "Support tickets opened", "in 28 days", now="tickets_28d",
               before="tickets_prev_28d", group="support", direction=0)
    _counted(m, "tickets", "tickets opened")
    m.add("ticket_severity_90d", "mean severity of the tickets of the last 90 days",
          Ratio(Sum("severity", QUARTER), Sum("tickets", QUARTER)), unit="score", window=90,
          direction=-1)
    m.add("tickets_per_user_90d", "tickets of the last 90 days per active user",
          Ratio(Sum("tickets", QUARTER), Distinct("user", QUARTER)), unit="ratio", window=90)
    yield m.done()
    if events.tickets_closed:
        still_open = Linear((1.0, -1.0), (Total("tickets"), Total("tickets_closed")))
        m = signal("open_tickets", "Support tickets open", "", now="tickets_open",
                   group="support", direction=-1)
        m.add("tickets_open", "tickets opened and not yet closed", still_open)
        m.add("tickets_closed_28d", "tickets closed in the last 28 days",
              Sum("tickets_closed", LAST), window=28, direction=1)
        m.add("tickets_waiting", "1 when any ticket is open", AtLeast(still_open, 1.0))
        yield m.done()
    if events.tickets_answered:
        m = signal("answers", "Time to the first answer", "on average in 90 days",
                   now="hours_to_answer_90d", unit="hours", group="support", direction=-1)
        m.add("hours_to_answer_90d", "mean hours to the first answer, tickets of the last 90 days",
              Ratio(Sum("answer_hours", QUARTER), Sum("tickets_answered", QUARTER)), window=90)
        m.add("hours_to_answer_28d", "mean hours to the first answer, tickets of the last 28 days",
              Ratio(Sum("answer_hours", LAST), Sum("tickets_answered", LAST)), window=28)
        yield m.done()


def sentiment(settings: Settings) -> Iterator[Declared]:
    """What users say when asked: NPS and CSAT, where there are any."""
    for stem, label, scale in (("nps", "NPS answers", "0 to 10"), ("csat", "CSAT answers",
                                                                   "as given")):
        if not getattr(settings.events, stem):
            continue
        m = signal(stem, label, "on average in 90 days", now=f"{stem}_mean_90d", unit="score",
                   group="support")
        m.add(f"{stem}_mean_90d", f"mean of the {label} of the last 90 days, {scale}",
              Ratio(Sum(f"{stem}_score", QUARTER), Sum(stem, QUARTER)), window=90)
        m.add(f"{stem}_answers_90d", f"{label} in the last 90 days", Sum(stem, QUARTER),
              unit="count", window=90)
        yield m.done()


def journeys(settings: Settings) -> Iterator[Declared]:
    """How far the account has come: milestones, journeys, time since its subscription began."""
    m = signal("state", "Time since the trial or subscription began", "", now="days_in_state",
               unit="days", kind="context", group="journeys", direction=0)
    m.add("days_in_state", "days since the trial, the subscription (free or paid) or its end began",
          Fact("days_in_state"))
    yield m.done()
    if not settings.milestones:
        return
    m = signal("milestones", "Milestones reached", "", now="milestones_reached", group="journeys")
    m.add("milestones_reached", "milestones reached so far", Fact("milestones_reached"))
    for milestone in settings.milestones:
        value = " (the initial value)" if milestone.initial_value else ""
        m.add(f"days_to_{milestone.name}", f"days from sign-up to '{milestone.name}'{value}",
              Fact(f"days_to_{milestone.name}"), unit="days", direction=-1)
    for journey in settings.journeys:
        done: Expression = Fact(f"steps_{journey.name}")
        m.add(f"steps_{journey.name}", f"steps of the journey '{journey.name}' done", done)
    yield m.done()


def company(settings: Settings) -> Iterator[Declared]:
    """Profile and company: how old, how large, in which industry and country, how it came."""
    m = signal("age", "Time since sign-up", "", now="age", unit="days", kind="context",
               group="company", direction=0)
    m.add("age", "days since sign-up", Fact("age_days"))
    yield m.done()
    m = signal("size", "Employees", "", now="employees", kind="fixed", group="company",
               direction=0)
    m.add("employees", "people the company employs", Fact("employees"))
    m.add("penetration", "users who belong to the account, of all the company employs",
          Ratio(Fact("users_joined"), Fact("employees")), unit="share")
    yield m.done()
    for name in ("industry", "country", "channel"):
        m = signal(name, name.capitalize(), "", now=name, unit="category",
                   kind="fixed", group="company", direction=0)
        m.add(name, f"the account's {name}", Fact(name), categorical=True)
        yield m.done()
