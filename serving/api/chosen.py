"""What a request is about, found in the state: a model by its name, an account by its id."""

from serving.api.problems import ProblemError, shown
from serving.scoring.accounts import Snapshot
from serving.scoring.scorer import Scorer
from serving.state import State


def snapshot_of(state: State) -> Snapshot:
    """The accounts of the day; ProblemError before there are any."""
    if state.snapshot is None:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    return state.snapshot


def scorer_of(state: State, name: str, field: str = "model") -> Scorer:
    """The model of that name; ProblemError when it failed to load or there is none."""
    snapshot_of(state)
    if name in state.failed:
        raise ProblemError("not-ready", state.failed[name], field=field)
    if name not in state.scorers:
        raise ProblemError(
            "unknown-model",
            f"Nothing promoted is called {name}.",
            field=field,
            found=shown(name),
            expected=f"one of {', '.join(state.scorers)}",
        )
    return state.scorers[name]


def row_of(snapshot: Snapshot, account: str) -> int:
    """The account's row; ProblemError when it was not there on the scoring day."""
    if account not in snapshot.table.row_of:
        raise ProblemError(
            "unknown-account",
            f"No account {account} on the scoring day.",
            field="account_id",
            found=shown(account),
            expected="the id of an account that existed on the scoring day",
        )
    return snapshot.table.row_of[account]


def refuse_inapplicable(scorer: Scorer, row: int) -> None:
    """ProblemError when the model says nothing about the account."""
    if reason := scorer.why_not(row):
        name = scorer.model.name
        raise ProblemError(
            "model-not-applicable",
            f"{name}: {reason}.",
            field="model",
            found=shown(name),
            expected=f"an account for which {name} is meant: {scorer.model.card['eligibility']}",
        )
