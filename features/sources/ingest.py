"""Raw files into the lake, through the mapping of each source; the same file twice adds nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from glob import has_magic
from pathlib import Path

import pyarrow as pa

from features.errors import InputError, SettingsError
from features.events import CONTRACT
from features.lake import append_rows, table_files, table_schema
from features.progress import Progress, silent
from features.read_settings import resolve_path
from features.settings import Settings, Source
from features.sources.dead_letters import DeadLetterBox
from features.sources.jsonl_reader import JsonlReader
from features.sources.lookups import read_lookup
from features.sources.mapping import BoundMapping, Mapping
from features.sources.readers import open_reader
from features.sources.rows import Reader
from features.sources.staging import Staging, clear, digest_of
from features.sources.vendors import expanded
from features.turns import alone
from features.workspace import Workspace


@dataclass(frozen=True)
class SourceCount:
    """What became of the rows of one file: `sent == stored + duplicates + dead_letters`."""

    source: str
    file: str
    sent: int
    stored: int
    duplicates: int
    dead_letters: int

    def __post_init__(self) -> None:
        told = self.stored + self.duplicates + self.dead_letters
        if self.sent != told:
            raise AssertionError(f"{self}: {self.sent} rows sent, {told} accounted for")


def ingest(
    workspace: Workspace,
    settings: Settings,
    *,
    base: Path,
    only: Sequence[str] | None = None,
    progress: Progress = silent,
    now: datetime | None = None,
    arriving: bool = False,
) -> list[SourceCount]:
    """Map every source's files to the contract and store the rows that are new, file by file.

    `base` is where relative paths start, `only` names the sources to take (default: all), `now`
    is the clock (default: the machine's). Each file is one commit of its table; rows that do not
    meet the contract go to `dead_letters`. Killed at any point, the next call completes it.
    `arriving`: these are a few rows of many more to come, so that it is no error when none is
    sound, and whoever else wants to ingest waits.

    Raises SettingsError and InputError before anything is stored for a mapping that does not fit
    its file, a missing file, and times without a zone; InputError after storing what is sound
    when all rows of a source were refused, or a table is left without rows.
    """
    now = now or datetime.now(UTC)
    with alone(workspace, "ingest", brief=arriving):
        try:
            plans = [_Plan(workspace, settings, s, base, now) for s in _chosen(settings, only)]
            counts = [count for p in plans for count in p.run(progress, demanding=not arriving)]
        finally:
            clear(workspace)
    if not arriving:
        _check_not_empty(workspace, plans)
    return counts


class _Plan:
    """One source: its files and its mapping, both found sound before anything is stored."""

    def __init__(
        self, workspace: Workspace, settings: Settings, source: Source, base: Path, now: datetime
    ) -> None:
        self.workspace, self.source, self.now = workspace, source, now
        self.files = _files(source, source.path, workspace, base)
        self.mapping = Mapping(source, settings.plans, now)
        if source.lookup is not None:
            (path,) = _files(source, source.lookup.path, workspace, base)[:1]
            self.mapping.use_lookup(read_lookup(source, path))
        for file in self.files:
            self._bound(file, self._reader(file))

    @property
    def is_needed(self) -> bool:
        """Whether rows must come of it: ids may have stayed as they were, an export be events."""
        if self.source.table == "identities":
            return False
        return self.source.vendor is None or self.source.table == "events"

    def run(self, progress: Progress, *, demanding: bool) -> Iterator[SourceCount]:
        """Store file after file; afterwards raise if the source had rows and all were refused."""
        sent, reasons = 0, Counter[str]()
        for file in self.files:
            count, why = self._store(file, progress)
            sent, reasons = sent + count.sent, reasons + why
            yield count
        if demanding and sent and reasons.total() == sent:
            reason, rows = reasons.most_common(1)[0]
            raise InputError(
                f"no row of source '{self.source.name}' that meets the contract; all {sent:,} are "
                f"in the dead letters, {rows:,} of them because: {reason}",
                do="Correct the mapping or the file and ingest it again.",
            )

    def _store(self, file: Path, progress: Progress) -> tuple[SourceCount, Counter[str]]:
        folder = clear(self.workspace)
        name, digest = self.source.name, digest_of(file)
        box = DeadLetterBox(name, file.name, digest, folder, self.now)
        staging = Staging(
            self.workspace, self.mapping.table, name, folder, first_wins=self.source.first_wins
        )
        sent = self._stage(file, staging, box, progress)
        box.add_conflicts(staging.resolve())
        fresh, again, letters = staging.fresh, staging.duplicates, box.reasons.total()
        count = SourceCount(name, file.name, sent, fresh, again, letters)
        box.commit(self.workspace)
        staging.commit()
        _note(self.workspace, count, digest, self.now)
        return count, box.reasons

    def _stage(self, file: Path, staging: Staging, box: DeadLetterBox, progress: Progress) -> int:
        """Read, map and put on disk; how many rows were sent: all but those `where` left out."""
        reader = self._reader(file)
        bound = self._bound(file, reader)
        seen = left_out = 0
        for rows in reader.rows():
            mapped = bound.apply(rows)
            staging.add(mapped.good)
            box.add(rows, mapped.bad)
            seen, left_out = seen + rows.seen, left_out + mapped.left_out
            progress(seen, reader.total, f"{self.source.name}: {file.name}")
        self._check_keys(file, reader, seen)
        return seen - left_out

    def _reader(self, file: Path) -> Reader:
        source = self.source
        return open_reader(file, source.format, source.delimiter, self.mapping.wanted)

    def _bound(self, file: Path, reader: Reader) -> BoundMapping:
        """The mapping fitted to the file; one without so much as a header fits any mapping."""
        schema = reader.schema
        if schema is None:
            schema = pa.schema([(name, pa.string()) for name in self.mapping.wanted])
        return self.mapping.bind(schema, file.name)

    def _check_keys(self, file: Path, reader: Reader, seen: int) -> None:
        """Only its end tells which keys a JSONL file does not have."""
        if isinstance(reader, JsonlReader) and reader.missing and seen:
            has = list(reader.keys)
            for column, names in self.mapping.columns_of.items():
                known = {name for name in self.mapping.wanted if name not in reader.missing}
                self.mapping.require(
                    [n for n in names if n in self.mapping.wanted],
                    {name.lower() for name in known},
                    column,
                    has,
                    file.name,
                )


def _chosen(settings: Settings, only: Sequence[str] | None) -> list[Source]:
    """The mapped sources to take; a vendor's may be named together or one by one."""
    names = [source.name for source in settings.sources]
    parts = [(source.name, part) for source in settings.sources for part in expanded(source)]
    for name in only or ():
        if name not in names and name not in [part.name for _, part in parts]:
            raise SettingsError(
                f"no source '{name}' in the settings",
                expected=f"one of {', '.join(names)}",
                do="Name a source that is there.",
            )
    return [part for name, part in parts if only is None or name in only or part.name in only]


def _files(source: Source, path: str, workspace: Workspace, base: Path) -> list[Path]:
    """The files that a path or a pattern names, sorted."""
    full = resolve_path(path, workspace=workspace.root, base=base)
    if full.is_file():
        return [full]
    full = full.absolute()
    found = Path(full.anchor).glob(str(full.relative_to(full.anchor)))
    files = sorted(file for file in found if file.is_file())
    if not files:
        what = "no file that matches" if has_magic(str(full)) else "no file"
        raise InputError(
            f"{what} {full}, which source '{source.name}' reads",
            expected="at least one file there",
            do="Put it there, or correct the path in the settings.",
        )
    return files


def _note(workspace: Workspace, count: SourceCount, digest: str, now: datetime) -> None:
    """Keep the figures of one file in the table `ingests`."""
    row = {**asdict(count), "file_digest": digest, "ingested_at": now}
    append_rows(workspace, "ingests", pa.Table.from_pylist([row], table_schema("ingests")))


def _check_not_empty(workspace: Workspace, plans: Sequence[_Plan]) -> None:
    for table in CONTRACT:
        mine = [plan for plan in plans if plan.source.table == table and plan.is_needed]
        if mine and not table_files(workspace, table):
            files = ", ".join(str(file) for plan in mine for file in plan.files[:3])
            raise InputError(
                f"the table {table} without a single row: {files} holds no rows",
                expected="at least one row",
                do=f"Look at the file and the `where` of source '{mine[0].source.name}'.",
            )
