"""The model's card for people: one page of plain sentences, as Markdown and as HTML.

The HTML holds its pictures and its style; nothing is fetched from anywhere.
"""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from training.judging.gate import Verdict
from training.records import card_choices

TEMPLATES = Path(__file__).parent / "templates"
HAPPENS = {"pql": "starts to pay", "upgrade": "moves to a higher plan or adds seats",
           "churn": "cancels"}  # fmt: skip
NAMES = {"cbi": "CBI rule", "recency": "days since last use", "logistic": "logistic regression",
         "mrr": "MRR alone"}  # fmt: skip
PICTURES = {
    "calibration": "What was predicted, and what happened. On the dashed line they agree.",
    "gains": "The share of all outcomes found by working the list from the top.",
    "precision_recall": "How many of those named had the outcome, the further down one goes.",
    "scores": "How scores are spread among those with the outcome and those without.",
    "profit": "What working the list would be worth under the assumptions named in the picture.",
    "backtest": "The model refitted at earlier days and judged on the days after each.",
    "signals": "Which signals move the score, all windows of one signal together.",
    "contributions": "How the strongest features move single scores; colour is their value.",
}
WIDE = ("backtest", "signals", "contributions")
COLUMNS = (
    ("AUC", "auc", "{:.3f}"),
    ("PR-AUC", "pr_auc", "{:.3f}"),
    ("log-loss skill", "log_loss_skill", "{:+.3f}"),
    ("lift, top tenth", "lift_top_decile", "{:.1f}"),
)


def page(card: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """What both forms show: sentences and tables of text."""
    test = card["blocks"]["test"]
    return {
        "card": card,
        "title": f"{card['title'].capitalize()} in {card['horizon_days']} days",
        "what": what(card),
        "plain": plain(card),
        "happens": _happens(card),
        "baselines": table({"model": card["metrics"], **card["baselines"]}),
        "over_time": over_time(card),
        "when": card_choices.when(card),
        "decisions": card_choices.decisions(card),
        "slices": [(name, in_text(f, "{:.3f}")) for name, f in card["slices"].items()],
        "not_for": not_for(card),
        "data": data(card),
        "made_from": made_from(card),
        "verdict": verdict,
        "base_rate": f"{test['positives'] / test['rows']:.1%}",
        "columns": [name for name, _, _ in COLUMNS],
    }


def markdown(page: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """The page as Markdown; pictures are files beside it."""
    shown = [(f"{name}.png", PICTURES.get(name, name)) for name in _ordered(images)]
    return _environment().get_template("card.md.j2").render(**page, pictures=shown).strip() + "\n"


def html(page: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """The page as one HTML file with its pictures inside."""
    shown = [
        (
            f"data:image/png;base64,{b64encode(images[name]).decode()}",
            PICTURES.get(name, name),
            name in WIDE,
        )
        for name in _ordered(images)
    ]
    return _environment().get_template("card.html.j2").render(**page, pictures=shown).strip() + "\n"


def what(card: Mapping[str, Any]) -> str:
    """What the model predicts, for whom."""
    lead = card["lead_days"]
    after = f", leaving out the first {lead}, which are too near to act on" if lead else ""
    days = f"the next {card['horizon_days'] + lead} days{after}"
    return (f"For {card['eligibility']}: the probability that the account "
            f"{_happens(card)} in {days}.")  # fmt: skip


def plain(card: Mapping[str, Any]) -> list[str]:
    """How well, in sentences with their intervals; only what was measured."""
    m, told = card["metrics"], []
    test = card["blocks"]["test"]
    share = test["positives"] / test["rows"]
    if _known(m.get("auc")):
        told.append(f"Of two accounts, one with the outcome and one without, the model gives the "
                    f"higher score to the right one {in_text(m['auc'], '{:.0f}', 100)} times in "
                    f"100. A coin would do so 50 times.")  # fmt: skip
    if _known(m.get("precision_at_capacity")):
        told.append(f"Of the {card['capacity']} highest scores of each day looked at, "
                    f"{in_text(m['precision_at_capacity'], '{:.0f}', 100)} in 100 had the outcome; "
                    f"among all accounts {100 * share:.1f} in 100.")  # fmt: skip
    if _known(m.get("lift_top_decile")):
        told.append(f"The top tenth of the list holds {in_text(m['lift_top_decile'], '{:.0f}', 10)}"
                    " in 100 of all outcomes; a list in no order would hold 10.")  # fmt: skip
    if _known(m.get("observed_expected")):
        told.append(f"Where it announced 100 outcomes, "
                    f"{in_text(m['observed_expected'], '{:.0f}', 100)} happened.")  # fmt: skip
    both = (m.get("mrr_caught_by_p_times_mrr"), m.get("mrr_caught_by_mrr_alone"))
    if all(_known(f) for f in both):
        told.append(f"Ranked by probability times MRR, the top tenth of the list holds "
                    f"{in_text(both[0], '{:.0f}', 100)} in 100 of the MRR concerned; ranked by MRR "
                    f"alone {in_text(both[1], '{:.0f}', 100)}.")  # fmt: skip
    return told


def not_for(card: Mapping[str, Any]) -> list[str]:
    """When not to use it: from its own figures first, then what holds for every such model."""
    found = [
        f"Among '{name}' it can hardly tell who is who: AUC {in_text(f, '{:.2f}')}."
        for name, f in card["slices"].items()
        if _known(f) and f["low"] <= 0.5
    ]
    if card["positives"] < 300:
        found.append(f"It learnt from {card['positives']} outcomes only: single scores are "
                     "uncertain; use the order, not the decimals.")  # fmt: skip
    agreed = card.get("agreement")
    if agreed is not None:
        names, weight = (f"{100 * agreed[part]:.0f}" for part in ("names", "weight"))
        found.append(
            "The reasons are what the model goes by, not causes. A model fitted on other accounts "
            f"shares {names} in 100 of each score's three strongest reasons ({weight} by their "
            "weight)."
        )
    return [
        *found,
        f"It says nothing of accounts other than these: {card['eligibility']}.",
        "When tracking breaks (an event renamed, an integration stopped) scores fall or rise for "
        "no reason of the accounts: mend the tracking, do not retrain on it.",
        "After a change of prices, plans or product it knows only the former world: judge it anew "
        f"once {card['horizon_days'] + card['lead_days']} days have passed.",
        "It must not be the only ground of a decision that hurts a person.",
    ]


def over_time(card: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Each cut-off: days judged, outcomes, the model's AUC, seen, never seen, the best baseline."""
    rows = []
    for cut in card.get("backtest", []):
        groups = cut["metrics"]
        rivals = {n: g["auc"]["value"] for n, g in groups.items() if n != "model"}
        known = {n: v for n, v in rivals.items() if v is not None}
        best = max(known, key=lambda n: known[n], default=None)
        apart = [cut["auc_of_accounts"].get(k) for k in ("seen", "unseen")]
        rows.append((
            cut["learnt_until"], f"{cut['test']['from']} to {cut['test']['to']}",
            f"{cut['positives']:,} of {cut['rows']:,}", in_text(groups["model"]["auc"], "{:.3f}"),
            *(in_text(f, "{:.3f}") for f in apart),
            f"{NAMES.get(best, best)} {known[best]:.3f}" if best else "–",
        ))  # fmt: skip
    return rows


def data(card: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Each block of time: from, to, observations, accounts, outcomes."""
    return [
        (name, b["from"], b["to"], f"{b['rows']:,}", f"{b['accounts']:,}", f"{b['positives']:,}")
        for name, b in card["blocks"].items()
    ]


def made_from(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is needed to make the data set again."""
    code, found = card.get("code"), [("made", card["created_at"]), ("protocol", card["protocol"])]
    if code:
        commit = f", commit {code['commit'][:12]}" if code["commit"] else ""
        changed = " and changes" if code["changed"] else ""
        found.append(("code", f"{code['version']}{commit}{changed}, sources "
                              f"{code['sources'][:12]}"))  # fmt: skip
    tables = {n: s.rpartition("@")[2] for n, s in card.get("lake", {}).items() if s}
    if tables:
        found.append(("lake versions", ", ".join(f"{n} {v}" for n, v in tables.items())))
    found += [("settings", card["settings_hash"][:12]), ("data set", card.get("dataset", "–")[:12])]
    return found


def table(groups: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Name, then each column's figure with its interval."""
    return [
        (NAMES.get(name, name), *(in_text(figures.get(key), form) for _, key, form in COLUMNS))
        for name, figures in groups.items()
    ]


def in_text(figure: Mapping[str, float | None] | None, form: str, times: float = 1.0) -> str:
    """A figure with its interval.

    >>> in_text({"value": 0.81, "low": 0.78, "high": 0.84}, "{:.0f}", 100)
    '81 (78 to 84)'
    """
    if figure is None or figure.get("value") is None:
        return "–"
    value, low, high = (
        "?" if (v := figure[k]) is None else form.format(v * times)
        for k in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})"


def _happens(card: Mapping[str, Any]) -> str:
    return HAPPENS.get(card["outcome"], f"is {card['title']}")


def _known(figure: Mapping[str, float | None] | None) -> bool:
    return figure is not None and None not in (figure["value"], figure["low"], figure["high"])


def _ordered(images: Mapping[str, bytes]) -> list[str]:
    return [n for n in PICTURES if n in images] + sorted(set(images) - set(PICTURES))


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
