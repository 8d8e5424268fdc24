"""The facts about an account at one midnight, in plain Python."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from features.settings import Settings
from tests.reference_known import DAY, Knowledge, Row, midnight, newest

BANDS = ((100, "100+"), (25, "25-99"), (10, "10-24"), (5, "5-9"), (2, "2-4"), (0, "0-1"))


def facts_of(knowledge: Knowledge, settings: Settings, account: str, day: date) -> dict[str, Any]:
    """Everything known of the account as such."""
    known, as_of = knowledge.on(day), midnight(day)
    facts = _profile(known.accounts.get(account, []), as_of)
    facts |= _commercial(known.subscriptions.get(account, []), settings, as_of, facts["age_days"])
    facts |= _people(known.users.get(account, []), settings, as_of, facts["seats"])
    facts |= _milestones(knowledge, settings, account, day, facts["created"])
    for limit in settings.plans.limits:
        facts[f"limit_{limit.name}"] = limit.by_plan.get(facts["plan"])
    return facts | {
        "plan_name": facts["plan"],
        "mrr_now": facts["mrr"],
        "cancel_announced": facts["population"] == "customer"
        and _ends(known.purchases[account], settings, as_of),
    }


def _profile(rows: list[Row], as_of: datetime) -> dict[str, Any]:
    row = newest(rows) if rows else {}
    names = ("industry", "country", "channel", "employees")
    born = row.get("created_at")
    return {name: row.get(name) for name in names} | {
        "is_internal": bool(row.get("is_internal")),
        "age_days": None if born is None else (as_of - born) / DAY,
        "created": None if born is None else born.date(),
    }


def _there(users: list[Row], moment: datetime) -> list[Row]:
    """The users who belong to the account in the instant before a moment."""
    return [
        u for u in users
        if u["created_at"] < moment and not (u.get("left_at") and u["left_at"] < moment)
    ]  # fmt: skip


def _people(
    users: list[Row], settings: Settings, as_of: datetime, seats: float | None
) -> dict[str, Any]:
    now, before = _there(users, as_of), _there(users, as_of - 28 * DAY)
    ends = [as_of - age * DAY for age in range(28)]
    roles = [u["role"] for u in now if u.get("role") is not None]
    return {
        "users_joined": float(len(now)) if now else None,
        "users_joined_before": float(len(before)) if before else None,
        "roles_held": float(len(set(roles))) if now else None,
        "admins": float(sum(r in settings.people.admin_roles for r in roles)) if now else None,
        "seats_days_over": None if seats is None else float(
            sum(len(_there(users, end)) >= 0.8 * seats for end in ends)
        ),
        "size_band": next(name for least, name in BANDS if len(now) >= least),
    }  # fmt: skip


def _commercial(
    rows: list[Row], settings: Settings, as_of: datetime, age: float | None
) -> dict[str, Any]:
    plans = settings.plans
    rank = {plan: place for place, plan in enumerate(plans.ladder)}
    histories: dict[str, list[Row]] = {}
    for row in rows:
        histories.setdefault(row["subscription_id"], []).append(row)
    running = [h[-1] for h in histories.values() if _runs(h[-1], settings, as_of)]
    paid = [r for r in rows if r["status"] == "active" and r["plan"] not in plans.free]
    paying = [r for r in running if r["status"] == "active" and r["plan"] not in plans.free]
    best = sorted(
        running, key=lambda r: (-rank.get(r["plan"], -1), -r["mrr"], r["subscription_id"])
    )
    main = best[0] if best else {}
    population = "customer" if paying else "former" if paid else "prospect"
    plan = main.get("plan")
    if plan is None and population == "prospect" and plans.free:
        plan = plans.free[0]
    end = main.get("term_end")
    moves = [_move(a, b, rank) for h in histories.values() for a, b in pairwise(h)]
    return {
        "population": population,
        "plan": plan,
        "mrr": float(sum(r["mrr"] for r in paying)),
        "plan_rank": float(rank[plan]) if plan in rank else None,
        "in_trial": float(main.get("status") == "trial"),
        "seats": main.get("seats"),
        "discount": main.get("discount"),
        "billing_months": main.get("billing_months"),
        "term_end": end.date() if end else None,
        "days_to_renewal": (end - as_of) / DAY if end else None,
        "tenure_days": (as_of - min(r["effective_at"] for r in paid)) / DAY if paid else None,
        "upgrades_so_far": float(moves.count(1)),
        "downgrades_so_far": float(moves.count(-1)),
        "days_in_state": _days_in_state(histories, main, as_of, age),
    }


def _runs(row: Row, settings: Settings, as_of: datetime) -> bool:
    """Whether a subscription, by its last row, is neither cancelled nor lapsed."""
    if row["status"] == "cancelled":
        return False
    lapse = settings.subscriptions.lapse_after_days
    if lapse is None or not row["term_end"]:
        return True
    return not row["term_end"] + timedelta(days=lapse) < as_of


def _ends(rows: list[Row], settings: Settings, as_of: datetime) -> bool:
    """Whether an instant lies ahead at which the account pays for nothing."""
    for moment in {r["effective_at"] for r in rows if r["effective_at"] >= as_of}:
        last = {r["subscription_id"]: r for r in rows if r["effective_at"] <= moment}
        running = [r for r in last.values() if _runs(r, settings, as_of)]
        if not any(r["status"] == "active" and r["plan"] not in settings.plans.free
                   for r in running):  # fmt: skip
            return True
    return False


def _move(a: Row, b: Row, rank: dict[str, int]) -> int:
    """1 for an upgrade from one row to the next, -1 for a downgrade, else 0."""
    if (a["status"], b["status"]) != ("active", "active"):
        return 0
    before, after = rank.get(a["plan"]), rank.get(b["plan"])
    if before is None or after is None:
        if before is not after:
            return 0
    elif before != after:
        return 1 if after > before else -1
    if a["seats"] is None or b["seats"] is None:
        return 0
    if b["seats"] > a["seats"] and b["mrr"] > a["mrr"]:
        return 1
    return -1 if b["seats"] < a["seats"] and b["mrr"] < a["mrr"] else 0


def _days_in_state(
    histories: dict[str, list[Row]], main: Row, as_of: datetime, age: float | None
) -> float | None:
    """Days since the account's commercial state began."""
    if not histories:
        return age
    if main:
        return (as_of - _run_began(histories[main["subscription_id"]])) / DAY
    ends = [
        _run_began(h) if h[-1]["status"] == "cancelled" else h[-1]["term_end"]
        for h in histories.values()
    ]
    return (as_of - max(ends)) / DAY


def _run_began(history: list[Row]) -> datetime:
    """When the last run of rows with one status began."""
    first = history[-1]
    for row in reversed(history):
        if row["status"] != first["status"]:
            break
        first = row
    return first["effective_at"]


def _milestones(
    knowledge: Knowledge, settings: Settings, account: str, day: date, born: date | None
) -> dict[str, Any]:
    days = {m.name: knowledge.reached(account, m.event, m.count, day) for m in settings.milestones}
    reached = {name for name, found in days.items() if found}
    facts: dict[str, Any] = {"milestones_reached": float(len(reached))}
    for name, found in days.items():
        facts[f"days_to_{name}"] = float((found - born).days) if found and born else None
    for journey in settings.journeys:
        facts[f"steps_{journey.name}"] = float(len(reached.intersection(journey.steps)))
    return facts
