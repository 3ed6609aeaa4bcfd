"""Inner loop of the tiles engine: one dense convolution over a chunk of windows, its weights packed once per layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.sparse.engine import Act, activate

Kernel = Callable[[Tensor], Tensor]
"""Takes (n, C, side, side) and returns (n, C', side', side'), both channels last, with bias and activation."""

_PACKED_TYPES = (torch.float32, torch.bfloat16)
"""Types that oneDNN's packed convolution computes in on the CPU."""


def make_kernel(weight: Tensor, bias: Tensor | None, stride: int, act: Act, window: tuple[int, ...]) -> Kernel:
    """Make a convolution without padding, with bias and activation.

    On the CPU oneDNN gets its weights in its own layout and applies the activation itself, by operators that are
    private to torch; where these are missing, and on other devices, `conv2d` and the activation in place are used.

    Args:
        weight: (out, in, k, k), of the features' type and device.
        bias: (out,), or None.
        stride: 1 or 2.
        act: Activation, see `engine.Act`.
        window: (n, in, side, side), the shape in which inputs will mostly come.
    """
    if weight.device.type == "cpu" and weight.dtype in _PACKED_TYPES and _has_packed_operators():
        return _packed(weight, bias, stride, act, window)
    return lambda x: activate(F.conv2d(x, weight, bias, stride), act)


def _has_packed_operators() -> bool:
    """Whether this torch has oneDNN and the two private operators."""
    is_available: Callable[[], bool] = torch.backends.mkldnn.is_available
    if not is_available():
        return False
    return all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_convolution_weight", "_convolution_pointwise"))


def _packed(weight: Tensor, bias: Tensor | None, stride: int, act: Act, window: tuple[int, ...]) -> Kernel:
    """`make_kernel` by torch's private operators."""
    ops = torch.ops.mkldnn
    geometry = ([0, 0], [stride, stride], [1, 1], 1)
    packed = ops._reorder_convolution_weight(weight, *geometry, list(window))
    name = act if act == "relu" else "none" if act is None else "leaky_relu"
    scalars = [float(act)] if name == "leaky_relu" and act is not None else []
    return lambda x: ops._convolution_pointwise(x, packed, bias, *geometry, name, scalars, "")


def four_phases(weight: Tensor) -> Tensor:
    """Rewrite a transposed 3x3 convolution of stride 2 as a plain 2x2 one with four times the channels.

    Even fine sites use the middle tap on their own coarse site, odd ones the last tap on it and the first tap on the
    next.

    Args:
        weight: (in, out, 3, 3), of a transposed convolution with padding 1.

    Returns:
        (4 * out, in, 2, 2). Output channel (2 * dy + dx) * out + o belongs to the fine site (2y + dy, 2x + dx), whose
        window of coarse sites starts at (y, x).
    """
    taps = (((1, 0),), ((2, 0), (0, 1)))
    channels, out = weight.shape[:2]
    phases = weight.new_zeros((2, 2, out, channels, 2, 2))
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for ky, y in taps[dy]:
            for kx, x in taps[dx]:
                phases[dy, dx, :, :, y, x] = weight[:, :, ky, kx].T
    return phases.flatten(0, 2)
