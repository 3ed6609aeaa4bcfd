"""The subject that a network has marked in each frame of a clip without hints: a file a frame in the work folder."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import atomic_write
from uhrmat.hints.subject import SubjectMask


def look_file(folder: Path, index: int) -> Path:
    """The file of what the network marks in a frame by itself."""
    return folder / f"look-{index:06d}.npz"


def subject_file(folder: Path, index: int) -> Path:
    """The file of a frame's subject in the folder of the propagated hints."""
    return folder / f"subject-{index:06d}.npz"


def read_subject(folder: Path, index: int) -> SubjectMask | None:
    """The subject of a frame as `consensus.seek_subject` wrote it; None where it has not.

    Raises:
        InputError: the file is damaged.
    """
    return read_subject_mask(subject_file(folder, index))


def write_subject_mask(path: Path, subject: SubjectMask) -> None:
    """Write a mask, all of the file or nothing. Raises OutputError."""
    mask = np.rint(subject.alpha * 255).astype(np.uint8)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, mask=mask, confidence=np.float64(subject.confidence))


def read_subject_mask(path: Path) -> SubjectMask | None:
    """A file of `write_subject_mask`; None where it is not there. Raises InputError for a damaged file."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            mask, confidence = file["mask"], float(file["confidence"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"The mask {path} is damaged.", "Run again without --resume.") from error
    return SubjectMask(mask.astype(np.float32) / np.float32(255), confidence)


def subject_figures(folder: Path, index: int) -> dict[str, Any]:
    """The figures of a frame's subject for the report; none where none was sought."""
    subject = read_subject(folder, index)
    return {} if subject is None else {"subject_confidence": round(subject.confidence, 4)}


def surest_frame(frames: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Number and confidence of the frame in which the subject is surest, of equals the first; None where none was
    sought. frames: the figures of each, see `subject_figures`."""
    sought = [frame for frame in frames if "subject_confidence" in frame]
    if not sought:
        return None
    best = max(sought, key=lambda frame: float(frame["subject_confidence"]))
    return int(best["number"]), float(best["subject_confidence"])


def subject_notes(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """A note on how the masks of a clip without hints were made; none where none was sought."""
    surest = surest_frame(frames)
    if surest is None:
        return []
    number, confidence = surest
    return [
        "no hint was given: each frame's mask is averaged with those of its neighbours along the motion; the subject "
        f"is surest in frame {number} (confidence {confidence:.2f})"
    ]
