"""CUDA in name only: numbers are computed on the CPU, and each tensor knows the device that the code put it on.

Fake tensors (`torch._subclasses.fake_tensor`) have no numbers, so code whose path depends on them cannot be followed.
Here `to("cuda")` and `device="cuda"` mark real tensors, results of marked tensors are marked, and an operation on
tensors of both kinds, which a GPU would refuse, is recorded; so is each time that the host waits for the device.
"""

from __future__ import annotations

import collections
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

_WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "repeat_interleave")
_CUDA = torch.device("cuda:0")


class EmulatedCuda:
    """Within it, tensors can be put on CUDA.

    Attributes:
        mismatches: operations on tensors of both devices.
        waits: how often the host waited, by operation; "to_host" are copies.
        kernels: how often each operation ran on the device.
    """

    def __init__(self) -> None:
        self.marked: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.mismatches: list[str] = []
        self.waits: collections.Counter[str] = collections.Counter()
        self.kernels: collections.Counter[str] = collections.Counter()
        self._modes = _Functions(self), _Operations(self)

    def on_device(self, tensor: torch.Tensor) -> bool:
        return tensor in self.marked

    def move(self, tensor: torch.Tensor, to: torch.device) -> torch.Tensor:
        """A copy on the device, or the tensor itself where it is there."""
        if (to.type == "cuda") == self.on_device(tensor):
            return tensor
        copy = tensor.clone()
        if to.type == "cuda":
            self.marked[copy] = True
        else:
            self.marked.pop(copy, None)
            self.waits["to_host"] += 1
        return copy

    def __enter__(self) -> EmulatedCuda:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *rest: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*rest)


class _Functions(TorchFunctionMode):
    """What names a device: arguments, `to`, `cpu`, `device`."""

    def __init__(self, cuda: EmulatedCuda) -> None:
        super().__init__()
        self._cuda = cuda

    def __torch_function__(self, function: Any, types: Any, rest: Any = (), named: Any = None) -> Any:
        named = dict(named or {})
        if function == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return _CUDA if self._cuda.on_device(rest[0]) else function(*rest)
        if function == torch.Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return self._cuda.on_device(rest[0])
        if function is torch.Tensor.numpy:
            assert not self._cuda.on_device(rest[0]), "the host reads a tensor on the GPU"
        if function in (torch.Tensor.cpu, torch.Tensor.cuda):
            return self._cuda.move(rest[0], torch.device(function.__name__))
        if function is torch.Tensor.to:
            return self._to(*rest, **named)
        place = named.get("device")
        if place is None or torch.device(place).type != "cuda":
            return function(*rest, **named)
        result = function(*rest, **named | {"device": "cpu"})
        self._cuda.marked[result] = True
        return result

    def _to(self, tensor: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        places = [x for x in (*rest, named.pop("device", None)) if isinstance(x, (str, torch.device))]
        kinds = [x for x in (*rest, named.pop("dtype", None)) if isinstance(x, torch.dtype)]
        named.pop("non_blocking", None)
        assert not named and len(places) + len(kinds) >= len(rest), (rest, named)
        result = torch.Tensor.to(tensor, kinds[0]) if kinds else tensor
        return self._cuda.move(result, torch.device(places[0])) if places else result


class _Operations(TorchDispatchMode):
    """Marks results and records what ran where."""

    def __init__(self, cuda: EmulatedCuda) -> None:
        super().__init__()
        self._cuda = cuda

    def __torch_dispatch__(self, function: Any, types: Any, rest: Any = (), named: Any = None) -> Any:
        inputs = [x for x in tree_leaves((rest, named or {})) if isinstance(x, torch.Tensor)]
        result = function(*rest, **(named or {}))
        marked = [self._cuda.on_device(x) for x in inputs if x.ndim or self._cuda.on_device(x)]
        if any(marked):
            name = function.overloadpacket.__name__
            if not all(marked):
                self._cuda.mismatches.append(name)
            self._cuda.kernels[name] += 1
            if name in _WAITS or (name in ("index", "index_put_") and _has_mask(rest)):
                self._cuda.waits[name] += 1
            for output in tree_leaves(result):
                if isinstance(output, torch.Tensor):
                    self._cuda.marked[output] = True
        return result


def _has_mask(rest: Any) -> bool:
    return any(isinstance(x, torch.Tensor) and x.dtype in (torch.bool, torch.uint8) for x in tree_leaves(rest[1]))
