"""--max-memory binds what a command reads, too, and nothing after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile

from uhrmat.core.memory import allowed_memory, memory_limit, set_memory_limit

from .conftest import Run


def far_data_window(path: Path) -> Path:
    """2,000 x 2,000 pixels are stored of a picture of 8 x 8."""
    corners = {"displayWindow": (np.zeros(2, np.int32), np.full(2, 7, np.int32))}
    with OpenEXR.File(corners, {"RGB": np.zeros((2000, 2000, 3), np.float32)}) as file:
        file.write(str(path))
    return path


def many_pixels(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((4000, 4000, 3), np.uint8), photometric="rgb", compression="deflate")
    return path


@pytest.mark.parametrize("make", [far_data_window, many_pixels])
def test_a_picture_that_needs_more_is_refused(run: Run, tmp_path: Path, make: object) -> None:
    path = make(tmp_path / ("a.exr" if make is far_data_window else "a.tif"))  # type: ignore[operator]
    result = run("image", path, "--max-memory", "20MB", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "are allowed" in result.stderr and "--max-memory" in result.stderr
    assert not (tmp_path / "out").exists() and allowed_memory.get() is None


def test_the_limit_ends_with_its_block() -> None:
    with memory_limit(None):
        set_memory_limit(1000)
        assert allowed_memory.get() == 1000
        set_memory_limit(2000, "cuda")
        assert allowed_memory.get() == 1000
    assert allowed_memory.get() is None
