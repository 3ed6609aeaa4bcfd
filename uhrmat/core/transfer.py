"""Arrays to a device and back, each group in one copy: every copy to the host makes the host wait for the device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]
_ALIGNMENT = 256
"""Bytes at whose multiples each array begins within a copy, as GPUs allocate memory."""
_TORCH_TYPES = {
    np.dtype(np.uint8): torch.uint8,
    np.dtype(np.bool_): torch.bool,
    np.dtype(np.uint16): torch.int16,
    np.dtype(np.int32): torch.int32,
    np.dtype(np.int64): torch.int64,
    np.dtype(np.float16): torch.float16,
    np.dtype(np.float32): torch.float32,
}


def upload(arrays: Sequence[Array], device: torch.device) -> list[Tensor]:
    """Bring arrays to a device in one copy, which a GPU makes while the host goes on.

    Args:
        arrays: uint8, bool, uint16, int32, int64, float16 or float32, of any shape.
        device: Where to.

    Returns:
        A tensor for each array in its type, uint16 as int16 with the same bits.
    """
    starts, size = [], 0
    for array in arrays:
        starts.append(size)
        size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    packed = _host_buffer(size, device)
    host = packed.numpy()
    for array, start in zip(arrays, starts, strict=True):
        np.copyto(host[start : start + array.nbytes].view(array.dtype).reshape(array.shape), array)
    moved = _send(packed, device)
    return [
        moved[start : start + array.nbytes].view(_TORCH_TYPES[array.dtype]).view(array.shape)
        for array, start in zip(arrays, starts, strict=True)
    ]


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], device: torch.device, kind: type[np.generic] = np.float32) -> Tensor:
    """Numbers of one kind that a device needs again and again, (n,); uploaded once."""
    with torch.inference_mode(False):  # training may use what refining made first
        return upload([np.array(values, kind)], device)[0]


def whole_numbers(count: int, device: torch.device, dtype: torch.dtype = torch.int32) -> Tensor:
    """0 to `count` - 1, (count,): a view of a tensor that is made once for all counts up to a power of two."""
    return _whole_numbers(1 << max(0, count - 1).bit_length(), device, dtype)[:count]


@lru_cache(maxsize=32)
def _whole_numbers(count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.arange(count, dtype=dtype, device=device)


def download(tensors: Sequence[Tensor]) -> list[Array]:
    """Bring tensors of one device to the host in one copy, after all work that they wait for.

    Args:
        tensors: bool, uint8, int16, int32, float16 or float32, of any shape.

    Returns:
        An array for each tensor.
    """
    flat = [tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors]
    packed = _fetch(torch.cat(flat) if len(flat) > 1 else flat[0])
    arrays, start = [], 0
    for tensor, part in zip(tensors, flat, strict=True):
        # A copy of its own: views into the packed bytes need not be aligned, and would keep all of them.
        piece = packed[start : start + len(part)].copy()
        arrays.append(piece.view(_numpy_type(tensor.dtype)).reshape(tuple(tensor.shape)))
        start += len(part)
    return arrays


def _numpy_type(dtype: torch.dtype) -> Any:
    return np.int16 if dtype == torch.int16 else next(n for n, t in _TORCH_TYPES.items() if t == dtype)


def _host_buffer(size: int, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")


def _send(packed: Tensor, device: torch.device) -> Tensor:
    """The bytes on the device. The host does not wait: torch keeps page-locked memory until it has been read."""
    return packed.to(device, non_blocking=True)


def _fetch(packed: Tensor) -> Array:
    """The bytes of a tensor on the host. Waits for the device; tests on machines without one replace it."""
    return np.asarray(packed.cpu().numpy())
