"""The console in this process: the real application on a real ledger, asked as browsers ask."""

import asyncio
import re
from typing import Any

import httpx

from features.workspace import Workspace
from serving.api.app import create_app
from serving.api.backing import Backing
from serving.console.access import COOKIE
from serving.ledger import sessions, users
from serving.ledger.database import opened
from serving.state import State

PASSWORD = "correct horse battery staple"  # noqa: S105 - of people in a test's own ledger


class InProcess:
    """An application on a workspace and a state, with a person of each role."""

    def __init__(self, workspace: Workspace, state: State | None = None) -> None:
        self.ledger, held = opened(workspace), state or State()
        self.app = create_app(Backing(lambda: held, self.ledger, workspace))
        for role in users.ROLES:
            if users.find(self.ledger, role) is None:
                users.add(self.ledger, role, role, PASSWORD)

    def as_(self, name: str) -> "Browser":
        """A browser in which somebody is signed in."""
        user = users.find(self.ledger, name)
        assert user is not None
        return Browser(self.app, sessions.begin(self.ledger, user))


class Browser:
    """Asks for pages, and sends forms with the token of the page, as people do."""

    def __init__(self, app: Any, token: str) -> None:
        self.app, self.cookies = app, {COOKIE: token}

    def ask(self, method: str, place: str, **more: Any) -> httpx.Response:
        """One request for HTML."""

        async def one() -> httpx.Response:
            headers = {"accept": "text/html", **more.pop("headers", {})}
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=self.app), base_url="http://console",
                cookies=self.cookies, headers=headers,
            ) as client:  # fmt: skip
                return await client.request(method, place, **more)

        return asyncio.run(one())

    def page(self, place: str) -> str:
        """A page that is there."""
        answer = self.ask("GET", place)
        assert answer.status_code == 200, f"{place}: {answer.status_code}"
        return answer.text

    def send(self, place: str, page: str, **fields: str) -> httpx.Response:
        """Send a form with the token of a page; a field's name has dots for underscores."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.page(page))
        assert found is not None
        named = {name.replace("_", "."): value for name, value in fields.items()}
        return self.ask("POST", place, data={"csrf": found[1], **named})
