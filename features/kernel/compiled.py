"""What the kernel is compiled by, and where the machine code is kept from process to process.

numba looks only at the file of a compiled function, not at those that it calls: after a change in
one file, the code of another would go on with the old one. So all files of the kernel name the
folder together, and a change in any of them begins a new one.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import config, njit

HERE = Path(__file__).parent


def compiled(function: Callable[..., Any]) -> Any:
    """The function as machine code: made at the first call, read from the disk in later processes.

    Where no folder may be written to, and for a function without a file, each process makes it.
    """
    if FOLDER is None or not Path(function.__code__.co_filename).is_file():
        return njit(nogil=True)(function)
    with _kept_in(FOLDER):
        return njit(cache=True, nogil=True)(function)


def places() -> list[Path]:
    """Where compiled code may be kept: as numba is told, beside the source, in the user's cache."""
    told = os.environ.get("NUMBA_CACHE_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    own = [HERE / "__pycache__", Path(cache) / "goldpan"]
    return [Path(told), *own] if told else own


def first_writable(folders: list[Path]) -> Path | None:
    """The first of some folders in which a file can be made; None where there is none."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def version(folder: Path) -> str:
    """A name for the present text of a folder's Python files."""
    texts = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


@contextmanager
def _kept_in(folder: str) -> Iterator[None]:
    """Let numba keep the code of our functions, and of no others, in a folder."""
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _folder() -> str | None:
    try:
        found = first_writable(places())
    except RuntimeError:  # whoever runs this has no home
        return None
    return None if found is None else str(found / f"kernel-{version(HERE)}")


FOLDER = _folder()
