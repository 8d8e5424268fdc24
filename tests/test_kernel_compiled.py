import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.kernel.compiled import first_writable, places, version

ROOT = Path(__file__).parent.parent
CALL = """
import numpy as np
from features.kernel import windows
windows.runs_of_days(np.array([5]))
found = windows.runs_of_days.stats
print(sum(found.cache_hits.values()), sum(found.cache_misses.values()))
"""


def called(**environment: str) -> str:
    """What a new process found compiled, and what it had to compile, for one function."""
    done = subprocess.run(
        [sys.executable, "-c", CALL], cwd=ROOT, capture_output=True, text=True, check=True,
        env={n: v for n, v in os.environ.items() if n != "NUMBA_CACHE_DIR"}
        | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    return done.stdout.strip()


def test_what_one_process_compiles_the_next_one_reads(tmp_path: Path) -> None:
    """The first process compiles into the folder that is named, the second one compiles nothing."""
    assert called(NUMBA_CACHE_DIR=str(tmp_path)) == "0 1"
    assert called(NUMBA_CACHE_DIR=str(tmp_path)) == "1 0"


def test_a_change_in_any_file_of_the_kernel_is_another_version(tmp_path: Path) -> None:
    """A compiled function is never used with another text of what it calls."""
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("y = 1")
    before = version(tmp_path)
    (tmp_path / "b.py").write_text("y = 2")
    assert version(tmp_path) != before


def test_an_install_that_cannot_be_written_to_keeps_it_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next folder is taken, and none where there is none: then each process compiles."""
    closed = tmp_path / "a file, so that no folder can be made in it"
    closed.touch()
    assert first_writable([closed / "x", tmp_path / "cache"]) == tmp_path / "cache"
    assert first_writable([closed / "x"]) is None
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places()[-1] == tmp_path / "goldpan"
