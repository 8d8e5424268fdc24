"""What `/v1` answers about accounts and models, as a CRM and a console ask it."""

import csv
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import Asked, of_the_world
from click.testing import CliRunner
from test_ledger_scores import copied, on
from test_serving_world import promote, served

from features.workspace import Workspace
from goldpan import main
from serving.api.bodies import ScoresAnswer
from serving.api.bodies.accounts import AccountAnswer, QueueAnswer
from serving.api.bodies.history import HistoryAnswer, MovementAnswer, WhatIfAnswer
from serving.api.bodies.models import ModelAnswer, ModelsAnswer
from serving.api.bodies.reviews import ReviewAnswer, ReviewsAnswer
from serving.api.cursors import cursor
from serving.scoring.recorded import record
from serving.scoring.scorer import bind


@cache
def world() -> Asked:
    """The shared world."""
    return of_the_world()


@pytest.fixture
def own(tmp_path: Path) -> Asked:
    """A copy of the shared world to change."""
    return Asked(Workspace(copied(tmp_path / "copy")))


def strictly(kind: Any, body: Any) -> Any:
    """The body as the API declares it: no unknown key, nothing null, no silent conversion."""
    assert not list(nulls(body))
    assert body["request_id"]
    return kind.model_validate(body)


def nulls(value: Any) -> Any:
    """All that is null in a body."""
    if value is None:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(
        value, list) else ():  # fmt: skip
        yield from nulls(inner)


def some(population: str, service: Asked | None = None) -> str:
    """An account of a population to which models apply."""
    state = (service or world()).state
    assert state.snapshot is not None
    name = "pql" if population == "prospect" else "churn"
    row = int(np.flatnonzero(~np.isnan(state.scorers[name].chances))[0])
    return state.snapshot.table.ids[row]


def test_a_score_tells_its_interval_its_curve_and_its_id() -> None:
    """The probability lies in its interval, the risks rise; who tells no when has no curve."""
    answer = strictly(ScoresAnswer, world().post("/v1/scores", accounts=[some("customer")]))
    churn, upgrade = answer.results[0].scores
    for score in (churn, upgrade):
        assert len(score.score_id) == 32
        assert score.interval.low < score.probability < score.interval.high
        assert score.reasons
    assert [r.days for r in churn.curve] == [30, 60, 90]
    risks = [r.risk for r in churn.curve]
    assert 0 < risks[0] < risks[1] < risks[2] < 1
    assert (churn.lead_days, churn.horizon_days) == (0, 30)
    assert risks[0] == pytest.approx(churn.probability, rel=1e-12)
    assert upgrade.curve == []


def test_reasons_are_given_for_one_account_and_for_many_when_asked() -> None:
    """What is not asked for is not worked out."""
    one, other = some("customer"), some("prospect")
    for said, accounts, expected in (
        ({}, [one], True), ({}, [one, other], False), ({"reasons": True}, [one, other], True),
        ({"reasons": False}, [one], False),
    ):  # fmt: skip
        told = world().post("/v1/scores", accounts=accounts, **said)
        scores = [s for r in told["results"] for s in r["scores"]]
        assert {"reasons" in score for score in scores} == {expected}


def test_the_queue_holds_who_to_call_first_and_its_next_page_goes_on() -> None:
    """By probability × MRR; the pages together are the whole queue."""
    whole = strictly(QueueAnswer, world().get("/v1/accounts", model="churn", order="value"))
    assert [a.value for a in whole.accounts] == sorted(a.value for a in whole.accounts)[::-1]
    assert whole.accounts[0].value == pytest.approx(
        whole.accounts[0].probability * whole.accounts[0].mrr
    )
    assert (whole.model, whole.model_version, whole.total) == ("churn", "1", len(whole.accounts))
    found, more = [], {}
    while True:
        page = world().get("/v1/accounts", model="churn", order="value", limit=4, **more)
        found += [account["account_id"] for account in page["accounts"]]
        if "next" not in page:
            break
        more = {"cursor": page["next"]}
    assert found == [a.account_id for a in whole.accounts]
    assert "next" not in world().get("/v1/accounts", model="churn", limit=200)


def test_a_queue_is_filtered_by_grade_owner_plan_state_and_revenue() -> None:
    """Each filter holds of every account that it lets through."""
    every = world().get("/v1/accounts", model="churn")["accounts"]
    for name in ("grade", "plan", "state", "owner", "population"):
        values = sorted({account[name] for account in every})[:2]
        mine = world().get("/v1/accounts", model="churn", **{name: values})["accounts"]
        assert mine == [account for account in every if account[name] in values]
        assert mine
    bounds = world().get("/v1/accounts", mrr_from=1, mrr_to=100)["accounts"]
    assert all(1 <= a["mrr"] <= 100 for a in bounds)
    former = world().get("/v1/accounts", population="former")["accounts"]
    assert {a["state"] for a in former} == {"churned"}
    assert "probability" not in former[0]


def test_a_cursor_of_another_day_or_another_list_is_refused(own: Asked) -> None:
    """The first says that there are new scores; the second that it is none of this list."""
    page = own.get("/v1/accounts", model="churn", limit=2)
    address = "/v1/accounts?model=churn&limit=2&cursor="
    promote(own.workspace, served().settings, "churn", seed=8, version="2")
    own.renew()
    problem = own.refused(410, "stale-cursor", "GET", address + page["next"])
    assert (problem.field, problem.expected) == ("cursor", "one of 2026-07-01-1, or none")
    other = own.get("/v1/accounts", model="churn", limit=2, order="value")["next"]
    for bad in (other, "nonsense", "W10", cursor("a", "b", "c", "d"), cursor(1), "é" * 9):
        own.refused(422, "invalid-request", "GET", address + bad)
    day, filters = "2026-07-01-1", "0"
    own.refused(422, "invalid-request", "GET", address + cursor(day, filters, "0x", "a"))


def test_what_only_a_queue_of_a_model_has_needs_a_model() -> None:
    """Grades and orders are a model's; so says the error."""
    problem = world().refused(422, "invalid-request", "GET", "/v1/accounts?grade=A")
    assert (problem.field, problem.expected) == ("grade", "the parameter model with it")
    world().refused(422, "unknown-model", "GET", "/v1/accounts?model=winback")


def test_an_account_is_told_whole(own: Asked) -> None:
    """Profile, company, behaviour beside its peers, state, subscription, scores with reasons."""
    account = some("customer", own)
    told = strictly(AccountAnswer, own.get(f"/v1/accounts/{account}"))
    assert (told.account_id, told.as_of, told.simulated) == (account, "2026-07-01", True)
    assert told.profile.name
    assert told.profile.age_days > 0
    assert told.company.industry
    assert [p.part for p in told.cbi.parts] == [
        "frequency", "time", "use cases", "breadth", "notifications"
    ]  # fmt: skip
    assert told.cbi.index == pytest.approx(np.mean([p.value for p in told.cbi.parts]), abs=1e-3)
    assert all(0 <= p.peers <= 100 for p in told.cbi.parts)
    assert told.subscription.mrr > 0
    assert told.subscription.renewal_date > "2026-06"
    assert [s.model for s in told.scores] == ["churn", "upgrade"]
    assert all(s.reasons for s in told.scores)
    assert [n.model for n in told.not_applicable] == ["pql"]
    prospect = strictly(AccountAnswer, own.get(f"/v1/accounts/{some('prospect', own)}"))
    assert prospect.subscription.mrr == 0


def test_every_account_can_be_told() -> None:
    """Whatever is missing of it."""
    state = world().state
    assert state.snapshot is not None
    for account in state.snapshot.table.ids[::3]:
        strictly(AccountAnswer, world().get(f"/v1/accounts/{account}"))


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("GET", "", None), ("GET", "/scores", None), ("GET", "/movement?model=churn", None),
        ("GET", "/reviews", None), ("POST", "/what-if", {"model": "churn", "changes": {"a": 1}}),
        ("POST", "/reviews", {"model": "churn", "verdict": "agree"}),
    ],
)  # fmt: skip
def test_an_account_that_we_do_not_know_is_not_found(method: str, address: str, body: Any) -> None:
    """Under every address below it."""
    more = {} if body is None else {"json": body}
    problem = world().refused(404, "unknown-account", method, f"/v1/accounts/x-1{address}", **more)
    assert problem.found == "'x-1'"


def with_a_past(own: Asked, *days: str, model: str = "churn") -> None:
    """Scores of the same accounts on earlier days, with other facts."""
    scorer = own.state.scorers[model]
    rows = np.flatnonzero(~np.isnan(scorer.chances)).tolist()
    for number, day in enumerate(days, 1):
        scores = scorer.scores(rows)
        inputs = scores.inputs * np.float32(1 + number / 4)
        words = [i for i, f in enumerate(scorer.model.features) if f.vocabulary]
        inputs[:, words] = scores.inputs[:, words]
        then = on(scorer, day)
        matrix = scorer.snapshot.table.matrix.copy()
        columns = scorer.encoder.columns
        plain = [i for i in range(len(columns)) if i not in words]
        matrix[np.ix_(rows, columns[plain])] = inputs[:, plain]
        table = then.snapshot.table.__class__(**{**vars(then.snapshot.table), "matrix": matrix})
        snapshot = then.snapshot.__class__(**{**vars(then.snapshot), "table": table})
        earlier = bind(scorer.model, replace(snapshot, night={}))
        record(own.ledger, earlier, earlier.scores(rows))


def test_the_history_is_told_newest_first_in_pages(own: Asked) -> None:
    """All days and models, or those of one."""
    account = some("customer", own)
    with_a_past(own, "2026-06-10", "2026-06-24")
    whole = strictly(HistoryAnswer, own.get(f"/v1/accounts/{account}/scores"))
    assert [s.as_of for s in whole.scores] == ["2026-07-01", "2026-07-01", "2026-06-24",
                                               "2026-06-10"]  # fmt: skip
    churn = own.get(f"/v1/accounts/{account}/scores", model="churn")["scores"]
    assert [s["as_of"] for s in churn] == ["2026-07-01", "2026-06-24", "2026-06-10"]
    found, more = [], {}
    while True:
        page = own.get(f"/v1/accounts/{account}/scores", limit=1, **more)
        found += page["scores"]
        if "next" not in page:
            break
        more = {"cursor": page["next"]}
    assert [s["score_id"] for s in found] == [s.score_id for s in whole.scores]
    for bad in (cursor("2026-13-01", "soon", "x"), cursor("2026-01-01", "2026-01-01", "\ud800")):
        own.refused(422, "invalid-request", "GET", f"/v1/accounts/{account}/scores?cursor={bad}")
    first = f"/v1/accounts/{account}/movement?model=churn&to=0001-01-03"
    own.refused(404, "no-score", "GET", first)


def test_movement_says_why_and_takes_the_nearest_earlier_day(own: Asked) -> None:
    """By default the week up to the scoring day; parts and causes sum to the difference."""
    account = some("customer", own)
    address = f"/v1/accounts/{account}/movement"
    own.refused(404, "no-score", "GET", f"{address}?model=churn")
    with_a_past(own, "2026-06-10", "2026-06-23")
    told = strictly(MovementAnswer, own.get(address, model="churn"))
    assert (told.before.asked, told.before.as_of) == ("2026-06-24", "2026-06-23")
    assert (told.after.as_of, told.model_version) == ("2026-07-01", "1")
    assert told.difference == told.after.log_odds - told.before.log_odds
    assert math.fsum(p.contribution for p in told.parts) == pytest.approx(told.difference, abs=1e-9)
    causes = (told.behaviour, told.passing_time, told.circumstances, told.version)
    assert math.fsum(causes) == pytest.approx(told.difference, abs=1e-9)
    assert told.parts[0].text
    early = own.get(address, model="churn", **{"from": "2026-06-10", "to": "2026-06-22"})
    assert early["before"]["score_id"] == early["after"]["score_id"]
    assert (early["difference"], early["parts"]) == (0.0, [])
    problem = own.refused(
        404, "no-score", "GET", f"{address}?model=churn&from=2026-06-09&to=2026-06-30"
    )
    assert problem.detail == f"churn has no score of {account} as of 2026-06-09 or before."
    for wrong in ("from=2026-06-31", "from=2026-07-02", "to=2026-02-30"):
        own.refused(422, "invalid-request", "GET", f"{address}?model=churn&{wrong}")


def test_movement_across_versions_has_a_part_for_the_version(own: Asked) -> None:
    """Also when both are of the past, as long as the later bundle is kept."""
    account = some("customer", own)
    address = f"/v1/accounts/{account}/movement?model=churn"
    with_a_past(own, "2026-06-20")
    promote(own.workspace, served().settings, "churn", seed=8, version="2")
    own.renew()
    with_a_past(own, "2026-06-26")
    own.post("/v1/scores", accounts=[account])
    told = strictly(MovementAnswer, own.ask("GET", address).json())
    assert (told.before.model_version, told.after.model_version) == ("1", "2")
    assert told.version != 0
    assert math.fsum(p.contribution for p in told.parts) == pytest.approx(told.difference, abs=1e-9)
    promote(own.workspace, served().settings, "churn", seed=9, version="3")
    own.renew()
    past = strictly(MovementAnswer, own.ask("GET", f"{address}&to=2026-06-27").json())
    assert (past.model_version, past.after.as_of) == ("2", "2026-06-26")
    (own.workspace.bundles / "churn" / "2" / "model.txt").unlink()
    problem = own.refused(410, "model-gone", "GET", f"{address}&to=2026-06-27")
    assert "Version 2 of churn made the later score" in problem.detail


def test_what_if_changes_the_prediction_and_says_that_it_is_no_more() -> None:
    """The answer says what was changed with it; the score itself stays."""
    account = some("customer")
    address = f"/v1/accounts/{account}/what-if"
    before = world().post("/v1/scores", accounts=[account], models=["churn"])
    told = strictly(
        WhatIfAnswer, world().post(address, model="churn", changes={"logins": 0, "events_28d": 0})
    )
    score = before["results"][0]["scores"][0]
    assert told.probability_before == score["probability"]
    assert told.change == told.probability - told.probability_before
    assert told.meaning.startswith("A change of the prediction, not of the world")
    assert {"logins_28d", "events_28d"} <= {c.feature for c in told.changed}
    assert (
        world().post("/v1/scores", accounts=[account], models=["churn"])["results"]
        == (before["results"])
    )
    body = {"model": "churn", "changes": {"tenure": 3}}
    problem = world().refused(422, "not-actionable", "POST", address, json=body)
    assert problem.field == "changes.tenure"
    assert "logins" in problem.expected
    assert "tenure" not in problem.expected.split(", ")
    for wrong in ({}, {"logins": None}, {"logins": 1e300}, {"logins": "3"}, {"a b": 1}):
        body = {"model": "churn", "changes": wrong}
        world().refused(422, "invalid-request", "POST", address, json=body)
    prospect = f"/v1/accounts/{some('prospect')}/what-if"
    body = {"model": "churn", "changes": {"logins": 3}}
    world().refused(422, "model-not-applicable", "POST", prospect, json=body)


def test_a_review_says_until_when_the_account_may_rest(own: Asked) -> None:
    """A day within a year of the scoring day; another is refused, and says which it may be."""
    account = some("customer", own)
    address = f"/v1/accounts/{account}/reviews"
    body = {"model": "churn", "verdict": "agree"}
    kept = strictly(ReviewAnswer, own.post(address, 201, **body, snoozed_until="2026-07-15"))
    assert kept.review.snoozed_until == "2026-07-15"
    assert own.get(address)["reviews"][0]["snoozed_until"] == "2026-07-15"
    for day in ("2026-07-01", "2027-07-03", "2026-02-30"):
        wrong = {**body, "snoozed_until": day}
        problem = own.refused(422, "invalid-request", "POST", address, json=wrong)
        assert problem.expected == "a day after 2026-07-01, within a year, such as 2026-07-15"
    for wrong in ({"snoozed_until": "soon"}, {"snoozed_until": None}):
        own.refused(422, "invalid-request", "POST", address, json={**body, **wrong})


def test_a_review_is_kept_with_its_score_and_its_key(own: Asked, tmp_path: Path) -> None:
    """It is listed, counted on the model's card, and exported so that no spreadsheet runs it."""
    account, other = some("customer", own), some("prospect", own)
    address = f"/v1/accounts/{account}/reviews"
    score = own.post("/v1/scores", accounts=[account], models=["churn"])
    name = score["results"][0]["scores"][0]["score_id"]
    said = {"verdict": "disagree", "action": "=HYPERLINK()", "outcome": "open", "note": "ö\n-"}
    first = strictly(ReviewAnswer, own.post(address, 201, model="churn", score_id=name, **said))
    second = strictly(ReviewAnswer, own.post(address, 201, model="churn", verdict="agree"))
    assert first.review.score_id == second.review.score_id == name
    assert first.review.model_version == "1"
    assert first.review.key_id == own.headers["authorization"].split("_")[1]
    told = strictly(ReviewsAnswer, own.get(address))
    assert [r.review_id for r in told.reviews] == [second.review.review_id, first.review.review_id]
    page = own.get(address, limit=1)
    rest = own.get(address, limit=1, cursor=page["next"])
    assert [r["review_id"] for r in page["reviews"] + rest["reviews"]] == [
        r.review_id for r in told.reviews
    ]
    card = strictly(ModelAnswer, own.get("/v1/models/churn"))
    assert [vars(r) for r in card.reviews] == [{"model_version": "1", "agree": 1, "disagree": 1}]
    for wrong in ("0" * 32, own.post("/v1/scores", accounts=[other])["results"][0]["scores"][0][
        "score_id"]):  # fmt: skip
        body = {"model": "churn", "verdict": "agree", "score_id": wrong}
        own.refused(404, "unknown-score", "POST", address, json=body)
    for wrong in ({"verdict": "maybe"}, {"note": "a\0b"}, {"note": "x" * 2001}, {"note": None}):
        body = {"model": "churn", "verdict": "agree", **wrong}
        own.refused(422, "invalid-request", "POST", address, json=body)
    out = tmp_path / "reviews.csv"
    ran = CliRunner().invoke(
        main, ["reviews", "--workspace", str(own.workspace.root), "--out", str(out)]
    )
    assert (ran.exit_code, "2 reviews in" in ran.output) == (0, True)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["verdict"] for r in rows] == ["disagree", "agree"]
    assert (rows[0]["action"], rows[0]["note"]) == ("'=HYPERLINK()", "ö\n-")
    assert (rows[0]["as_of"], rows[1]["action"]) == ("2026-07-01", "")


def test_a_key_that_only_reads_writes_no_review() -> None:
    """What dashboards and exports hold changes nothing; nor does it score."""
    reader = of_the_world("read")
    account = some("customer")
    body = {"model": "churn", "verdict": "agree"}
    reader.refused(403, "forbidden", "POST", f"/v1/accounts/{account}/reviews", json=body)
    assert reader.get(f"/v1/accounts/{account}/reviews")["reviews"] == []


def test_the_models_tell_their_cards_features_and_age() -> None:
    """What a manager reads: what it foretells, of whom, from what, how sure, how fresh."""
    every = strictly(ModelsAnswer, world().get("/v1/models"))
    assert [(m.model, m.status) for m in every.models] == [
        ("churn", "ready"), ("pql", "ready"), ("upgrade", "ready")
    ]  # fmt: skip
    assert every.models[0].freshness.age_days > 0
    card = strictly(ModelAnswer, world().get("/v1/models/churn"))
    model = world().state.scorers["churn"].model
    assert [f.name for f in card.features] == list(model.names)
    assert all(f.meaning and f.label for f in card.features)
    assert (card.interval.level, card.curve_days) == (0.95, [7, 14, 30, 60, 90])
    assert card.freshness.snapshot == "2026-07-01-1"
    world().refused(422, "unknown-model", "GET", "/v1/models/winback")


def test_the_document_has_no_null_and_only_names_that_salesforce_takes() -> None:
    """Types are one type each; property names are letters, digits and underscores."""
    document = world().get("/openapi.json")
    schemas = document["components"]["schemas"]
    assert {"AccountAnswer", "QueueAnswer", "MovementAnswer", "ModelAnswer"} <= schemas.keys()
    for name, schema in schemas.items():
        if name in ("HTTPValidationError", "ValidationError"):  # the framework's own
            continue
        for field, told in schema.get("properties", {}).items():
            assert field.replace("_", "a").isalnum(), (name, field)
            assert field[0].isalpha(), (name, field)
            assert "anyOf" not in told, (name, field)
            assert told.get("default", "") is not None, (name, field)
