"""What was promoted or scored since is taken over while the service answers.

All of it happens beside the event loop: verified, tried in a process of its own, loaded, bound to
the accounts and warmed; then one reference is replaced. A request asks for the state once, and so
is answered by one state.
"""

import gc
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from features.errors import GoldpanError, InputError
from features.workspace import Workspace
from serving.models import canary
from serving.models.integrity import fingerprint
from serving.models.model import Model, load_bundle, promoted
from serving.scoring.accounts import Snapshot, current_snapshot, load_snapshot
from serving.scoring.scorer import Scorer, bind
from serving.state import SERVICE, SNAPSHOT, State

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 300.0
WARM_ROWS = 20

log = logging.getLogger("goldpan.serving")
Part = TypeVar("Part", Model, Snapshot)


@dataclass(frozen=True, eq=False)
class Held(Generic[Part]):
    """A model or a snapshot in memory, with the fingerprint of the folder that it came from."""

    fingerprint: str
    part: Part


class Keeper:
    """Holds the present state of one worker and keeps it up to date."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.state = State()
        self._models: dict[str, Held[Model]] = {}
        self._snapshot: Held[Snapshot] | None = None
        self._seen: object = None
        self._again = 0.0
        self._ended = threading.Event()

    def start(self) -> None:
        """Look for what is new every second, until `stop`."""
        threading.Thread(target=self._watch, name="goldpan-swap", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Take over what was promoted or scored since the last look.

        What could not be taken over is tried again when a file of it changes, or after five
        minutes.
        """
        seen = _seen_in(self.workspace)
        if seen == self._seen and time.monotonic() < self._again:
            return
        self._seen, self._again = seen, time.monotonic() + AGAIN_SECONDS
        before, self.state = self.state, self._renewed()
        if self.state.ready:
            self._again = math.inf
        if self.state is not before:
            _tell(before, self.state)
            del before
            _settle()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                log.exception("looking for what is new failed; what is there goes on answering")

    def _renewed(self) -> State:
        workspace, kept = self.workspace, dict[str, str]()
        try:
            folders, newest = promoted(workspace), current_snapshot(workspace)
        except (GoldpanError, OSError, ValueError) as error:
            return self._as_before({SERVICE: _in_words(error)})
        snapshot = _taken(newest, self._snapshot, load_snapshot, _others(newest), SNAPSHOT, kept)
        if snapshot is None:
            return self._as_before(kept)
        models = {
            name: _taken(
                folder,
                self._models.get(name),
                self._load,
                canary.sound(workspace, name),
                name,
                kept,
            )
            for name, folder in folders.items()
        }
        return self._bound(models, snapshot, kept)

    def _as_before(self, why: Mapping[str, str]) -> State:
        now = self.state
        if now.answering:
            return State(now.snapshot, now.scorers, now.failed, MappingProxyType(dict(why)))
        return State(failed=MappingProxyType(dict(why)))

    def _load(self, folder: Path) -> Model:
        found = canary.tried(self.workspace, folder)
        model = load_bundle(folder)
        if fingerprint(folder) != found:
            raise InputError(f"a bundle {folder} that changed while it was loaded")
        return model

    def _bound(
        self,
        models: Mapping[str, Held[Model] | None],
        snapshot: Held[Snapshot],
        kept: dict[str, str],
    ) -> State:
        """The models on this snapshot; on the present one when this one would lose a model."""
        scorers, chosen, why = {}, {}, dict[str, str]()
        for name, newest in models.items():
            present = self._models.get(name)
            for held in [newest, present] if newest is not present else [newest]:
                if held is not None and name not in scorers:
                    try:
                        scorers[name] = self._scorer(name, held.part, snapshot.part)
                        chosen[name] = held
                    except Exception as error:
                        why[name] = _in_words(error)
        lost = [name for name in models if name in self._models and name not in scorers]
        if lost and self._snapshot is not None and snapshot is not self._snapshot:
            kept |= {SNAPSHOT: why[lost[0]]}
            return self._bound(models, self._snapshot, kept)
        self._models, self._snapshot = chosen, snapshot
        return _state(snapshot.part, scorers, kept | why, models)

    def _scorer(self, name: str, model: Model, snapshot: Snapshot) -> Scorer:
        present = self.state.scorers.get(name)
        if present and present.model is model and present.snapshot is snapshot:
            return present
        scorer = bind(model, snapshot)
        rows = range(len(snapshot.table.ids))
        applicable = [row for row in rows if scorer.why_not(row) is None]
        if applicable:
            scorer.answers(scorer.scores(applicable[:WARM_ROWS]))
        return scorer


def _state(
    snapshot: Snapshot,
    scorers: Mapping[str, Scorer],
    troubles: Mapping[str, str],
    names: Iterable[str],
) -> State:
    failed = {name: troubles[name] for name in names if name not in scorers}
    kept = {name: why for name, why in troubles.items() if name not in failed}
    return State(
        snapshot, MappingProxyType(dict(scorers)), MappingProxyType(failed), MappingProxyType(kept)
    )


def _taken(
    folder: Path,
    present: Held[Part] | None,
    load: Callable[[Path], Part],
    others: Iterable[Path],
    name: str,
    troubles: dict[str, str],
) -> Held[Part] | None:
    """What the folder holds; if it is broken, what is held now, else the first sound of `others`.

    Why it is broken is noted in `troubles` under the name.
    """
    try:
        found = fingerprint(folder)
        unchanged = present is not None and present.fingerprint == found
        return present if unchanged else Held(found, load(folder))
    except Exception as error:
        troubles[name] = _in_words(error)
    if present is not None:
        return present
    for other in others:
        try:
            return Held(fingerprint(other), load(other))
        except Exception as error:
            log.warning("%s is broken too: %s", other, _in_words(error))
    return None


def _others(newest: Path) -> Iterable[Path]:
    """The earlier snapshots, the youngest first."""
    folders = [folder for folder in newest.parent.glob("[!.]*/") if folder != newest]
    return sorted(folders, key=lambda folder: folder.stat().st_mtime_ns, reverse=True)


def _seen_in(workspace: Workspace) -> object:
    """What tells whether anything changed: the pointers, and the files that they point at."""
    pointers = [*sorted(workspace.bundles.glob("*/current")), workspace.scores / "current"]
    return [_looks(pointer) for pointer in pointers]


def _looks(pointer: Path) -> object:
    try:
        text = pointer.read_text(encoding="utf-8").strip()
        files = sorted((pointer.parent / text).iterdir())
        return str(pointer), text, [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]
    except (OSError, ValueError) as error:
        return str(pointer), repr(error)


def _tell(before: State, after: State) -> None:
    """Say in the log what answers now, and what does not."""
    for name, scorer in after.scorers.items():
        former = before.scorers.get(name)
        if former is None or former.model.version != scorer.model.version:
            log.info("model %s %s answers", name, scorer.model.version)
    troubles = {**after.failed, **after.kept}
    for name in troubles:
        if troubles[name] not in (before.failed.get(name), before.kept.get(name)):
            log.warning("%s: not taken over: %s", name, troubles[name])


def _settle() -> None:
    """What is loaded lives long: full collections, which stop all requests, need not walk it."""
    gc.collect()
    gc.freeze()


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, GoldpanError) else f"a part that fails ({error!r})"
