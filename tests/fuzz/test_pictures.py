"""A share of `pictures`' damaged files, always the same; and that it sees what it looks for."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.media import raster

from .pictures import outcome, run, seeds


@pytest.mark.parametrize("kind", sorted(seeds()))
def test_damaged_pictures_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    result = run(kind, 60, 1, tmp_path)
    assert set(result) <= {"read", "refused"}, f"{result}: see {tmp_path}"
    assert result["read"] > 3 and result["refused"] > 3, "files are damaged too much, or too little"


@pytest.mark.parametrize("kind", sorted(seeds()))
def test_sound_pictures_are_read(kind: str, tmp_path: Path) -> None:
    for data in seeds()[kind]:
        (tmp_path / "a").write_bytes(data)
        assert outcome(tmp_path / "a") == "read"


def _left_empty(path: Path) -> np.ndarray:
    return raster.blank((8, 8, 3), "uint8")


def _left_in_part(path: Path) -> np.ndarray:
    pixels = raster.blank((8, 8), "uint16")
    pixels[:7] = 1
    return pixels


def _ignored(path: Path) -> np.ndarray:
    """What cv2 returns where it refuses a header."""
    path.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return cv2.imread(str(path), raster.blank((8, 8, 3), "uint8"), cv2.IMREAD_UNCHANGED)


def _allocated(path: Path) -> np.ndarray:
    return np.empty((400, 400), np.uint8)


@pytest.mark.parametrize("read", [_left_empty, _left_in_part, _ignored, _allocated])
def test_unread_pixels_are_seen(tmp_path: Path, read: object) -> None:
    if read is _allocated and not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")):
        pytest.skip("only glibc fills what is allocated")
    assert outcome(tmp_path / "a", read) == "unread pixels"  # type: ignore[arg-type]


def test_other_errors_are_seen(tmp_path: Path) -> None:
    def refuse(path: Path) -> np.ndarray:
        raise InputError("no")

    def fail(path: Path) -> np.ndarray:
        raise ZeroDivisionError("not this one")

    assert outcome(tmp_path / "a", refuse) == "refused"
    assert outcome(tmp_path / "a", fail) == "ZeroDivisionError: not this one"
