"""The engine that `auto` takes."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from uhrmat.core.errors import InputError
from uhrmat.sparse import choose, make_engine
from uhrmat.sparse.choose import EngineChoice, candidate_engines, choose_engine, fastest_engine, time_engine


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_only_candidate_on_the_cpu_is_tiles(dtype: torch.dtype) -> None:
    assert candidate_engines("cpu", dtype) == ("tiles",)
    assert choose_engine("cpu", dtype) == EngineChoice("tiles")
    assert make_engine("auto", np.ones((4, 4), bool), dtype).name == "tiles"


def test_spconv_is_a_candidate_on_cuda_for_its_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: object())
    assert candidate_engines("cuda:0", torch.float16) == ("tiles", "spconv")
    assert candidate_engines("cuda:0", torch.bfloat16) == ("tiles",)


def test_the_engine_with_the_shorter_trial_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "time_engine", lambda name, device, dtype: {"tiles": 2e-3, "spconv": 1e-3}[name])
    choose_engine.cache_clear()
    try:
        assert choose_engine("cuda", torch.float16) == EngineChoice("spconv")
    finally:
        choose_engine.cache_clear()
    assert fastest_engine({"tiles": 1.0, "spconv": 1.5}) == "tiles"


def test_a_trial_runs_every_kind_of_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "SIDE", 64)
    assert 0 < time_engine("tiles", "cpu", torch.float32) < 60
    assert 0 < time_engine("dense", "cpu", torch.float32) < 60


@pytest.fixture
def spconv_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU for which spconv is a candidate; trials of tiles take a millisecond."""
    real = choose.time_engine
    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "time_engine", lambda name, *rest: 1e-3 if name == "tiles" else real(name, *rest))
    monkeypatch.setattr(choose, "on_device", lambda device: nullcontext())
    choose_engine.cache_clear()
    yield
    choose_engine.cache_clear()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'spconv'", name="spconv"), "spconv is not installed"),
        (ModuleNotFoundError("No module named 'cumm.core_cc'", name="cumm.core_cc"), "installed, but cannot be loaded"),
        (
            ImportError("libcudart.so.11.0: cannot open shared object file"),
            r"cannot be loaded \(ImportError: libcudart",
        ),
        (OSError("undefined symbol: _ZN2at"), r"cannot be loaded \(OSError: undefined symbol"),
        (AttributeError("module 'numpy' has no attribute 'bool'"), r"cannot be loaded \(AttributeError"),
    ],
)
@pytest.mark.usefixtures("spconv_installed")
def test_failed_imports_choose_tiles_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def failing(name: str, *rest: Any) -> Any:
        if name.startswith("spconv"):
            raise error
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", failing)
    chosen = choose_engine("cuda:0", torch.float16)
    assert chosen.name == "tiles" and re.search(f"engine spconv left out.*{message}", chosen.note)
    with pytest.raises(InputError, match=message):
        make_engine("spconv", np.ones((4, 4), bool), torch.float16, "cuda:0")


@pytest.mark.usefixtures("spconv_installed")
def test_a_failed_trial_chooses_tiles_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_engine(name: str, *_rest: Any) -> float:
        if name == "spconv":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with …")
        return 1e-3

    monkeypatch.setattr(choose, "time_engine", time_engine)
    chosen = choose_engine("cuda:0", torch.float16)
    assert chosen.name == "tiles" and "no kernel image is available" in chosen.note and "\n" not in chosen.note


def test_if_every_trial_fails_the_first_engine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_engine(name: str, *_rest: Any) -> float:
        raise RuntimeError

    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "time_engine", time_engine)
    choose_engine.cache_clear()
    chosen = choose_engine("cuda:0", torch.float16)
    choose_engine.cache_clear()
    assert chosen.name == "tiles" and "RuntimeError" in chosen.note
