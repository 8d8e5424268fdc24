"""What the pages hold, by the HTML that the server sends: texts, words, and every state."""

import json
import re
from datetime import date, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from asked import state_of

from features.lifecycle.funnel import Report, Revenue, Standing, Way
from features.lifecycle.velocity import Estimate, Passage
from features.workspace import Workspace, publish_json
from tests.console_asked import Browser, InProcess
from tests.console_world import hostile_world
from tests.hostile import TEXTS
from training.insights.effects import Effect
from training.insights.golden import Golden, GoldenTable, Shuffled
from training.insights.report import CAUTION, Insights, Looked, OfOutcome, OfRenewal


class Foreign(HTMLParser):
    """Notes elements and attributes that no template of ours holds."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Scripts come from our own files; nothing else runs."""
        given = dict(attrs)
        ours = (given.get("src") or "").startswith("/console/static/")
        if tag in ("iframe", "object", "embed", "base", "math", "style", "marquee", "details-x"):
            self.found.append(tag)
        if tag in ("script", "img") and not ours:
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in given if name.startswith("on")]
        places = (given.get(name) or "" for name in ("href", "action", "src", "formaction"))
        self.found += [p for p in places if p and not p.startswith(("/", "#", "?"))]


def foreign(html: str) -> list[str]:
    """What a page holds that must not be there."""
    parser = Foreign()
    parser.feed(html)
    return parser.found


@pytest.fixture(scope="module")
def hostile() -> Browser:
    """A browser on a world in which every text is hostile."""
    workspace = hostile_world()
    return InProcess(workspace, state_of(workspace)).as_("viewer")


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_hostile_text_in_an_address_stays_text(hostile: Browser, text: str) -> None:
    """As a search, a filter, an order; as an account, a model and a page that there are not."""
    asked = quote(text, safe="")
    queue = f"/console?q={asked}&plan={asked}&reason={asked}&sort={asked}"
    for place in (
        queue,
        *(f"/console/{p}{asked}?model={asked}" for p in ("accounts/", "models/", "")),
    ):
        assert foreign(hostile.ask("GET", place).text) == []


def test_a_filter_takes_its_mark_along_to_the_view_that_it_is(hostile: Browser) -> None:
    """The part that htmx asks for brings the views anew; the whole page has them once."""
    part = {"hx-request": "true", "hx-target": "results"}
    for query, chosen in (("", "Everyone"), ("?grade=A&grade=B", "Grades A and B"), ("?q=x", "")):
        answer = hostile.ask("GET", f"/console{query}", headers=part).text
        [views] = re.findall(r'<nav class="views" id="views" hx-swap-oob="true".*?</nav>', answer,
                             re.DOTALL)  # fmt: skip
        assert "".join(re.findall(r'aria-current="true">([^<]*)', views)) == chosen
    page = hostile.page("/console")
    assert page.count('id="views"') == 1
    assert "hx-swap-oob" not in page


@pytest.fixture
def empty(tmp_path) -> Browser:
    """A console before anything was promoted, scored or looked for."""
    return InProcess(Workspace(tmp_path)).as_("admin")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("/console", "goldpan promote"),
        ("/console/prospects", "goldpan promote"),
        ("/console/models", "goldpan train"),
        ("/console/insights", "goldpan insights --write"),
        ("/console/insights", "goldpan lifecycle --write"),
        ("/console/settings", "no program can ask for a score yet"),
    ],
)
def test_before_there_is_anything_a_page_says_which_command_makes_it(
    empty: Browser, place: str, told: str
) -> None:
    """An empty workspace gives pages that say what to do, no errors."""
    assert told in empty.page(place)


def test_insights_show_what_the_commands_kept(tmp_path) -> None:
    """Adjusted effects with their intervals, what holds up, the funnel and how fast it is."""
    workspace = Workspace(tmp_path)
    keep(workspace, kept_insights(), kept_lifecycle())
    page = InProcess(workspace).as_("viewer").page("/console/insights")
    text = words(page)
    assert "association, never a cause" in text
    assert "Report shared holds up 12 % had used it" in text
    assert "2.3 times 1.7–3.1" in text
    assert "Template used 14 % had used it" in text
    assert "Report created used by nearly all or nearly none" in text
    assert "489 outcomes in 5,417 observations of 2,203 accounts" in text
    assert "the search found something 3 times; up to 5 are as expected" in text
    assert "too few terms" in text
    assert "Signup or trial 653" in text
    assert "Signup or trial → PQL 1,452 71 % 82 % 16 days" in text
    assert "Signup or trial → first value" in text
    assert "Net revenue retention 110 %" in text
    assert "first_value" not in page


def test_a_copied_report_still_says_when_it_was_made(tmp_path) -> None:
    """By what it says itself, the older of the two; not by when its file was written."""
    workspace = Workspace(tmp_path)
    keep(workspace, kept_insights() | {"made_at": "2026-07-01T03:05:00+00:00"}, kept_lifecycle())
    page = InProcess(workspace).as_("viewer").page("/console/insights")
    assert 'Found <span title="1 Jul 2026, 03:05 UTC">' in page


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outcomes": 3}', '{"outcomes": [{}]}', "NaN"])
def test_a_damaged_report_is_told_and_the_other_is_shown(tmp_path, content: str) -> None:
    """What cannot be read is named with the command that makes it again."""
    workspace = Workspace(tmp_path)
    keep(workspace, kept_insights(), kept_lifecycle())
    (workspace.insights / "insights.json").write_text(content)
    text = words(InProcess(workspace).as_("viewer").page("/console/insights"))
    assert "insights.json cannot be read" in text
    assert "goldpan insights --write" in text
    assert "Signup or trial 653" in text


def test_hostile_words_in_a_report_stay_text(tmp_path) -> None:
    """Labels, notes, refusals and states are the company's own words."""
    workspace, report, moves = Workspace(tmp_path), kept_insights(), kept_lifecycle()
    rows = report["outcomes"][0]["golden"]["rows"]
    rows[:] = [{**rows[i % 3], "label": text, "note": text} for i, text in enumerate(TEXTS)]
    report["renewal"]["refused"] = TEXTS[0]
    moves["states"][0]["label"] = moves["states"][0]["state"] = TEXTS[1]
    moves["initial_value"][0]["to"] = TEXTS[2]
    keep(workspace, report, moves)
    assert foreign(InProcess(workspace).as_("viewer").page("/console/insights")) == []


def keep(workspace: Workspace, report: dict[str, Any], moves: dict[str, Any]) -> None:
    """Leave the reports where the commands leave them."""
    workspace.insights.mkdir(parents=True)
    publish_json(workspace.insights / "insights.json", report)
    publish_json(workspace.insights / "lifecycle.json", moves)


def words(page: str) -> str:
    """What a page says, without its markup, spaces as one."""
    text = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(title|desc)[^>]*>[^<]*</\1>", "", page)))
    return re.sub(r" ([.,;:])", r"\1", " ".join(text.split()))


def kept_insights() -> dict[str, Any]:
    """A report as `goldpan insights --write` keeps it."""
    sure = Effect(2.32, 1.74, 3.11, 1e-7)
    rows = (
        Golden("report_shared", "report shared", "core", 0.121, sure, sure, 1e-7, discovery=True),
        Golden("template_used", "template used", "feature", 0.137, sure,
               Effect(0.76, 0.54, 1.07, 0.12), 0.28, discovery=False),
        Golden("report_created", "report created", "core", 0.99, sure, None, None,
               discovery=False, note="used by nearly all or nearly none"),
    )  # fmt: skip
    table = GoldenTable(rows, (), Shuffled(100, 3, 0.05))
    part = OfOutcome("pql", 30, Looked(5417, 2203, 489, "2024-08-12", "2026-05-25"), table)
    renewal = OfRenewal(refused="too few terms")
    return Insights("Larkmoor", True, CAUTION, (part,), None, renewal).plain()


def kept_lifecycle() -> dict[str, Any]:
    """A report as `goldpan lifecycle --write` keeps it, as JSON has it."""
    half, none = Estimate(16.0, 15.0, 18.0), Estimate(None, None, None)
    within = {14: none, 30: Estimate(0.71, 0.69, 0.74), 60: none, 90: Estimate(0.82, 0.8, 0.84)}
    passage = Passage(1452, 1180, 20, 252, within, {0.25: none, 0.5: half, 0.75: none})
    day = date(2026, 7, 1)
    report = Report(
        "Larkmoor", True, "USD", day, day - timedelta(days=365),
        states=(Standing("signup", "signup/trial", 653, 168, 0.0, 1452),
                Standing("renewed", "renewed/retained", 533, 454, 73586.86, 531)),
        visitors=0, ways=(Way("signup", "pql", passage),),
        initial_value=(Way("signup", "first_value", passage),), journeys=(),
        revenue=Revenue(24607.8, 10081.55, 848.16, 6820.2, 0.4097, 1.0981),
    )  # fmt: skip
    return dict(json.loads(json.dumps(report.plain())))
