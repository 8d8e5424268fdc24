"""The notebooks as they are stored; tests/test_main_job.py runs them."""

import ast
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    stored = nbformat.read(notebook, as_version=4)
    return [cell.source for cell in stored.cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    """Five, in the order of the first day."""
    assert [p.stem[:2] for p in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_output_is_stored(notebook: Path) -> None:
    """A stored notebook holds no result, no count of runs and nothing about who ran it."""
    stored = nbformat.read(notebook, as_version=4)
    for cell in stored.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell.metadata
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert stored.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_nothing_worth_keeping_is_defined(notebook: Path) -> None:
    """What deserves a name lives in the packages: no function, no class in a notebook."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for code in cells(notebook):
        assert not [n for n in ast.walk(ast.parse(code)) if isinstance(n, definitions)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_rendered_page_shows_the_code_as_it_is(notebook: Path) -> None:
    """docs/notebooks/ was rendered after the last change; if not, run `make notebooks`."""
    page = (ROOT / "docs" / "notebooks" / f"{notebook.stem}.md").read_text(encoding="utf-8")
    for code in cells(notebook):
        assert code in page, f"{notebook.stem} changed: run `make notebooks`"
