import csv
import io
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
from scipy.special import expit
from test_serving_world import served

from features import lake
from features.workspace import Workspace
from serving.api.problems import ProblemError
from serving.console.views.account import account
from serving.console.views.asked import Asked, asked
from serving.console.views.desk import Desk, Desks, desk
from serving.console.views.export import exported
from serving.console.views.picked import Asker
from serving.console.views.queue import part
from serving.console.views.words import AT_RISK, PROSPECTS, QUEUES, UPGRADES
from serving.ledger import reviews
from serving.ledger.database import opened
from serving.models.swap import Keeper
from serving.scoring.leading import leading
from serving.scoring.recorded import record
from serving.state import State
from tests.hostile import TEXTS


@pytest.fixture(scope="module")
def state() -> State:
    """The shared world, loaded as a worker loads it."""
    return loaded(served().workspace)


@pytest.fixture(scope="module")
def made(state: State) -> Desk:
    """Every queue of it."""
    return desk(state)


def loaded(workspace) -> State:
    """What a worker holds of a workspace."""
    keeper = Keeper(workspace)
    keeper.look()
    return keeper.state


def every(made: Desk, words, **fields):
    """All lines of what is asked for, over all pages."""
    found, page = [], 1
    while len(found) < (shown := part(made, words, Asked(**fields, page=page))).found:
        found += shown.lines
        page += 1
    return found


def test_the_queue_at_risk_holds_each_customer_that_the_model_is_about_by_p_times_mrr(made):
    """Probabilities are those of the model itself; the order is by what would be lost."""
    lines = every(made, AT_RISK)
    scorer = made.state.scorers["churn"]
    rows = [r for r in range(len(made.table.ids)) if scorer.why_not(r) is None]
    said = scorer.answers(scorer.scores(rows, explain=False), explain=False)
    by_id = {made.table.ids[r]: s for r, s in zip(rows, said, strict=True)}
    assert {x.account for x in lines} == set(by_id)
    assert all(x.probability == by_id[x.account]["probability"] for x in lines)
    assert all(x.grade == by_id[x.account]["grade"] for x in lines)
    assert [x.expected for x in lines] == sorted((x.expected for x in lines), reverse=True)
    assert sum(x.expected for x in lines) == pytest.approx(
        part(made, AT_RISK, Asked()).head.expected
    )


@pytest.mark.parametrize("words", QUEUES, ids=lambda w: w.key)
def test_the_reasons_of_a_line_are_the_largest_that_push_the_score_up(made, words):
    """The largest that one can act on, in the words of the API; then one of context, apart."""
    scorer = made.state.scorers[words.model]
    for line in every(made, words)[:30]:
        [answer] = scorer.answers(scorer.scores([made.table.row_of[line.account]]))
        raising = [r for r in answer["reasons"] if r["direction"] == "raises"]
        up = [r["text"] for r in raising if r["kind"] == "act"][:2]
        act = [p for p in line.reasons if p.kind == "act"]
        assert [p.text for p in act][: len(up)] == up
        assert len(act) <= 2
        context = [r["text"] for r in raising if r["kind"] != "act"][:1]
        apart = [p for p in line.reasons if p.kind != "act"]
        assert [p.text for p in apart][: len(context)] == context
        assert line.reasons == (*act, *apart)
        assert len(apart) <= 1


def test_filters_keep_what_they_say_and_nothing_else(made):
    """Each filter alone and all together agree with the lines of the whole queue."""
    lines = every(made, AT_RISK)
    plan, reason = lines[0].plan, lines[0].reasons[0].signal
    keep = {
        "plan": (plan, lambda x: x.plan == plan),
        "owner": (lines[1].owner, lambda x: x.owner == lines[1].owner),
        "grade": (("A", "B"), lambda x: x.grade in "AB"),
        "reason": (reason, lambda x: reason in [p.signal for p in x.reasons]),
        "q": (lines[3].name[:4].upper(), lambda x: lines[3].name[:4].lower() in x.name.lower()),
    }
    for name, (value, fits) in keep.items():
        found = every(made, AT_RISK, **{name: value})
        assert [x.account for x in found] == [x.account for x in lines if fits(x)]
    together = every(made, AT_RISK, **{n: v for n, (v, _) in keep.items() if n != "q"})
    fits_all = [f for n, (_, f) in keep.items() if n != "q"]
    expected = [x.account for x in lines if all(f(x) for f in fits_all)]
    assert [x.account for x in together] == expected


def test_what_no_account_has_leaves_none(made):
    """A plan, an owner or a reason of the address that there is not."""
    for name in ("plan", "owner", "reason"):
        assert part(made, AT_RISK, Asked(**{name: "nothing of ours"})).found == 0


def test_renewals_within_a_window_are_those_of_the_subscription(made):
    """From the scoring day on, so many days; an account that does not renew is never in it."""
    found = {x.account for x in every(made, AT_RISK, renewal=30)}
    day = np.datetime64(made.table.as_of)
    ends = {a: (np.datetime64(e) - day).astype(int) for a, e in made.known.renewals.items()}
    assert found == {x.account for x in every(made, AT_RISK) if 0 <= ends.get(x.account, -1) <= 30}
    assert found


def test_each_choice_of_a_filter_counts_what_it_leaves(made):
    """The number beside an option is the number of accounts after choosing it."""
    for name, choices in part(made, AT_RISK, Asked()).choices.items():
        for choice in choices[:4]:
            value = {"grade": (choice.value,), "renewal": choice.value}.get(name, choice.value)
            value = int(choice.value) if name == "renewal" else value
            assert part(made, AT_RISK, Asked(**{name: value})).found == choice.count


def test_movement_is_todays_probability_less_that_of_a_week_before(state):
    """From the ledger's scores; who was not scored then has none, and neither way of moving."""
    ledger, workspace = two_weeks(state)
    made = desk(state, ledger)
    lines = every(made, AT_RISK)
    told = {x.account: x.moved for x in lines}
    assert None in told.values()
    for account_id, probability in workspace.items():
        now = next(x.probability for x in lines if x.account == account_id)
        assert told[account_id].change == pytest.approx(now - probability)
        assert told[account_id].told.endswith("on 24 Jun 2026")
    up = {a for a, m in told.items() if m and m.change >= 0.005}
    assert {x.account for x in every(made, AT_RISK, moved="up")} == up
    assert up
    first = every(made, AT_RISK, sort="movement")
    changes = [x.moved.change for x in first if x.moved]
    assert changes == sorted(changes, reverse=True)
    assert all(x.moved is None for x in first[len(changes) :])


def two_weeks(state):
    """A ledger that holds the churn scores of every second customer, as of a week before."""
    scorer = state.scorers["churn"]
    early = replace(scorer, snapshot=replace(
        scorer.snapshot, table=replace(scorer.snapshot.table, as_of="2026-06-24")))  # fmt: skip
    rows = [r for r in range(len(scorer.chances)) if scorer.why_not(r) is None][::2]
    shifted = early.scores(rows)
    shifted = replace(shifted, chances=np.linspace(0.01, 0.6, len(rows)))
    ledger = opened(Workspace(Path(tempfile.mkdtemp(prefix="goldpan-week-"))))
    record(ledger, early, shifted)
    ids = [scorer.snapshot.table.ids[r] for r in rows]
    return ledger, dict(zip(ids, shifted.chances.tolist(), strict=True))


def test_what_a_reader_has_looked_at_can_be_left_out(made):
    """The rest stays in its order, and its number is told."""
    lines = every(made, AT_RISK)
    asker = Asker(settled={lines[0].account, lines[2].account})
    shown = part(made, AT_RISK, Asked(new=True), asker)
    assert (shown.head.new, shown.found) == (len(lines) - 2, len(lines) - 2)
    assert [x.account for x in shown.lines[:2]] == [lines[1].account, lines[3].account]
    assert part(made, AT_RISK, Asked(), asker).found == len(lines)


def test_the_last_contact_is_the_last_review_that_names_an_action(state):
    """By whom and when; a verdict without one is no contact."""
    ledger, _ = two_weeks(state)
    made = desk(state, ledger)
    first, second = (x.account for x in every(made, AT_RISK)[:2])
    said = {"model": "churn", "model_version": "1", "score_id": None, "verdict": "agree",
            "outcome": None, "note": None, "key_id": reviews.CONSOLE}  # fmt: skip
    reviews.add(ledger, account_id=first, user="ana", action="called them", **said)
    reviews.add(ledger, account_id=second, user="bob", action=None, **said)
    whole = part(made, AT_RISK, Asked(), Asker(ledger))
    assert whole.lines[0].contact.text == "just now"
    assert whole.lines[0].contact.exact.startswith("called them, by ana, ")
    assert whole.lines[1].contact.text == "–"


def test_the_champion_is_the_person_of_whom_the_features_speak(made):
    """Who is named was last seen on the day that the feature of the champion says."""
    events = lake.read_table(served().workspace, "events").to_pandas()
    seen = events.groupby(["account_id", "user_id"])["event_time"].max()
    table = made.table
    named = [(r, p.champion) for r, p in enumerate(made.snapshot.profiles) if p.champion]
    assert len(named) > 60
    quiet = table.matrix[:, table.column_of["champion_days_quiet"]]
    assert {r for r, _ in named} == set(np.flatnonzero(~np.isnan(quiet)))
    for row, person in named:
        last = seen[table.ids[row], person]
        assert (np.datetime64(table.as_of) - np.datetime64(last.date())).astype(int) <= quiet[row]


def test_the_next_step_follows_from_what_the_line_shows(made):
    """Near a limit more room is offered, after looks at prices they are talked about."""
    for line in every(made, PROSPECTS):
        done, limit, looks = line.facts
        used = float(limit.exact) if limit.text != "–" else 0.0
        if used >= 0.8:
            assert line.step == f"Offer a plan with more room: {limit.text} of a limit is used"
        elif looks.text not in ("0", "–"):
            assert line.step.startswith("Talk about prices")
        elif "still ahead: " in done.exact:
            first = done.exact.removeprefix("still ahead: ").split(", ")[0]
            assert line.step == f"Take them to their next milestone, {first}"
    assert {x.step.split()[0] for x in every(made, PROSPECTS)} >= {"Offer", "Take"}


def test_who_has_the_top_plan_is_offered_no_other(made):
    """Neither in the queue nor on the account's page; the others are."""
    rules = replace(made.snapshot.rules, top_plan=every(made, UPGRADES)[0].plan)
    snapshot = replace(made.snapshot, rules=rules)
    scorers = {n: replace(s, snapshot=snapshot) for n, s in made.state.scorers.items()}
    topped = replace(made, state=replace(made.state, snapshot=snapshot, scorers=scorers))
    told = {True: set(), False: set()}
    for line in every(topped, UPGRADES):
        why = account(topped, line.account, "upgrade").why
        told[line.plan == rules.top_plan] |= {line.step, *(p.play for p in why.act)}
    assert not [step for step in told[True] if "plan" in step]
    assert {step.split(":")[0] for step in told[True]} >= {"Ask who else could use a seat"}
    assert [step for step in told[False] if "next plan" in step]


def test_rows_that_did_not_change_are_not_explained_again(made, state):
    """A desk made after another keeps what leads in the same rows, and explains the others."""
    scorer = state.scorers["churn"]
    row = int(np.flatnonzero(~np.isnan(scorer.chances))[0])
    matrix = scorer.snapshot.table.matrix.copy()
    matrix[row] += 1
    table = replace(scorer.snapshot.table, matrix=matrix)
    after = replace(scorer, snapshot=replace(scorer.snapshot, table=table))
    former = made.leading["churn"]
    marked = replace(former, top=np.where(former.top >= 0, 0, -1))
    kept, anew = leading(after, marked).top, leading(after).top
    assert (kept[row] == anew[row]).all()
    others = [r for r in np.flatnonzero(~np.isnan(scorer.chances)) if r != row]
    assert (kept[others] == marked.top[others]).all()
    assert (leading(after, None).top[others] == former.top[others]).all()


def test_the_state_of_a_page_is_its_address():
    """What an address asks for is written into the same address again, without what is usual."""
    wanted = Asked(q="a&b=c", plan="team", grade=("A", "D"), renewal=30, sort="mrr", page=2)
    query = wanted.address("/console").partition("?")[2]
    assert asked(parse_qsl(query)) == wanted
    assert Asked().address("/console") == "/console"


@pytest.mark.parametrize("model", ["churn", "upgrade"])
def test_the_parts_of_an_account_are_the_models_and_sum_to_its_probability(made, model):
    """Each signal's part is the booster's own contribution; base and parts are the log-odds."""
    scorer = made.state.scorers[model]
    for account_id in [x.account for x in every(made, AT_RISK if model == "churn" else UPGRADES)]:
        why = account(made, account_id, model).why
        row = np.array([made.table.row_of[account_id]], dtype=np.intp)
        inputs = scorer.encoder.rows(made.table, row)
        raw = scorer.model.booster.predict(inputs, pred_contrib=True)[0]
        by_signal = dict.fromkeys(scorer.model.signals, 0.0)
        for feature, part_ in zip(scorer.model.features, raw[:-1], strict=True):
            by_signal[feature.signal] += part_
        shown = {c.signal: c.part for c in why.contributions}
        for signal, value in by_signal.items():
            assert shown.get(signal, 0.0) == pytest.approx(value, abs=1e-9)
        total = why.base + sum(shown.values())
        assert total == pytest.approx(why.log_odds, abs=1e-9)
        assert expit(total) == pytest.approx(why.probability, abs=1e-9)
        assert why.steps[-1].end == pytest.approx(why.log_odds, abs=1e-9)
        assert why.steps[0].start == why.base


def test_what_one_can_act_on_stands_apart_from_context(made):
    """Every reason stands on one side only, by the catalogue's own word for its signal."""
    kinds = {name: w.kind for name, w in made.snapshot.wordings.items()}
    for line in every(made, PROSPECTS)[:20]:
        why = account(made, line.account).why
        assert all(kinds[p.signal] == "act" for p in why.act)
        assert all(kinds[p.signal] != "act" for p in why.context)


def test_the_leading_reasons_say_what_to_do(made):
    """The play of the snapshot's company for what raises the score and can be acted on."""
    plays = made.snapshot.company["plays"]["churn"]
    for line in every(made, AT_RISK):
        why = account(made, line.account, "churn").why
        told = [p for p in why.act if p.play]
        raising = [p for p in why.act if p.raises]
        assert all(p.play == plays[p.signal] and p.raises for p in told)
        assert bool(told) == bool(raising)
        assert len({p.play for p in told}) == len(told) <= 2
        acted = [p for p in line.reasons if p.kind == "act"]
        assert line.step == (plays[acted[0].signal] if acted else "")


def test_an_account_that_is_not_there_is_told_as_such(made):
    """An unknown id gives a problem, not a page."""
    with pytest.raises(ProblemError, match="No account 'nobody'"):
        account(made, "nobody")


def test_a_desk_is_made_once_for_a_state(state):
    """Another state gives another desk; until that is made, the former one serves."""
    desks = Desks()
    first = desks.of(state)
    assert desks.of(state) is first
    other = loaded(served().workspace)
    assert desks.of(other) is first
    deadline = time.monotonic() + 60
    while desks.of(other).state is not other and time.monotonic() < deadline:
        time.sleep(0.05)
    assert desks.of(other).state is other


def test_the_export_holds_the_lines_and_no_formula(made):
    """Every account asked for, its exact figures, and no cell that a spreadsheet would run."""
    for words in QUEUES:
        text = exported(made, words, Asked()).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        lines = every(made, words)
        assert [r["account_id"] for r in rows] == [x.account for x in lines]
        assert [float(r["probability"]) for r in rows] == [x.probability for x in lines]
        ends = {account: str(day) for account, day in made.known.renewals.items()}
        for row in rows if words.renews else ():
            assert row["renewal_date"] == ends.get(row["account_id"], "")
        cells = [cell for row in rows for cell in row.values()]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]


def test_hostile_names_are_texts_in_the_export(made):
    """A name that begins like a formula is quoted, in every queue."""
    ids = made.table.ids
    names = {account_id: TEXTS[i % len(TEXTS)] for i, account_id in enumerate(ids)}
    hostile = replace(made, known=replace(made.known, names=names))
    text = exported(hostile, PROSPECTS, Asked()).decode("utf-8-sig")
    found = [row["name"] for row in csv.DictReader(io.StringIO(text))]
    assert any(name.startswith("'=") for name in found)
    assert not [name for name in found if name.startswith("=")]
