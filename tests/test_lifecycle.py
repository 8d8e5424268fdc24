import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from features.errors import InputError, NotReadyError, SettingsError
from features.lifecycle import spells
from features.lifecycle.funnel import report
from features.lifecycle.rules import check_rules
from features.lifecycle.states import runs, states, timeline
from features.lifecycle.velocity import between, entries, passage
from features.workspace import Workspace
from goldpan import main
from tests.reference_known import World, midnight
from tests.worlds import ENDS, at, load, sample_settings, together, worlds_of

END, _ = ENDS["leap day"]
SHARES = {"active": [{"milestones": ["third_share"]}]}
SETTINGS = sample_settings(lifecycle=SHARES)
"""Nobody has to be looked at on Mondays: no rule is over features."""
MAY = date(2024, 5, 6)
"""A Monday: rules over features are looked at on Mondays."""
NOON = 43_200.0


def on(days: int) -> date:
    """So many days after the first Monday."""
    return MAY + timedelta(days=days)


def account(name: str, days: int = 0, **said: Any) -> dict[str, Any]:
    """An account that signs up at noon of a day."""
    signed = at(on(days), NOON)
    return {"account_id": name, "created_at": signed, "known_at": signed, "row_id": name} | said


def paid(name: str, days: int, **said: Any) -> dict[str, Any]:
    """A paid term that begins at noon of a day."""
    begins = at(on(days), NOON)
    row = {"account_id": name, "subscription_id": f"{name}-s", "effective_at": begins}
    row |= {"known_at": begins, "status": "active", "plan": "team", "mrr": 50.0}
    return row | {"row_id": f"{name}-{days}"} | said


def did(name: str, days: int, event: str = "report", user: str = "u") -> dict[str, Any]:
    """An event at noon of a day."""
    moment: datetime = at(on(days), NOON)
    row = {"account_id": name, "user_id": f"{name}-{user}", "event": event, "event_time": moment}
    key = f"{name}{days}{event}{user}"
    return row | {"known_at": moment, "message_id": key, "row_id": key}


def merge(name: str, into: str, days: int) -> dict[str, Any]:
    """A merge known at noon of a day."""
    moment = at(on(days), NOON)
    row = {"kind": "merge", "from_id": name, "to_id": into, "since": moment}
    return row | {"known_at": moment, "row_id": f"{name}>{into}"}


def world(folder: Path, **tables: list[Any]) -> Workspace:
    """A workspace with these rows; an event of the day before keeps the data open to day 80."""
    usual: dict[str, list[Any]] = {"accounts": [], "users": [], "subscriptions": []}
    rows = usual | {"events": [], "identities": []} | tables
    rows["events"] = [*rows["events"], did("far", 79, "login")]
    load(World(**rows), Workspace(folder))
    return Workspace(folder)


def path(workspace: Workspace, name: str, last: int = 80, said: Any = SETTINGS) -> list[Any]:
    """The states that an account goes through: (state, the day it begins), in days."""
    found = runs(timeline(workspace, said, on(last)))
    mine = found[found["account_id"] == name]
    days = (mine["since"] - pd.Timestamp(MAY)).dt.days
    return list(zip(mine["state"], days, strict=True))


def test_an_account_is_a_signup_from_the_morning_after(tmp_path: Path) -> None:
    """It has no state on the day it signs up, and a visitor's state only if it was seen before."""
    tables = {"accounts": [account("a", 3), account("b", 3)], "events": [did("b", 1, "login")]}
    workspace = world(tmp_path, **tables)
    assert path(workspace, "a") == [("signup", 4)]
    assert path(workspace, "b") == [("visitor", 2), ("signup", 4)]
    assert path(workspace, "far") == [("visitor", 80)]


def test_initial_value_makes_a_pql_when_no_rule_is_declared(tmp_path: Path) -> None:
    """The day is exact, and paying ends it."""
    tables = {"accounts": [account("a")], "events": [did("a", 9)]}
    workspace = world(tmp_path, **tables, subscriptions=[paid("a", 12)])
    assert path(workspace, "a")[:3] == [("signup", 1), ("pql", 10), ("customer", 13)]


def test_rules_over_features_are_looked_at_on_mondays(tmp_path: Path) -> None:
    """A rule that is met on a Thursday counts from Monday, and on the day that is asked for."""
    rule = SHARES | {"pql": [{"features": {"active_users_28d": ">= 2"}}]}
    two = [did("a", 2, user="u"), did("a", 2, user="v")]
    workspace = world(tmp_path, accounts=[account("a")], events=two)
    said = sample_settings(lifecycle=rule)
    assert path(workspace, "a", said=said) == [("signup", 1), ("pql", 7), ("signup", 35)]
    assert path(workspace, "a", last=4, said=said) == [("signup", 1), ("pql", 4)]


def test_a_conversion_known_late_counts_from_then(tmp_path: Path) -> None:
    """A purchase that we learn of a week later was none before."""
    late = paid("a", 5, known_at=at(on(12), NOON))
    workspace = world(tmp_path, accounts=[account("a")], subscriptions=[late])
    assert path(workspace, "a") == [("signup", 1), ("customer", 13)]
    assert path(workspace, "a", last=12) == [("signup", 1)]


def test_a_customer_has_renewed_the_day_after_its_first_term_ended(tmp_path: Path) -> None:
    """A term that ends at a midnight is over the next day; one cancelled for then is no renewal."""
    ends = {"term_end": at(on(30))}
    rows = [paid("a", 0, **ends), paid("b", 0, **ends)]
    rows.append(paid("b", 30, effective_at=at(on(30)), status="cancelled"))
    workspace = world(tmp_path, accounts=[account("a"), account("b")], subscriptions=rows)
    assert path(workspace, "a") == [("customer", 1), ("renewed", 31)]
    assert path(workspace, "b") == [("customer", 1), ("churned", 31)]


def test_a_term_without_a_known_end_lasts_its_months(tmp_path: Path) -> None:
    """A monthly term that began at noon of 6 May ended at noon of 6 June."""
    workspace = world(
        tmp_path, accounts=[account("a")], subscriptions=[paid("a", 0, billing_months=1.0)]
    )
    assert path(workspace, "a") == [("customer", 1), ("renewed", 32)]


def test_grace_is_no_renewal(tmp_path: Path) -> None:
    """Where terms lapse, an account in its grace is a customer until it renews or lapses."""
    said = sample_settings(subscriptions={"lapse_after_days": 10}, lifecycle=SHARES)
    ends = {"term_end": at(on(30))}
    rows = [paid("a", 0, **ends), paid("b", 0, **ends)]
    rows.append(paid("b", 35, term_end=at(on(120))))
    workspace = world(tmp_path, accounts=[account("a"), account("b")], subscriptions=rows)
    assert path(workspace, "a", said=said) == [("customer", 1), ("churned", 41)]
    assert path(workspace, "b", said=said) == [("customer", 1), ("renewed", 36)]


def test_an_account_that_comes_back_is_a_customer_anew(tmp_path: Path) -> None:
    """Its first term is that of its present spell."""
    rows = [paid("a", 0, term_end=at(on(10))), paid("a", 20, status="cancelled")]
    rows.append(paid("a", 40, term_end=at(on(70))))
    workspace = world(tmp_path, accounts=[account("a")], subscriptions=rows)
    assert path(workspace, "a") == [
        ("customer", 1), ("renewed", 11), ("churned", 21), ("customer", 41), ("renewed", 71)
    ]  # fmt: skip


def test_a_merged_account_lives_on_in_the_other(tmp_path: Path) -> None:
    """It has no state of its own, does not churn, and makes the other a customer: no conversion."""
    workspace = world(
        tmp_path, accounts=[account("a"), account("b")], subscriptions=[paid("a", 5)],
        identities=[merge("a", "b", 20)],
    )  # fmt: skip
    told = timeline(workspace, SETTINGS, on(80))
    assert path(workspace, "a") == [("signup", 1), ("customer", 6)]
    assert runs(told).set_index("account_id").loc["a", "until"].dropna().max() is not None
    assert path(workspace, "b") == [("signup", 1), ("customer", 21)]
    way = between(entries(told), "signup", "customer", None, 0)
    assert (way.began, way.reached, way.open) == (2, 1, 1)
    assert report(workspace, SETTINGS, since=on(10)).revenue.net_retention == 1.0


def test_internal_accounts_have_no_state(tmp_path: Path) -> None:
    """Ours and test accounts are in no funnel."""
    ours = account("a", is_internal=True)
    no_more = account("b", 1, row_id="b2")  # its last row does not say so, as features read it
    told = [ours, account("b", is_internal=True), no_more]
    workspace = world(tmp_path, accounts=told)
    assert states(workspace, SETTINGS, on(80))["account_id"].tolist() == ["b", "far"]


def drawn(seed: int) -> World:
    """A few random accounts around a leap day."""
    return together(worlds_of([seed, seed + 1], END))


@pytest.mark.parametrize("seed", [1, pytest.param(11, marks=pytest.mark.slow)])
def test_what_is_learnt_later_changes_no_state(tmp_path: Path, seed: int) -> None:
    """States at t from everything equal states at t from only what was known at t."""
    everything, day = drawn(seed), END - timedelta(days=7)
    said = sample_settings(subscriptions={"lapse_after_days": 2})
    found = []
    for name, told in (("all", everything), ("then", everything.before(midnight(day)))):
        workspace = Workspace(tmp_path / name)
        load(told, workspace)
        found.append(states(workspace, said, day))
    assert len(found[0])
    pd.testing.assert_frame_equal(*(f.drop(columns="since") for f in found))


@pytest.mark.parametrize("seed", [2, 12])
def test_who_pays_is_what_the_latest_visible_rows_say(tmp_path: Path, seed: int) -> None:
    """Standings agree with a slow reading of the subscriptions on every day."""
    told = drawn(seed)
    told.identities.clear()  # the slow reading follows no merges
    said = sample_settings(subscriptions={"lapse_after_days": 2})
    workspace = Workspace(tmp_path)
    load(told, workspace)
    table = spells.standings(workspace, said)
    for day in (END - timedelta(days=back) for back in range(60)):
        number = (day - date(1970, 1, 1)).days
        held = table[table["day"] <= number].groupby("account_id")["pays"].last()
        for row in told.accounts:
            name = row["account_id"]
            assert bool(held.get(name, False)) == pays(told, name, midnight(day)), (name, day)


def pays(told: World, name: str, as_of: datetime) -> bool:
    """Whether one of the latest rows of the subscriptions is paid and has not lapsed."""
    mine = [r for r in told.subscriptions if r["account_id"] == name]
    rows = [r for r in mine if r["effective_at"] < as_of and r["known_at"] <= as_of]
    rows.sort(key=lambda r: (r["effective_at"], r["known_at"], r["row_id"]))
    latest = {row["subscription_id"]: row for row in rows}.values()
    grace = timedelta(days=2)
    return any(
        r["status"] == "active" and r["plan"] != "free"
        and not (r["term_end"] and r["term_end"] + grace < as_of)
        for r in latest
    )  # fmt: skip


def test_waits_are_estimated_as_by_hand() -> None:
    """Kaplan-Meier with ties and censoring: 1 − 5/6 × 3/4 × 1/2, worked by hand."""
    days = np.array([2.0, 3.0, 5.0, 8.0, 8.0, 9.0])
    ends = np.array([1, 0, 1, 1, 0, 0])
    found = passage(days, ends)
    assert found.within[14].value is None, "nobody was followed for 14 days"
    assert (found.began, found.reached, found.open) == (6, 3, 3)
    assert found.days[0.25].value == 5.0  # 1 − 5/6 × 3/4 = 0.375
    assert found.days[0.5].value == 8.0  # 1 − 5/6 × 3/4 × 2/3 = 0.583
    assert found.days[0.75].value is None


def test_intervals_are_those_of_a_published_example() -> None:
    """Remission of 21 patients (Freireich 1963): median 23 weeks, interval 13 to not reached."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    ends = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    found = passage(np.array(weeks, dtype=float), np.array(ends))
    median = found.days[0.5]
    assert (median.value, median.low, median.high) == (23.0, 13.0, None)
    assert found.within[14].value == pytest.approx(1 - 0.690196, abs=1e-6)


def test_another_way_out_is_not_waiting() -> None:
    """Of four, one leaves before the others arrive: it never will (cumulative incidence)."""
    found = passage(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2, 1, 1, 1]))
    assert found.within[14].value == pytest.approx(0.75)
    assert (found.left, found.open) == (1, 0)


def test_rules_over_unknown_features_name_close_ones() -> None:
    """A misspelt feature, and a category compared with a number, are refused with what to do."""
    for name, expected in (("active_user_28d", "active_users_28d"), ("industry", "category")):
        said = sample_settings(lifecycle={"pql": [{"features": {name: ">= 2"}}]})
        with pytest.raises(SettingsError, match=expected):
            check_rules(said)


def test_days_outside_the_data_are_refused(tmp_path: Path) -> None:
    """An empty workspace, a day before the first event and a period that ends before it begins."""
    with pytest.raises(NotReadyError, match="without events"):
        report(Workspace(tmp_path / "none"), SETTINGS)
    workspace = world(tmp_path / "some", accounts=[account("a")], events=[did("a", 2)])
    with pytest.raises(InputError, match="--as-of"):
        report(workspace, SETTINGS, as_of=on(-9))
    with pytest.raises(InputError, match="--since"):
        report(workspace, SETTINGS, as_of=on(5), since=on(5))


def test_the_command_tells_the_funnel(tmp_path: Path) -> None:
    """Tables for people, JSON for programs, with journeys and revenue."""
    tables = {"accounts": [account("a"), account("b")], "events": [did("a", 2), did("b", 70)]}
    tables["events"] += [did("a", day, "share") for day in (3, 4, 5)] + [did("c", -3)]
    workspace = world(tmp_path, **tables, subscriptions=[paid("a", 9, term_end=at(on(39)))])
    file = tmp_path / "goldpan.toml"
    file.write_text(
        '[company]\nname = "World"\nsimulated = true\n'
        '[[sources]]\nname = "e"\ntable = "events"\npath = "e.csv"\ncolumns = {}\n'
        '[plans]\nladder = ["free", "team"]\nfree = ["free"]\n'
        '[[milestones]]\nname = "first"\nevent = "report"\ninitial_value = true\n'
        '[[milestones]]\nname = "shared"\nevent = "share"\ncount = 3\n'
        '[[journeys]]\nname = "start"\nsteps = ["first", "shared"]\n'
    )
    ask = ["lifecycle", "--workspace", str(workspace.root), "--settings", str(file)]
    shown = CliRunner().invoke(main, ask)
    assert shown.exit_code == 0, shown.output
    for words in ("Simulated data", "renewed/retained", "Journey 'start'", "net revenue"):
        assert words in shown.output
    told = json.loads(CliRunner().invoke(main, [*ask, "--json"]).output)
    assert told["simulated"] is True
    counts = {state["state"]: state["accounts"] for state in told["states"]}
    assert (counts["renewed"], counts["pql"], counts["customer"]) == (1, 1, 0)
    assert told["journeys"][0]["orders"] == [[["first", "shared"], 1], [["first"], 1]]
