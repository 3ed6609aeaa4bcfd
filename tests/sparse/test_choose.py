"""The engine that `auto` takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uhrmat.sparse import choose, make_engine
from uhrmat.sparse.choose import candidates, choose_engine, fastest, trial


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_the_cpu_only_tiles_is_right_and_sparse(dtype: torch.dtype) -> None:
    assert candidates("cpu", dtype) == ("tiles",)
    assert choose_engine("cpu", dtype) == "tiles"
    assert make_engine("auto", np.ones((4, 4), bool), dtype).name == "tiles"


def test_spconv_competes_on_cuda_in_what_it_can_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: object())
    assert candidates("cuda:0", torch.float16) == ("tiles", "spconv")
    assert candidates("cuda:0", torch.bfloat16) == ("tiles",)


def test_the_shorter_trial_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "candidates", lambda device, dtype: ("tiles", "spconv"))
    monkeypatch.setattr(choose, "trial", lambda name, device, dtype: {"tiles": 2e-3, "spconv": 1e-3}[name])
    choose_engine.cache_clear()
    try:
        assert choose_engine("cuda", torch.float16) == "spconv"
    finally:
        choose_engine.cache_clear()
    assert fastest({"tiles": 1.0, "spconv": 1.5}) == "tiles"


def test_a_trial_runs_every_kind_of_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "SIDE", 64)
    assert 0 < trial("tiles", "cpu", torch.float32) < 60
    assert 0 < trial("dense", "cpu", torch.float32) < 60
