"""The service's log: one JSON object a line, of which no line knows a person or an account.

Ours say what happened in fields. Of what libraries write only the fixed text is kept, and of an
exception its type and where it was raised: what was interpolated may hold a request's values.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

OURS, WHY = "goldpan", "why"
FRAMES = 12
LIBRARIES = ("alembic", "asyncio", "bentoml", "circus", "sqlalchemy", "uvicorn", "uvicorn.error")


class JsonLine(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "log": record.name}
        if text := _text(record):
            line["message"] = text
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = raised(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def raised(error: BaseException) -> dict[str, Any]:
    """An exception without its words: its type, and the innermost places it came through.

    >>> raised(ValueError("ada@example.com"))
    {'type': 'ValueError', 'at': []}
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"type": type(error).__name__, "at": places}


def configure(level: int = logging.INFO) -> None:
    """From now on everything that this process logs is in that form, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
        library.setLevel(logging.WARNING)
    # Its lines hold whole addresses; ours tell of every request.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.getLogger(OURS).setLevel(level)
    for name in [n for n in logging.root.manager.loggerDict if n.partition(".")[0] == OURS]:
        logging.getLogger(name).disabled = False  # BentoML silences what was there before it
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


@contextmanager
def told_why() -> Iterator[None]:
    """Log the words of what keeps the service from starting: no request has been read yet."""
    try:
        yield
    except Exception as error:
        fields = {WHY: f"{type(error).__name__}: {error}"}
        log = logging.getLogger(f"{OURS}.serving")
        log.critical("a worker cannot start", exc_info=error, extra={"fields": fields})
        raise


def _text(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] == OURS:
        return record.getMessage()
    return str(record.msg).strip().partition("\n")[0]


def _uncaught(
    kind: type[BaseException], error: BaseException | None, at: TracebackType | None
) -> None:
    """What nothing caught, in a thread or at the top."""
    if error is not None and not issubclass(kind, KeyboardInterrupt):
        logging.getLogger(OURS).critical("uncaught %s", kind.__name__, exc_info=(kind, error, at))
