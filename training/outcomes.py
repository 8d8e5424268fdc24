"""What models are learnt for; a fourth outcome is one more declaration."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from features.errors import InputError, RefusedError
from features.settings import Outcome as Timing
from features.settings import Settings

Rule = Callable[[pd.DataFrame, Settings], "pd.Series[bool]"]


@dataclass(frozen=True)
class Outcome:
    """One declaration: whom we watch, for which change, and what ends the watch.

    `kind` and `competing` are kinds of `features.history.changes`; `admits` looks at the context
    columns of the feature table; `cbi_sign` is +1 where a high behaviour index speaks for it.
    """

    name: str
    title: str
    population: str
    kind: str
    competing: tuple[str, ...]
    eligibility: str
    cbi_sign: int
    admits: Rule

    @property
    def ends(self) -> str:
        """The kind of change with which an account is no longer of the population."""
        return {"prospect": "convert", "customer": "churn"}[self.population]


def _everyone(rows: pd.DataFrame, settings: Settings) -> "pd.Series[bool]":
    return pd.Series(True, index=rows.index)


def _not_announced(rows: pd.DataFrame, settings: Settings) -> "pd.Series[bool]":
    """No cancellation known that takes effect at this midnight or later."""
    return ~rows["cancel_announced"]


def _has_room(rows: pd.DataFrame, settings: Settings) -> "pd.Series[bool]":
    """Staying, and below the top of the ladder or paying by the seat."""
    room = rows["plan"] != settings.plans.ladder[-1]
    if "seats" in rows:
        room |= rows["seats"].fillna(0) > 0
    return room & _not_announced(rows, settings)


OUTCOMES = {
    o.name: o
    for o in (
        Outcome("pql", "about to buy", "prospect", "convert", (),
                "accounts that have never paid", +1, _everyone),
        Outcome("upgrade", "ready to upgrade", "customer", "upgrade", ("churn",),
                "paying accounts below the top plan or with seats to add, that have not announced "
                "that they leave", +1, _has_room),
        Outcome("churn", "about to leave", "customer", "churn", (),
                "paying accounts that have not announced that they leave", -1, _not_announced),
    )
}  # fmt: skip


def eligible(
    outcome: Outcome, rows: pd.DataFrame, settings: Settings, timing: Timing
) -> "pd.Series[bool]":
    """Which rows may be observed for the outcome, by what was known on their day.

    Reads the context columns only: population, plan, cancel_announced, is_internal, age_days.
    """
    return (
        (rows["population"] == outcome.population)
        & ~rows["is_internal"]
        & (rows["age_days"] >= timing.min_age_days)
        & outcome.admits(rows, settings)
    )


def in_words(outcome: Outcome, timing: Timing) -> str:
    """The eligibility as a sentence for the model's card.

    >>> in_words(OUTCOMES["pql"], Timing(horizon_days=30, every_days=7, min_age_days=3))
    'accounts that have never paid, at least 3 days old, none of ours'
    """
    age = f", at least {timing.min_age_days} days old" if timing.min_age_days else ""
    return f"{outcome.eligibility}{age}, none of ours"


def chosen(settings: Settings, names: Iterable[str] | None) -> dict[str, Timing]:
    """Name → timing of the outcomes asked for (None: all that the settings declare).

    Raises InputError for a name that the settings do not declare, RefusedError when there is none.
    """
    declared = settings.outcomes.declared()
    if not declared:
        raise RefusedError(
            "settings that declare no outcome",
            expected=f"at least one of {', '.join(OUTCOMES)}",
            do="Add a section such as [outcomes.churn] to the settings.",
        )
    wanted = list(declared if names is None else names)
    for name in wanted:
        if name not in declared:
            raise InputError(f"outcome '{name}'", expected=f"one of {', '.join(declared)}",
                             do="Name one of these, or declare it in the settings.")  # fmt: skip
    return {name: declared[name] for name in wanted}
