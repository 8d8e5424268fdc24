"""How far a probability may be trusted: what came of such accounts, and whether any were alike."""

from collections.abc import Mapping
from typing import Any

from serving.console.format import percent, plural, whole
from serving.scoring.alike import Alike

FEW = 100
NAMED = 3


def confidence(card: Mapping[str, Any], probability: float, happened: str) -> str:
    """One sentence from the calibration's nearest bin; empty where the card has no bins.

    >>> bins = [{"predicted": 0.1, "observed": 0.12, "low": 0.08, "high": 0.17, "rows": 240}]
    >>> print(confidence({"calibration": {"bins": bins}}, 0.11, "left").replace("\u202f", " "))
    Of 240 observations with such a probability (about 10 %), on months that the model never saw, 12 % left (8.0 % to 17 %).
    """  # noqa: E501 - the doctest's answer is one line
    bins = (card.get("calibration") or {}).get("bins") or ()
    if not bins:
        return ""
    near = min(bins, key=lambda b: abs(b["predicted"] - probability))
    ends = f" ({percent(near['low'])} to {percent(near['high'])})" if "low" in near else ""
    return (
        f"Of {whole(near['rows'])} observations with such a probability (about "
        f"{percent(near['predicted'])}), on months that the model never saw, "
        f"{percent(near['observed'])} {happened}{ends}.{_warning(near, bins, probability)}"
    )


def likeness(found: Alike | None, signal_of: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """Whether the account is like the training data; empty where the card does not tell.

    >>> found = Alike(("logins_7d", "logins_28d"), 180, 1)
    >>> print(likeness(found, dict.fromkeys(found.unusual, "l"), {"l": "Logins"}))
    It is unlike what the model learnt from: 2 of 180 facts are outside their usual range, and 99 % of the training data had at most 1. They are about: Logins. Take the number with care.
    >>> print(likeness(Alike(("logins_7d",), 180, 1), {}, {}))
    It is like what the model learnt from: 1 of 180 facts is outside their usual range, and 99 % of the training data had at most 1.
    """  # noqa: E501 - the doctest's answer is one line
    if found is None:
        return ""
    count = f"{whole(len(found.unusual))} of {plural(found.of, 'fact')}"
    verb = "is" if len(found.unusual) == 1 else "are"
    usual = (
        f"{verb} outside their usual range, and 99 % of the training data had at most {found.most}"
    )
    if not found.unlike:
        return f"It is like what the model learnt from: {count} {usual}."
    names = list(dict.fromkeys(labels[signal_of[name]] for name in found.unusual))
    more = f" and {whole(len(names) - NAMED)} more" if len(names) > NAMED else ""
    about = f"They are about: {', '.join(names[:NAMED])}{more}. Take the number with care."
    return f"It is unlike what the model learnt from: {count} {usual}. {about}"


def _warning(near: Mapping[str, Any], bins: Any, probability: float) -> str:
    """What makes the sentence weak: few observations, or none so high or so low."""
    most, least = (pick(b["predicted"] for b in bins) for pick in (max, min))
    if probability > 1.5 * most or probability < least / 1.5:
        return " None of them was as extreme as this one: take the number with care."
    return " They are few: take the number with care." if near["rows"] < FEW else ""
