"""Which code runs: where the checkout lies, and a digest of its sources."""

from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def digest(*packages: str, beside: tuple[Path, ...] = ()) -> str:
    """The sha256 over names and contents of all Python files of some folders of the checkout.

    `beside`: files whose contents count too, wherever they lie.
    """
    found = sha256()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            found.update(path.read_bytes() + b"\0")
    for path in beside:
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()
