"""spconv's two ways to convolve, behind one interface, and the choice between them by trial.

`Native` multiplies one matrix per tap of the kernel and waits for the device in every layer; `MaskImplicitGemm` is one
launch per layer and allows 3x3. The latter is used where a trial on this device shows that it gives the same numbers
and is no slower, at about the size in question: spconv picks its kernels by size.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

NATIVE, IMPLICIT = "Native", "MaskImplicitGemm"
"""Names of spconv's `ConvAlgo`."""
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2}
"""Largest difference of the two in a trial, as a share of the largest value: half precision may be added up in half
precision. Not tuned."""
_SMALLEST, _LARGEST = 1 << 14, 1 << 20
"""Active sites of trials: powers of two between these. Not tuned."""
_BAND, _CHANNELS, _REPEATS = 64, 32, 3
"""Width of a trial's band of active sites, channels of its layers, timed runs of which the shortest counts."""


class Rulebook(Protocol):
    """Pairs of input and output sites of one geometry: a level's 3x3 neighbourhood, or a step to the coarser level.

    Attributes:
        indices: (N, 3) int32, (0, y, x) of the sites of the result, in its order.
    """

    indices: Tensor

    def convolve(self, x: Tensor, filters: Tensor, count: int, inverse: bool) -> Tensor:
        """Convolves features (N, in) with filters (out, 3, 3, in) to `count` sites; `inverse` from coarse to fine."""


class NativeRulebook:
    """`Rulebook` for `Native`.

    Args:
        ops: spconv's low-level functions.
        indices: (N, 3) int32, (0, y, x) of the finer level's sites; N positive.
        shape: (height, width) of the finer level.
        strided: Whether the step to the coarser level, else the neighbourhood.
    """

    def __init__(self, ops: Any, indices: Tensor, shape: tuple[int, int], strided: bool) -> None:
        self._ops, self._subm = ops, not strided
        made = ops.get_indice_pairs(
            indices, 1, list(shape), ops.ConvAlgo.Native, *_geometry(strided), subm=self._subm
        )  # fmt: skip
        self.indices, self._pairs, self._numbers = made[0].contiguous(), made[1], made[2]

    def convolve(self, x: Tensor, filters: Tensor, count: int, inverse: bool) -> Tensor:
        """See `Rulebook`."""
        out: Tensor = self._ops.indice_conv(x, filters, self._pairs, self._numbers, count, inverse, self._subm)
        return out


class ImplicitRulebook:
    """`Rulebook` for `MaskImplicitGemm`. Arguments as for `NativeRulebook`."""

    def __init__(self, ops: Any, indices: Tensor, shape: tuple[int, int], strided: bool) -> None:
        self._ops, self._subm = ops, not strided
        # spconv keeps the tables from coarse to fine, which the inverse convolution reads, for training alone.
        made = ops.get_indice_pairs_implicit_gemm(
            indices, 1, list(shape), ops.ConvAlgo.MaskImplicitGemm, *_geometry(strided), subm=self._subm,
            is_train=strided,
        )  # fmt: skip
        self.indices = made[0].contiguous()
        self._forward, self._backward, self._masks = (made[2], made[4], made[6]), (made[3], made[5], made[7]), made[8]

    def convolve(self, x: Tensor, filters: Tensor, count: int, inverse: bool) -> Tensor:
        """See `Rulebook`."""
        pairs, masks, order = self._backward if inverse else self._forward
        out: Tensor = self._ops.implicit_gemm(
            x, filters, pairs, masks, order, count, self._masks, False, self._subm
        )[0]  # fmt: skip
        return out


RULEBOOKS: dict[str, Any] = {NATIVE: NativeRulebook, IMPLICIT: ImplicitRulebook}


def _geometry(strided: bool) -> tuple[list[int], ...]:
    """Kernel, stride, padding, dilation, output padding."""
    return [3, 3], [2, 2] if strided else [1, 1], [1, 1], [1, 1], [0, 0]


def choose_algorithm(ops: Any, count: int, device: torch.device, dtype: torch.dtype) -> str:
    """The algorithm for about `count` active sites: by trial, once per power of two.

    Args:
        ops: spconv's low-level functions.
        count: Number of active sites.
        device: A GPU; elsewhere `Native` is the only one.
        dtype: Of the arithmetic.
    """
    if device.type != "cuda":
        return NATIVE
    size = min(_LARGEST, max(_SMALLEST, 1 << max(0, count - 1).bit_length()))
    return _choose(ops, size, device, dtype)


@lru_cache(maxsize=64)
def _choose(ops: Any, size: int, device: torch.device, dtype: torch.dtype) -> str:
    try:
        native, native_s = _trial(ops, NATIVE, size, device, dtype)
        implicit, implicit_s = _trial(ops, IMPLICIT, size, device, dtype)
    except Exception:  # no kernel for this card, a build without the functions, …: what spconv raises has no class
        return NATIVE
    right = all(
        a.shape == b.shape and float((a - b).abs().max()) <= TOLERANCE[dtype] * float(a.abs().max())
        for a, b in zip(native, implicit, strict=True)
    )  # fmt: skip
    return IMPLICIT if right and implicit_s <= native_s else NATIVE


@torch.inference_mode()
def _trial(
    ops: Any, algorithm: str, size: int, device: torch.device, dtype: torch.dtype
) -> tuple[list[Tensor], float]:  # fmt: skip
    """Results of one layer of each kind as planes, in float32, and the seconds that they took."""
    height = size // _BAND
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(_BAND), indexing="ij")
    indices = torch.stack([torch.zeros_like(ys), ys, xs], -1).view(-1, 3).int().contiguous().to(device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(indices), _CHANNELS, generator=generator).to(device, dtype)
    filters = (0.1 * torch.randn(_CHANNELS, 3, 3, _CHANNELS, generator=generator)).to(device, dtype)
    near, step = (RULEBOOKS[algorithm](ops, indices, (height, _BAND), strided) for strided in (False, True))

    def layers() -> list[Tensor]:
        same = near.convolve(x, filters, len(indices), False)
        coarse = step.convolve(x, filters, len(step.indices), False)
        return [same, coarse, step.convolve(coarse, filters, len(indices), True)]

    results, seconds = layers(), []
    for _ in range(_REPEATS):
        _wait(device)
        start = time.perf_counter()
        results = layers()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    order = [torch.argsort(i[:, 1].long() * (1 << 20) + i[:, 2].long()) for i in (near.indices, step.indices, indices)]
    return [result[rows].float() for result, rows in zip(results, order, strict=True)], min(seconds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
