import os
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from features.algebra import Expression
from features.catalog import catalogue
from features.declare import Feature
from tests.parity import Batch, Cells, batch, built, only, same, shared
from tests.reference_known import DAY, World, midnight
from tests.worlds import ENDS

EXAMPLES = int(os.environ.get("GOLDPAN_EXAMPLES", "5"))
WORLDS = 150
SEARCH = settings(
    max_examples=max(1, EXAMPLES // len(ENDS)),
    deadline=None,
    phases=[Phase.generate],  # a batch takes seconds; the world that differs is printed whole
    suppress_health_check=list(HealthCheck),
)


def check(one: Batch, found: Cells) -> str:
    """Compare every cell of a batch; says how many agree."""
    features = catalogue(one.settings).features
    differences = list(one.differences(features, found))
    assert not differences, f"{len(differences)} cells differ; {one.story(differences[0])}"
    cells = len(one.points) * len(features)
    accounts = len({account for account, _ in one.points})
    return f"{accounts} accounts, {len(one.points)} account-days, {cells} cells agree"


@pytest.mark.parametrize("end", ENDS)
def test_every_cell_is_what_plain_python_says(end: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline and a slow, obvious reference agree on every cell of random worlds."""

    @SEARCH
    @given(st.integers(1, 10**9))
    def search(first: int) -> None:
        one = shared(end, WORLDS) if first == 1 else batch(end, first, WORLDS)
        said = check(one, one.found)
        with capsys.disabled():
            print(f"\n{end}: {said}")

    search()
