import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
from made_up import made_up_settings, world

from features.errors import InputError, NotReadyError, RefusedError
from features.workspace import Workspace, publish_text
from training.judging.gate import Condition
from training.promoting import promotions
from training.promoting.promotion import contenders, promote, rollback
from training.promoting.promotions import Line
from training.records import bundle, registry
from training.records.tracking import connect, quietly
from training.train import learn_all

ROOT = Path(__file__).parent.parent
ONE = {"churn": {"horizon_days": 30, "every_days": 15}}
SETTINGS = made_up_settings(**ONE)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with versions 1 and 2, which passed, and version 3, which the gate refused."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    place = Workspace(tmp_path_factory.mktemp("promotions"))
    rates = {"convert": -4.0, "churn": -5.5}
    made = world(SETTINGS, accounts=400, days=400, strength=2.0, rates=rates)
    timings = made.settings.outcomes.declared()
    (result,) = learn_all(place, made.settings, timings, made.table, made.history)
    assert result.verdict.passed, result.verdict.reasons
    again(place, passed=True)
    again(place, passed=False)
    return place


@quietly()
def again(place, passed):
    """Register the first run's model once more, with another verdict of the gate."""
    _, client = connect(place)
    first = client.get_model_version("goldpan-churn", "1")
    made = client.create_model_version("goldpan-churn", first.source, run_id=first.run_id)
    told = registry.candidate(place, "churn", "1").verdict
    verdict = told if passed else dataclasses.replace(
        told, conditions=(*told.conditions, Condition("made to fail", False, "0")))  # fmt: skip
    run = client.create_run(client.get_run(first.run_id).info.experiment_id, tags={"outcome": "x"})
    for name in ("card.json", "schema.json", "recipe.json"):
        client.log_artifact(run.info.run_id, client.download_artifacts(first.run_id, name))
    client.log_dict(run.info.run_id, verdict.as_dict(), "verdict.json")
    if passed:
        client.log_text(run.info.run_id, "tree\n", "when.txt")
        client.log_dict(run.info.run_id, {"bins": [7, 14]}, "when.json")
    client.delete_model_version("goldpan-churn", made.version)
    made = client.create_model_version("goldpan-churn", first.source, run_id=run.info.run_id)
    client.set_model_version_tag("goldpan-churn", made.version, "verdict", "judged")


@pytest.fixture
def fresh(workspace):
    """The workspace with nothing promoted."""
    for path in (workspace.bundles / "churn" / "current", promotions.path(workspace)):
        path.unlink(missing_ok=True)
    return workspace


def versions(workspace):
    """The registered numbers, oldest first."""
    with quietly():
        found = connect(workspace)[1].search_model_versions("name='goldpan-churn'")
    return sorted((str(v.version) for v in found), key=int)


def test_a_rollback_goes_back_and_once_more_goes_further(fresh):
    """Pointer and alias move together, each move is a line of the log with its reason."""
    first, second, _ = versions(fresh)
    promote(fresh, SETTINGS, "churn", first)
    promote(fresh, SETTINGS, "churn", second)
    back = rollback(fresh, SETTINGS, "churn", "calls went to the wrong accounts")
    assert (back.version, back.former) == (first, second)
    assert bundle.current(fresh, "churn") == registry.champion(fresh, "churn") == first
    with pytest.raises(
        NotReadyError, match=f"no champion of outcome 'churn' before version {first}"
    ):
        rollback(fresh, SETTINGS, "churn")
    lines = [(x.what, x.before, x.to, x.reason) for x in promotions.read(fresh)]
    assert lines == [
        ("promote", None, first, None),
        ("promote", first, second, None),
        ("rollback", second, first, "calls went to the wrong accounts"),
    ]


def test_force_needs_a_reason_and_is_recorded_where_one_would_look(fresh):
    """In the log, in the card and on the version: the reason and the conditions that failed."""
    third = versions(fresh)[-1]
    with pytest.raises(RefusedError, match="made to fail: 0"):
        promote(fresh, SETTINGS, "churn", third)
    with pytest.raises(InputError, match="--force without a reason"):
        promote(fresh, SETTINGS, "churn", third, force=True, reason="  ")
    done = promote(fresh, SETTINGS, "churn", third, force=True, reason="pilot with one team")
    card = json.loads((done.folder / "card.json").read_text())
    assert card["forced"] == {"reason": "pilot with one team", "conditions": ["made to fail: 0"]}
    (line,) = promotions.read(fresh)
    assert (line.what, line.reason, line.failed) == (
        "forced", "pilot with one team", ("made to fail: 0",),
    )  # fmt: skip
    with quietly():
        tags = connect(fresh)[1].get_model_version("goldpan-churn", third).tags
    assert tags["forced"] == "pilot with one team"


def test_a_challenger_is_compared_with_the_champion_and_may_be_refused(fresh):
    """Asked only where another version serves; the champion stays."""
    first, second, _ = versions(fresh)
    asked = []

    def challenge(champion, challenger):
        asked.append((champion.version, challenger.version))
        return [Condition("log loss no worse than champion 1's", False, "+1.00%")]

    promote(fresh, SETTINGS, "churn", first, challenge=challenge)
    promote(fresh, SETTINGS, "churn", first, challenge=challenge)
    assert asked == []
    with pytest.raises(RefusedError, match=r"champion 1's: \+1\.00%"):
        promote(fresh, SETTINGS, "churn", second, challenge=challenge)
    assert asked == [(first, second)]
    assert bundle.current(fresh, "churn") == first
    forced = promote(fresh, SETTINGS, "churn", second, challenge=challenge, force=True,
                     reason="pilot")  # fmt: skip
    assert forced.forced == "pilot"
    assert promotions.read(fresh)[-1].failed == ("log loss no worse than champion 1's: +1.00%",)
    rollback(fresh, SETTINGS, "churn")
    one, other = contenders(fresh, SETTINGS, "churn", [second])
    assert (one.version, other.version) == (first, second)
    with pytest.raises(InputError, match=f"version {first} twice"):
        contenders(fresh, SETTINGS, "churn", [first])


@pytest.mark.parametrize("step", ["bundle.point", "registry.crown"])
def test_a_move_killed_at_any_step_is_put_right_by_the_next(fresh, monkeypatch, step):
    """The pointer alone says what serves; a line whose move did not happen leads nowhere."""
    first, second, _ = versions(fresh)
    promote(fresh, SETTINGS, "churn", first)
    kill(monkeypatch, step, lambda: promote(fresh, SETTINGS, "churn", second))
    assert bundle.current(fresh, "churn") == (first if step == "bundle.point" else second)
    promote(fresh, SETTINGS, "churn", second)
    assert bundle.current(fresh, "churn") == registry.champion(fresh, "churn") == second
    kill(monkeypatch, step, lambda: rollback(fresh, SETTINGS, "churn"))
    assert bundle.current(fresh, "churn") == (second if step == "bundle.point" else first)
    rollback(fresh, SETTINGS, "churn")
    assert bundle.current(fresh, "churn") == registry.champion(fresh, "churn") == first


def kill(monkeypatch, step, act):
    """Let an act die where it would take a step."""

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"training.promoting.promotion.{step}", dies)
        with pytest.raises(KeyboardInterrupt):
            act()


def test_a_rollback_to_a_damaged_bundle_is_refused(fresh):
    """Nothing moves, and the command that writes it again is named."""
    first, second, _ = versions(fresh)
    folder = promote(fresh, SETTINGS, "churn", first).folder
    promote(fresh, SETTINGS, "churn", second)
    (folder / "model.txt").write_text("half a mod")
    with pytest.raises(NotReadyError, match=f"Run `goldpan promote churn --version {first}`"):
        rollback(fresh, SETTINGS, "churn")
    assert bundle.current(fresh, "churn") == second
    promote(fresh, SETTINGS, "churn", first)


def test_a_line_cut_short_is_ended_and_passed_over(tmp_path):
    """What a killed append left does not swallow the next line."""
    place = Workspace(tmp_path)
    publish_text(promotions.path(place), '{"what": "prom')
    promotions.append(place, Line("promote", "churn", None, "1"))
    move_line = Line("promote", "churn", "1", "2", ("1",), "better", ())
    promotions.append(place, move_line)
    assert [x.to for x in promotions.read(place)] == ["1", "2"]
    assert promotions.last(place, "churn", "2").behind == ("1",)
    assert promotions.last(place, "pql", "2") is None


def test_when_the_record_has_it_the_bundle_ships_it(fresh):
    """when.txt and when.json are in the manifest; a bundle without them stays whole."""
    _, second, third = versions(fresh)
    with_it = promote(fresh, SETTINGS, "churn", second).folder
    without = promote(
        fresh, SETTINGS, "churn", third, force=True, reason="pilot with one team"
    ).folder
    told = json.loads((with_it / "manifest.json").read_text())["sha256"]
    assert {"when.txt", "when.json"} <= set(told)
    assert bundle.whole(with_it)
    assert bundle.whole(without)
    assert not (without / "when.txt").exists()
    (with_it / "when.txt").write_text("another")
    assert not bundle.whole(with_it)


def test_every_artefact_names_nobody_and_no_machine(workspace):
    """No account, no address of a person, no path; the page needs nothing from elsewhere."""
    promote(workspace, SETTINGS, "churn", versions(workspace)[0])
    folders = [*(workspace.mlflow / "artifacts").rglob("*"), *workspace.bundles.rglob("*")]
    files = [p for p in folders if p.is_file()]
    names = {p.name for p in files}
    assert {"card.md", "card.html", "card.json", "origin.json", "settings.json", "recipe.json",
            "backtest.png", "calibration.png", "scores.png", "signals.png", "gains.png",
            "contributions.png", "precision_recall.png", "model.lgb"} <= names  # fmt: skip
    for path in files:
        text = re.sub(r"base64,[\w+/=]+", "", path.read_bytes().decode("latin-1"))
        assert not re.search(r"\ba\d{5}\b", text), path
        assert str(ROOT) not in text, path
        assert str(Path.home()) not in text or str(Path.home()) == "/root", path
        if path.suffix != ".png":
            assert not re.search(r"[\w.+-]+@[\w-]+\.[a-z]{2,}", text), path
            assert str(workspace.root) not in text, path
        if path.suffix == ".html":
            assert not re.search(r"https?://|<script|<link", text)
            assert text.count("data:image/png;") == len(re.findall(r"<img ", text)) >= 7


def test_the_card_says_what_a_manager_asks(workspace):
    """For whom, how well beside simpler rules, when not to use it, and that data are made up."""
    page = next(workspace.mlflow.rglob("card.md")).read_text()
    for words in ("Simulated data.", "the probability that the account cancels in the next 30 days",
                  "times in 100. A coin would do so 50 times", "| CBI rule |", "| learnt until |",
                  "## When not to use it", "not causes", "- passed: ", "- data set: ",
                  "| within | outcomes | in 100, expected | in 100, happened | AUC |",
                  "| 30 days | ",
                  "- parameters: not tuned: no time was given",
                  "- when: one model of all stretches up to 7, 14, 30"):  # fmt: skip
        assert words in page, words
