"""The simulated company of the benchmarks: what its events are called and what they mean."""

from typing import Any

from features.read_settings import parse_settings
from features.settings import Settings

CORE = ("report_created", "report_shared", "task_completed", "workflow_published")
FEATURES = (
    *CORE, "dashboard_viewed", "comment_added", "file_uploaded", "search_used", "template_used",
    "export_run", "automation_run", "integration_synced", "api_called", "chart_edited",
    "filter_saved", "tag_added", "calendar_opened", "mention_sent", "board_moved", "form_filled",
)  # fmt: skip
ASIDE = (
    "notification_clicked", "limit_hit", "pricing_viewed", "invitation_sent", "settings_changed",
    "role_changed", "ticket_opened", "nps_answered", "csat_answered", "lesson_watched",
    "help_opened", "profile_edited", "session_resumed", "theme_changed", "feedback_given",
)  # fmt: skip
PASSIVE = ("notification_shown", "ticket_answered", "ticket_closed", "payment_failed")
EVENTS = ("login", *FEATURES, *ASIDE, *PASSIVE)
"""All 40 event names, the frequent ones first among the features."""
PLANS = ("free", "team", "business", "enterprise")


def event_shares() -> list[float]:
    """How often each of EVENTS happens: features by Zipf's law, the rest rarely."""
    features = [1.0 / (rank + 1) for rank in range(len(FEATURES))]
    aside = [0.02] * len(ASIDE)
    shares = [0.35, *features, *aside, 0.30, 0.01, 0.01, 0.005]
    return [share / sum(shares) for share in shares]


def company_settings(**sections: Any) -> Settings:
    """The settings of the benchmarks' company; `sections` replace whole sections."""
    return parse_settings(_VALUES | sections, "benchmarks/company.py")


_VALUES: dict[str, Any] = {
    "company": {"name": "Benchmark Inc.", "simulated": True},
    "sources": [
        {
            "name": "tonight",
            "table": "events",
            "path": "{workspace}/raw/tonight.parquet",
            "columns": {
                name: name
                for name in (
                    "message_id", "event_time", "known_at", "account_id", "user_id", "event",
                    "value",
                )
            },
        }
    ],
    "events": {
        "logins": ["login"],
        "core_use_cases": list(CORE),
        "features": list(FEATURES),
        "golden": ["report_shared", "automation_run", "integration_synced"],
        "notifications_shown": ["notification_shown"],
        "notifications_clicked": ["notification_clicked"],
        "limit_hits": ["limit_hit"],
        "pricing_interest": ["pricing_viewed"],
        "invitations": ["invitation_sent"],
        "administration": ["settings_changed", "role_changed"],
        "tickets": ["ticket_opened"],
        "tickets_answered": ["ticket_answered"],
        "tickets_closed": ["ticket_closed"],
        "nps": ["nps_answered"],
        "csat": ["csat_answered"],
        "failed_payments": ["payment_failed"],
        "minutes": ["lesson_watched"],
        "passive": ["ticket_answered", "ticket_closed", "payment_failed"],
    },
    "milestones": [
        {"name": "first_report", "event": "report_created"},
        {"name": "first_value", "event": "task_completed", "count": 5, "initial_value": True},
        {"name": "first_invitation", "event": "invitation_sent"},
        {"name": "first_share", "event": "report_shared"},
        {"name": "first_integration", "event": "integration_synced"},
    ],
    "journeys": [
        {"name": "onboarding", "steps": ["first_report", "first_value", "first_share"]},
        {"name": "team", "steps": ["first_invitation", "first_integration"]},
    ],
    "plans": {
        "ladder": list(PLANS),
        "free": ["free"],
        "limits": [
            {
                "name": "reports",
                "events": ["report_created"],
                "days": 28,
                "by_plan": {"free": 5.0, "team": 30.0, "business": 150.0},
            }
        ],
        "features": {
            "free": list(FEATURES[:8]),
            "team": list(FEATURES[:14]),
            "business": list(FEATURES),
            "enterprise": list(FEATURES),
        },
    },
    "outcomes": {"churn": {"horizon_days": 60, "every_days": 7}},
    "training": {"threads": 2},
}  # fmt: skip
