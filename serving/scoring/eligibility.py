"""Which accounts a model may speak about, by what was known of them on the scoring day."""

from dataclasses import dataclass

POPULATIONS = {
    "prospect": "a prospect",
    "customer": "a paying customer",
    "former": "a former customer",
}


@dataclass(frozen=True)
class Context:
    """What the feature table says of one account besides its features."""

    population: str
    plan: str | None
    cancel_announced: bool
    is_internal: bool
    age_days: float | None
    seats: float | None


@dataclass(frozen=True)
class Rules:
    """The company's own limits: the top plan of the ladder, and an outcome's least age in days."""

    top_plan: str
    min_age_days: dict[str, int]


def why_not(outcome: str, population: str, context: Context, rules: Rules) -> str | None:
    """Why a model of `outcome`, learnt on `population`, does not apply; None when it does.

    >>> rules = Rules("business", {"pql": 3})
    >>> why_not("pql", "prospect", Context("customer", "team", False, False, 90.0, 5.0), rules)
    'the account is a paying customer; pql is about a prospect'
    """
    if context.is_internal:
        return "the account is internal or a test"
    if context.population != population:
        found = POPULATIONS.get(context.population, context.population)
        return f"the account is {found}; {outcome} is about {POPULATIONS[population]}"
    least, age = rules.min_age_days.get(outcome, 0), context.age_days
    if age is None or not age >= least:
        return f"the account is not yet {least} days old, the least age for {outcome}"
    if outcome in ("upgrade", "churn") and context.cancel_announced:
        return "the account has already announced that it leaves"
    if outcome == "upgrade" and context.plan == rules.top_plan and not has_seats(context):
        return "the account is on the top plan and has no seats to add"
    return None


def has_seats(context: Context) -> bool:
    """Whether the account pays by the seat; missing is None or NaN."""
    return context.seats is not None and context.seats > 0  # NaN is not
