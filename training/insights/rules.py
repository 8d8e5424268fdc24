"""Sequence and timing: small sets of steps, done within so many days, that go with buying.

Chosen on those who signed up first, judged on those who signed up later, whose story had not begun
when the last outcome of the first was known. An account is judged from the midnight at which its
days are over, if it has not bought before: whoever bought on the way counts on neither side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom
from statsmodels.stats.multitest import multipletests

from features.errors import RefusedError
from training.insights.effects import Effect, Floats, Z, ratio
from training.observations import History

Mask = NDArray[np.bool_]
WITHIN = (2, 3, 5, 7, 9, 14, 21, 30)
LARGEST = 3
OFFERED = 2  # of each number of steps
LEARN_SHARE = 0.6
FEWEST_ACCOUNTS = 30
FEWEST_OUTCOMES = 20
ALIKE = 0.8  # share of accounts in common at which two rules are one
WORTH_A_STEP = 1.02  # what one more step must raise the sure lift by
SURE = 3.0  # standard errors: thousands are tried, so that two would choose luck
LEVEL = 0.05


@dataclass(frozen=True)
class SignUps:
    """One row per account: its day of sign-up, of buying, and of each step (days, far: never).

    `steps`: accounts x steps, the days from sign-up to the step, as seen the midnight after it.
    `order`: the same, for telling which came first.
    """

    names: tuple[str, ...]
    born: Floats
    bought: Floats
    known_from: Floats
    known_to: Floats
    steps: Floats

    def take(self, rows: Mask) -> "SignUps":
        """Only these accounts."""
        cut = (
            v[rows] for v in (self.born, self.bought, self.known_from, self.known_to, self.steps)
        )
        return SignUps(self.names, *cut)


@dataclass(frozen=True)
class Judged:
    """A rule's figures on one part of the accounts.

    `precision`: the share of those that met it who bought within the horizon; `recall`: the share
    of the buyers who had met it; `lift`: precision over the share of all that bought.
    """

    accounts: int
    met: int
    buyers: int
    precision: float
    recall: float
    base: float
    lift: Effect


@dataclass(frozen=True)
class Pattern:
    """A set of steps within so many days of sign-up, as chosen and as judged later.

    `order`: the order in which most of those who met it took the steps. `confirmed`: the lift on
    later sign-ups is above 1 beyond chance, all rules that were judged taken together (Holm).
    """

    steps: tuple[str, ...]
    within_days: int
    order: tuple[str, ...]
    learnt: Judged
    later: Judged
    p: float
    confirmed: bool = False


@dataclass(frozen=True)
class Patterns:
    """The rules offered, how many were tried, and whom they were chosen and judged on."""

    horizon_days: int
    tried: int
    learnt_until: str
    judged_from: str
    rules: tuple[Pattern, ...]


FAR = 1e6


def sign_ups(history: History, spans: pd.DataFrame, names: Sequence[str]) -> SignUps:
    """Accounts that are not internal, with the day of each step as `adopted` tells it."""
    people = history.accounts[~history.accounts["is_internal"].astype(bool)]
    people = people.sort_values("account_id").set_index("account_id")
    bought = history.changes[history.changes["kind"] == "convert"]
    first = bought.groupby("account_id")["time"].min().reindex(people.index)
    born = _days(people["created_at"])
    lasting = spans.sort_values("day").drop_duplicates(["account_id", "milestone"])
    seen = lasting.pivot_table(index="account_id", columns="milestone", values="day")
    seen = seen.reindex(index=people.index, columns=list(names))
    # A step is seen the midnight after it: the day before that is when it was taken.
    steps = seen.to_numpy(dtype=float) - 1 - np.floor(born)[:, None]
    return SignUps(
        tuple(names), born, _days(first), people["first"].to_numpy(dtype=float),
        people["end"].to_numpy(dtype=float), np.nan_to_num(steps, nan=FAR),
    )  # fmt: skip


def _days(moments: "pd.Series[pd.Timestamp]") -> Floats:
    """Days since 1970-01-01 with their fraction; far away for what never was."""
    naive = moments.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
    days = naive.to_numpy().astype(np.int64) / 86_400e6
    return np.where(naive.isna(), FAR, days)


def search(people: SignUps, horizon_days: int, until: float, longest: int = LARGEST) -> Patterns:
    """Choose rules on the first sign-ups and judge them on later ones.

    `until`: the day before which all is known. Raises RefusedError where either part holds fewer
    than 20 buyers.
    """
    ripe = people.take(people.born + max(WITHIN) + 1 + horizon_days <= until)
    early, late, days = _parts(ripe, horizon_days)
    if not len(early.born) or not len(late.born):
        raise _too_few(0, horizon_days)
    tried = [
        _choice(early, horizon_days, steps, k)
        for k in WITHIN
        for steps in _sets(early, horizon_days, k, longest)
    ]
    chosen = _distinct([c for c in tried if c is not None], early)
    judged = [_judged_later(c, early, late, horizon_days) for c in chosen]
    return Patterns(horizon_days, len(tried), *days, _holm(judged))


def _parts(ripe: SignUps, horizon_days: int) -> tuple[SignUps, SignUps, tuple[str, str]]:
    """The first and the later sign-ups, with a gap in which the first ones' story ends."""
    if not len(ripe.born):
        raise _too_few(0, horizon_days)
    cut = np.quantile(ripe.born, LEARN_SHARE)
    story = max(WITHIN) + 1 + horizon_days
    early, late = ripe.take(ripe.born <= cut), ripe.take(ripe.born > cut + story)
    for part in (early, late):
        _, y = at_risk(part, min(WITHIN), horizon_days)
        if y.sum() < FEWEST_OUTCOMES:
            raise _too_few(int(y.sum()), horizon_days)
    return early, late, (_date(cut), _date(np.floor(cut + story) + 1))


def _too_few(found: int, horizon_days: int) -> RefusedError:
    return RefusedError(
        f"{found} accounts that bought within {horizon_days} days, in one of the two parts of the "
        "sign-ups",
        expected=f"at least {FEWEST_OUTCOMES} in each: rules are chosen on early sign-ups and "
        "judged on later ones",
        do="Bring more history, or wait for more accounts to buy.",
    )


def at_risk(people: SignUps, within: int, horizon_days: int) -> tuple[Mask, Floats]:
    """Who is there and has not bought when its first days are over, and who buys thereafter.

    The landmark is the first midnight at which all `within` days (and the day of sign-up) are past.
    """
    landmark = np.floor(people.born) + within + 1
    here = (people.bought > landmark) & (people.known_from <= landmark)
    here &= landmark < people.known_to
    return here, (people.bought[here] <= landmark[here] + horizon_days).astype(float)


@dataclass(frozen=True)
class Choice:
    """A set that was tried, and the lift that is sure of it on the first sign-ups."""

    places: tuple[int, ...]
    within: int
    sure: float


def _sets(early: SignUps, horizon: int, k: int, longest: int) -> Iterator[tuple[int, ...]]:
    """The sets of steps that enough accounts did within k days."""
    here, _ = at_risk(early, k, horizon)
    done = early.steps[here] <= k
    common = [i for i in range(done.shape[1]) if done[:, i].sum() >= FEWEST_ACCOUNTS]
    for size in range(1, longest + 1):
        yield from combinations(common, size)


def _choice(early: SignUps, horizon: int, places: tuple[int, ...], k: int) -> Choice | None:
    here, y = at_risk(early, k, horizon)
    met = np.asarray((early.steps[here][:, places] <= k).all(axis=1))
    if met.sum() < FEWEST_ACCOUNTS or not y.sum() or met.all():
        return None
    lift = _lift(met, y)
    if lift.value <= 0:
        return None
    error = np.log(lift.high / lift.value) / Z
    return Choice(places, k, float(lift.value * np.exp(-SURE * error)))


def _distinct(found: list[Choice], early: SignUps) -> list[Choice]:
    """Two of each number of steps, of the largest sure lift; each step must be worth it."""
    best: dict[tuple[int, ...], Choice] = {}
    for choice in sorted(found, key=lambda c: -c.sure):
        best.setdefault(choice.places, choice)
    kept: list[Choice] = []
    for choice in best.values():
        apart = all(_overlap(choice, other, early) < ALIKE for other in kept)
        full = sum(len(other.places) == len(choice.places) for other in kept) >= OFFERED
        if choice.sure > 1 and apart and not full and _worth(choice, best):
            kept.append(choice)
    return kept


def _worth(choice: Choice, best: dict[tuple[int, ...], Choice]) -> bool:
    parts = [p for n in range(1, len(choice.places)) for p in combinations(choice.places, n)]
    return all(choice.sure >= WORTH_A_STEP * best[p].sure for p in parts if p in best)


def _overlap(one: Choice, other: Choice, early: SignUps) -> float:
    """The share of the accounts that meet either which meet both."""
    a, b = ((early.steps[:, c.places] <= c.within).all(axis=1) for c in (one, other))
    return float((a & b).sum() / max((a | b).sum(), 1))


def _judged_later(choice: Choice, early: SignUps, late: SignUps, horizon: int) -> Pattern:
    names = tuple(early.names[i] for i in choice.places)
    first = early.steps[:, choice.places]
    met = np.asarray((first <= choice.within).all(axis=1))
    learnt, later = (judge(part, choice.places, choice.within, horizon) for part in (early, late))
    total = round(later.base * later.accounts)
    p = hypergeom.sf(later.buyers - 1, later.accounts, total, later.met) if later.met else 1.0
    order = tuple(names[i] for i in _usual_order(first[met]))
    return Pattern(names, choice.within, order, learnt, later, float(p))


def judge(people: SignUps, places: Sequence[int], within: int, horizon: int) -> Judged:
    """A rule's figures on some accounts."""
    here, y = at_risk(people, within, horizon)
    met = np.asarray((people.steps[here][:, list(places)] <= within).all(axis=1))
    hits, base = float(y[met].sum()), float(y.mean()) if len(y) else 0.0
    precision = hits / int(met.sum()) if met.any() else 0.0
    recall = hits / float(y.sum()) if y.any() else 0.0
    return Judged(len(y), int(met.sum()), int(hits), precision, recall, base, _lift(met, y))


def _lift(met: Mask, y: Floats) -> Effect:
    """Precision over base rate, with the interval of the logarithm of that ratio."""
    if not met.any() or not y[met].any():
        return Effect(0.0, 0.0, float("inf"), 1.0) if y.any() else Effect(1.0, 0.0, 9.0, 1.0)
    inside, base = y[met].mean(), y.mean()
    part = met * (y - inside) / (met.sum() * inside) - (y - base) / (len(y) * base)
    return ratio(float(np.log(inside / base)), float(np.sqrt((part**2).sum())))


def _usual_order(days: Floats) -> tuple[int, ...]:
    """The order in which most took the steps; by the mean rank, ties in the order given."""
    return tuple(int(i) for i in np.argsort(days.mean(axis=0), kind="stable"))


def _holm(judged: list[Pattern]) -> tuple[Pattern, ...]:
    """The rules with their verdicts, all taken together; the confirmed first, by sure lift."""
    if not judged:
        return ()
    sure = multipletests([pattern.p for pattern in judged], alpha=LEVEL, method="holm")[0]
    told = (
        replace(pattern, confirmed=bool(ok and pattern.later.lift.low > 1))
        for pattern, ok in zip(judged, sure, strict=True)
    )
    return tuple(sorted(told, key=lambda p: (not p.confirmed, -p.later.lift.low)))


def _date(day: float) -> str:
    return str(np.datetime64(int(np.floor(day)), "D"))
