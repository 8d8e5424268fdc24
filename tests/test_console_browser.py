"""The console in a real browser against a real service: what people do, and what must not run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from serving_process import until

from tests.console_world import PASSWORD, Console, hostile_world, running
from tests.hostile import TEXTS

CHROMIUM = shutil.which("chromium")
REQUIRED = "chromium" in os.environ.get("GOLDPAN_REQUIRE", "").split(",")
pytestmark = pytest.mark.skipif(
    not CHROMIUM and not REQUIRED, reason="Chromium is not here: install Debian's chromium"
)
PLACES = ("/console", "/console/prospects", "/console/upgrades", "/console/models",
          "/console/models/churn", "/console/insights", "/console/shap/churn",
          "/console?q=nothing-of-that-name")  # fmt: skip
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
                          (e) => window.violations.push(`${e.violatedDirective} ${e.sourceFile}`));
"""


@dataclass
class Seen:
    """What a browser was seen to do that it must not."""

    hosts: set[str] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """A running console."""
    with running(hostile_world()) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What all of the tests together were seen to do."""
    return Seen()


@pytest.fixture(scope="module")
def context(browser: Browser, console: Console, seen: Seen) -> Iterator[BrowserContext]:
    """A person's browser, signed in."""
    made = browser.new_context(base_url=console.url, viewport={"width": 1280, "height": 900})
    made.add_init_script(WATCH)
    made.on("request", lambda r: seen.hosts.add(urlsplit(r.url).netloc))
    page = made.new_page()
    sign_in(page)
    page.close()
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, seen: Seen) -> Iterator[Page]:
    """A tab of it; what went wrong in it is noted."""
    opened = context.new_page()
    opened.on("dialog", lambda d: (seen.dialogs.append(d.message), d.dismiss()))
    opened.on("pageerror", lambda e: seen.errors.append(str(e)))
    yield opened
    seen.violations += violations(opened)
    opened.close()


@contextmanager
def signed_in(browser: Browser, console: Console, seen: Seen, name: str) -> Iterator[Page]:
    """A tab of a browser of somebody's own; what the policy had to forbid in it is noted."""
    context = browser.new_context(base_url=console.url)
    context.add_init_script(WATCH)
    page = context.new_page()
    sign_in(page, name)
    yield page
    seen.violations += violations(page)
    context.close()


def sign_in(page: Page, name: str = "viewer") -> None:
    """Sign in as a person would."""
    page.goto("/console")
    page.fill("#user", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console")


def violations(page: Page) -> list[str]:
    """What the policy had to forbid on the present page, and whether a hostile text ran."""
    return list(page.evaluate("window.violations.concat(window.ran ? ['a text ran'] : [])"))


def found_by_axe(page: Page, *rules: str) -> list[str]:
    """The rules of accessibility (default: all) that the present page breaks, with where."""
    result = Axe().run(page, options={"runOnly": list(rules)} if rules else None)
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in result["violations"]]


def rows(page: Page) -> list[str]:
    """The accounts that the queue shows."""
    return page.locator("#results .row-link").all_inner_texts()


def test_a_person_works_the_queue_from_signing_in_to_signing_out(
    browser: Browser, console: Console
) -> None:
    """Sign in, filter, open an account, read its waterfall, go back, export, sign out."""
    context = browser.new_context(base_url=console.url)
    page = context.new_page()
    page.goto("/console")
    assert page.url.endswith("/console/sign-in?next=%2Fconsole")
    sign_in(page)
    everyone = rows(page)
    graded = page.locator("#results .grade").all_text_contents()
    rare = min(set(graded), key=graded.count)[-1]
    page.check(f"input[name=grade][value={rare}]", force=True)
    page.wait_for_url(f"**/console?grade={rare}")
    page.wait_for_selector(f"#results[data-address='/console?grade={rare}']")
    assert 0 < len(rows(page)) < len(everyone)
    assert page.locator(".views [aria-current]").count() == 0
    assert set(page.locator("#results .grade").all_text_contents()) == {f"grade {rare}"}
    first = rows(page)[0]
    page.locator("#results .row-link").first.click()
    assert page.inner_text("h1") == first
    steps = page.locator(".waterfall tbody tr")
    assert steps.first.locator("th").inner_text() == "The average account"
    assert steps.last.locator("th").inner_text() == first
    shown = page.locator(".verdict[aria-current] .figure").inner_text()
    assert steps.last.locator("td.num").inner_text() == shown
    page.go_back()
    assert page.is_checked(f"input[name=grade][value={rare}]")
    page.locator("#results .row-link").first.click()
    page.click(".crumb a")
    page.wait_for_url(f"**/console?grade={rare}")
    with page.expect_download() as download:
        page.click("text=Export CSV")
    exported = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert download.value.suggested_filename == "goldpan-at-risk-2026-07-01.csv"
    assert exported[0].startswith("account_id,name,owner,plan,probability,grade")
    page.click("text=Sign out")
    page.wait_for_url("**/console/sign-in")
    page.goto("/console/models")
    assert "/console/sign-in" in page.url
    context.close()


def test_the_numbers_behind_a_waterfall_sum_to_the_shown_probability(page: Page) -> None:
    """As the page holds them: base and contributions are the log-odds, to 1e-9."""
    page.goto("/console")
    page.locator("#results .row-link").nth(1).click()
    page.click("summary")
    parts = [float(x.get_attribute("data-part")) for x in page.locator("[data-part]").all()]
    total = float(page.locator("[data-sum]").get_attribute("data-sum"))
    probability = page.locator("[data-probability]").get_attribute("data-probability")
    assert abs(sum(parts) - total) < 1e-9
    assert page.locator(".verdict[aria-current] .figure").get_attribute("title") == probability


def test_a_reviewer_asks_what_if_and_gives_a_verdict(
    browser: Browser, console: Console, seen: Seen
) -> None:
    """A slider moved by key changes the prediction at once; the verdict is kept; axe agrees."""
    with signed_in(browser, console, seen, "reviewer") as page:
        page.locator("#results .row-link").first.click()
        slider = page.locator(".slider input").first
        slider.focus()
        page.keyboard.press("End")
        until(lambda: page.locator("#what-if .figure").count() == 1)
        assert slider.get_attribute("max") == slider.input_value()
        page.check("input[name=verdict][value=disagree]", force=True)
        page.fill("textarea[name=note]", TEXTS[0])
        page.click(".review button")
        page.wait_for_url("**kept=1**")
        assert page.locator(".said .note").first.inner_text() == TEXTS[0].strip()
        assert found_by_axe(page) == []


def test_an_admin_makes_a_key_and_a_person_and_takes_them_back(
    browser: Browser, console: Console, seen: Seen
) -> None:
    """What is shown once is gone on the next page; axe agrees, on a phone too."""
    with signed_in(browser, console, seen, "admin") as page:
        page.click("nav >> text=Settings")
        page.fill("[action$='/keys'] input[name=name]", TEXTS[0])
        page.click("[action$='/settings/keys'] button.main")
        key = page.inner_text(".once")
        assert key.startswith("gp_")
        page.fill("input[name=user]", "ana@example.com")
        page.click("[action$='/settings/people'] button.main")
        assert key not in page.content()
        page.click("tr:has-text('ana@example.com') >> text=Remove")
        assert found_by_axe(page) == []
        page.set_viewport_size({"width": 390, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert found_by_axe(page) == []
        page.click("text=Remove ana@example.com")
        assert page.get_by_role("status").inner_text() == "ana@example.com may no longer sign in."


def test_keys_move_through_the_queue(page: Page) -> None:
    """J and k move, Enter opens, the slash searches, and letters in the search stay letters."""
    page.goto("/console")
    names = rows(page)
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.innerText") == names[place]
    page.keyboard.press("/")
    page.keyboard.type("jk/")
    assert page.input_value("#q") == "jk/"
    page.wait_for_url("**/console?q=jk%2F")
    page.goto("/console")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/accounts/**")


def test_searching_narrows_the_queue_as_one_types_and_the_address_says_so(page: Page) -> None:
    """The words above say how many are left; an address opened again shows the same."""
    page.goto("/console/prospects")
    account = page.locator("#results .who .sub").nth(2).inner_text().split(" ")[0]
    page.fill("#q", account)
    page.wait_for_url(f"**/console/prospects?q={account}")
    page.wait_for_selector("#results:not([aria-busy])")
    assert len(rows(page)) == 1
    assert page.locator("#results [role=status]").inner_text().startswith("1 of ")
    page.reload()
    assert len(rows(page)) == 1


def test_without_script_every_filter_still_works(browser: Browser, console: Console) -> None:
    """Forms are forms and links are links."""
    context = browser.new_context(base_url=console.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.select_option("#sort", "name")
    page.press("#q", "Enter")
    page.wait_for_url("**sort=name**")
    assert page.locator("#results .row-link").count() > 10
    context.close()


@pytest.mark.parametrize(("scheme", "width", "rules"), [
    ("light", 390, ()), ("dark", 1280, ()),
    ("dark", 390, ("color-contrast",)), ("light", 1280, ("color-contrast",)),
])  # fmt: skip
def test_every_page_is_accessible_and_fits_the_screen(
    page: Page, scheme: str, width: int, rules: tuple[str, ...]
) -> None:  # fmt: skip
    """Axe finds nothing, in light and dark, on phone and desktop; nothing scrolls sideways."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/console")
    account = page.locator("#results .row-link").first.get_attribute("href")
    shap = str(account).partition("?")[0].replace("/accounts/", "/shap/churn/")
    for place in (*PLACES, account, shap, "/console/accounts/nobody"):
        page.goto(place)
        assert found_by_axe(page, *rules) == [], place
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{place} is {wide} px too wide at {width}"


def test_the_page_to_sign_in_is_accessible(browser: Browser, console: Console) -> None:
    """Also when it says that the password was wrong."""
    context = browser.new_context(base_url=console.url)
    page = context.new_page()
    page.goto("/console/sign-in")
    assert found_by_axe(page) == []
    page.fill("#user", TEXTS[0])
    page.fill("#password", "not the password")
    page.click("button")
    assert page.get_by_role("alert").inner_text().startswith("That name and password")
    assert page.input_value("#user") == TEXTS[0]
    assert found_by_axe(page) == []
    context.close()


def test_no_hostile_text_runs_wherever_it_is_shown(page: Page) -> None:
    """Names, plans, categories, the company, labels, cards: each of the fifty is shown as text."""
    links: dict[str, str] = {}
    for place in ("/console", "/console/prospects", "/console/prospects?page=2"):
        page.goto(place)
        found = page.locator("#results .row-link").all()
        links |= {x.text_content(): x.get_attribute("href") for x in found}
    assert links.keys() == set(TEXTS)
    for name, link in links.items():
        page.goto(link)
        assert page.locator("h1").text_content() == name
        assert violations(page) == []
    page.goto("/console/models/churn")
    slices = page.locator("[aria-labelledby=slices] th[scope=row]").all_text_contents()
    assert {s.casefold() for s in slices} == {t.casefold() for t in TEXTS}


def test_no_hostile_text_runs_from_the_address(page: Page) -> None:
    """Some of the fifty as a search, a filter, an account, a model, a page, and typed.

    All of them: tests/test_console_pages.py, by what the server sends.
    """
    for place, text in enumerate(TEXTS[::6]):
        asked = quote(text, safe="")
        queue = f"/console?q={asked}&plan={asked}&reason={asked}&sort={asked}"
        elsewhere = ("accounts/", "models/", "")[place % 3]
        for address in (queue, f"/console/{elsewhere}{asked}?model={asked}"):
            page.goto(address)
            assert violations(page) == []
    for text in TEXTS[::6]:
        page.goto("/console")
        with page.expect_response(lambda r: "q=" in r.url):
            page.fill("#q", text)
        page.wait_for_selector("#results:not([aria-busy])")
        assert page.input_value("#q") == text
        assert violations(page) == []


def test_the_policy_forbids_what_would_run_if_a_text_got_through(page: Page) -> None:
    """The second wall: markup that is put into a page on purpose does not run."""
    page.goto("/console")
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.ran=1>')"
    )
    until(lambda: page.evaluate("window.violations.length > 0"))
    assert page.evaluate("window.ran") is None
    page.goto("/console")


def test_nothing_left_the_host_and_nothing_was_forbidden(
    page: Page, console: Console, seen: Seen
) -> None:
    """Over all that was done above: one host, no dialog, no error, no violation."""
    page.goto("/console")
    assert seen.hosts == {urlsplit(console.url).netloc}
    assert seen.dialogs == []
    assert seen.errors == []
    assert seen.violations == []
