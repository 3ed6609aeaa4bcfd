"""What libraries keep is bounded and handed back."""

from __future__ import annotations

import ctypes
import os
import sys

import numpy as np
import pytest

from uhrmat.core.memory import limit_kernel_cache, resident_memory, trim_heap


def test_what_the_user_has_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.delenv(name, raising=False)
    limit_kernel_cache()
    assert 0 < int(os.environ[name]) < 1024
    monkeypatch.setenv(name, "7")
    limit_kernel_cache()
    assert os.environ[name] == "7"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_freed_memory_goes_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("no glibc")
    pieces = [np.ones(64 << 10, np.uint8) for _ in range(1600)]
    kept = pieces[::80]  # pieces between, so that the heap cannot shrink from its end
    full = resident_memory()
    del pieces
    trim_heap()
    assert full - resident_memory() > 60 << 20 and kept[0][0] == 1
