"""Every queue of one state, made once: arrays by account, so that a page only picks and words."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock, Thread

from sqlalchemy import Engine

from features.pseudonym import pseudonym
from serving.api.problems import ProblemError
from serving.console.views.known import Known, known
from serving.scoring.accounts import Snapshot, Table
from serving.scoring.lastweek import remembered
from serving.scoring.leading import Leading, leading
from serving.scoring.queues import Queues
from serving.state import State

TO_MILESTONE, SINCE_SIGN_UP = "days_to_", "days from sign-up to"


@dataclass(frozen=True)
class Desk:
    """The queues of a state, what leads in each score, and what is known of its accounts besides.

    `haystack[row]`: the texts in which a search looks.
    """

    state: State
    known: Known
    queues: Queues
    leading: Mapping[str, Leading] = field(default_factory=dict)
    haystack: tuple[str, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """The accounts of the scoring day."""
        found = self.state.snapshot
        assert found is not None  # noqa: S101 - `desk` makes none without
        return found

    @property
    def table(self) -> Table:
        """Their features."""
        return self.snapshot.table

    @cached_property
    def by_pseudonym(self) -> Mapping[str, str]:
        """What each account is called among the past cases of the models → its id."""
        return {pseudonym(account): account for account in self.table.ids}

    @cached_property
    def milestones(self) -> tuple[tuple[int, str], ...]:
        """Each milestone of the settings: its column of the table, its name in words."""
        told, column_of = self.snapshot.meanings, self.table.column_of
        return tuple(
            (column, name.removeprefix(TO_MILESTONE).replace("_", " "))
            for name, column in column_of.items()
            if name.startswith(TO_MILESTONE) and told.get(name, "").startswith(SINCE_SIGN_UP)
        )


class Desks:
    """The desk of the newest state: made beside what else goes on, the former serves till then."""

    def __init__(self, ledger: Engine | None = None) -> None:
        self.ledger = ledger
        self.lock = Lock()
        self.desk: Desk | None = None
        self.wanted: State | None = None

    def of(self, state: State) -> Desk:
        """A desk; only the first is waited for. ProblemError when there are no accounts."""
        found = self.desk
        if found is None or state.snapshot is None:
            return self._made(state)
        if found.state is not state and self.wanted is not state:
            self.prepare(state)
        return found

    def warm(self, state: Callable[[], State]) -> None:
        """Begin to make the first desk; what fails now is told to whoever opens a page."""
        with suppress(Exception):
            self.prepare(state())

    def prepare(self, state: State) -> None:
        """Begin to make the desk of a state."""
        self.wanted = state
        if state.snapshot is not None:
            Thread(target=self._made, args=(state,), name="console", daemon=True).start()

    def _made(self, state: State) -> Desk:
        with self.lock:
            if self.desk is None or self.desk.state is not state:
                self.desk = desk(state, self.ledger, self.desk)
            return self.desk


def desk(state: State, ledger: Engine | None = None, former: Desk | None = None) -> Desk:
    """Explain and sort all accounts of a state; `former`: one whose unchanged rows are kept."""
    if state.snapshot is None:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    queues, before = Queues(state.snapshot, state.scorers), former.leading if former else {}
    for model in state.scorers:
        if ledger is None:
            queues.remember(model, None, {})
        else:
            remembered(queues, ledger, model)
    ids = state.snapshot.table.ids
    return Desk(
        state, known(state.snapshot), queues,
        {name: leading(s, before.get(name)) for name, s in state.scorers.items()},
        tuple(f"{name}\n{i}".casefold() for name, i in zip(queues.names, ids, strict=True)),
    )  # fmt: skip
