"""What makes a prospect product-qualified and a customer active: rules over milestones, features.

A rule asks for all its milestones and for each of its features to compare as said; any one rule is
enough. Rules read features and never make any.
"""

import operator
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import pandas as pd

from features.catalog import catalogue
from features.declare import Feature
from features.errors import SettingsError
from features.settings import Rule, Settings

COMPARISONS: dict[str, Callable[[Any, float], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
USED_LATELY = Rule(features={"active_days_28d": ">= 1"})
SHOWN = 6


def pql_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules that make a PQL: those declared, else each milestone of initial value.

    Empty when there are neither: then nobody is product-qualified.
    """
    first = (Rule(milestones=(m.name,)) for m in settings.milestones if m.initial_value)
    return settings.lifecycle.pql or tuple(first)


def active_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules that make a customer active: those declared, else any use in 28 days."""
    return settings.lifecycle.active or (USED_LATELY,)


def feature_names(rules: Iterable[Rule]) -> list[str]:
    """The features that the rules read, each once."""
    return list(dict.fromkeys(name for rule in rules for name in rule.features))


def check_rules(settings: Settings) -> None:
    """Raise SettingsError for a rule over a feature that does not exist or is no number."""
    known = {feature.name: feature for feature in catalogue(settings).features}
    for key, rules in (("pql", settings.lifecycle.pql), ("active", active_rules(settings))):
        for name in feature_names(rules):
            _check(f"lifecycle.{key}", name, known)


def _check(where: str, name: str, known: dict[str, Feature]) -> None:
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:SHOWN]
        raise SettingsError(
            f"{where} with feature '{name}', which does not exist",
            expected=f"a feature of the catalogue, such as {', '.join(close)}",
            do="Correct the name in the settings.",
        )
    if known[name].categorical:
        raise SettingsError(
            f"{where} comparing '{name}' with a number, but {name} is a category",
            expected="a feature that is a number",
            do="Use another feature, or leave this one out.",
        )


def compares(rule: Rule, rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows meet every comparison of a rule; a missing feature meets none.

    >>> rule = Rule(features={"cbi": ">= 60", "logins_7d": "< 3"})
    >>> rows = pd.DataFrame({"cbi": [60.0, 80.0, None], "logins_7d": [2.0, 3.0, 0.0]})
    >>> compares(rule, rows).tolist()
    [True, False, False]
    """
    met = pd.Series(True, index=rows.index)
    for name, said in rule.features.items():
        sign = next(sign for sign in COMPARISONS if said.startswith(sign))
        met &= COMPARISONS[sign](rows[name], float(said.removeprefix(sign))).fillna(False)
    return met
