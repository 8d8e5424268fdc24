"""One account: who it is, what each model says of it, and how its signals make that number."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import expit

from serving.api.problems import ProblemError, shown
from serving.console.format import day, exact_money, in_days, money, plural, span
from serving.console.views.desk import Desk
from serving.console.views.facts import NONE, Phrase, Shown, fact, figure, phrase, renewal, word
from serving.console.views.words import BY_MODEL, Words
from serving.scoring.eligibility import POPULATIONS
from serving.scoring.score import by_signal
from serving.scoring.scorer import Scorer

STEPS = 8
REASONS = 5
CBI = (
    ("cbi_frequency", "Frequency"), ("cbi_time", "Time"), ("cbi_use_cases", "Use cases"),
    ("cbi_breadth", "Breadth"), ("cbi_notifications", "Notifications"),
)  # fmt: skip
PROFILE = (
    ("industry", "Industry"), ("country", "Country"), ("channel", "Found us by"),
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One model's number for the account, and where to read why."""

    words: Words
    probability: float
    grade: str
    position: int
    of: int
    chosen: bool


@dataclass(frozen=True)
class Step:
    """One step of the waterfall: from a probability to the next, in log-odds between."""

    short: str
    peers: str
    start: float
    end: float
    kind: str = ""

    @property
    def part(self) -> float:
        """The contribution in log-odds."""
        return self.end - self.start

    @property
    def points(self) -> float:
        """By how much the probability changes in this step."""
        return float(expit(self.end) - expit(self.start))


@dataclass(frozen=True)
class Contribution:
    """One signal's whole contribution, as the model gives it."""

    signal: str
    label: str
    part: float


@dataclass(frozen=True)
class Why:
    """How one model comes to its number: `base` and the contributions sum to `log_odds`."""

    words: Words
    version: str
    probability: float
    base: float
    log_odds: float
    steps: tuple[Step, ...]
    act: tuple[Phrase, ...]
    context: tuple[Phrase, ...]
    contributions: tuple[Contribution, ...]
    horizon_days: int
    lead_days: int


@dataclass(frozen=True)
class Part:
    """One part of the Customer Behavior Index, and its peers' median."""

    label: str
    value: float
    peers: float | None


@dataclass(frozen=True)
class Account:
    """What the page of an account shows."""

    account: str
    name: str
    population: str
    profile: tuple[tuple[str, Shown], ...]
    verdicts: tuple[Verdict, ...]
    silent: tuple[tuple[str, str], ...]
    why: Why | None
    index: Shown
    parts: tuple[Part, ...]
    as_of: date


def account(desk: Desk, account_id: str, model: str = "") -> Account:
    """The page of an account, with the reasons of one model (the first that applies)."""
    table = desk.table
    if account_id not in table.row_of:
        raise ProblemError(
            "unknown-account", f"No account {shown(account_id)} on the scoring day.",
            found=shown(account_id), expected="an account that existed on the scoring day",
        )  # fmt: skip
    row = table.row_of[account_id]
    whys = {name: scorer.why_not(row) for name, scorer in desk.state.scorers.items()}
    ours = [w.model for w in BY_MODEL.values() if w.model in whys and whys[w.model] is None]
    chosen = model if model in ours else (ours or [""])[0]
    return Account(
        account=account_id,
        name=desk.known.name(account_id),
        population=POPULATIONS.get(table.contexts[row].population, ""),
        profile=tuple(_profile(desk, row)),
        verdicts=tuple(_verdict(desk.state.scorers[m], row, m == chosen) for m in ours),
        silent=tuple((BY_MODEL[m].title, why) for m, why in whys.items() if why and m in BY_MODEL),
        why=_why(desk.state.scorers[chosen], row) if chosen else None,
        index=figure(desk.snapshot, row, "cbi", "index"),
        parts=tuple(_parts(desk, row)),
        as_of=date.fromisoformat(table.as_of),
    )


def _verdict(scorer: Scorer, row: int, chosen: bool) -> Verdict:
    [said] = scorer.answers([row], explain=False)
    rank, words = said["rank"], BY_MODEL[scorer.model.name]
    return Verdict(words, said["probability"], said["grade"], rank["position"], rank["of"], chosen)


def _why(scorer: Scorer, row: int) -> Why:
    """The contributions of every signal, and the waterfall that they make."""
    model, snapshot = scorer.model, scorer.snapshot
    rows = scorer.encoder.rows(snapshot.table, np.array([row], dtype=np.intp))
    contributions = model.contributions(rows)
    parts, base = by_signal(model, contributions)[0].tolist(), float(contributions[0, -1])
    order = sorted(range(len(parts)), key=lambda i: (-abs(parts[i]), model.signals[i]))
    used = [i for i in order if parts[i] != 0]
    said = [phrase(snapshot, row, model.signals[i], parts[i]) for i in used]
    return Why(
        words=BY_MODEL[model.name],
        version=model.version,
        probability=float(model.predict(rows)[0]),
        base=base,
        log_odds=float(model.log_odds(rows)[0]),
        steps=tuple(waterfall(base, [parts[i] for i in used], said)),
        act=tuple(p for p in said if p.kind == "act")[:REASONS],
        context=tuple(p for p in said if p.kind != "act")[:REASONS],
        contributions=tuple(
            Contribution(model.signals[i], snapshot.wordings[model.signals[i]].label, parts[i])
            for i in used
        ),
        horizon_days=int(model.card["horizon_days"]),
        lead_days=int(model.card["lead_days"]),
    )


def waterfall(base: float, parts: list[float], said: list[Phrase]) -> list[Step]:
    """The largest parts one after another, then all others together.

    >>> use = Phrase("use", "Use fell", "peers 9", "act")
    >>> [(s.short, s.peers, s.start, s.end) for s in waterfall(-2.0, [0.5], [use])]
    [('Use fell', 'peers 9', -2.0, -1.5)]
    """
    steps, at = [], base
    for part, reason in zip(parts[:STEPS], said, strict=False):
        steps.append(Step(reason.short, reason.peers, at, at + part, reason.kind))
        at += part
    if rest := parts[STEPS:]:
        text = f"{plural(len(rest), 'smaller signal')} together"
        steps.append(Step(text, "", at, at + sum(rest), "rest"))
    return steps


def _profile(desk: Desk, row: int) -> list[tuple[str, Shown]]:
    snapshot, table = desk.snapshot, desk.table
    context = table.contexts[row]
    as_of = date.fromisoformat(table.as_of)
    renews = renewal(desk.known.renewals.get(table.ids[row]), as_of)
    told = [("Plan", Shown((context.plan or "–").capitalize()))]
    told += [
        ("MRR", _mrr(desk, row)),
        ("Renews", renews),
        ("Seats", figure(snapshot, row, "seats", "count")),
    ]
    told += [("Customer for", _since(_days(desk, row, "tenure_days"), as_of))]
    told += [("Signed up", _ago(context.age_days, as_of))]
    told += [("Employees", figure(snapshot, row, "employees", "count"))]
    told += [(label, Shown(_capital(word(snapshot, row, name)))) for name, label in PROFILE]
    return [(label, value) for label, value in told if value.text not in ("", NONE.text, "0")]


def _days(desk: Desk, row: int, feature: str) -> float | None:
    """A feature in days, None when not known."""
    value = fact(desk.snapshot, row, feature)
    return value if isinstance(value, float) and not np.isnan(value) else None


def _mrr(desk: Desk, row: int) -> Shown:
    value, currency = float(desk.table.mrr[row]), str(desk.snapshot.company["currency"])
    return Shown(money(value, currency), exact_money(value, currency)) if value > 0 else NONE


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _since(days: float | None, as_of: date) -> Shown:
    if days is None or days <= 0:
        return NONE
    start = date.fromordinal(as_of.toordinal() - int(days))
    return Shown(span(int(days)), f"since {day(start)}")


def _ago(days: float | None, as_of: date) -> Shown:
    if days is None or np.isnan(days):
        return NONE
    start = date.fromordinal(as_of.toordinal() - int(days))
    return Shown(in_days(-int(days)), day(start))


def _parts(desk: Desk, row: int) -> list[Part]:
    population = desk.table.contexts[row].population
    peers = desk.snapshot.peers.get(population, {})
    found = [(name, label, figure(desk.snapshot, row, name, "index")) for name, label in CBI]
    return [
        Part(label, float(value.exact), peers.get(name))
        for name, label, value in found
        if value is not NONE
    ]
