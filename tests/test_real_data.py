"""Real data, where they lie on this machine: GOLDPAN_REAL_DATA names the folder."""

import os
from pathlib import Path

import pytest

from tests.test_main_job import goldpan

FOLDER = Path(os.environ.get("GOLDPAN_REAL_DATA", "/nowhere"))
ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(
    not (FOLDER / "edu365").is_dir(), reason="GOLDPAN_REAL_DATA names no folder with edu365"
)
def test_a_real_freemium_product_is_learnt_end_to_end(tmp_path: Path) -> None:
    """From the vendor's files to promoted, scored prospects; the AUC is the honest one."""
    where = ["--workspace", str(tmp_path), "--settings", str(ROOT / "examples" / "edu365.toml")]
    counted = goldpan("ingest", *where)
    assert [line.split()[1:5] for line in counted.splitlines() if "learning" in line] == [
        ["64,458", "64,458", "0", "0"]
    ]
    assert "20,284 observations" in goldpan("build", *where)
    figures = goldpan("train", *where)
    model = next(line for line in figures.splitlines() if line.split()[:1] == ["model"])
    assert 0.64 < float(model.split()[1]) < 0.80  # above: look for a leak
    assert "pql: version 1 is champion" in goldpan("promote", *where)
    goldpan("score", *where)
    assert (tmp_path / "scores" / "current").is_file()
