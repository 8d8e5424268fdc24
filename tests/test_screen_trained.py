"""What the command line says of a trained model besides its figures."""

from typing import Any

import pytest

from commands.terminal import screen
from training.judging.gate import Condition


def figure(value: float, low: float, high: float) -> dict[str, float]:
    """A figure as a card holds it."""
    return {"value": value, "low": low, "high": high}


def card(**more: Any) -> dict[str, Any]:
    """As much of a card as is shown."""
    test = {"positives": 40, "rows": 900, "accounts": 300, "from": "2026-01-05", "to": "2026-03-02"}
    return {"name": "churn", "title": "about to leave", "horizon_days": 60, "lead_days": 7,
            "blocks": {"test": test}, "positives": 120, "rows": 2000, "metrics": {},
            "baselines": {}} | more  # fmt: skip


def horizon(days: int, auc: float) -> dict[str, Any]:
    """One horizon of the model of when."""
    return {"days": days, "rows": 1000, "positives": 50, "auc": figure(auc, 0.7, 0.9),
            "observed_expected": figure(1.07, 0.9, 1.3)}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    """What is printed of such a card."""
    screen.model(card(**more), [Condition("at least 30 positives", True, "40")], "3")
    return capsys.readouterr().out


def test_the_risks_by_the_day_and_the_decisions_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """30 days and more, each with its interval; the tuning's decision; why cut-offs lack."""
    said = shown(
        capsys,
        when={"horizons": [horizon(7, 0.811), horizon(30, 0.822), horizon(90, 0.833)]},
        tuning={"decision": "best of 9 sets gains 0.00002: the starting point stays"},
        backtest_note="3 of 4 cut-offs: each needs 20 positives",
        leaks=[
            {"feature": "channel", "evidence": "AUC 0.904", "alarm": False},
            {"feature": "owner", "evidence": "AUC 0.974", "alarm": True},
        ],
    )
    assert "warning: feature 'channel' may know the outcome: AUC 0.904" in said
    assert "owner" not in said  # an alarm: the gate tells of it
    assert "30 days" in said
    assert "90 days" in said
    assert "0.822" in said
    assert "1.07" in said
    assert "0.811" not in said
    assert "tuning: best of 9 sets gains 0.00002: the starting point stays" in said
    assert "backtest: 3 of 4 cut-offs: each needs 20 positives" in said


def test_where_only_near_horizons_could_be_judged_they_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And a card without any of it, as an older run left it, says nothing of it."""
    assert "7 days" in shown(capsys, when={"horizons": [horizon(7, 0.811)]})
    said = shown(capsys, when=None, backtest_note="")
    assert "When" not in said
    assert "backtest" not in said
