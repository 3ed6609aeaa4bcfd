"""Engines on a device that is not the host's, on fake CUDA tensors: scatter moves values to the host array's device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from uhrmat.sparse import Feat, dense, spconv_engine
from uhrmat.sparse.dense import DenseEngine
from uhrmat.sparse.engine import Engine
from uhrmat.sparse.spconv_engine import SpconvEngine

MASK = np.zeros((32, 32), bool)
MASK[8:20, 10:22] = True


def _dense() -> tuple[Engine, Feat]:
    engine = DenseEngine(MASK)
    engine._masks = [torch.ones(1, 1, 32, 32, dtype=torch.bool, device="cuda")]
    return engine, Feat(torch.zeros(1, 1, 32, 32, device="cuda", dtype=torch.float16), 0)


def _spconv() -> tuple[Engine, Feat]:
    engine = SpconvEngine.__new__(SpconvEngine)
    engine._indices = [torch.zeros(144, 3, dtype=torch.int32, device="cuda")]
    return engine, Feat(torch.zeros(144, 1, device="cuda"), 0)


@pytest.mark.parametrize("make", [_dense, _spconv])
@pytest.mark.parametrize("channels", [(), (1,)])
def test_scatter_into_a_host_array(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], tuple[Engine, Feat]], channels: tuple[int, ...]
) -> None:
    seen: list[tuple[str, torch.dtype]] = []

    def write(target: torch.Tensor, where: tuple[torch.Tensor, ...], values: torch.Tensor, add: bool) -> None:
        seen.extend((x.device.type, x.dtype) for x in (target, values))
        seen.extend((x.device.type, target.dtype) for x in where)

    for module in (dense, spconv_engine):
        monkeypatch.setattr(module, "write_features", write)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    # The method starts CUDA before it looks at its tensor.
    monkeypatch.setattr(torch.Tensor, "nonzero", lambda self: torch.ops.aten.nonzero.default(self))
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
        engine, features = make()
        engine.scatter(features, np.zeros((32, 32, *channels), np.float32))
    assert len(seen) >= 3 and set(seen) == {("cpu", torch.float32)}
