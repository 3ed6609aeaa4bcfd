"""The convolution of the tiles engine, against a float64 reference, with torch's private operators and without them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from uhrmat.sparse import kernels
from uhrmat.sparse.engine import Act, activate
from uhrmat.sparse.kernels import four_phases, make_kernel

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1), (torch.float64, 1e-9)])
@pytest.mark.parametrize(("stride", "act", "bias"), [(1, "relu", True), (2, 0.2, True), (1, None, False)])
def test_a_kernel_is_a_convolution_with_its_activation(
    packed: bool, device: str, dtype: torch.dtype, tolerance: float, stride: int, act: Act, bias: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if not packed:
        monkeypatch.setattr(kernels, "_has_packed_operators", lambda: False)
    torch.manual_seed(0)
    x = torch.randn(3, 8, 9, 9, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = (torch.randn(6, 8, 3, 3, device=device) / 8).to(dtype)
    shift = torch.randn(6, device=device).to(dtype) if bias else None
    result = make_kernel(weight, shift, stride, act, (3, 8, 9, 9))(x)
    assert result.dtype == dtype
    wide = F.conv2d(x.double(), weight.double(), None if shift is None else shift.double(), stride)
    assert (result.double() - activate(wide, act)).abs().max() < tolerance


def test_missing_private_operators_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        """A torch without the operators."""

    monkeypatch.setattr(torch.ops, "mkldnn", Empty(), raising=False)
    assert not kernels._has_packed_operators()
    kernel = make_kernel(torch.ones(2, 2, 1, 1), None, 1, None, (1, 2, 4, 4))
    assert torch.equal(kernel(torch.ones(1, 2, 4, 4)), torch.full((1, 2, 4, 4), 2.0))


def test_four_phases_are_a_transposed_convolution() -> None:
    torch.manual_seed(1)
    x, weight = torch.randn(1, 3, 5, 6).double(), torch.randn(3, 4, 3, 3).double()
    phases = F.conv2d(F.pad(x, (0, 1, 0, 1)), four_phases(weight))
    wanted = F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=1)
    blocks = phases.view(1, 2, 2, 4, 5, 6).permute(0, 3, 4, 1, 5, 2).reshape(1, 4, 10, 12)
    assert torch.allclose(blocks, wanted)
