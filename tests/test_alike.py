"""Whether an account is like the rows that its model learnt from."""

from dataclasses import replace

import numpy as np
import pytest
from asked import state_of
from test_serving_world import made_up_rows, promote, served

from features.workspace import Workspace
from serving.console.views.account import account
from serving.console.views.desk import desk
from serving.models.model import load_bundle
from serving.scoring.alike import Alike, alike
from serving.scoring.scorer import bind
from serving.state import State
from training.dataset import Column
from training.judging.seen import seen

RNG = np.random.default_rng(4)
COLUMNS = tuple(
    Column(name, name, "count", "act", 0, ("x", "y", "z") if name == "word" else None)
    for name in ("number", "always", "often missing", "word")
)
ROWS = np.column_stack([
    np.arange(10_000), np.full(10_000, 5), np.where(RNG.random(10_000) < 0.3, np.nan, 1.0),
    np.repeat([0, 1, 2], [6000, 3950, 50]),
]).astype(np.float32)  # fmt: skip
CARD = {"seen": seen(ROWS, COLUMNS, range(4))}
NAMES = [column.name for column in COLUMNS]


@pytest.mark.parametrize(
    ("row", "unusual"),
    [
        ([5000, 5, 1, 0], ()),
        ([49, 5, 1, 0], ()),  # the least but one half per cent
        ([48, 5, 1, 0], ("number",)),
        ([9949, 5, np.nan, 1], ()),  # as often missing as there
        ([9950, 5, 1, 0], ("number",)),
        ([np.nan, 5.5, 1, 0], ("number", "always")),  # never missing there, always 5
        ([5000, 5, 1, 2], ("word",)),  # one in two hundred had that word
        ([5000, 5, 1, np.nan], ("word",)),  # a word that was never seen
    ],
)
def test_a_fact_is_unusual_outside_what_99_in_100_training_rows_held(
    row: list[float], unusual: tuple[str, ...]
) -> None:
    """Numbers by their range, words by how frequent they were, missing by how often it was so."""
    assert alike(CARD, NAMES, row) == Alike(unusual, 4, CARD["seen"]["most"])


def test_at_most_one_training_row_in_a_hundred_is_unlike_the_training_rows() -> None:
    """The threshold is the 99th percentile of their own numbers of unusual facts."""
    wide = RNG.normal(size=(4000, 40)).astype(np.float32)
    columns = tuple(Column(f"f{i}", "s", "count", "act", 0, None) for i in range(40))
    card = {"seen": seen(wide, columns, range(0, 40, 2))}
    names = [column.name for column in columns]
    told = [alike(card, names, row) for row in wide.tolist()]
    assert {t.of for t in told if t} == {20}
    assert 0 < sum(t.unlike for t in told if t) <= 40
    assert alike(card, names, [9.0] * 40).unlike  # type: ignore[union-attr] # the card tells it


def test_the_account_says_so_and_an_older_card_says_nothing(tmp_path_factory) -> None:
    """In the words of the signals; a bundle of before loads and says nothing of it."""
    state = state_of(served().workspace)
    older = state.scorers["churn"]
    row = int(np.flatnonzero(~np.isnan(older.chances))[0])
    name = older.snapshot.table.ids[row]
    assert account(desk(state), name, "churn").why.likeness == ""
    folder = promote(Workspace(tmp_path_factory.mktemp("new")), served().settings, "churn")
    model = load_bundle(folder)
    features = [{"unit": f.unit} | ({"vocabulary": 1} if f.vocabulary else {})
                for f in model.features]  # fmt: skip
    rows = made_up_rows(features, np.random.default_rng(0))
    columns = tuple(Column(f.name, f.signal, f.unit, f.kind, 0, f.vocabulary)
                    for f in model.features)  # fmt: skip
    card = {**model.card, "seen": seen(rows / 1000, columns, range(len(columns)))}
    newer = replace(state, scorers={"churn": bind(replace(model, card=card), older.snapshot)})
    why = account(desk(State(newer.snapshot, newer.scorers, {})), name, "churn").why
    assert why.likeness.startswith("It is unlike what the model learnt from: ")
    assert " facts are outside their usual range" in why.likeness
    assert "_" not in why.likeness
