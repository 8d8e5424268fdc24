"""What the pages hold, by the HTML that the server sends: texts, words, and every state."""

from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from asked import state_of

from tests.console_asked import Browser, InProcess
from tests.console_world import hostile_world
from tests.hostile import TEXTS


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
