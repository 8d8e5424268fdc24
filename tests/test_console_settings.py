"""The settings page, as an admin's browser meets it and others': keys, people, what is refused."""

import re

import httpx
import pytest

from features.workspace import Workspace
from serving.ledger import keys, users
from tests.console_asked import InProcess
from tests.hostile import TEXTS

PLACE = "/console/settings"
TO_SCORE = {"scope_score": "on", "scope_read": "on", "expires": "90"}


@pytest.fixture
def console(tmp_path) -> InProcess:
    """A console whose settings a test may change; there are no models and no accounts yet."""
    return InProcess(Workspace(tmp_path))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory) -> InProcess:
    """A console of which no test changes anything."""
    return InProcess(Workspace(tmp_path_factory.mktemp("settings")))


def once(answer: httpx.Response) -> str:
    """What a page shows this once."""
    return re.search(r'<code class="once">([^<]+)</code>', answer.text).group(1)


def test_a_key_made_here_opens_what_it_says_until_it_is_revoked(console: InProcess) -> None:
    """Shown once, kept as a hash; listed by its id; revoked, it opens nothing."""
    admin = console.as_("admin")
    made = admin.send(f"{PLACE}/keys", PLACE, name="The CRM", **TO_SCORE)
    text = once(made)
    found = keys.find(console.ledger, text)
    assert (found.name, found.scopes) == ("The CRM", ("score", "read"))
    assert 89 <= (found.expires_at - found.created_at).days <= 90
    page = admin.page(PLACE)
    assert text not in page
    assert f"gp_{found.id}_" in page
    ended = admin.send(PLACE + f"/keys/{found.id}/revoke", PLACE)
    assert "opens nothing any more" in ended.text
    assert keys.find(console.ledger, text).revoked_at is not None


def test_a_person_added_here_signs_in_with_the_password_that_was_shown(
    console: InProcess,
) -> None:
    """Then has another role, another password, and is gone; each at once."""
    admin = console.as_("admin")
    first = once(admin.send(PLACE + "/people", PLACE, user="Ana@example.com", role="viewer"))
    ana = users.verified(console.ledger, "ana@example.com", first)
    assert ana.role == "viewer"
    browser = console.as_("ana@example.com")
    assert (browser.ask("GET", "/console/models")).status_code == 200
    admin.send(PLACE + "/people/ana@example.com/role", PLACE, role="admin")
    assert (browser.ask("GET", PLACE)).status_code == 200
    second = once(admin.send(PLACE + "/people/ana@example.com/password", PLACE))
    assert users.verified(console.ledger, "ana@example.com", first) is None
    assert users.verified(console.ledger, "ana@example.com", second)
    assert (browser.ask("GET", PLACE)).status_code == 303
    again = console.as_("ana@example.com")
    admin.send(PLACE + "/people/ana@example.com/remove", PLACE)
    assert (again.ask("GET", PLACE)).status_code == 303
    assert users.find(console.ledger, "ana@example.com") is None


@pytest.mark.parametrize("place", ["", "/keys", "/people", "/people/admin/role", "/keys/x/revoke"])
@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_only_an_admin_sees_or_changes_the_settings(
    unchanged: InProcess, role: str, place: str
) -> None:
    """Others are refused, whatever they send, and their pages do not even name the place."""
    browser = unchanged.as_(role)
    method = "POST" if place else "GET"
    data = {"role": "admin", "user": "eve", "name": "k"} if place else None
    answer = browser.ask(method, PLACE + place, data=data)
    assert answer.status_code == 403
    assert place or "<h1>Your role does not open this</h1>" in answer.text
    assert PLACE not in (browser.ask("GET", "/console/models")).text
    assert keys.listed(unchanged.ledger) == []
    assert len(users.listed(unchanged.ledger)) == 3


@pytest.mark.parametrize("place", ["/keys", "/people", "/people/viewer/remove", "/keys/x/revoke",
                                   "/people/viewer/role", "/people/viewer/password"])  # fmt: skip
@pytest.mark.parametrize("csrf", ["", "0" * 64])
def test_a_form_without_the_sessions_token_changes_nothing(
    unchanged: InProcess, place: str, csrf: str
) -> None:
    """Nor does one that another site sent with the admin's cookie."""
    admin, before = unchanged.as_("admin"), users.listed(unchanged.ledger)
    form = {"csrf": csrf, "name": "k", "scope.admin": "on", "user": "eve", "role": "admin"}
    assert (admin.ask("POST", PLACE + place, data=form)).status_code == 403
    crossed = admin.ask("POST", PLACE + place, data=form, headers={"sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403
    assert (keys.listed(unchanged.ledger), users.listed(unchanged.ledger)) == ([], before)


@pytest.mark.parametrize(
    ("place", "fields", "told"),
    [
        ("/keys", {"name": "k"}, "no scope"),
        ("/keys", {"scope_score": "on"}, "printable characters"),
        ("/keys", {"name": "k", "scope_score": "on", "expires": "1e9"}, "30, 90, 365"),
        ("/keys/none/revoke", {}, "no key none"),
        ("/people", {"user": "viewer", "role": "viewer"}, "a name that nobody has"),
        ("/people", {"user": "<b>", "role": "viewer"}, "letters, digits"),
        ("/people", {"user": "eve", "role": "owner"}, "one of viewer, reviewer, admin"),
        ("/people/nobody/role", {"role": "admin"}, "no user"),
        ("/people/viewer/promote", {}, "role, password or remove"),
        ("/people/admin/remove", {}, "your own entry"),
        ("/people/admin/role", {"role": "viewer"}, "your own entry"),
    ],
)
def test_what_the_command_line_refuses_is_refused_here_with_the_same_words(
    unchanged: InProcess, place: str, fields: dict[str, str], told: str
) -> None:
    """The page says what was found and what was expected; nothing has changed."""
    answer = unchanged.as_("admin").send(PLACE + place, PLACE, **fields)
    assert answer.status_code == 422
    assert told in re.search(r'role="alert">([^<]+)<', answer.text).group(1)
    assert keys.listed(unchanged.ledger) == []
    assert [u.role for u in users.listed(unchanged.ledger)] == ["admin", "reviewer", "viewer"]


def test_hostile_names_of_keys_are_shown_as_text(console: InProcess) -> None:
    """Each of the printable fifty names a key; none is markup on the page."""
    for text in filter(str.isprintable, TEXTS):
        keys.create(console.ledger, text[:200], ("read",))
    page = console.as_("admin").page(PLACE)
    assert "<img" not in page.replace('<img src="/console/static/', "")
    assert len(re.findall(r"<script(?! src=\"/console/static/)", page)) == 0
