"""All that a snapshot knows of one account, as people read it. Pure functions."""

from collections.abc import Mapping
from typing import Any

from serving.scoring.accounts import Snapshot
from serving.scoring.explain import Fact
from serving.scoring.known import known

CBI = "cbi"


def described(snapshot: Snapshot, row: int) -> dict[str, Any]:
    """Profile, company, behaviour, state and subscription; what is not known is left out."""
    table = snapshot.table
    context, profile, facts = table.contexts[row], snapshot.profiles[row], table.facts(row)
    company = known(industry=profile.industry, country=profile.country, employees=profile.employees)
    who = known(
        name=profile.name,
        owner=profile.owner,
        channel=profile.channel,
        signed_up_at=profile.created_at,
        age_days=context.age_days,
    )
    return {
        "population": context.population,
        **known(state=profile.state, state_since=profile.since, journey=_journey(snapshot, row)),
        "profile": who,
        "company": company,
        "cbi": index(facts, snapshot.peers.get(context.population, {})),
        "subscription": _subscription(snapshot, row, facts),
    }


def _journey(snapshot: Snapshot, row: int) -> list[dict[str, str]] | None:
    """The milestones that the account has reached; None where the snapshot does not tell them."""
    if snapshot.lives is None:
        return None
    reached = snapshot.lives.life(row).milestones
    return [{"milestone": r.milestone, "reached_on": r.day.isoformat()} for r in reached]


def index(facts: Mapping[str, Fact], peers: Mapping[str, float | None]) -> dict[str, Any]:
    """The Customer Behavior Index and its parts, beside the medians of the account's peers.

    >>> index({"cbi": 50.0, "cbi_time": 50.0}, {"cbi": 40.0})
    {'index': 50.0, 'peers': 40.0, 'parts': [{'part': 'time', 'value': 50.0}]}
    """
    names = [name for name in facts if name.startswith(f"{CBI}_")]
    parts = [
        {
            "part": name.removeprefix(f"{CBI}_").replace("_", " "),
            **known(value=facts[name], peers=peers.get(name)),
        }
        for name in names
    ]
    return known(index=facts.get(CBI), peers=peers.get(CBI)) | {"parts": parts}


def _subscription(snapshot: Snapshot, row: int, facts: Mapping[str, Fact]) -> dict[str, Any]:
    table = snapshot.table
    context, trial = table.contexts[row], facts.get("in_trial")
    bought = known(
        plan=context.plan,
        seats=context.seats,
        billing_months=facts.get("billing_months"),
        discount=facts.get("discount"),
        in_trial=None if trial is None else trial == 1.0,
        renewal_date=table.term_ends[row],
        days_to_renewal=facts.get("days_to_renewal"),
    )
    return {
        "mrr": float(table.mrr[row]),
        "currency": snapshot.company["currency"],
        "cancel_announced": bool(context.cancel_announced),
        **bought,
    }
