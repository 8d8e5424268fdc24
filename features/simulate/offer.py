"""What the synthetic company sells and what its product records; `goldpan.toml` names the same."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAY_US = timedelta(days=1) // timedelta(microseconds=1)
HOUR_US = DAY_US // 24
NEVER = -(10**6)

PLANS = ("free", "team", "business", "enterprise")
FREE, TEAM, BUSINESS, ENTERPRISE = range(len(PLANS))
PRICE_PER_SEAT = np.array([0.0, 12.0, 24.0, 42.0])
LEAST_SEATS = np.array([3, 3, 5, 15])
REPORTS_IN_28_DAYS = np.array([12.0, 90.0, 400.0, np.inf])
TRIAL_DAYS = 14
ANNUAL_DISCOUNT = 0.15

# What people do inside a session, and how often against one another.
ACTIONS = {
    "dashboard_viewed": 3.0,
    "report_created": 1.2,
    "task_completed": 2.2,
    "comment_added": 1.4,
    "file_uploaded": 0.8,
    "search_used": 1.0,
    "report_shared": 0.7,
    "template_used": 0.6,
    "export_run": 0.5,
    "automation_run": 0.9,
    "integration_synced": 0.9,
    "api_called": 0.9,
}
# The last ones are used only by accounts that have taken them up.
ADOPTABLE = (
    "report_shared",
    "template_used",
    "export_run",
    "automation_run",
    "integration_synced",
    "api_called",
)
SHARING, TEMPLATES, EXPORTS, AUTOMATION, INTEGRATION, API = range(len(ADOPTABLE))

# What a plan does not include cannot be used on it; a trial is one of the business plan.
NOT_INCLUDED = {
    "free": ("automation_run", "api_called"),
    "team": ("api_called",),
    "business": (),
    "enterprise": (),
}
INCLUDED = np.array([[name not in NOT_INCLUDED[plan] for name in ADOPTABLE] for plan in PLANS])

ASIDE = (
    "notification_shown",
    "notification_clicked",
    "limit_hit",
    "pricing_viewed",
    "invitation_sent",
    "settings_changed",
    "role_changed",
    "ticket_opened",
    "ticket_answered",
    "ticket_closed",
    "nps_answered",
    "csat_answered",
    "payment_failed",
)
EVENTS = ("login", *ACTIONS, *ASIDE)
CODE = {name: code for code, name in enumerate(EVENTS)}


def list_price(plan: Ints, seats: Ints, discount: Floats, level: Floats) -> Floats:
    """Monthly price of `seats` on `plan`, less `discount` (a share), by a list at `level`.

    >>> one = np.array([1.0])
    >>> float(list_price(np.array([TEAM]), np.array([5]), np.array([0.15]), 1.1 * one)[0])
    56.1
    """
    return np.round(PRICE_PER_SEAT[plan] * level * seats * (1 - discount), 2)


def logistic(x: Floats) -> Floats:
    """Log-odds → probability."""
    return np.asarray(1 / (1 + np.exp(-x)))
