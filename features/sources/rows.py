"""Rows as readers hand them on, and what all readers share."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from features.errors import InputError

BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError,
          pa.ArrowException)  # fmt: skip
"""What a damaged or encrypted file raises."""
JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
TEXT_ROWS = 65_536
TEXT_LENGTH = 32_000_000


@dataclass(frozen=True)
class Unreadable:
    """A row that is no row: where it begins, why, and its text."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Rows:
    """Some rows of a file; `lines` says where each begins (Parquet: its number), from 1.

    `texts` holds the rows as they stood, for a format where the columns do not hold everything.
    """

    table: pa.Table
    lines: list[int]
    unreadable: list[Unreadable] = field(default_factory=list)
    texts: list[str] | None = None

    @property
    def seen(self) -> int:
        """How many rows these are, the unreadable ones too."""
        return len(self.lines) + len(self.unreadable)


class TextBatch:
    """The lines of a text file that will make one batch, and when they are enough."""

    def __init__(self) -> None:
        self.length = 0
        self.lines: list[int] = []
        self.unreadable: list[Unreadable] = []

    @property
    def size(self) -> int:
        """How many rows there are, the unreadable ones too."""
        return len(self.lines) + len(self.unreadable)

    @property
    def is_full(self) -> bool:
        """Whether the batch should be handed on."""
        return self.size >= TEXT_ROWS or self.length >= TEXT_LENGTH


class Reader(Protocol):
    """One file; `schema` is None when it has not so much as a header.

    `total` is how many rows it has, 0 when only its end can tell.
    """

    schema: pa.Schema | None
    total: int

    def rows(self) -> Iterator[Rows]:
        """The file from its beginning, in batches."""


class readable:  # noqa: N801 - used as a verb: with readable(path)
    """Turns what a damaged file raises into an InputError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Name the file in the error."""
        if isinstance(error, BROKEN):
            raise InputError(
                f"{self.path}, which cannot be read: {error}",
                expected="a whole, undamaged file",
                do="Fetch it again; nothing of it was stored.",
            ) from error


def empty_is_null(column: pa.Array) -> pa.Array:
    """A text column whose empty texts are null."""
    return pc.if_else(pc.not_equal(column, ""), column, pa.scalar(None, pa.string()))


def sound(text: str) -> bool:
    """Whether text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def binary(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked if it is gzip; UTF-16 is refused."""
    with path.open("rb") as stream:
        start = stream.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path} in UTF-16", expected="UTF-8", do="Save the file as UTF-8.")
    return gzip.open(path, "rb") if start == b"\x1f\x8b" else path.open("rb")  # type: ignore[return-value]


def json_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked if it is gzip; of a zip those of its JSON members by name."""
    if not _is_zip(path):
        with binary(path) as stream:
            yield from stream
        return
    with zipfile.ZipFile(path) as archive:
        for name in _json_members(path, archive.namelist()):
            with archive.open(name) as member:
                if name.lower().endswith(".gz"):
                    with gzip.open(member) as unpacked:
                        yield from unpacked
                else:
                    yield from member


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _json_members(path: Path, names: list[str]) -> list[str]:
    found = sorted(n for n in names if n.lower().removesuffix(".gz").endswith(JSON_ENDINGS))
    if not found:
        raise InputError(
            f"{path} with {', '.join(sorted(names)[:3]) or 'nothing'} inside",
            expected="files of JSON lines (.json, .jsonl or .ndjson, gzipped or not)",
            do="Unpack it and name the files inside.",
        )
    return found
