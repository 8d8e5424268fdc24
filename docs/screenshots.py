"""Takes the pictures of the console in `docs/img/`: each page, phone and desktop, light and dark.

`make screenshots` runs it on the workspace of `make demo`, or on the one in GOLDPAN_WORKSPACE.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from features.workspace import Workspace
from serving.console.views.asked import Asked
from serving.console.views.desk import desk
from serving.console.views.queue import part
from serving.console.views.words import QUEUES
from serving.ledger import users
from serving.ledger.database import opened
from serving.models.swap import Keeper

IMAGES = Path(__file__).parent / "img"
SCREENS = {"desktop": (1440, 900), "phone": (390, 844)}
SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""
NAME, OTHER = "ana.silva", "ben.okafor"


def main(workspace: Workspace, only: str = "") -> None:
    """Serve the workspace, sign in, and picture every page."""
    password = _person(workspace)
    IMAGES.mkdir(exist_ok=True)
    with _served(workspace) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for screen in SCREENS:
            for scheme in ("light", "dark"):
                _pictured(browser, url, password, _pages(workspace), screen, scheme, only)
        browser.close()


def _pages(workspace: Workspace) -> dict[str, str]:
    """The pages by name: each queue, the account that the first begins with, all the others."""
    keeper = Keeper(workspace)
    keeper.look()
    made = desk(keeper.state)
    pages = {}
    for words in (w for w in QUEUES if w.model in made.state.scorers):
        pages[words.key] = words.place
    words = next(w for w in QUEUES if w.model in made.state.scorers)
    first = part(made, words, Asked()).lines[0].account
    return pages | {
        "account": f"/console/accounts/{quote(first)}?model={words.model}",
        "shap-account": f"/console/shap/{words.model}/{quote(first)}",
        "shap-queue": f"/console/shap/{words.model}",
        "insights": "/console/insights",
        "models": "/console/models",
        "model": f"/console/models/{words.model}",
        "settings": "/console/settings",
    }


def _pictured(
    browser: Browser, url: str, password: str, pages: dict[str, str], screen: str, scheme: str,
    only: str,
) -> None:  # fmt: skip
    width, height = SCREENS[screen]
    context = browser.new_context(
        base_url=url, viewport={"width": width, "height": height}, color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if screen == "desktop" else 2, reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.goto("/console/sign-in")
    _picture(page, f"sign-in-{screen}-{scheme}", only)
    page.fill("#user", NAME)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/console")
    for name, place in pages.items():
        page.goto(place)
        _picture(page, f"{name}-{screen}-{scheme}", only)
    context.close()


def _picture(page: Page, name: str, only: str) -> None:
    if only in name:
        page.mouse.move(0, 0)
        whole = not name.startswith(("at-risk", "prospects", "upgrades"))
        taken = BytesIO(page.screenshot(full_page=whole))
        # 256 colours: a third of the bytes, and no eye sees it; the rare ones are kept
        small = Image.open(taken).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
        small.save(IMAGES / f"{name}.png", optimize=True)


def _person(workspace: Workspace) -> str:
    """An admin with a new password, and somebody else for the list of people."""
    ledger, password = opened(workspace), users.generated()
    if users.find(ledger, NAME) is None:
        users.add(ledger, NAME, "admin", password)
    users.set_role(ledger, NAME, "admin")
    users.set_password(ledger, NAME, password)
    if users.find(ledger, OTHER) is None:
        users.add(ledger, OTHER, "reviewer", users.generated())
    return password


@contextmanager
def _served(workspace: Workspace) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(workspace.root), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    main(Workspace(Path(os.environ.get("GOLDPAN_WORKSPACE", "workspace"))), *sys.argv[1:])
