"""Golden features: whose use goes with an outcome, raw and once accounts are made alike.

Association, never cause: what was not measured is not adjusted for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import roc_auc_score

from features.settings import Settings
from training.insights.adjust import Adjusters, adjusters, expected, strata
from training.insights.candidates import Candidate, candidates, exposure
from training.insights.effects import (
    FALSE_DISCOVERIES,
    Effect,
    Fit,
    Floats,
    Ints,
    discoveries,
    logistic,
    risk_ratio,
)
from training.insights.landmarks import Landmarks

RAREST = 0.02  # share of rows on either side
FEWEST_OUTCOMES = 10  # expected on either side, if use meant nothing
TOLD_BY_USE = 0.95  # an AUC at which it is just another word for use: nobody alike differs in it


@dataclass(frozen=True)
class Golden:
    """One candidate: how many had used it, its raw and its adjusted effect.

    `raw` is a risk ratio, `adjusted` an odds ratio (adjusted for use, age, plan, company and the
    other candidates); None, with a `note`, where it cannot be told. `q`: the smallest false
    discovery rate at which it would be a discovery.
    """

    name: str
    label: str
    kind: str
    share: float
    raw: Effect | None
    adjusted: Effect | None
    q: float | None
    discovery: bool
    note: str = ""


@dataclass(frozen=True)
class Shuffled:
    """The whole search on outcomes shuffled among alike accounts, where nothing is to be found."""

    times: int
    with_discoveries: int
    most: float

    @property
    def passed(self) -> bool:
        """Whether chance shows no more often than its share allows (one-sided, 95 %)."""
        bound = self.most * self.times
        return self.with_discoveries <= bound + 1.645 * np.sqrt(bound * (1 - self.most))


@dataclass(frozen=True)
class GoldenTable:
    """The candidates of one outcome, the strongest discovery first; the negative controls."""

    rows: tuple[Golden, ...]
    controls: tuple[Golden, ...]
    shuffled: Shuffled | None


@dataclass(frozen=True)
class Question:
    """The candidates that can be told apart, as columns, beside what accounts are alike in."""

    tested: tuple[Candidate, ...]
    E: Floats
    alike: Adjusters

    def answer(self, y: Floats, account: Ints, start: Floats | None = None) -> Fit:
        """The adjusted effects of all candidates on an outcome, in one fit."""
        X, ridge = self.alike.design(*self.E.T)
        return logistic(X, y, account, ridge, start)

    def p_values(self, fit: Fit, controls: bool = False) -> Floats:
        """The p-value of each candidate (or of each control), in the order of `tested`."""
        places = [i for i, c in enumerate(self.tested) if c.control == controls]
        return np.array([fit.ratio(1 + i).p for i in places])


def golden(
    found: Landmarks,
    settings: Settings,
    *,
    shuffles: int = 0,
    seed: int = 0,
    told: Callable[[int], None] = lambda done: None,
) -> GoldenTable:
    """Raw and adjusted effects of every candidate; `shuffles`: how often chance is tried."""
    alike = adjusters(found)
    asked = [c for c in candidates(settings) if c.column in found.rows]
    looked = [_looked_at(c, exposure(c, found, settings), found, alike) for c in asked]
    tested = [(c, e) for c, e, row in looked if not row.note]
    untold = [row for _, _, row in looked if row.note]
    if not tested:
        return GoldenTable(tuple(untold), (), None)
    question = Question(tuple(c for c, _ in tested), np.column_stack([e for _, e in tested]), alike)
    fit = question.answer(found.y, found.account)
    rows = _judged(question, fit, [row for _, _, row in looked if not row.note])
    chance = shuffled(found, question, fit, shuffles, seed, told) if shuffles else None
    kinds = [[r for r in rows if (r.kind == "control") == control] for control in (False, True)]
    ranked = sorted(kinds[0], key=_strength)
    return GoldenTable((*ranked, *untold), tuple(kinds[1]), chance)


def _strength(row: Golden) -> tuple[bool, float]:
    """Discoveries first, each part by how sure its effect is."""
    return not row.discovery, row.adjusted.p if row.adjusted else 1.0


def _looked_at(
    candidate: Candidate, used: Floats, found: Landmarks, alike: Adjusters
) -> tuple[Candidate, Floats, Golden]:
    note = _cannot_be_told(used, found, alike)
    raw = None if used.min() == used.max() else risk_ratio(used, found.y, found.account)
    raw = raw if raw is not None and np.isfinite(raw.value) else None
    row = Golden(candidate.name, candidate.label, candidate.kind, float(used.mean()), raw,
                 None, None, False, note)  # fmt: skip
    return candidate, used, row


def _cannot_be_told(used: Floats, found: Landmarks, alike: Adjusters) -> str:
    """Why a candidate's adjusted effect says nothing; empty where it does."""
    share = used.mean()
    if not RAREST <= share <= 1 - RAREST:
        return "used by nearly all or nearly none"
    awaited = min(share, 1 - share) * min(found.y.sum(), len(found.y) - found.y.sum())
    if awaited < FEWEST_OUTCOMES:
        return f"fewer than {FEWEST_OUTCOMES} outcomes to be awaited on one side"
    X, ridge = alike.design()
    score = X @ logistic(X, used, found.account, ridge + 1e-3).beta
    auc = roc_auc_score(used, score)
    if auc >= TOLD_BY_USE:
        return f"not told apart from use, age and size as such (AUC {TOLD_BY_USE} or more)"
    return ""


def _judged(question: Question, fit: Fit, rows: list[Golden]) -> list[Golden]:
    found, q = discoveries(question.p_values(fit))
    verdicts = iter(zip(found, q, strict=True))
    judged = []
    for place, row in enumerate(rows):
        now = replace(row, adjusted=fit.ratio(1 + place))
        if not question.tested[place].control:
            discovery, level = next(verdicts)
            now = replace(now, discovery=bool(discovery), q=float(level))
        judged.append(now)
    return judged


def shuffled(
    found: Landmarks,
    question: Question,
    fit: Fit,
    times: int,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
) -> Shuffled:
    """Search again where nothing is to be found: outcomes change places among alike rows.

    Alike are rows to which the adjusters give about the same chance: what use, age and plan do
    stays in the data, what the candidates do is taken out.
    """
    chance, null = expected(found, question.alike)
    bands, rng = strata(chance), np.random.default_rng(seed)
    start = np.r_[null.beta[:1], np.zeros(len(question.tested)), null.beta[1:]]
    hits = 0
    for time in range(times):
        again = question.answer(shuffle(found.y, bands, rng), found.account, start)
        hits += bool(discoveries(question.p_values(again))[0].any())
        told(time + 1)
    return Shuffled(times, hits, FALSE_DISCOVERIES)


def shuffle(y: Floats, bands: Ints, rng: np.random.Generator) -> Floats:
    """Outcomes that changed places within each band.

    >>> shuffle(np.array([1.0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.random.default_rng(0))[2:]
    array([1., 1.])
    """
    order = np.lexsort((rng.random(len(y)), bands))
    places = np.argsort(bands, kind="stable")
    mixed = np.empty_like(y)
    mixed[places] = y[order]
    return mixed
