import tomllib
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from features.catalog import catalogue
from features.errors import RefusedError
from features.lifecycle.adoption import adopted
from features.read_settings import load_settings
from features.settings import Milestone, Outcome
from features.simulate.truth import GOLDEN, SEQUENCES, SYMPTOMS
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.table import refresh
from features.workspace import Workspace
from tests.reference_known import World
from tests.worlds import at, load, sample_settings
from training.insights import Insights, insights
from training.insights.adjust import Adjusters, standard
from training.insights.candidates import candidates, exposure, steps
from training.insights.effects import logistic, risk_ratio
from training.insights.frequency import frequencies
from training.insights.golden import golden
from training.insights.landmarks import (
    FEWEST,
    Landmarks,
    enough,
    landmarks,
    of_outcome,
    of_renewals,
)
from training.insights.rule_text import toml
from training.insights.rules import FAR, SignUps, at_risk, judge, search
from training.insights.signals import associations
from training.observations import History, grid

ROOT = Path(__file__).parent.parent
SETTINGS = load_settings(ROOT / "goldpan.toml")
TAKEN_UP = ("report_shared", "template_used", "export_run", "automation_run",
            "integration_synced", "api_called")  # fmt: skip
CAUSAL = {"report_shared": 0.9, "integration_synced": 0.8}
FIRST = np.datetime64("2025-01-06")


def accounts(seed: int, count: int = 4000, causal: dict[str, float] = CAUSAL) -> Landmarks:
    """Prospects, three rows each: the engaged take up more of everything, and buy more.

    Only the features in `causal` make them buy; their effects are log-odds.
    """
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(count), 3)
    age = np.tile([7.0, 37.0, 67.0], count)
    zeal = np.repeat(rng.normal(0, 1, count), 3) + rng.normal(0, 0.3, 3 * count)
    since = rng.exponential(90 / np.exp(0.9 * zeal[::3, None] - 0.4), (count, len(TAKEN_UP)))
    used = since[who] < age[:, None]
    weights = np.array([causal.get(name, 0.0) for name in TAKEN_UP])
    chance = 1 / (1 + np.exp(3.6 - 0.9 * zeal - used @ weights))
    y = (rng.random(len(who)) < chance).astype(float)
    seen = np.where(used, age[:, None] - since[who], np.nan)
    columns = {c.column: seen[:, TAKEN_UP.index(c.name)] for c in candidates(SETTINGS)
               if c.name in TAKEN_UP}  # fmt: skip
    busy = rng.poisson(np.exp(3.5 + 0.8 * zeal)).astype(float)
    days = rng.binomial(28, 1 / (1 + np.exp(1 - zeal))).astype(float)
    shown = rng.poisson(0.1 * (1 + busy)).astype(float)
    rows = pd.DataFrame(
        {"account_id": [f"a{i:05}" for i in who], "age_days": age, "population": "prospect",
         "as_of": FIRST + age.astype("timedelta64[D]"), "plan": "free", "events_28d": busy,
         "events_90d": busy, "active_days_28d": days, "sessions_90d": 1 + busy,
         "notifications_shown_90d": shown} | columns
    )  # fmt: skip
    alive = np.r_[True, y[:-1] == 0] | (age == 7)  # whoever bought is no prospect any more
    return landmarks("pql", rows[alive], y[alive])


@pytest.fixture(scope="module")
def world() -> Landmarks:
    """One such company."""
    return accounts(2)


def test_only_planted_features_are_golden_though_all_look_so(world: Landmarks) -> None:
    """Raw, all six go with buying; adjusted, the two causal ones do, clearly above the others."""
    table = golden(world, SETTINGS, shuffles=60)
    rows = {row.name: row for row in table.rows}
    assert all(rows[name].raw.low > 1 for name in TAKEN_UP)  # type: ignore[union-attr]
    assert {row.name for row in table.rows if row.discovery} == set(CAUSAL)
    assert {row.name for row in table.rows[:2]} == set(CAUSAL)
    for name in CAUSAL:
        sure = rows[name].adjusted
        assert sure is not None
        assert sure.low < np.exp(CAUSAL[name]) < sure.high
        others = [rows[other].adjusted for other in TAKEN_UP if other not in CAUSAL]
        assert all(other is not None and other.value < sure.low for other in others)
    (control,) = table.controls
    assert control.adjusted is not None
    assert control.adjusted.low < 1 < control.adjusted.high
    assert table.shuffled is not None
    assert table.shuffled.passed, table.shuffled


def test_chance_is_not_called_golden() -> None:
    """In companies where no feature matters, at most one search in twenty finds any."""
    found = [golden(accounts(seed, 600, {}), SETTINGS) for seed in range(20)]
    assert sum(any(row.discovery for row in table.rows) for table in found) <= 1


def test_what_cannot_be_told_apart_from_use_is_not_told(world: Landmarks) -> None:
    """A feature that whoever uses the product has used gets a reason and no adjusted effect."""
    busy = world.rows["events_28d"]
    rows = world.rows.assign(seen_first_search_used=np.where(busy > 16, 5.0, np.nan))
    table = golden(landmarks("pql", rows, world.y), SETTINGS)
    (search_used,) = (row for row in table.rows if row.name == "search_used")
    assert search_used.adjusted is None
    assert "not told apart from use" in search_used.note


def test_the_fit_is_the_books(world: Landmarks) -> None:
    """Without penalty the coefficients and clustered errors are those of statsmodels."""
    busy = world.rows[["events_28d", "active_days_28d"]].to_numpy()
    (shared,) = (c for c in candidates(SETTINGS) if c.name == "report_shared")
    used = exposure(shared, world, SETTINGS)
    X, ridge = Adjusters(standard(busy)).design(used)
    twice = np.repeat(np.arange(len(X)), 2)  # each row double: clustered errors exceed plain ones
    ours = logistic(X[twice], world.y[twice], world.account[twice], 0 * ridge)
    book = sm.Logit(world.y[twice], X[twice]).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": world.account[twice]}
    )
    assert ours.beta == pytest.approx(book.params, abs=1e-6)
    assert ours.covariance[1, 1] ** 0.5 == pytest.approx(book.bse[1], rel=0.01)


def test_a_raw_effect_is_the_ratio_of_two_shares() -> None:
    """3 of 4 against 1 of 4 is a risk ratio of 3; rows of one account widen its interval."""
    used, y = np.array([1.0, 1, 1, 1, 0, 0, 0, 0] * 30), np.array([1.0, 1, 1, 0, 1, 0, 0, 0] * 30)
    order = np.argsort(np.arange(240) % 8, kind="stable")
    one = risk_ratio(used[order], y[order], np.arange(240))
    crowded = risk_ratio(used[order], y[order], np.arange(240) // 30)
    assert one.value == crowded.value == pytest.approx(3)
    assert crowded.low < one.low < 3 < one.high < crowded.high


def test_too_few_outcomes_are_refused_in_words(world: Landmarks) -> None:
    """The error says how many were found and how many are needed."""
    few = world.y * (np.cumsum(world.y) <= 12)
    with pytest.raises(RefusedError, match=rf"12 outcomes 'pql' .* at least {FEWEST}"):
        enough(landmarks("pql", world.rows, few))


def signed_up(seed: int, gain: float, count: int = 6000) -> SignUps:
    """Sign-ups over 600 days; having invited and reported within 9 days multiplies buying."""
    rng = np.random.default_rng(seed)
    born = np.sort(rng.uniform(0, 600, count))
    names = ("invited", "reported", "shared", "exported")
    taken = np.floor(rng.exponential((14, 10, 20, 30), (count, 4)))
    both = (taken[:, :2] <= 9).all(axis=1)
    wait = rng.exponential(400 / np.where(both, gain, 1.0))
    bought = np.where(both, np.floor(born) + 10, born) + wait
    never = np.full(count, FAR)
    return SignUps(names, born, bought, np.floor(born) + 1, never, taken)


def test_the_planted_sequence_is_found_and_holds_later() -> None:
    """Two steps within 9 days are chosen on early sign-ups and confirmed on later ones."""
    found = search(signed_up(3, 4.0), 30, 660.0)
    best = found.rules[0]
    assert set(best.steps) == {"invited", "reported"}
    assert best.within_days == 9
    assert best.confirmed
    assert best.later.lift.low > 1.5
    assert found.learnt_until < found.judged_from


def test_chance_confirms_no_sequence() -> None:
    """Where no step matters, thousands of sets are tried and at most one company in twenty errs."""
    found = [search(signed_up(seed, 1.0, 3000), 30, 660.0).rules for seed in range(20)]
    assert sum(any(rule.confirmed for rule in rules) for rules in found) <= 1


def test_who_bought_on_the_way_counts_on_neither_side() -> None:
    """A buyer of day 5 had no chance to do a step by day 9, and is not held against those who had.

    Nor does anything count that an account did, or that became of it, beyond the days in question.
    """
    people = signed_up(4, 4.0)
    before = judge(people, [0, 1], 9, 30)
    here, _ = at_risk(people, 9, 30)
    assert not here[people.bought <= np.floor(people.born) + 10].any()
    later = np.where(people.steps > 9, people.steps / 2 + 5, people.steps)
    assert judge(replace(people, steps=later), [0, 1], 9, 30) == before
    rest = np.where(here & (people.bought > np.floor(people.born) + 40), FAR, people.bought)
    assert judge(replace(people, bought=rest), [0, 1], 9, 30) == before


def test_a_rule_that_is_pasted_is_a_rule(tmp_path: Path) -> None:
    """The text at the end of goldpan.toml is read as one more PQL rule with its milestones."""
    pattern = search(signed_up(3, 4.0), 30, 660.0).rules[0]
    names = ("first_invitation", "first_export_run")
    pattern = replace(pattern, steps=names, order=names)
    text = toml(pattern, steps(SETTINGS), SETTINGS, simulated=True)
    pasted = tmp_path / "goldpan.toml"
    pasted.write_text((ROOT / "goldpan.toml").read_text() + "\n" + text)
    settings = load_settings(pasted)
    *before, rule = settings.lifecycle.pql
    assert tuple(before) == SETTINGS.lifecycle.pql
    assert rule.milestones == names
    assert rule.features == {f"days_to_{name}": "<= 9" for name in names}
    assert set(rule.features) <= set(catalogue(settings).names)
    assert [m.name for m in settings.milestones[-1:]] == ["first_export_run"]
    assert "simulated" in text
    assert "not cause" in text
    assert tomllib.loads(text)["lifecycle"]["pql"]


def test_a_step_is_seen_from_the_morning_on_which_it_is_known(tmp_path: Path) -> None:
    """An event that arrives three days late counts as done on those later days only."""
    day = date(2024, 5, 6)

    def row(event: str, late: int, number: int) -> dict[str, object]:
        moment: datetime = at(day, 43_200.0)
        known = moment + timedelta(days=late)
        key = f"{event}{number}"
        return {"account_id": "a", "user_id": "u", "event": event, "event_time": moment,
                "known_at": known, "message_id": key, "row_id": key}  # fmt: skip

    signed = at(day - timedelta(days=1), 43_200.0)
    account = {"account_id": "a", "created_at": signed, "known_at": signed, "row_id": "a"}
    events = [row("report", 0, 1), row("report", 3, 2), row("share", 3, 1)]
    tables: dict[str, list[object]] = {"users": [], "subscriptions": [], "identities": []}
    workspace = Workspace(tmp_path)
    load(World(accounts=[account], events=events, **tables), workspace)
    asked = [Milestone(name="one", event="report"), Milestone(name="two", event="report", count=2),
             Milestone(name="gave", event="share")]  # fmt: skip
    found = adopted(workspace, sample_settings(), asked).set_index("milestone")["day"]
    morning = (day - date(1970, 1, 1)).days + 1
    assert found.to_dict() == {"one": morning, "two": morning + 3, "gave": morning + 3}


def terms(seed: int, rate: list[float]) -> Landmarks:
    """Monthly terms by active days a week (0 to 6), renewed at the rates given."""
    rng = np.random.default_rng(seed)
    count = 7000
    week = rng.integers(0, 7, count)
    rows = pd.DataFrame(
        {"account_id": [f"a{i // 4:05}" for i in range(count)], "active_days_28d": 4.0 * week,
         "as_of": FIRST, "billing_months": 1.0}
    )  # fmt: skip
    return landmarks("renewal", rows, (rng.random(count) < np.array(rate)[week]).astype(float))


def test_renewal_is_flat_from_where_it_is_flat() -> None:
    """Renewal that rises to three days a week and no further is said to be flat from 3 on."""
    found = {f.contracts: f for f in frequencies(terms(1, [0.5, 0.6, 0.7, 0.9, 0.9, 0.9, 0.9]))}
    assert found["monthly"].flat_from == 3.0
    assert [band.low for band in found["monthly"].bands] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert found["monthly"].bands[3].renewed.low < 0.9 < found["monthly"].bands[3].renewed.high
    alike = frequencies(terms(2, [0.8] * 7))[0]
    assert alike.flat_from == alike.bands[0].low


def test_a_term_counts_by_what_was_known_before_its_end() -> None:
    """One row a term, two weeks or more before its end; a churn by two weeks after it is a no."""
    days = pd.to_datetime(["2025-01-06", "2025-01-13", "2025-01-20"] * 80)
    who = np.repeat([f"a{i:03}" for i in range(80)], 3)
    table = pd.DataFrame(
        {"account_id": who, "as_of": days, "population": "customer", "cancel_announced": False,
         "is_internal": False, "term_end": date(2025, 1, 31)}
    )  # fmt: skip
    churned = pd.to_datetime(["2025-02-10"] * 70 + ["2025-02-20"] * 10, utc=True)
    changes = pd.DataFrame({"account_id": who[::3], "time": churned, "kind": "churn"})
    none = pd.DataFrame()
    found = of_renewals(table, History(none, changes, none, date(2025, 1, 1), date(2025, 6, 1)))
    assert found.rows["as_of"].unique().tolist() == [pd.Timestamp("2025-01-13")]
    assert (found.y == 0).sum() == 70


def test_an_account_that_buys_or_leaves_at_a_midnight_is_not_looked_at_on_that_day() -> None:
    """Its row does not know of it yet, and nothing can come after: it would be told as a no."""
    as_of = pd.to_datetime(["2025-01-06", "2025-01-13"] * 160)
    table = pd.DataFrame(
        {"account_id": np.repeat([f"a{i:03}" for i in range(160)], 2), "as_of": as_of,
         "cancel_announced": False, "is_internal": False, "age_days": 10.0,
         "term_end": date(2025, 1, 31)}
    )  # fmt: skip
    at_midnight = pd.Timestamp("2025-01-13", tz="UTC")
    moved = pd.DataFrame({"account_id": table["account_id"][:160:2], "time": at_midnight})
    none = pd.DataFrame()

    def history(kind: str) -> History:
        changes = moved.assign(kind=kind)
        return History(none, changes, none, date(2025, 1, 1), date(2025, 6, 1))

    timing, prospects = Outcome(horizon_days=7, every_days=7), table.assign(population="prospect")
    found = of_outcome("pql", timing, prospects, history("convert"), SETTINGS)
    assert (found.y.sum(), len(found.y)) == (80, 240)
    renewed = of_renewals(table.assign(population="customer"), history("churn"))
    assert (renewed.y.sum(), len(renewed.y)) == (80, 160)


def test_signals_beyond_use_are_told_from_those_that_are_use(world: Landmarks) -> None:
    """Use goes with buying; an unneeded feature no longer does among the equally active."""
    seen = {c.name: world.rows[c.column] for c in candidates(SETTINGS) if c.name in TAKEN_UP}
    counts = {f"event_{name}_28d": days.notna() * 3.0 for name, days in seen.items()}
    told = associations(landmarks("pql", world.rows.assign(**counts), world.y), SETTINGS)
    found = {a.signal: a for a in told}
    assert found["active_days"].discovery
    assert found["active_days"].alone.low > 1.5
    assert {f"event_{n}" for n in CAUSAL} <= {a.signal for a in told if a.discovery}
    idle = found["event_export_run"]
    assert idle.beyond_use is not None
    assert idle.alone.low > 1
    assert idle.beyond_use.value < idle.alone.value


@pytest.mark.slow
def test_shuffled_companies_keep_to_five_percent() -> None:
    """Of 600 searches on outcomes shuffled among alike accounts at most 5 % find anything."""
    tries = [golden(accounts(s), SETTINGS, shuffles=200, seed=s).shuffled for s in (11, 12, 13)]
    assert sum(t.with_discoveries for t in tries if t) <= 0.05 * 600


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Insights:
    """What is told of a simulated company of 6,000 accounts."""
    workspace = Workspace(tmp_path_factory.mktemp("insights"))
    simulate(workspace, accounts=6000, days=720, seed=7)
    ingest(workspace, SETTINGS, base=ROOT)
    refresh(workspace, SETTINGS, grid(workspace, SETTINGS))
    return insights(workspace, SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", list(GOLDEN))
def test_the_simulators_golden_features_are_found(company: Insights, outcome: str) -> None:
    """The planted features are found, symptoms besides at most, clearly beyond all others."""
    (table,) = (part.golden for part in company.outcomes if part.outcome == outcome)
    assert table is not None
    planted, symptoms = set(GOLDEN[outcome]), set(SYMPTOMS[outcome])
    found = {row.name for row in table.rows if row.discovery}
    assert planted <= found <= planted | symptoms
    size = {row.name: np.log(row.adjusted.value) for row in table.rows if row.adjusted}
    assert all(size[name] * sign > 0 for name, sign in GOLDEN[outcome].items())
    others = [abs(size[name]) for name in size if name not in planted | symptoms]
    assert min(abs(size[name]) for name in planted) > 1.5 * max(others)
    assert table.shuffled is not None
    assert table.shuffled.passed, table.shuffled


@pytest.mark.slow
def test_the_simulators_sequence_is_found(company: Insights) -> None:
    """Later sign-ups confirm rules that hold a planted step within about the planted days.

    Nearly everybody makes a report in nine days: of the planted two, the other step tells.
    """
    assert company.paths is not None
    assert company.paths.patterns is not None
    planted = SEQUENCES["pql"]
    asked = {step.name: step.event for step in steps(SETTINGS)}
    found = [
        rule.within_days - planted.within_days
        for rule in company.paths.patterns.rules
        if rule.confirmed and {asked[name] for name in rule.steps} & set(planted.events)
    ]
    assert min(map(abs, found)) <= 2
    assert company.paths.rules
