"""The BentoML service: one process with the promoted models, answering over HTTP.

`GOLDPAN_WORKSPACE` names the workspace. BentoML starts, watches and stops the worker processes;
all answers come from the one application of `serving/api/app.py`.
"""

import os
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # BentoML 1.4 itself uses what pathspec and pydantic have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from bentoml import on_shutdown, on_startup
    from bentoml import service as bentoml_service

from serving.api import protocol
from serving.lean import without

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

WORKERS = int(os.environ.get("GOLDPAN_WORKERS", "1"))


class Surface:
    """Answers every HTTP request by our application; all else goes on to BentoML.

    A mount would not do: BentoML's own /metrics, /schema.json, /livez and /readyz stand before
    any mount, and its 404 has another shape than our errors.
    """

    application: Application | None = None

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one connection on."""
        ours = Surface.application if scope["type"] == "http" else None
        await (ours or self.app)(scope, receive, send)


@bentoml_service(
    name="goldpan",
    workers=WORKERS,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    monitoring={"enabled": False},
)
class Scoring:
    """Loads what was promoted when the worker starts; the supervisor only reads the class."""

    def __init__(self) -> None:
        # Imported here because the supervisor imports this module and needs none of it.
        with without():
            import lightgbm  # noqa: F401 - so that it is not first imported outside this block

            from features.workspace import Workspace
            from serving.api import logs
            from serving.api.app import create_app
            from serving.api.backing import Backing
            from serving.ledger.database import connected, url_of
            from serving.models.swap import Keeper

            logs.configure()
            with logs.told_why():
                workspace = Workspace(Path(os.environ["GOLDPAN_WORKSPACE"]))
                self.keeper = Keeper(workspace)
                self.keeper.look()
                backing = Backing(
                    lambda: self.keeper.state, connected(url_of(workspace)), workspace
                )
                Surface.application = create_app(backing)

    @on_startup
    def watch(self) -> None:
        """Take over what is promoted and scored from now on."""
        self.keeper.start()

    @on_shutdown
    def end(self) -> None:
        """Take over nothing more."""
        self.keeper.stop()


protocol.install()
Scoring.add_asgi_middleware(Surface)  # type: ignore[attr-defined] # the decorator made it a service
