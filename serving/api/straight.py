"""The straight way: a request for a fixed address goes to its endpoint without the framework.

Middleware, the search for a route and the resolving of dependencies take as long as the score. What
they would do is done here: the scope that the route declares is asked for, and a problem that the
endpoint raises is answered. All that is not plain goes on to the framework.
"""

import inspect
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request

from serving.api.access import check_scope, scope_of
from serving.api.answers import refused
from serving.api.exchange import Scope, Send
from serving.api.problems import ProblemError
from serving.api.reading import Receive


class Straight:
    """An ASGI application before the framework's."""

    def __init__(self, app: FastAPI, routes: Mapping[tuple[str, str], APIRoute]) -> None:
        self.app = app
        self.plain = {
            at: (route, opening)
            for at, route in routes.items()
            if plain(route) and (opening := scope_of(route))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self.plain.get((scope.get("method", ""), scope["path"]))
        if found is None or scope.get("root_path"):
            await self.app(scope, receive, send)
            return
        route, opening = found
        scope["route"], scope["app"] = route, self.app
        request = Request(scope, receive, send)
        try:
            check_scope(request, opening)
            answer = await route.endpoint(request)
        except ProblemError as problem:
            answer = refused(request, problem)
        await answer(scope, receive, send)


def plain(route: APIRoute) -> bool:
    """Whether a route has nothing that the framework must read: its endpoint takes the request.

    Its only dependency is the scope that opens it.
    """
    taken = inspect.signature(route.endpoint).parameters.values()
    only_request = [parameter.annotation for parameter in taken] == [Request]
    return only_request and len(route.dependencies) == 1 and "{" not in route.path
