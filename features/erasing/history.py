"""A table of the lake with other rows than before, and nothing left of those that it had."""

from collections.abc import Sequence

from deltalake import DeltaTable

from features.lake import Part, _action, _folder, _partition_by, _place, table_files
from features.workspace import Workspace


def replace_parts(workspace: Workspace, name: str, parts: Sequence[Part]) -> None:
    """Make written files all that a table holds, in one commit; its history still has the rest."""
    table = DeltaTable(_folder(workspace, name))
    places = [_move(workspace, name, part) for part in parts]
    folder = _folder(workspace, name)
    actions = [_action(folder, part, at) for part, at in zip(parts, places, strict=True)]
    table.create_write_transaction(actions, "overwrite", table.schema(), _partition_by(name))


def forget_history(workspace: Workspace, name: str) -> None:
    """Delete every file and every entry of a table's log that its present rows do not need."""
    folder, table = _folder(workspace, name), DeltaTable(_folder(workspace, name))
    table.create_checkpoint()
    log, present = folder / "_delta_log", f"{table.version():020}"
    for path in log.glob("[0-9]*"):
        if path.name[:20] < present:
            path.unlink()
    kept = set(table_files(workspace, name))
    for path in folder.rglob("*.parquet"):
        if path.parent != log and str(path) not in kept:
            path.unlink()


def _move(workspace: Workspace, name: str, part: Part) -> str:
    """Move a written file into a table's folder; its place there."""
    place = _place(part)
    target = _folder(workspace, name) / place
    target.parent.mkdir(parents=True, exist_ok=True)
    part.path.replace(target)
    return place
