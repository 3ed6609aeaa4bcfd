"""What the frames of a sequence were computed to, so that a broken run goes on after its last whole frame.

Everything but the refiner's work follows from the clip's files once more, exactly; so the alpha of the active pixels,
4 bytes each, and a frame's line of the report are all that is kept until the segment is done. Streams keep nothing: a
part file that was cut off is begun anew.
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
    """alpha: (n,) float32 of a frame's active pixels; row: what was reported of it."""

    alpha: np.ndarray
    row: dict[str, Any]


class Journal:
    """The frames of one segment that are whole, a file each in `folder`; nothing where nobody writes stills."""

    def __init__(self, folder: Path, stills: list[SequenceWriter]) -> None:
        self._folder, self._stills = folder, stills
        self._whole = bool(stills)

    def read(self, frame: Frame) -> FrameRecord | None:
        """What is known of a frame, asked for in their order; None from the first one on that is not whole."""
        found = self._read(frame) if self._whole else None
        self._whole = found is not None
        return found

    def end(self) -> None:
        """Nothing more is known."""
        self._whole = False

    def passed(self) -> None:
        """A frame that is known needs no writing."""
        for writer in self._stills:
            writer.written += 1

    def _read(self, frame: Frame) -> FrameRecord | None:
        if not all(writer.file_of(frame).is_file() for writer in self._stills):
            return None
        try:
            with np.load(self._file(frame.index)) as found:
                return FrameRecord(found["alpha"], json.loads(str(found["row"])))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def write(self, frame: Frame, known: FrameRecord) -> None:
        """After the stills of the frame are in place. Raises OutputError."""
        if not self._stills:
            return
        self._folder.mkdir(exist_ok=True)
        with atomic_write(self._file(frame.index)) as temporary:
            np.savez(temporary, alpha=known.alpha, row=np.array(json.dumps(known.row)))

    def remove(self) -> None:
        """When the segment is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"
