"""One account: who it is, what each model says of it, and how its signals make that number."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import expit

from features.event_words import capital
from serving.api.problems import ProblemError, shown
from serving.console.drawings.curve import By
from serving.console.format import day, exact, exact_money, in_days, money, plural, span, whole
from serving.console.views.confidence import confidence, likeness
from serving.console.views.desk import Desk
from serving.console.views.facts import NONE, Phrase, Shown, fact, figure, phrase, renewal
from serving.console.views.journey import since, state_name
from serving.console.views.nextstep import with_plays
from serving.console.views.words import BY_MODEL, Words
from serving.scoring.alike import alike
from serving.scoring.eligibility import POPULATIONS, Context
from serving.scoring.score import how_soon
from serving.scoring.scorer import Scorer, Scores

STEPS = 8
REASONS = 5
CBI = (
    ("cbi_frequency", "Frequency"), ("cbi_time", "Time"), ("cbi_use_cases", "Use cases"),
    ("cbi_breadth", "Breadth"), ("cbi_notifications", "Notifications"),
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
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Step:
    """One step of the waterfall: from a probability to the next, in log-odds between."""

    short: str
    peers: str
    start: float
    end: float
    kind: str = ""
    signal: str = ""

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
    curve: tuple[By, ...]
    horizon_days: int
    lead_days: int
    confidence: str = ""
    likeness: str = ""


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
    scores = scorer.scores([row], explain=False)
    [said] = scorer.answers(scores, explain=False, when=False)
    rank, ends = said["rank"], said.get("interval", {})
    return Verdict(
        BY_MODEL[scorer.model.name], said["probability"], said["grade"], rank["position"],
        rank["of"], chosen, ends.get("low"), ends.get("high"),
    )  # fmt: skip


def _why(scorer: Scorer, row: int) -> Why:
    """The contributions of every signal, and the waterfall that they make."""
    model, snapshot = scorer.model, scorer.snapshot
    scores = scorer.scores([row])
    assert scores.parts is not None  # noqa: S101 - they were asked for
    *parts, base = scores.parts[0].tolist()
    order = sorted(range(len(parts)), key=lambda i: (-abs(parts[i]), model.signals[i]))
    used = [i for i in order if parts[i] != 0]
    [soon] = how_soon(model, scores.inputs, scores.log_odds)
    said = [phrase(snapshot, row, model.signals[i], parts[i]) for i in used]
    first = {name[1:]: place for place, name in enumerate(scorer.shown(row, parts))}
    told = sorted(said, key=lambda p: first.get(p.signal, len(said)))
    return Why(
        words=BY_MODEL[model.name],
        version=model.version,
        probability=float(scores.chances[0]),
        base=base,
        log_odds=float(scores.log_odds[0]),
        steps=tuple(waterfall(base, [parts[i] for i in used], said)),
        act=with_plays(scorer, row, [p for p in told if p.kind == "act"][:REASONS], 2),
        context=tuple(p for p in told if p.kind != "act")[:REASONS],
        contributions=tuple(
            Contribution(model.signals[i], snapshot.wordings[model.signals[i]].label, parts[i])
            for i in used
        ),
        curve=tuple(By(int(c["days"]), c["risk"]) for c in soon.get("curve", ())),
        horizon_days=int(model.card["horizon_days"]),
        lead_days=int(model.card["lead_days"]),
        confidence=confidence(model.card, float(scores.chances[0]), BY_MODEL[model.name].happened),
        likeness=_likeness(scorer, scores),
    )


def _likeness(scorer: Scorer, scores: Scores) -> str:
    """Whether the account is like the data that the model learnt from."""
    model = scorer.model
    found = alike(model.card, model.names, scores.inputs[0].tolist())
    labels = {name: words.label for name, words in scorer.snapshot.wordings.items()}
    return likeness(found, {f.name: f.signal for f in model.features}, labels)


def waterfall(base: float, parts: list[float], said: list[Phrase]) -> list[Step]:
    """The largest parts one after another, then all others together.

    >>> use = Phrase("use", "Use fell", "peers 9", "act")
    >>> [(s.short, s.peers, s.start, s.end) for s in waterfall(-2.0, [0.5], [use])]
    [('Use fell', 'peers 9', -2.0, -1.5)]
    """
    steps, at = [], base
    for part, reason in zip(parts[:STEPS], said, strict=False):
        steps.append(Step(reason.short, reason.peers, at, at + part, reason.kind, reason.signal))
        at += part
    if rest := parts[STEPS:]:
        text = f"{plural(len(rest), 'smaller signal')}{' together' if len(rest) > 1 else ''}"
        steps.append(Step(text, "", at, at + sum(rest), "rest"))
    return steps


def _profile(desk: Desk, row: int) -> list[tuple[str, Shown]]:
    snapshot, table = desk.snapshot, desk.table
    context, profile = table.contexts[row], snapshot.profiles[row]
    as_of, paying = date.fromisoformat(table.as_of), context.population == "customer"
    told = [
        ("State", Shown(state_name(profile.state), since(snapshot, row).text)),
        ("Plan", Shown(capital(context.plan or ""))),
        ("MRR", _mrr(desk, row)),
        (_term(context), renewal(desk.known.renewals.get(table.ids[row]), as_of)),
        ("Seats", figure(snapshot, row, "seats", "count")),
        ("Customer for", _since(_days(desk, row, "tenure_days") if paying else None, as_of)),
        ("Signed up", _ago(context.age_days, as_of)),
        ("Owner", Shown(profile.owner or "")),
        ("Employees", _count(profile.employees)),
        ("Industry", Shown(capital(profile.industry or ""))),
        ("Country", Shown(profile.country or "")),
        ("Found us by", Shown(capital(profile.channel or ""))),
    ]
    return [(label, value) for label, value in told if value.text not in ("", NONE.text, "0")]


def _term(context: Context) -> str:
    """What the end of an account's term is to it.

    >>> [_term(Context(who, "team", leaves, False, 90.0, 5.0))
    ...  for who, leaves in (("prospect", False), ("customer", True), ("customer", False))]
    ['Trial ends', 'Ends', 'Renews']
    """
    if context.population == "prospect":
        return "Trial ends"
    return "Ends" if context.cancel_announced else "Renews"


def _count(value: float | None) -> Shown:
    return NONE if value is None or np.isnan(value) else Shown(whole(value), exact(value))


def _days(desk: Desk, row: int, feature: str) -> float | None:
    """A feature in days, None when not known."""
    value = fact(desk.snapshot, row, feature)
    return value if isinstance(value, float) and not np.isnan(value) else None


def _mrr(desk: Desk, row: int) -> Shown:
    value, currency = float(desk.table.mrr[row]), str(desk.snapshot.company["currency"])
    return Shown(money(value, currency), exact_money(value, currency)) if value > 0 else NONE


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
