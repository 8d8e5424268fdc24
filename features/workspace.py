"""Where a run keeps what it makes, and how a file appears there: whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LakeThen:
    """A lake at stated versions of its tables (-1: no such table then), to be read only."""

    folder: Path
    versions: tuple[tuple[str, int], ...]

    def version(self, name: str) -> int:
        """The version of a table; -1 for one that is not stated."""
        return dict(self.versions).get(name, -1)


@dataclass(frozen=True)
class Workspace:
    """The folders of one workspace; nothing is written outside `root`.

    `then`: read another workspace's lake, as it was, in the place of its own.
    """

    root: Path
    then: LakeThen | None = None

    @property
    def raw(self) -> Path:
        """What `goldpan simulate` writes."""
        return self.root / "raw"

    @property
    def lake(self) -> Path:
        """The Delta tables."""
        return self.root / "lake" if self.then is None else self.then.folder

    @property
    def rollups(self) -> Path:
        """Daily sums of the events."""
        return self.root / "rollups"

    @property
    def features(self) -> Path:
        """The feature table of the training observations."""
        return self.root / "features"

    @property
    def insights(self) -> Path:
        """What `goldpan insights` and `goldpan lifecycle` keep for the console."""
        return self.root / "insights"

    @property
    def mlflow(self) -> Path:
        """MLflow's SQLite store and its artefacts."""
        return self.root / "mlflow"

    @property
    def bundles(self) -> Path:
        """The promoted models: `<name>/<version>/` and the pointer `<name>/current`."""
        return self.root / "bundles"

    @property
    def scores(self) -> Path:
        """The scored accounts: `<version>/` and the pointer `current`."""
        return self.root / "scores"

    @property
    def tmp(self) -> Path:
        """Half-made files; anything here may be deleted when nothing runs."""
        path = self.root / "tmp"
        path.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def publish_folder(final: Path) -> Iterator[Path]:
    """Yield a folder to fill; it takes the name `final` when the block ends without an error.

    A reader sees the former folder or the new one, never a half-made one. After an error nothing
    is left of it; a folder left by a killed run is removed by the next.
    """
    staged = final.with_name(f".{final.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    for path in staged.rglob("*"):
        if path.is_file():
            sync(path)
    sync(staged)
    retired = final.with_name(f".{final.name}.old")
    shutil.rmtree(retired, ignore_errors=True)
    if final.exists():
        final.rename(retired)
    staged.rename(final)
    sync(final.parent)
    shutil.rmtree(retired, ignore_errors=True)


@contextmanager
def publish_file(final: Path) -> Iterator[Path]:
    """Yield a path to write; the file takes the name `final` when the block ends without an error.

    After an error nothing is left of it.
    """
    make_folder(final.parent)
    staged = final.with_name(f".{final.name}.part")
    try:
        yield staged
        sync(staged)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    staged.replace(final)
    sync(final.parent)


def publish_text(final: Path, text: str) -> None:
    """Write `text` to `final` so that a reader sees the former text or all of the new one."""
    with publish_file(final) as staged:
        staged.write_text(text, encoding="utf-8")


def publish_json(final: Path, value: Any) -> None:
    """Write `value` as sorted, indented JSON, whole or not at all."""
    publish_text(final, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def make_folder(path: Path) -> None:
    """Make a folder and what is missing above it, their names forced to the disk."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Force a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
