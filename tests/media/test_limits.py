"""Memory that decoding takes is estimated from the header and refused before the first pixel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest

from uhrmat.core import memory
from uhrmat.core.errors import InputError, MemoryBudgetError
from uhrmat.core.memory import memory_limit
from uhrmat.media import limits, read_info, read_picture
from uhrmat.media.limits import check_count, check_decode, check_plausible

from .helpers import exif_blob, gradient, save

NEEDED = 40 * 50 * 3
"""Bytes that a picture of 50 x 40 takes as RGB."""


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that holds 1000 bytes, its helper 100, on a machine where 5000 are free."""
    monkeypatch.setattr(limits, "resident_memory", lambda: 1000)
    monkeypatch.setattr(limits, "prior_process_memory", lambda: 100)
    monkeypatch.setattr(limits, "available_memory", lambda: 5000)
    monkeypatch.setattr(memory, "has_nvidia", lambda: True)


@pytest.mark.parametrize(
    ("allowed", "device", "needed", "fits"),
    [
        (2000, "cpu", 900, True),
        (2000, "cpu", 901, False),
        (2000, "mps", 901, False),
        (2000, "cuda:0", 5000, True),  # the budget is the device's: what is free counts
        (2000, "auto", 5000, True),
        (None, "cpu", 5000, True),
        (None, "cpu", 5001, False),
    ],
)
def test_what_is_held_and_what_is_needed_stay_within(
    held: None, allowed: int | None, device: str, needed: int, fits: bool
) -> None:
    with memory_limit(allowed, device):
        if fits:
            check_decode(Path("a.png"), needed)
        else:
            with pytest.raises(MemoryBudgetError, match=r"'a.png': decoding it needs .* of memory"):
                check_decode(Path("a.png"), needed)


def test_an_inner_block_without_a_limit_keeps_the_outer_one(held: None) -> None:
    with memory_limit(2000), memory_limit(None), pytest.raises(MemoryBudgetError, match="--max-memory 10MB or more"):
        check_decode(Path("a.png"), 3000)
    check_decode(Path("a.png"), 3000)


def test_a_thread_reads_within_its_callers_limit(held: None) -> None:
    with ThreadPoolExecutor(1) as pool, memory_limit(2000):
        calls = pool.submit(copy_context().run, check_decode, Path("a.png"), 3000)
        assert isinstance(calls.exception(), MemoryBudgetError)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("read", [read_info, read_picture], ids=lambda f: f.__name__)
def test_headers_are_enough_to_refuse(
    tmp_path: Path, held: None, suffix: str, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / f"a{suffix}", gradient(40, 50))
    monkeypatch.setattr(limits, "available_memory", lambda: NEEDED - 1)
    with pytest.raises(MemoryBudgetError, match="6 kB"):
        read(path)  # type: ignore[operator]


def test_a_quarter_turn_takes_twice_as_much(tmp_path: Path, held: None, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = save(tmp_path / "turned.png", gradient(40, 50), exif=exif_blob(6))
    upright = save(tmp_path / "upright.png", gradient(40, 50), exif=exif_blob(3))
    monkeypatch.setattr(limits, "available_memory", lambda: NEEDED * 2 - 1)
    assert np.array_equal(read_picture(upright).pixels, gradient(40, 50)[::-1, ::-1])
    with pytest.raises(MemoryBudgetError):
        read_picture(turned)


def test_counts_and_lengths_are_refused_by_number() -> None:
    check_count(Path("a.jpg"), 100, 100, "scans")
    with pytest.raises(InputError, match="has 101 scans, and no more than 100 are read"):
        check_count(Path("a.jpg"), 101, 100, "scans")
    check_plausible(Path("a.jpg"), "JPEG", 10, 10)
    with pytest.raises(InputError, match="damaged or incomplete JPEG file: it has 9 bytes for pixels that need 10"):
        check_plausible(Path("a.jpg"), "JPEG", 9, 10)
