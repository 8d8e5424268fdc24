from pathlib import Path
from typing import Any

import pytest

from features.errors import SettingsError
from features.plays import ASK, plays
from features.read_settings import load_settings, parse_settings, resolve_path


def values(**more: Any) -> dict[str, Any]:
    """Settings that hold, but for what is given."""
    source = {"name": "a", "table": "events", "path": "a.csv", "columns": {"event": "e"}}
    whole = {"company": {"name": "Acme"}, "sources": [source], "plans": {"ladder": ["free"]}}
    return {**whole, **more}


def source(**more: Any) -> dict[str, Any]:
    """Settings whose one source differs."""
    return values(sources=[{**values()["sources"][0], **more}])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            values(compani={}),
            "compani: found an unknown key; allowed here: calendar, company, contact, engine",
        ),
        (source(tabel="x"), r"sources\[0\]\.tabel: found an unknown key; allowed here: columns"),
        (values(company={}), r"company\.name: found nothing; this key is needed"),
        (values(company={"name": 3}), r"company\.name: found 3; Input should be a valid string"),
        (source(table="clicks"), r"sources\[0\]\.table: found 'clicks'; .*'events', 'accounts'"),
        (source(zone="Berlin"), "zone 'Berlin' is no time zone; say one like 'UTC'"),
        (source(name="A b"), r"sources\[0\]\.name: found 'A b'"),
        (source(lookup={"path": "b", "key": "k"}), r"lookup\.columns: found nothing"),
        (values(sources=[]), "sources is empty"),
        (values(sources=source()["sources"] * 2), "sources uses the name 'a' twice"),
        (values(plans={"ladder": []}), r"plans\.ladder"),
        (
            values(plans={"ladder": ["free", "team"], "free": ["gold"]}),
            "free names plan 'gold', which is not on the ladder; allowed: free, team",
        ),
        (
            values(
                plans={
                    "ladder": ["free"],
                    "limits": [{"name": "calls", "events": ["c"], "by_plan": {"gold": 1.0}}],
                }
            ),
            r"limits\.calls\.by_plan names plan 'gold'",
        ),
        (
            values(plays={"churn": {"activ_users": "Call"}}),
            r"a play for 'activ_users' in plays\.churn, which is no signal and no group; expected "
            r"a signal \(active_days, active_users, .*\) or a group \(frequency, .*\)\. "
            r"Did you mean 'active_users'\?",
        ),
        (values(plays={"renewal": {}}), "plays.renewal: found an unknown key; .*churn, pql, upgr"),
        (values(plays={"churn": {"people": ""}}), "plays.churn.people: found ''"),
        (values(outcomes={"churn": {"horizon_days": 30}}), "0 of every_days, at_age_days and"),
        (
            values(outcomes={"pql": {"horizon_days": 30, "every_days": 7, "at_age_days": [7]}}),
            "2 of every_days, at_age_days and before_renewal_days are set; set exactly one",
        ),
        (
            values(outcomes={"win": {"horizon_days": 1}}),
            "outcomes.win: found an unknown key; .*churn",
        ),
    ],
)
def test_settings_that_cannot_be_meant(given: dict[str, Any], text: str) -> None:
    """Each error names the key, what was found and what is allowed."""
    with pytest.raises(SettingsError, match=text):
        parse_settings(given)


def test_all_errors_are_told_at_once() -> None:
    """Whoever corrects the file sees every line to correct."""
    with pytest.raises(SettingsError, match=r"2 thing\(s\) in goldpan\.toml") as error:
        parse_settings(values(company={"name": 1}, training={"seed": "x"}))
    assert "company.name" in str(error.value)
    assert "training.seed" in str(error.value)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """Missing files and bad lines are told by name."""
    with pytest.raises(SettingsError, match=r"no settings file at .*goldpan\.toml"):
        load_settings(tmp_path / "goldpan.toml")
    (tmp_path / "goldpan.toml").write_text("[company\n")
    with pytest.raises(SettingsError, match=r"goldpan\.toml that is not TOML.*line 1"):
        load_settings(tmp_path / "goldpan.toml")


def test_paths_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may name the workspace and the environment; a variable that is not set is told."""
    monkeypatch.setenv("RAW_DATA", "/data")
    monkeypatch.delenv("NOT_SET", raising=False)
    where = {"workspace": Path("/ws"), "base": Path("/base")}
    assert resolve_path("a/b.csv", **where) == Path("/base/a/b.csv")
    assert resolve_path("{workspace}/raw/b.csv", **where) == Path("/ws/raw/b.csv")
    assert resolve_path("${RAW_DATA}/b.csv", **where) == Path("/data/b.csv")
    with pytest.raises(SettingsError, match="environment variable NOT_SET, which is not set"):
        resolve_path("${NOT_SET}/b.csv", **where)


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.parent.glob("examples/*.toml")))
def test_the_examples_can_be_read(path: Path) -> None:
    """Every settings file that is shipped as an example is sound, and says what it assumes."""
    assert load_settings(path).company.name == path.stem
    assert "# Assumptions:" in path.read_text(encoding="utf-8")


def test_a_play_is_the_signals_own_then_its_groups_then_ours() -> None:
    """For each outcome by itself; nothing is suggested of what nobody can act on."""
    own = {"churn": {"active_users": "Call Ann", "people": "Call Bob"}}
    found = plays(parse_settings(values(plays=own)))
    assert found["churn"]["active_users"] == "Call Ann"
    assert found["churn"]["turnover"] == "Call Bob"
    assert found["churn"]["champion"] == "Call Bob"  # the settings' group goes before our signal
    assert found["churn"]["use"] == ASK
    assert found["pql"]["active_users"].startswith("Invite the team")
    assert {"renewal", "plan", "tenure", "size"}.isdisjoint(found["churn"])
    assert {*found} == {"pql", "upgrade", "churn"}
    assert plays(parse_settings(values()))["churn"]["champion"].startswith("Reach the champion")


def test_only_tickets_that_are_open_are_to_be_brought_to_an_end() -> None:
    """Of tickets that were opened it is asked whether they were solved: they may be closed."""
    events = {"tickets": ["opened"], "tickets_closed": ["closed"]}
    churn = plays(parse_settings(values(events=events)))["churn"]
    assert [name for name, play in churn.items() if "to an end" in play] == ["open_tickets"]
    assert churn["tickets"] == "Ask whether their tickets were solved"
