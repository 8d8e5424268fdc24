"""How the past cases ended that are most like an account, for the same reasons."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.console.format import day, percent, plural, whole
from serving.console.views.desk import Desk
from serving.console.views.words import BY_MODEL, Words
from serving.models.cases import Case
from serving.models.model import Model

LISTED = 5
OTHERWISE = {"churn": "stayed", "pql": "did not start to pay", "upgrade": "did not pay more"}
GONE = "An account that is no longer here"


@dataclass(frozen=True)
class Ended:
    """One past case; `account` is empty where nobody can say any more whose it was."""

    account: str
    name: str
    when: str
    happened: bool
    ended: str
    shared: str


@dataclass(frozen=True)
class Similar:
    """So many of the most similar cases ended so; `ends` says of each, the nearest first."""

    text: str
    usual: str
    ends: tuple[bool, ...]
    nearest: tuple[Ended, ...]


def similar(desk: Desk, model: Model, account: str, parts: Mapping[str, float]) -> Similar | None:
    """The cases most like an account; None where the bundle holds none, or too few.

    `parts`: signal → the account's contribution in log-odds; one that is left out had none.
    """
    if model.cases is None:
        return None
    mine = np.array([parts.get(name, 0.0) for name in model.signals])
    found = model.cases.nearest(mine, account)
    if not found:
        return None
    words, ends = BY_MODEL[model.name], tuple(case.happened for case in found)
    return Similar(
        _text(model, words, ends),
        f"Of all {whole(len(model.cases.accounts))} it was {percent(model.cases.rate)}.",
        ends,
        tuple(_ended(desk, case, words) for case in found[:LISTED]),
    )


def _text(model: Model, words: Words, ends: tuple[bool, ...]) -> str:
    lead, horizon = int(model.card["lead_days"]), int(model.card["horizon_days"])
    within = f"within {plural(horizon, 'day')}"
    if lead:
        within = f"in days {lead + 1} to {lead + horizon}"
    return f"Of the {len(ends)} most similar past cases {sum(ends)} {words.happened} {within}."


def _ended(desk: Desk, case: Case, words: Words) -> Ended:
    account = desk.by_pseudonym.get(case.account, "")
    labels = [desk.snapshot.wordings[s].label for s in case.shared if s in desk.snapshot.wordings]
    return Ended(
        account,
        desk.known.name(account) if account else GONE,
        day(case.as_of),
        case.happened,
        words.happened if case.happened else OTHERWISE.get(words.model, "did not"),
        ", ".join(label[:1].lower() + label[1:] for label in labels),
    )
