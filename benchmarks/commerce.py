"""Simulated subscriptions: free at first, then plans, seats, renewals, upgrades and ends."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

PRICE = {"team": 12.0, "business": 25.0, "enterprise": 60.0}
NEXT = {"team": "business", "business": "enterprise", "enterprise": "enterprise"}
Row = dict[str, Any]


def subscriptions(
    account: str, born: datetime, end: datetime, users: int, rng: np.random.Generator
) -> Iterator[Row]:
    """The rows of one account's subscription, from its trial to `end`; half never pay.

    A cancellation is known up to 30 days before it holds; one row in fifty is known late.
    """
    yield _row(account, born, "trial", "team", 0.0, users, born + timedelta(days=14), 1)
    now = born + timedelta(days=float(rng.exponential(45.0)))
    if rng.random() < 0.5:
        yield _row(account, born + timedelta(days=14), "cancelled", "team", 0.0, users, None, 1)
        return
    plan = str(rng.choice(["team", "business", "enterprise"], p=[0.6, 0.3, 0.1]))
    months = int(rng.choice([1, 12], p=[0.6, 0.4]))
    seats = users + int(rng.integers(0, 4))
    discount = float(rng.choice([0.0, 0.1, 0.2], p=[0.7, 0.2, 0.1]))
    while now < end:
        until = now + timedelta(days=30 * months)
        mrr = PRICE[plan] * seats * (1 - discount)
        late = timedelta(days=2) if rng.random() < 0.02 else timedelta()
        yield _row(account, now, "active", plan, mrr, seats, until, months, discount, now + late)
        if rng.random() < 0.03 * months**0.5:
            said = until - timedelta(days=float(rng.uniform(0, 30)))
            yield _row(account, until, "cancelled", plan, 0.0, seats, until, months, 0.0, said)
            return
        if rng.random() < 0.06:
            plan = NEXT[plan]
        if rng.random() < 0.15:
            seats += int(rng.integers(1, 4))
        now = until


def _row(
    account: str, at: datetime, status: str, plan: str, mrr: float, seats: int,
    term_end: datetime | None, months: int, discount: float = 0.0, known: datetime | None = None,
) -> Row:  # fmt: skip
    return {
        "subscription_id": f"{account}-s",
        "account_id": account,
        "effective_at": at,
        "known_at": known or at,
        "status": status,
        "plan": plan,
        "mrr": mrr,
        "seats": float(seats),
        "billing_months": float(months),
        "term_end": term_end,
        "discount": discount,
    }
