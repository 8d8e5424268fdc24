"""The words of every signal of the catalogue, and that no page shows a feature's name instead."""

import re
from dataclasses import asdict, fields
from html import unescape
from pathlib import Path

import pytest
from asked import state_of
from test_serving_world import ROOT, served

from features.catalog import catalogue
from features.event_words import event_words
from features.read_settings import load_settings
from serving.scoring.explain import Fact, Wording, sentence
from tests.console_asked import Browser, InProcess

SETTINGS = (ROOT / "goldpan.toml", *sorted((ROOT / "examples").glob("*.toml")))
NAME = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
ODD = re.compile(
    r"\b([Aa]pi|[Cc]sv|[Ss]so|[Pp]df|[Uu]rl|[Nn]ps|[Cc]sat)\b|\bwho\b|: -|from -|to -"
    r"|[A-Za-z]*[^s ] (called|run|added|created|viewed) (rose|fell|stayed)"
)
"""A small acronym, a clause that hangs in the air, a minus, an event as if it happened once."""
KNOWN = {wording.name for wording in fields(Wording)}


def wordings() -> list[tuple[str, Wording]]:
    """Every signal of every settings file that we ship."""
    return [
        (path.stem, Wording(**{k: v for k, v in asdict(signal).items() if k in KNOWN}))
        for path in SETTINGS
        for signal in catalogue(load_settings(path)).signals.values()
    ]


def below(wording: Wording) -> float:
    """A number below zero for the signals that may have one."""
    return -0.25 if wording.unit in ("trend", "gap") else 0.5


def told(wording: Wording, now: Fact, before: Fact, peers: float | None) -> str:
    """What is said of an account with these facts."""
    facts = {wording.now or "": now} | ({wording.before: before} if wording.before else {})
    return sentence(wording, facts, {wording.now or "": peers}, "USD")


@pytest.mark.parametrize(("file", "wording"), wordings(), ids=lambda v: getattr(v, "name", v))
def test_every_signal_has_words_for_rising_falling_high_and_low(
    file: str, wording: Wording
) -> None:
    """In each case one plain sentence: the label first, no feature's name, no doubled word."""
    cases = {
        "rose": told(wording, 7.0, 3.0, 5.0), "fell": told(wording, 2.0, 6.0, 5.0),
        "stayed": told(wording, 4.0, 4.0, 4.0), "high": told(wording, 9.0, None, 1.0),
        "low": told(wording, 0.0, None, 8.0), "below": told(wording, below(wording), None, 1.0),
        "still high": told(wording, 7.0, 9.0, 1.0), "still low": told(wording, 3.0, 2.0, 9.0),
        "missing": told(wording, float("nan"), None, 3.0),
    }  # fmt: skip
    for text in cases.values():
        assert text.startswith(wording.label[:1].upper()), text
        assert not NAME.search(text), text
        assert not re.search(r"\b(\w+) \1\b|  |: *;|nan|None", text), text
        assert len(text) <= 110, text
        assert not ODD.search(text), text
    if wording.unit == "category":
        assert told(wording, "team", None, None) == f"{wording.label}: team"
        return
    assert ("no data" if wording.kind == "act" else "not known") in cases["missing"]
    for high_or_low in ("high", "low"):
        assert "; peers " in cases[high_or_low]
    if wording.before:
        assert " rose from " in cases["rose"]
        assert " fell from " in cases["fell"]
        assert " stayed at " in cases["stayed"]
        assert "; high beside peers' " in cases["still high"]
        assert "; low beside peers' " in cases["still low"]


def test_events_of_a_product_are_told_as_a_person_would_say_them() -> None:
    """Plurals of what was done, acronyms in capitals; the settings' own words win."""
    settings = load_settings(ROOT / "goldpan.toml")
    labels = {name: signal.label for name, signal in catalogue(settings).signals.items()}
    assert labels["event_api_called"] == "API calls"
    assert labels["event_report_created"] == "Reports created"
    assert labels["event_dashboard_viewed"] == "Dashboard views"
    assert labels["event_search_used"] == "Searches"  # by [words] of the settings
    names = {"sso_login": "SSO logins", "exportPDF": "PDFs exported", "reply": "replies",
             "Added to Cart": "uses of added to cart", "$pageview": "pageviews",
             "Company Created": "companies created", "feature_7": "uses of feature 7"}  # fmt: skip
    assert {name: event_words(name, {}) for name in names} == names


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Somebody signed in to the shared world."""
    workspace = served().workspace
    return InProcess(workspace, state_of(workspace)).as_("viewer")


def seen(page: str) -> str:
    """What people see of a page or hear of it: texts, titles and labels."""
    said = re.findall(r'(?:title|aria-label|placeholder|data-label)="([^"]*)"', page)
    return unescape(" ".join([re.sub(r"<[^>]+>", " ", page), *said]))


def names(page: str) -> set[str]:
    """What looks like the name of a feature, ids of accounts and people left out."""
    return {n for n in NAME.findall(seen(page)) if not n.startswith(("acc_", "usr_"))}


@pytest.mark.parametrize("place", ["/console", "/console/prospects", "/console/upgrades",
                                   "/console/models", "/console/models/churn",
                                   "/console/models/pql", "/console/insights"])  # fmt: skip
def test_no_page_shows_the_name_of_a_feature(browser: Browser, place: str) -> None:
    """People read labels; names with underscores are for programs."""
    assert names(browser.page(place)) == set()


def test_no_accounts_page_shows_the_name_of_a_feature(browser: Browser) -> None:
    """By each model that speaks of it."""
    queue = browser.page("/console") + browser.page("/console/prospects")
    links = [unescape(link) for link in re.findall(r'class="row-link" href="([^"]+)"', queue)]
    assert len(links) > 20
    for link in links[::9]:
        assert names(browser.page(link)) == set(), link
        assert names(browser.page(link.replace("churn", "upgrade"))) == set(), link


def test_every_settings_file_that_we_ship_is_looked_at() -> None:
    """The sample company and the examples."""
    assert Path("goldpan.toml") in {path.relative_to(ROOT) for path in SETTINGS}
    assert len(wordings()) > 59
