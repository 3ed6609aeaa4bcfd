"""Follows the refiners' path on a GPU on a machine without one: fake CUDA tensors have shapes, types and devices, but
no numbers (`torch._subclasses.fake_tensor`), and an operation on tensors of two devices raises.

What the host reads from the device is recorded in a run of the same code on the CPU, and replayed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from uhrmat.core import transfer
from uhrmat.foreground import on_device as foreground
from uhrmat.refine import sparse_refiner
from uhrmat.refine.layers import SparseConv
from uhrmat.refine.resident import guided, window
from uhrmat.refine.resident import run as resident_run
from uhrmat.refine.resident.run import EstimateColours, HostPlanes, refine_on_device
from uhrmat.refine.sparse_refiner import SparseRefiner
from uhrmat.sparse import resident, resident_tiles

CUDA = torch.device("cuda:0")
NO_KERNEL = frozenset(
    [
        "_reshape_alias",
        "_unsafe_view",
        "alias",
        "as_strided",
        "detach",
        "device",
        "diagonal",
        "dim",
        "empty",
        "empty_like",
        "empty_strided",
        "expand",
        "is_contiguous",
        "lift_fresh",
        "mT",
        "new_empty",
        "new_empty_strided",
        "numpy_T",
        "permute",
        "select",
        "size",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "t",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "unfold",
        "view",
    ]
)
"""Operations that a GPU does not hear of."""
MAYBE_VIEWS = {"contiguous", "flatten", "reshape", "to"}
"""Operations that copy where a view will not do."""
SYNCHRONISING = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "item", "unique"}
"""Operations for whose result the host waits."""


class Trace(TorchDispatchMode):
    """Counts what a GPU would be asked.

    Attributes:
        kernels: Operations that start at least one kernel, by name.
        uploads: Bytes of each copy to the device.
        downloads: Bytes of each copy to the host, which waits for it.
        waits: Other operations for which the host waits.
        frames: Kernels by the functions of uhrmat that were running, as module:function, innermost first.
        largest: Elements of the largest tensor on the host, but for those that are copied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.uploads, self.downloads = Counter[str](), list[int](), list[int]()
        self.waits, self.largest = Counter[str](), 0
        self.bytes = Counter[str]()
        self.frames = Counter[tuple[str, ...]]()

    @property
    def synchronisations(self) -> int:
        """How often the host waits."""
        return len(self.downloads) + sum(self.waits.values())

    def __torch_dispatch__(self, function: Any, types: Any, rest: Any = (), named: Any = None) -> Any:
        result = function(*rest, **(named or {}))
        name = function.overloadpacket.__name__
        flat = torch.utils._pytree.tree_leaves((rest, named, result))
        tensors = [x for x in flat if isinstance(x, Tensor)]
        devices = {x.device.type for x in tensors if x.ndim or x.device.type == "cuda"}
        if name == "_to_copy" and devices == {"cpu", "cuda"}:
            (self.uploads if result.device.type == "cuda" else self.downloads).append(result.nbytes)
        elif "cuda" in devices:
            assert devices == {"cuda"}, f"{name} on {devices}"
            if name in SYNCHRONISING:
                self.waits[name] += 1
            elif name in MAYBE_VIEWS and _shares(result, rest[0]):
                pass
            elif name not in NO_KERNEL:
                names = [name]
                if name == "conv2d" and _has_bias(rest, named or {}):
                    names.append("bias of conv2d")  # cuDNN's convolution takes none: PyTorch adds it afterwards
                self.kernels.update(names)
                self.frames[_frames()] += len(names)
                self.bytes[name] += sum(x.nbytes for x in tensors)
        else:
            self.largest = max([self.largest, *(x.numel() for x in tensors)])
        return result


def _frames() -> tuple[str, ...]:
    frame, names = sys._getframe(2), list[str]()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("uhrmat."):
            names.append(f"{module}:{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(names)


def _has_bias(rest: tuple[Any, ...], named: dict[str, Any]) -> bool:
    return (rest[2] if len(rest) > 2 else named.get("bias")) is not None


def _shares(one: Tensor, other: Tensor) -> bool:
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)


def record_downloads(run: Callable[[], object], patch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the host reads in a run on the CPU."""
    read, fetch = list[np.ndarray](), transfer._fetch
    with patch.context() as within:
        within.setattr(transfer, "_fetch", lambda packed: read.append(fetch(packed)) or read[-1])
        run()
    return read


def trace(
    refiner: SparseRefiner[Any], host: HostPlanes, patch: pytest.MonkeyPatch, dtype: torch.dtype,
    estimate_colours: EstimateColours | None = None,
) -> Trace:  # fmt: skip
    """Refine a picture on fake CUDA tensors.

    Args:
        refiner: On the CPU in float32; its network becomes a fake one.
        host: The picture.
        patch: Undone by the caller's test.
        dtype: Of the arithmetic.
        estimate_colours: See `refine_on_device`.
    """

    def run() -> object:
        return refine_on_device(refiner, host, "parts", 1 << 40, True, estimate_colours)

    read = record_downloads(run, patch)
    mode = emulate_cuda(patch)
    refiner.device, refiner.dtype = CUDA, dtype
    _move(refiner.net, mode, dtype)
    return count_calls(run, read, patch)


def emulate_cuda(patch: pytest.MonkeyPatch) -> FakeTensorMode:
    """Let uploads and factories make fake CUDA tensors from now on."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    _let_methods_take_fakes(patch, mode)
    patch.setattr(transfer, "_host_buffer", lambda size, device: torch.empty(size, dtype=torch.uint8))
    patch.setattr(transfer, "_send", lambda packed, device: mode.from_tensor(packed).to(device))
    for module in (resident_run, window, sparse_refiner, foreground):
        patch.setattr(module, "on_device", lambda device: nullcontext())
    patch.setattr(resident_tiles, "largest_windows", lambda device: 1 << 30)
    return mode


def count_calls(run: Callable[[], object], recorded: list[np.ndarray], patch: pytest.MonkeyPatch) -> Trace:
    """What a run asks of a GPU, which is emulated: the second of two runs, so that what is made once is not counted.

    Args:
        run: The work.
        recorded: What the host reads in a run, see `record_downloads`.
        patch: Undone by the caller's test.
    """
    read = 2 * recorded

    def fetch(packed: Tensor) -> np.ndarray:
        packed.to(torch.device("cpu"))
        bytes_read = read.pop(0)
        if 2 * packed.nbytes == bytes_read.nbytes:  # numbers of pixels, in half precision on a GPU
            bytes_read = bytes_read.view(np.float32).astype(np.float16).view(np.uint8)
        assert packed.device.type == "cuda" and packed.nbytes == bytes_read.nbytes
        return bytes_read

    patch.setattr(transfer, "_fetch", fetch)
    _clear_constants()
    run()
    with Trace() as counted:
        run()
    assert not read
    _clear_constants()  # of fake tensors
    return counted


def _clear_constants() -> None:
    caches = (
        foreground._shares,
        guided.symmetric_pixels,
        resident._tile_places,
        transfer.constant,
        transfer._whole_numbers,
    )
    for cached in (*caches, resident_tiles._kept_rows):
        cached.cache_clear()


def _move(net: nn.Module, mode: FakeTensorMode, dtype: torch.dtype) -> None:
    """Replace a network's weights by fake ones on CUDA; those of sparse convolutions in the type of the arithmetic."""
    for module in net.modules():
        kind = dtype if isinstance(module, SparseConv) else torch.float32
        for held in (module._parameters, module._buffers):
            for name, value in held.items():
                if value is not None:
                    real = value.detach()
                    if real.ndim == 4:
                        real = real.contiguous(memory_format=torch.channels_last)
                    fake = mode.from_tensor(real).to(CUDA).to(kind)
                    held[name] = nn.Parameter(fake, requires_grad=False) if held is module._parameters else fake


def _let_methods_take_fakes(patch: pytest.MonkeyPatch, mode: FakeTensorMode) -> None:
    """Methods and factories that look for CUDA before they look at their tensor."""
    inner_contiguous = torch.Tensor.contiguous
    inner_to, inner_get, inner_set = torch.Tensor.to, torch.Tensor.__getitem__, torch.Tensor.__setitem__

    def to(self: Tensor, *rest: Any, **named: Any) -> Tensor:
        if not isinstance(self, FakeTensor):
            return inner_to(self, *rest, **named)
        device, dtype = self.device, self.dtype
        for value in (*rest, *named.values()):
            if isinstance(value, Tensor):
                device, dtype = value.device, value.dtype
            elif isinstance(value, (str, torch.device)):
                device = torch.device(value)
            elif isinstance(value, torch.dtype):
                dtype = value
        if device.type == "cuda":
            device = CUDA
        if device == self.device and dtype == self.dtype:
            return self
        return torch.ops.aten._to_copy.default(self, device=device, dtype=dtype)

    def view_of(self: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None]]:
        items = index if isinstance(index, tuple) else (index,)
        axis, result, tensors = 0, self, list[Tensor | None]()
        for at, item in enumerate(items):
            if item is Ellipsis:
                after = sum(one is not None for one in items[at + 1 :])
                tensors += [None] * (result.ndim - after - axis)
                axis = result.ndim - after
            elif item is None:
                result, axis = torch.ops.aten.unsqueeze.default(result, axis), axis + 1
                tensors.append(None)
            elif isinstance(item, int):
                result = torch.ops.aten.select.int(result, axis, item)
            elif isinstance(item, slice):
                if item != slice(None):
                    result = torch.ops.aten.slice.Tensor(result, axis, item.start, item.stop, item.step or 1)
                axis += 1
                tensors.append(None)
            else:
                tensors.append(item)
                axis += 1
        return result, tensors

    def getitem(self: Tensor, index: Any) -> Tensor:
        if not isinstance(self, FakeTensor):
            return inner_get(self, index)
        result, tensors = view_of(self, index)
        return torch.ops.aten.index.Tensor(result, tensors) if any(t is not None for t in tensors) else result

    def setitem(self: Tensor, index: Any, value: Any) -> None:
        if not isinstance(self, FakeTensor):
            return inner_set(self, index, value)
        result, tensors = view_of(self, index)
        if any(t is not None for t in tensors):
            torch.ops.aten.index_put_.default(result, tensors, value)
        else:
            torch.ops.aten.copy_.default(result, value)
        return None

    patch.setattr(torch.Tensor, "to", to)
    patch.setattr(torch.Tensor, "__getitem__", getitem)
    patch.setattr(torch.Tensor, "__setitem__", setitem)

    def contiguous(self: Tensor, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
        if not isinstance(self, FakeTensor) or self.is_contiguous(memory_format=memory_format):
            return self if isinstance(self, FakeTensor) else inner_contiguous(self, memory_format=memory_format)
        return torch.ops.aten.clone.default(self, memory_format=memory_format)

    inner_convolution = torch.nn.functional.conv2d

    def convolution(x: Tensor, *rest: Any, **named: Any) -> Tensor:
        """cuDNN keeps the channels last; the fake of a build without it does not."""
        result = inner_convolution(x, *rest, **named)
        if not isinstance(x, FakeTensor):
            return result
        count, channels, height, width = result.shape
        strides = (channels * height * width, 1, width * channels, channels)
        return torch.ops.aten.as_strided.default(result, result.shape, strides)

    patch.setattr(torch.nn.functional, "conv2d", convolution)
    patch.setattr(torch.Tensor, "contiguous", contiguous)
    patch.setattr(torch.cuda, "current_device", lambda: 0)
    for name in ("float", "half", "int", "long", "bool"):
        kind = getattr(torch, {"long": "int64", "int": "int32", "half": "float16"}.get(name, name))
        patch.setattr(torch.Tensor, name, lambda self, kind=kind: self.to(kind))
    for name in ("empty", "zeros", "ones", "full", "arange"):
        patch.setattr(torch, name, _factory(getattr(torch, name), mode))


def _factory(make: Any, mode: FakeTensorMode) -> Any:
    def factory(*rest: Any, **named: Any) -> Tensor:
        device = named.get("device")
        if device is None or torch.device(device).type != "cuda":
            return make(*rest, **named)
        with mode:
            return make(*rest, **named)

    return factory
