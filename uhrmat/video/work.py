"""The work folder of a clip, hidden beside its output: finished segments, and the hash of their settings."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from uhrmat._version import __version__
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.lock import hold_lock
from uhrmat.media import atomic_write
from uhrmat.video.segments import Segment

_MANIFEST = "manifest.json"
_LOCK = "lock"
_VERSION = 3


def settings_hash(settings: dict[str, Any]) -> str:
    """Hash of all that decides what the frames look like, whatever the order of keys; JSON values only."""
    text = json.dumps({"work": _VERSION, "uhrmat": __version__, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


Fingerprint = tuple[str, int, int]
"""A file's path, its bytes and the time of its last change in nanoseconds; -1 where it is not there."""


def fingerprint(path: Path) -> Fingerprint:
    """What must not change while a clip is matted, nor between two runs of which one goes on after the other."""
    name = os.path.abspath(path)  # links are kept: one that leads elsewhere later is a change
    try:
        state = os.stat(name)
    except OSError:
        return name, -1, -1
    return name, state.st_size, state.st_mtime_ns


def check_unchanged(inputs: Iterable[Fingerprint]) -> None:
    """Raises InputError that names the first file that is not as it was."""
    for before in inputs:
        if fingerprint(Path(before[0])) != before:
            raise InputError(
                f"'{before[0]}' was changed or replaced while the clip was matted.",
                "Run again when nothing writes to it.",
            )


class WorkFolder:
    """The work folder of one clip. A segment is done when its report is there, which is written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._holds = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other run out of the folder, which is made; within itself it does nothing.

        Raises OutputError that names the run that holds it.
        """
        if self._holds:
            yield
            return
        with hold_lock(self.folder / _LOCK, self.folder):
            self._holds = True
            try:
                yield
            finally:
                self._holds = False
        with suppress(OSError):  # something is kept in it, or another run has begun
            self.folder.rmdir()

    def begin(self, settings: str, resume: bool) -> bool:
        """Makes the folder ready; True where work of the same settings is there to go on with.

        Anything else that lies there is removed. Raises OutputError where the folder cannot be made.
        """
        try:
            if resume and self._settings() == settings:
                return True
            self._clear()
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self.folder} cannot be made ({error.strerror}).", "Choose another place with -o."
            ) from error
        with atomic_write(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps({"settings": settings}))
        return False

    def _settings(self) -> str | None:
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        return str(manifest.get("settings")) if isinstance(manifest, dict) else None

    def part(self, segment: Segment, name: str, suffix: str) -> Path:
        """The file of a segment for one output."""
        return self.folder / f"{segment.name}-{name}{suffix}"

    def report(self, segment: Segment) -> dict[str, Any] | None:
        """What was reported of a segment that is done, else None."""
        try:
            report = json.loads(self._report(segment).read_text())
        except (OSError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def finish(self, segment: Segment, report: dict[str, Any]) -> None:
        """Marks a segment as done; its files must be whole."""
        with atomic_write(self._report(segment)) as temporary:
            temporary.write_text(json.dumps(report))

    def _report(self, segment: Segment) -> Path:
        return self.folder / f"{segment.name}.json"

    def journal(self, segment: Segment) -> Path:
        """The folder of a segment's frames that are whole."""
        return self.folder / f"{segment.name}-frames"

    @property
    def hints(self) -> Path:
        """The folder of propagated alphas."""
        return self.folder / "hints"

    def remove(self) -> None:
        """All of it, when the result is in place; what cannot be removed is no failure of the clip."""
        with suppress(OSError):
            self._clear()
        with suppress(OSError):  # it is locked: who holds it removes it
            self.folder.rmdir()

    def _clear(self) -> None:
        """Everything in the folder but its lock; the manifest first, so that what is left counts no more."""
        (self.folder / _MANIFEST).unlink(missing_ok=True)
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (_LOCK, f"{_LOCK}.json"):
                path.unlink(missing_ok=True)
