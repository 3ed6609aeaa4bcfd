"""A journal of the frames of a sequence, so that a run that was ended goes on after its last complete frame.

All but the refiner's results is reproduced exactly from the clip's files; so only the alpha of the active pixels, 4
bytes each, and a frame's line of the report are stored until the segment is done. Streams store nothing: a part file
that was cut off is written anew.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.media import atomic_write
from uhrmat.media.video import Frame
from uhrmat.media.video.stills import SequenceWriter


@dataclass(frozen=True)
class FrameRecord:
    """alpha: (n,) float32 in [0, 1] of a frame's active pixels; row: its line of the report."""

    alpha: np.ndarray
    row: dict[str, Any]


class Journal:
    """The complete frames of one segment, a file each in `folder`; empty unless stills are written."""

    def __init__(self, folder: Path, stills: list[SequenceWriter]) -> None:
        self._folder, self._stills = folder, stills
        self._complete = bool(stills)

    def read(self, frame: Frame) -> FrameRecord | None:
        """The record of a frame; to be called in their order. None from the first frame on that is not complete."""
        record = self._read(frame) if self._complete else None
        self._complete = record is not None
        return record

    def end(self) -> None:
        """No later frame is restored."""
        self._complete = False

    def passed(self) -> None:
        """Counts a restored frame as written."""
        for writer in self._stills:
            writer.written += 1

    def _read(self, frame: Frame) -> FrameRecord | None:
        if not all(writer.file_of(frame).is_file() for writer in self._stills):
            return None
        try:
            with np.load(self._file(frame.index)) as stored:
                return FrameRecord(stored["alpha"], json.loads(str(stored["row"])))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def write(self, frame: Frame, known: FrameRecord) -> None:
        """Stores a frame after its stills are in place. Raises OutputError."""
        if not self._stills:
            return
        self._folder.mkdir(exist_ok=True)
        with atomic_write(self._file(frame.index)) as temporary:
            np.savez(temporary, alpha=known.alpha, row=np.array(json.dumps(known.row)))

    def remove(self) -> None:
        """Removes the journal when the segment is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"
