"""The card's parts on time and choices: how well "when" is told; what was decided, and why."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def when(card: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Each horizon of the test period: days, outcomes, accounts in 100 expected and come, AUC.

    The last column is the AUC less that of the direct model's scores on the same rows. Empty where
    there is no model of when.
    """
    told = (card.get("when") or {}).get("horizons", [])
    return [
        (
            f"{h['days']} days",
            f"{h['positives']:,} of {h['rows']:,}",
            *in_hundred(h),
            _interval(h["auc"], "{:.3f}"),
            _interval(h["auc_less_direct"], "{:+.3f}"),
        )
        for h in told
    ]


def in_hundred(horizon: Mapping[str, Any]) -> tuple[str, str]:
    """How many of 100 observations were expected to have the outcome by then, and how many had.

    >>> ratio = {"value": 0.8, "low": 0.5, "high": 1.0}
    >>> in_hundred({"positives": 30, "rows": 1000, "observed_expected": ratio})
    ('3.8 (3.0 to 6.0)', '3.0')
    >>> in_hundred({"positives": 30, "rows": 1000, "observed_expected": ratio | {"low": 0.0}})
    ('3.8 (3.0 to inf)', '3.0')
    """
    came = 100 * horizon["positives"] / horizon["rows"]
    ratio = horizon["observed_expected"]
    # A resample of few accounts may hold no outcome at all.
    bounds = {"value": ratio["value"], "low": ratio["high"], "high": ratio["low"]}
    expected = {name: came / bound if bound else math.inf for name, bound in bounds.items()}
    return _interval(expected, "{:.1f}"), f"{came:.1f}"


def decisions(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was decided on the way, and why: the tuning, the cut-offs of the backtest, when.

    >>> decisions({"tuning": {"decision": "not tuned: no time was given"}, "when": None})[0]
    ('parameters', 'not tuned: no time was given')
    """
    found = []
    if tuning := card.get("tuning"):
        found.append(("parameters", tuning["decision"]))
    if note := card.get("backtest_note"):
        found.append(("backtest", note))
    if "when" in card:
        found.append(("when", _timing(card["when"])))
    return found + [("warning", said) for said in warnings(card)]


def warnings(card: Mapping[str, Any]) -> list[str]:
    """Features that know much, but not enough to be refused: for a person to look at.

    >>> leaks = [{"feature": "channel", "evidence": "AUC 0.904", "alarm": False}]
    >>> warnings({"leaks": leaks})
    ["feature 'channel' may know the outcome: AUC 0.904"]
    """
    told = [leak for leak in card.get("leaks", []) if not leak["alarm"]]
    return [
        f"feature '{leak['feature']}' may know the outcome: {leak['evidence']}" for leak in told
    ]


def _timing(when: Mapping[str, Any] | None) -> str:
    if when is None:
        return "not learnt: too few outcomes followed for so long"
    days = _listed([str(edge) for edge in when["edges"]])
    missing = [str(e) for e in when["edges"] if e not in {h["days"] for h in when["horizons"]}]
    short = f"; too few outcomes in the test period to judge {_listed(missing)}" if missing else ""
    return f"one model of all stretches up to {days} days{short}"


def _listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> _listed(["7", "14", "30"])
    '7, 14 and 30'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _interval(figure: Mapping[str, float], form: str) -> str:
    value, low, high = (form.format(figure[k]) for k in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
