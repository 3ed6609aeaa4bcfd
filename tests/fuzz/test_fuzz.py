"""Damaged files: every loader says what is wrong, quickly and in little memory, and never crashes.

A few inputs each by default; `UHRMAT_FUZZ=10000` runs so many, `-k` chooses the loader. What was ever found is kept in
`corpus/<loader>/` and tried first.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uhrmat.errors import UhrmatError

from .targets import TARGETS, Target

COUNT = int(os.environ.get("UHRMAT_FUZZ", "25"))
CORPUS = Path(__file__).with_name("corpus")
_SECONDS, _BYTES = 20.0, 400 << 20


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

    @settings(
        max_examples=COUNT, deadline=None, database=None, derandomize=COUNT < 1000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damaged(seeds))
    def trial(file: tuple[str, bytes]) -> None:
        attempt(target, *file, name)

    trial()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_sound_files_are_read(name: str, tmp_path: Path) -> None:
    for seed, data in TARGETS[name].seeds().items():
        (tmp_path / seed).write_bytes(data)
        TARGETS[name].load(tmp_path / seed)


def attempt(target: Target, file: str, data: bytes, name: str) -> None:
    """Loads one file within the bounds, or keeps it in the corpus and fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        path.write_bytes(data)
        begun = time.process_time()
        tracemalloc.start()
        try:
            target.load(path)
        except UhrmatError as error:
            assert error.message
        except BaseException:
            _keep(name, file, data)
            raise
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        if time.process_time() - begun > _SECONDS or peak > _BYTES:
            _keep(name, file, data)
            pytest.fail(f"{file} took {time.process_time() - begun:.1f} s and {peak >> 20} MB")


def _keep(name: str, file: str, data: bytes) -> None:
    if os.environ.get("UHRMAT_FUZZ"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        (CORPUS / name / f"{hashlib.sha256(data).hexdigest()[:8]}-{file}").write_bytes(data)
