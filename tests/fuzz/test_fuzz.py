"""Damaged files: every loader says what is wrong, quickly and in little memory, and never crashes.

A few inputs each by default; `UHRMAT_FUZZ=10000` runs so many, `-k` chooses the loader. What was ever found is kept in
`corpus/<loader>/` and tried first.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uhrmat.core.errors import UhrmatError

from .targets import TARGETS, Target

LONG = bool(os.environ.get("UHRMAT_FUZZ"))
COUNT = int(os.environ.get("UHRMAT_FUZZ") or 25)
CORPUS = Path(__file__).with_name("corpus")
WORST: dict[str, tuple[float, int]] = {}
"""By loader the longest time and the most memory that a file took: seconds of processor time, bytes."""
_SECONDS, _BYTES, _HANG = 20.0, 400 << 20, 300.0


@st.composite
def damaged(draw: st.DrawFn, seeds: dict[str, bytes]) -> tuple[str, bytes]:
    """A sound file with some bytes changed, inserted, doubled or cut off; or bytes of no meaning."""
    name = draw(st.sampled_from(sorted(seeds)))
    data = bytearray(seeds[name])
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(("flip", "byte", "word", "insert", "delete", "cut", "double"))):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "byte" if data:
                data[at] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x7B)))
            case "word":
                data[at : at + 4] = draw(st.sampled_from((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")))
            case "insert":
                data[at:at] = draw(st.binary(max_size=16))
            case "delete":
                del data[at : at + draw(st.integers(1, 64))]
            case "cut":
                del data[at:]
            case "double":
                data += data[at:]
    return name, bytes(data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_files_are_refused_with_words(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for kept in sorted((CORPUS / name).glob("*")):
        attempt(target, kept.name, kept.read_bytes(), name)

    tried: list[int] = []

    @settings(
        max_examples=COUNT, deadline=None, database=None, derandomize=not LONG, suppress_health_check=list(HealthCheck)
    )
    @given(damaged(seeds))
    def trial(file: tuple[str, bytes]) -> None:
        tried.append(1)
        attempt(target, *file, name)

    begun = time.perf_counter()
    trial()
    wall, (seconds, most) = time.perf_counter() - begun, WORST[name]
    print(
        f"{name}: {len(tried)} files in {wall:.0f} s, at most {seconds:.2f} s of processor and {most / 1e6:.0f} MB each"
    )


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_sound_files_are_read(name: str, tmp_path: Path) -> None:
    for seed, data in TARGETS[name].seeds().items():
        (tmp_path / seed).write_bytes(data)
        TARGETS[name].load(tmp_path / seed)


def attempt(target: Target, file: str, data: bytes, name: str) -> None:
    """Loads one file within the bounds; in a long run it stays in the corpus if it is refused otherwise than with
    words, and also if the process crashes or is killed because it hangs."""
    with tempfile.TemporaryDirectory() as folder, kept_unless_good(name, file, data):
        path = Path(folder, file)
        path.write_bytes(data)
        before, begun = _resident(reset=True), time.process_time()
        tracemalloc.start()
        faulthandler.dump_traceback_later(_HANG, exit=True)
        try:
            target.load(path)
        except UhrmatError as error:
            assert error.message
        finally:
            faulthandler.cancel_dump_traceback_later()
            traced = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        seconds, taken = time.process_time() - begun, max(traced, _resident() - before)
        WORST[name] = max(seconds, WORST.get(name, (0.0, 0))[0]), max(taken, WORST.get(name, (0.0, 0))[1])
        assert seconds <= _SECONDS and taken <= _BYTES, f"{file} took {seconds:.1f} s and {taken >> 20} MB"


@contextmanager
def kept_unless_good(name: str, file: str, data: bytes) -> Iterator[None]:
    """The file in the corpus while this lasts, and from then on if it ends badly. Only in a long run."""
    place = CORPUS / name / f"{hashlib.sha256(data).hexdigest()[:8]}-{file}"
    if not LONG or place.exists():
        yield
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    yield
    place.unlink()


def _resident(reset: bool = False) -> int:
    """The most bytes that this process has held since the last reset, native libraries' too; 0 where there is no
    /proc. reset: begin anew with what it holds now."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
