"""Who gets into the console, as a script meets it that sends what browsers would, or would not."""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from click.testing import CliRunner
from fastapi import APIRouter
from sqlalchemy import update

from features.errors import InputError
from goldpan import main
from serving.api.access import declared
from serving.ledger import sessions, users
from serving.ledger.sessions import SESSIONS
from tests.console_world import PASSWORD, Console, hostile_world, running

HTML = {"accept": "text/html"}
PAGES = ("/console", "/console/prospects", "/console/upgrades", "/console/models",
         "/console/models/churn", "/console/accounts/acc_0001", "/console/export/at-risk.csv",
         "/console/nowhere")  # fmt: skip


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """A running console."""
    with running(hostile_world()) as found:
        yield found


def client(console: Console) -> httpx.Client:
    """A browser without a session."""
    return httpx.Client(base_url=console.url, headers=HTML, trust_env=False, timeout=30)


@contextmanager
def sign_in(
    console: Console, name: str = "viewer", password: str = PASSWORD
) -> Iterator[httpx.Client]:
    """A browser signed in."""
    with client(console) as browser:
        answer = browser.post("/console/sign-in", data={"user": name, "password": password})
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == "/console"
        yield browser


def token_in(page: str) -> str:
    """The CSRF token of a page."""
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', page).group(1)


def test_without_a_session_a_browser_is_taken_to_sign_in_and_back_and_a_script_is_refused(
    console: Console,
) -> None:
    """No page and no export is open; where one wanted to go is kept."""
    with client(console) as browser:
        for page in PAGES:
            answer = browser.get(page)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/sign-in?next=%2Fconsole")
            refused = browser.get(page, headers={"accept": "*/*"})
            assert refused.status_code == 401
            assert refused.headers["content-type"] == "application/problem+json"
        partial = browser.get("/console", headers={"hx-request": "true"})
        assert partial.headers["hx-redirect"].startswith("/console/sign-in")


def test_the_root_takes_browsers_to_the_console_and_asks_scripts_for_a_key(
    console: Console,
) -> None:
    """`GET /` by what the client accepts."""
    with client(console) as browser:
        assert browser.get("/").headers["location"] == "/console"
        assert browser.get("/", headers={"accept": "*/*"}).status_code == 401


def test_a_session_opens_the_pages_until_it_is_signed_out(console: Console) -> None:
    """The cookie is out of reach of scripts; after signing out it opens nothing any more."""
    with sign_in(console) as browser:
        [cookie] = browser.cookies.jar
        assert (cookie.path, cookie.secure) == ("/console", False)
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "lax"
        page = browser.get("/console")
        assert page.status_code == 200
        old = {"cookie": f"{cookie.name}={cookie.value}"}
        out = browser.post("/console/sign-out", data={"csrf": token_in(page.text)})
        assert out.headers["location"] == "/console/sign-in"
        assert browser.get("/console", headers=old).status_code == 303


def test_behind_tls_the_cookie_is_sent_over_tls_only(console: Console) -> None:
    """A proxy that ends TLS says so."""
    with client(console) as browser:
        form = {"user": "viewer", "password": PASSWORD}
        answer = browser.post("/console/sign-in", data=form, headers={"x-forwarded-proto": "https"})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "csrf"),
    [
        ({}, ""),
        ({}, "0" * 64),
        ({"sec-fetch-site": "cross-site"}, None),
        ({"sec-fetch-site": "same-site"}, None),
        ({"origin": "https://evil.example"}, None),
        ({"origin": "null"}, None),
    ],
)
def test_a_form_that_is_not_ours_writes_nothing(
    console: Console, headers: dict[str, str], csrf: str | None
) -> None:
    """Without the session's token, or from another site, signing out is refused as well."""
    with sign_in(console) as browser:
        token = token_in(browser.get("/console").text) if csrf is None else csrf
        answer = browser.post("/console/sign-out", data={"csrf": token}, headers=headers)
        assert answer.status_code == 403
        assert browser.get("/console").status_code == 200


def test_another_site_cannot_sign_anybody_in(console: Console) -> None:
    """A form of another site does not even have its password looked at."""
    with client(console) as browser:
        form = {"user": "viewer", "password": PASSWORD}
        answer = browser.post(
            "/console/sign-in", data=form, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403
        assert not browser.cookies


def test_nobody_is_sent_elsewhere_after_signing_in(console: Console) -> None:
    """`next` is a page of the console or it is the first one."""
    with client(console) as browser:
        for place in ("//evil.example", "https://evil.example/console", "/console\\@evil.example",
                      "/console/../v1", "/consolex"):  # fmt: skip
            form = {"user": "viewer", "password": PASSWORD, "next": place}
            answer = browser.post("/console/sign-in", data=form)
            assert answer.headers["location"] == "/console"


def test_wrong_passwords_cost_growing_time_also_for_names_that_do_not_exist(
    console: Console,
) -> None:
    """After the free ones even the right password has to wait, and the page says how long."""
    users.add(console.ledger, "mistyping", "viewer", PASSWORD)
    with client(console) as browser:
        for name in ("nobody-of-that-name", "mistyping"):
            form = {"user": name, "password": "a wrong password"}
            answers = [browser.post("/console/sign-in", data=form) for _ in range(7)]
            assert [a.status_code for a in answers][:5] == [401] * 5
            assert answers[-1].status_code == 429
        right = {"user": "mistyping", "password": PASSWORD}
        waiting = browser.post("/console/sign-in", data=right)
        assert waiting.status_code == 429
        time.sleep(int(waiting.headers["retry-after"]))
        assert browser.post("/console/sign-in", data=right).status_code == 303


def test_a_removed_person_and_another_password_end_sessions_at_once(console: Console) -> None:
    """The very next request of the former session is refused."""
    users.add(console.ledger, "leaving", "viewer", PASSWORD)
    for end in (("password", "leaving", "--generate"), ("remove", "leaving")):
        printed = PASSWORD
        with sign_in(console, "leaving", printed) as browser:
            assert browser.get("/console").status_code == 200
            arguments = ["user", *end, "--workspace", str(console.workspace.root)]
            assert CliRunner().invoke(main, arguments).exit_code == 0
            assert browser.get("/console").status_code == 303
        if end[0] == "password":
            users.set_password(console.ledger, "leaving", PASSWORD)


def test_a_session_ends_by_itself(console: Console) -> None:
    """After twelve hours the token opens nothing."""
    with sign_in(console) as browser:
        then = datetime.now(UTC) - timedelta(seconds=1)
        with console.ledger.begin() as connection:
            connection.execute(update(SESSIONS).values(expires_at=then))
        assert browser.get("/console").status_code == 303


def test_neither_a_password_nor_a_token_is_kept(console: Console) -> None:
    """The ledger's bytes hold scrypt hashes and SHA-256, nothing that signs anybody in."""
    with sign_in(console) as browser:
        [cookie] = browser.cookies.jar
        # By another process: closing SQLite's file drops the locks that this one holds on it.
        files = [str(p) for p in console.workspace.root.glob("ledger.db*")]
        kept = subprocess.run(["cat", *files], check=True, capture_output=True).stdout  # noqa: S607
        assert b"scrypt$" in kept
        for secret in (PASSWORD, cookie.value, token_in(browser.get("/console").text)):
            assert secret.encode() not in kept


def test_every_answer_forbids_foreign_and_inline_code(console: Console) -> None:
    """Pages, errors, exports and files have the same policy, and no page is stored."""
    with sign_in(console) as browser:
        for page in (*PAGES, "/console/sign-in"):
            answer = browser.get(page)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not re.search(r"<(script|style)>|\sstyle=|\son[a-z]+=\"", answer.text)


def test_a_slash_at_the_end_leads_to_the_page_without_it(console: Console) -> None:
    """What people type; and to no other host, whatever the slashes."""
    with sign_in(console) as browser:
        for typed, meant in (("/console/", "/console"), ("/console/models/", "/console/models"),
                             ("/console//example.com/", "/console//example.com")):  # fmt: skip
            answer = browser.get(typed)
            assert (answer.status_code, answer.headers["location"]) == (303, meant)


def test_pages_tell_errors_as_pages_and_scripts_get_problems(console: Console) -> None:
    """An unknown account and an unknown page, by what the client accepts."""
    with sign_in(console) as browser:
        for place in ("/console/accounts/nobody", "/console/models/none", "/console/none"):
            page = browser.get(place)
            assert (page.status_code, page.headers["content-type"]) == (
                404,
                "text/html; charset=utf-8",
            )
            problem = browser.get(place, headers={"accept": "*/*"})
            assert (problem.status_code, problem.json()["status"]) == (404, 404)


def test_many_at_once_are_all_answered(console: Console) -> None:
    """A hundred people open the queue at the same time: no error."""
    with sign_in(console) as browser:
        headers = {**HTML, "cookie": "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar)}

    def opened(_: int) -> int:
        return httpx.get(
            f"{console.url}/console", headers=headers, trust_env=False, timeout=60
        ).status_code

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(opened, range(100))) == {200}


def test_a_route_of_the_console_says_which_role_opens_it() -> None:
    """The application refuses to be made with a route that says nothing."""
    router = APIRouter()

    @router.get("/console/open")
    async def forgotten() -> None:
        """A page whose author forgot to say who may see it."""

    with pytest.raises(TypeError, match="without a scope"):
        declared(router)


@pytest.mark.parametrize(("role", "opened"), [("viewer", 1), ("reviewer", 2), ("admin", 3)])
def test_a_role_opens_what_is_its_own_or_less(role: str, opened: int) -> None:
    """Viewers read, reviewers also judge, admins also set."""
    person = users.User("ana", role, datetime.now(UTC))
    assert [person.may(asked) for asked in users.ROLES] == [True] * opened + [False] * (3 - opened)


def test_the_commands_add_list_and_remove_people(console: Console) -> None:
    """A generated password is printed once and signs in; a second person of the name is refused."""
    place = ["--workspace", str(console.workspace.root)]
    run = CliRunner().invoke
    added = run(main, ["user", "add", "Bob@x.org", "--role", "viewer", "--generate", *place])
    [printed] = re.findall(r"password (\S+)", added.output)
    with sign_in(console, "bob@x.org", printed) as browser:
        assert browser.get("/console").status_code == 200
    again = run(main, ["user", "add", "bob@x.org", "--generate", *place])
    assert (again.exit_code, users.find(console.ledger, "bob@x.org").role) == (2, "viewer")
    asked = run(main, ["user", "add", "carl", *place], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert "carl may sign in as reviewer" in asked.output
    assert PASSWORD not in asked.output
    assert "bob@x.org" in run(main, ["user", "list", *place]).output
    assert run(main, ["user", "remove", "bob@x.org", *place]).exit_code == 0
    assert "bob@x.org" not in run(main, ["user", "list", *place]).output


def test_what_is_no_person_is_refused_with_what_was_expected(console: Console) -> None:
    """A weak password, a strange name, a role that there is not."""
    add = users.add
    with pytest.raises(InputError, match="12 to 200"):
        add(console.ledger, "dora", "viewer", "short")
    with pytest.raises(InputError, match="letters, digits"):
        add(console.ledger, "dora <x>", "viewer", PASSWORD)
    with pytest.raises(InputError, match="viewer, reviewer, admin"):
        add(console.ledger, "dora", "owner", PASSWORD)


def test_attempts_at_once_are_not_all_free(console: Console) -> None:
    """Of many attempts in the same instant no more pass than one after another would."""
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(
            lambda n: sessions.admitted(console.ledger, "attacked", f"10.0.0.{n}"), range(40)
        ))  # fmt: skip
    assert 1 <= sum(wait == 0 for wait in waits) <= 7
