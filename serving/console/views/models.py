"""What a model's card says, in plain words first; what it does not say is left out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.console.drawings.calibration import Bin
from serving.console.format import day, days, plural, whole
from serving.console.views.words import BY_MODEL, Words
from serving.scoring.scorer import Scorer
from serving.state import State

CHANCE = 0.5
RIVALS = {
    "cbi": "Customer Behavior Index alone", "recency": "Days since the last use alone",
    "logistic": "Logistic regression on all features", "mrr": "MRR alone",
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval."""

    label: str
    value: float
    low: float
    high: float
    ours: bool = False
    note: str = ""


@dataclass(frozen=True)
class Sentence:
    """One plain sentence around one number."""

    number: str
    text: str
    interval: str


@dataclass(frozen=True)
class Reach:
    """What a team of a capacity would have caught in the model's test months: shares."""

    capacity: int
    of_all: float
    interval: tuple[float, float]
    of_mrr: float | None
    when: str


@dataclass(frozen=True)
class Condition:
    """One condition of the gate, and what was found."""

    what: str
    figure: str
    passed: bool


@dataclass(frozen=True)
class Summary:
    """One promoted model in the list."""

    words: Words
    name: str
    version: str
    title: str
    what: str
    headline: Sentence | None


@dataclass(frozen=True)
class Card:
    """The page of one model."""

    summary: Summary
    whom: str
    sentences: tuple[Sentence, ...]
    rivals: tuple[Figure, ...]
    backtest: tuple[Figure, ...]
    slices: tuple[Figure, ...]
    bins: tuple[Bin, ...]
    conditions: tuple[Condition, ...]
    learnt: tuple[tuple[str, str], ...]
    span: tuple[float, float]
    simulated: bool


def summaries(state: State) -> list[Summary]:
    """All promoted models, in the order of the queues."""
    scorers = [state.scorers[name] for name in BY_MODEL if name in state.scorers]
    return [summary(scorer) for scorer in scorers]


def summary(scorer: Scorer) -> Summary:
    """One model in a few words."""
    card, words = scorer.model.card, BY_MODEL[scorer.model.name]
    found = sentences(card)
    return Summary(
        words, scorer.model.name, scorer.model.version, words.title, what(card, words),
        found[0] if found else None,
    )  # fmt: skip


def card(scorer: Scorer) -> Card:
    """Everything on a model's page."""
    told = scorer.model.card
    rivals, backtest, slices = _rivals(told), _backtest(told), _slices(told)
    every = (*rivals, *backtest, *slices)
    low = min((f.low for f in every), default=CHANCE)
    high = max((f.high for f in every), default=1.0)
    conditions = (told.get("verdict") or {}).get("conditions", [])
    return Card(
        summary=summary(scorer),
        whom=str(told["eligibility"]),
        sentences=tuple(sentences(told)),
        rivals=tuple(rivals),
        backtest=tuple(backtest),
        slices=tuple(slices),
        bins=tuple(_bins(told)),
        conditions=tuple(map(_condition, conditions)),
        learnt=tuple(_learnt(told)),
        span=(min(low, CHANCE) - 0.01, min(high + 0.01, 1.0)),
        simulated=bool(told.get("simulated")),
    )  # fmt: skip


def what(card: Mapping[str, Any], words: Words) -> str:
    """What the model predicts.

    >>> from serving.console.views.words import AT_RISK
    >>> what({"lead_days": 7, "horizon_days": 60}, AT_RISK)
    'How likely a customer leaves in the 60 days that begin a week from now'
    """
    lead, horizon = int(card["lead_days"]), int(card["horizon_days"])
    begin = {0: f"within {horizon} days", 7: f"in the {horizon} days that begin a week from now"}
    other = f"in the {horizon} days that begin {lead} days from now"
    return f"How likely a {words.who[0]} {words.happens} {begin.get(lead, other)}"


def sentences(card: Mapping[str, Any]) -> list[Sentence]:
    """How well, each with its interval; only what was measured, out of time."""
    metrics, told = card.get("metrics") or {}, []
    if found := _known(metrics.get("auc")):
        told.append(_sentence(found, 100, "times in 100", "it ranks the right one of two accounts "
                              "higher; a coin would 50 times"))  # fmt: skip
    if found := _known(metrics.get("precision_at_capacity")):
        base = _base_rate(card)
        among = "" if base is None else f"; among all accounts {100 * base:.0f} in 100"
        told.append(_sentence(found, 100, "in 100", f"of the {card['capacity']} highest scores of "
                              f"a day had the outcome{among}"))  # fmt: skip
    if found_by_tenth := caught(card):
        told.append(found_by_tenth)
    if found := _known(metrics.get("observed_expected")):
        told.append(_sentence(found, 100, "for 100", "outcomes happened for every 100 that it "
                              "announced"))  # fmt: skip
    return told


def caught(card: Mapping[str, Any]) -> Sentence | None:
    """How many of all outcomes the top tenth of the list held, out of time."""
    found = _known((card.get("metrics") or {}).get("lift_top_decile"))
    text = "of all outcomes were in the top tenth of its list; a list in no order would hold 10"
    return _sentence(found, 10, "in 100", text) if found else None


def reached(card: Mapping[str, Any]) -> Reach | None:
    """What the first of each list would have reached, as many as the team can work in a week."""
    metrics, test = card.get("metrics") or {}, (card.get("blocks") or {}).get("test")
    of_all = _known(metrics.get("caught_at_capacity"))
    if of_all is None or not test:
        return None
    of_mrr = _known(metrics.get("mrr_caught_at_capacity"))
    first, last = (datetime.fromisoformat(test[k]) for k in ("from", "to"))
    return Reach(int(card["capacity"]), of_all[0], (of_all[1], of_all[2]), of_mrr and of_mrr[0],
                 days(first, last))  # fmt: skip


def _sentence(figure: tuple[float, float, float], scale: int, unit: str, text: str) -> Sentence:
    value, low, high = (f"{scale * x:.0f}" for x in figure)
    shown = value if unit == "for 100" else f"{value} {unit}"
    return Sentence(shown, text, f"{low} to {high}")


def _base_rate(card: Mapping[str, Any]) -> float | None:
    test = (card.get("blocks") or {}).get("test")
    return test["positives"] / test["rows"] if test and test["rows"] else None


def _known(figure: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    values = [figure.get(k) if figure else None for k in ("value", "low", "high")]
    value, low, high = values
    if value is None or low is None or high is None:
        return None
    return value, low, high


def _figures(named: Mapping[str, Mapping[str, Any] | None], **more: Any) -> list[Figure]:
    known = ((label, _known(figure)) for label, figure in named.items())
    return [Figure(label, *found, **more) for label, found in known if found]


def _rivals(card: Mapping[str, Any]) -> list[Figure]:
    own = _figures({"This model": (card.get("metrics") or {}).get("auc")}, ours=True)
    others = {RIVALS.get(n, n): m.get("auc") for n, m in (card.get("baselines") or {}).items()}
    return own + _figures(others) if own else []


def _backtest(card: Mapping[str, Any]) -> list[Figure]:
    cuts = [c for c in card.get("backtest") or () if c["metrics"].get("model")]
    found = []
    for cut in cuts:
        first, last = (datetime.fromisoformat(cut["test"][k]) for k in ("from", "to"))
        note = f"{plural(cut['positives'], 'outcome')} in {whole(cut['rows'])} observations"
        label = days(first, last)
        found += _figures({label: cut["metrics"]["model"].get("auc")}, ours=True, note=note)
    return found


def _slices(card: Mapping[str, Any]) -> list[Figure]:
    named = {n[:1].upper() + n[1:]: figure for n, figure in (card.get("slices") or {}).items()}
    return sorted(_figures(named), key=lambda f: -f.value)


def _bins(card: Mapping[str, Any]) -> list[Bin]:
    found = (card.get("calibration") or {}).get("bins") or ()
    fields = ("predicted", "observed", "low", "high", "rows")
    return [Bin(**{k: b[k] for k in fields if k in b}) for b in found]


def _condition(told: Mapping[str, Any]) -> Condition:
    """A condition of the gate in words: a rival by its name above, numbers and days as elsewhere.

    >>> _condition({"what": "AUC not worse than mrr", "figure": "1311", "passed": True})
    Condition(what="AUC not worse than 'MRR alone'", figure='1,311', passed=True)
    >>> _condition({"what": "", "figure": "until 2025-06-09: 0.7", "passed": True}).figure
    'until 9 Jun 2025: 0.7'
    """
    what, than, rival = told["what"].rpartition(" than ")
    what = f"{what}{than}'{RIVALS[rival]}'" if rival in RIVALS else told["what"]
    figure = re.sub(r"\b\d{4}-\d\d-\d\d\b", lambda found: _date(found[0]), told["figure"])
    return Condition(what, whole(int(figure)) if figure.isdecimal() else figure, told["passed"])


def _learnt(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = []
    if "rows" in card and "accounts" in card:
        told.append(("Learnt from", f"{_observed(card)}, up to {_date(card['cut_off'])}"))
    if test := (card.get("blocks") or {}).get("test"):
        days = f"{_date(test['from'])} to {_date(test['to'])}"
        told.append(("Judged on", f"{_observed(test)}, {days}"))
    if "gap_days" in card:
        told.append(("Between the two", f"a gap of at least {plural(card['gap_days'], 'day')}, so "
                     "that no outcome was known while it learnt"))  # fmt: skip
    if "created_at" in card:
        told.append(("Trained on", _date(card["created_at"])))
    return told


def _observed(block: Mapping[str, Any]) -> str:
    outcomes, accounts = plural(block["positives"], "outcome"), plural(block["accounts"], "account")
    return f"{outcomes} in {whole(block['rows'])} observations of {accounts}"


def _date(text: str) -> str:
    return day(datetime.fromisoformat(text))
