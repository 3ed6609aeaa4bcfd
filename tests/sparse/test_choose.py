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
from uhrmat.sparse.choose import EngineChoice, candidate_engines, choose_engine, fastest, trial


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_the_cpu_only_tiles_is_right_and_sparse(dtype: torch.dtype) -> None:
    assert candidate_engines("cpu", dtype) == ("tiles",)
    assert choose_engine("cpu", dtype) == EngineChoice("tiles")
    assert make_engine("auto", np.ones((4, 4), bool), dtype).name == "tiles"


def test_spconv_competes_on_cuda_in_what_it_can_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: object())
    assert candidate_engines("cuda:0", torch.float16) == ("tiles", "spconv")
    assert candidate_engines("cuda:0", torch.bfloat16) == ("tiles",)


def test_the_shorter_trial_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "trial", lambda name, device, dtype: {"tiles": 2e-3, "spconv": 1e-3}[name])
    choose_engine.cache_clear()
    try:
        assert choose_engine("cuda", torch.float16) == EngineChoice("spconv")
    finally:
        choose_engine.cache_clear()
    assert fastest({"tiles": 1.0, "spconv": 1.5}) == "tiles"


def test_a_trial_runs_every_kind_of_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "SIDE", 64)
    assert 0 < trial("tiles", "cpu", torch.float32) < 60
    assert 0 < trial("dense", "cpu", torch.float32) < 60


@pytest.fixture
def spconv_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU for which spconv is a candidate; trials of tiles take a millisecond."""
    real = choose.trial
    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "trial", lambda name, *rest: 1e-3 if name == "tiles" else real(name, *rest))
    monkeypatch.setattr(choose, "on_device", lambda device: nullcontext())
    choose_engine.cache_clear()
    yield
    choose_engine.cache_clear()


@pytest.mark.parametrize(
    ("error", "says"),
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
@pytest.mark.usefixtures("spconv_there")
def test_an_import_that_fails_leaves_tiles_and_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def failing(name: str, *rest: Any) -> Any:
        if name.startswith("spconv"):
            raise error
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", failing)
    chosen = choose_engine("cuda:0", torch.float16)
    assert chosen.name == "tiles" and re.search(f"engine spconv left out.*{says}", chosen.note)
    with pytest.raises(InputError, match=says):
        make_engine("spconv", np.ones((4, 4), bool), torch.float16, "cuda:0")


@pytest.mark.usefixtures("spconv_there")
def test_a_trial_that_fails_leaves_tiles_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(name: str, *_rest: Any) -> float:
        if name == "spconv":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with …")
        return 1e-3

    monkeypatch.setattr(choose, "trial", trial)
    chosen = choose_engine("cuda:0", torch.float16)
    assert chosen.name == "tiles" and "no kernel image is available" in chosen.note and "\n" not in chosen.note


def test_where_every_trial_fails_the_first_engine_is_left_to_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(name: str, *_rest: Any) -> float:
        raise RuntimeError

    monkeypatch.setattr(choose, "candidate_engines", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "trial", trial)
    choose_engine.cache_clear()
    chosen = choose_engine("cuda:0", torch.float16)
    choose_engine.cache_clear()
    assert chosen.name == "tiles" and "RuntimeError" in chosen.note
