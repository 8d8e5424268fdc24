"""The house keeps its shape: who may import whom, how large files grow, what they may name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("features", "training", "serving", "commands")
MAY_IMPORT = {
    "features": set(),
    "training": {"features"},
    "serving": {"features"},
    "commands": {"features", "training", "serving"},
}
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The first part of each module that a file imports, at any depth of the code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_imports_run_from_training_and_serving_to_features() -> None:
    """Training and serving import features; nothing imports the other way or across."""
    for path in FILES:
        package = path.relative_to(ROOT).parts[0]
        ours = {name for name in imported(path) if name in PACKAGES} - {package}
        assert ours <= MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {ours}"


def test_nothing_imports_tests_notebooks_or_benchmarks() -> None:
    """What ships never needs what only developers run."""
    for path in [*FILES, *ROOT.glob("*.py")]:
        assert not {"tests", "notebooks", "benchmarks"} & set(imported(path)), path


def test_nothing_pickles() -> None:
    """No file of ours imports a library whose purpose is pickling."""
    for path in FILES:
        assert not {"pickle", "joblib", "cloudpickle", "dill", "shelve"} & set(imported(path)), path


def test_files_stay_small() -> None:
    """A file keeps to one job: under 300 lines, the catalogue and the settings under 400."""
    longer = {"features/catalog.py", "features/settings.py"}  # lists of declarations
    for path in FILES:
        name = str(path.relative_to(ROOT))
        lines = len(path.read_text().splitlines())
        assert lines <= (400 if name in longer else 300), f"{name} has {lines} lines"


def test_functions_stay_short() -> None:
    """Nine functions in ten have fewer than 25 lines, docstrings left out."""
    lengths = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
                lengths.append((node.end_lineno or 0) - first.lineno + 1)
    assert sorted(lengths)[int(0.9 * len(lengths))] < 25
    assert sorted(lengths)[len(lengths) // 2] <= 7


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc"])
def test_no_file_is_named_for_nothing(word: str) -> None:
    """A file's name says its job."""
    assert not [p for p in FILES if p.stem == word]


def test_the_lock_holds_names_versions_and_hashes_only() -> None:
    """Every package is pinned with hashes, and no address stands in the lock."""
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    pinned = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==", entry) for entry in pinned)
    assert all("--hash=sha256:" in entry for entry in pinned)
