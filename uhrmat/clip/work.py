"""The hidden folder beside a clip's output: finished segments and a manifest that says what they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from uhrmat import __version__
from uhrmat.clip.segments import Segment
from uhrmat.errors import OutputError
from uhrmat.media import atomic

_MANIFEST = "manifest.json"
_VERSION = 2


def settings_hash(settings: dict[str, Any]) -> str:
    """Of everything that decides what the frames look like; JSON values only."""
    text = json.dumps({"work": _VERSION, "uhrmat": __version__, **settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(path: Path) -> list[Any]:
    """[path, bytes, time of change] of a file, or of every file in a folder: what must not change between two runs."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]


class Work:
    """The work folder of one clip. A segment is done when its report is there, which is written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, settings: str, resume: bool) -> bool:
        """Makes the folder ready; True where work of the same settings is there to go on with.

        Anything else that lies there is removed. Raises OutputError where the folder cannot be made.
        """
        try:
            if resume and self._settings() == settings:
                return True
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise OutputError(
                f"The folder {self.folder} cannot be made ({error.strerror}).", "Choose another place with -o."
            ) from error
        with atomic(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps({"settings": settings}))
        return False

    def _settings(self) -> str | None:
        try:
            found = json.loads((self.folder / _MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        return str(found.get("settings")) if isinstance(found, dict) else None

    def part(self, segment: Segment, name: str, suffix: str) -> Path:
        """The file of a segment for one output."""
        return self.folder / f"{segment.name}-{name}{suffix}"

    def report(self, segment: Segment) -> dict[str, Any] | None:
        """What was reported of a segment that is done, else None."""
        try:
            found = json.loads(self._report(segment).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def finish(self, segment: Segment, report: dict[str, Any]) -> None:
        """Marks a segment as done; its files must be whole."""
        with atomic(self._report(segment)) as temporary:
            temporary.write_text(json.dumps(report))

    def _report(self, segment: Segment) -> Path:
        return self.folder / f"{segment.name}.json"

    def journal(self, segment: Segment) -> Path:
        """The folder of a segment's frames that are whole."""
        return self.folder / f"{segment.name}-frames"

    @property
    def hints(self) -> Path:
        """Where hints carried from frame to frame are kept."""
        return self.folder / "hints"

    def remove(self) -> None:
        """All of it, when the result is in place."""
        shutil.rmtree(self.folder, ignore_errors=True)
