"""The propagation's path on a GPU, followed on fake CUDA tensors: every operation sees tensors of one device.

Fake tensors have shapes, types and devices, but no numbers (`torch._subclasses.fake_tensor`); an operation on tensors
of two devices raises. What the host reads must have been brought to the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.video.tracked import TINY, disc, key_frame
from uhrmat.video.propagation import network
from uhrmat.video.propagation.guide import SubjectGuide
from uhrmat.video.propagation.memory import SubjectMemory
from uhrmat.video.propagation.network import MaskNet, save_network, train_network
from uhrmat.video.propagation.states import TrackedMask
from uhrmat.video.propagation.track import next_mask


class _Devices(TorchDispatchMode):
    """Counts, for each operation, on which devices its tensors are."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, set[str]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, rest: Any = (), named: Any = None) -> Any:
        result = function(*rest, **(named or {}))
        tensors = [x for x in (*rest, result) if isinstance(x, torch.Tensor)]
        name = function.overloadpacket.__name__
        self.seen.setdefault(name, set()).update(x.device.type for x in tensors if x.ndim)
        return result


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Devices]:
    """Within it, `to("cuda")` makes fake tensors; NumPy may only read those that are on the CPU."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    inner_numpy, inner_to = torch.Tensor.numpy, torch.Tensor.to

    def numpy(self: torch.Tensor, **named: Any) -> np.ndarray:
        if not isinstance(self, FakeTensor):
            return inner_numpy(self, **named)
        assert self.device.type == "cpu", "the host reads a tensor on the GPU"
        return np.full(self.shape, 0.5, np.float32)

    def to(self: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        """The method looks for CUDA before it looks at its tensor."""
        devices = [torch.device(x) for x in (*rest, *named.values()) if isinstance(x, (str, torch.device))]
        if not devices or (devices[0].type == "cpu" and not isinstance(self, FakeTensor)):
            return inner_to(self, *rest, **named)
        fake = self if isinstance(self, FakeTensor) else mode.from_tensor(self.detach())
        if fake.device.type == devices[0].type:
            return fake
        place = torch.device("cuda:0") if devices[0].type == "cuda" else devices[0]
        return torch.ops.aten._to_copy.default(fake, device=place)

    def getitem(self: torch.Tensor, index: Any) -> torch.Tensor:
        """Likewise. It is a method of fake tensors alone: `Tensor` with a Python method here and then without it takes
        numbers for sequences."""
        items, axis, result = index if isinstance(index, tuple) else (index,), 0, self
        for at, item in enumerate(items):
            if item is Ellipsis:
                axis = result.ndim - sum(one is not None for one in items[at + 1 :])
            elif item is None:
                result, axis = torch.ops.aten.unsqueeze.default(result, axis), axis + 1
            elif isinstance(item, int):
                result = torch.ops.aten.select.int(result, axis, item)
            else:
                result = torch.ops.aten.slice.Tensor(result, axis, item.start, item.stop)
                axis += 1
        return result

    monkeypatch.setattr(FakeTensor, "__getitem__", getitem, raising=False)
    monkeypatch.setattr(torch.Tensor, "numpy", numpy)
    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: self.to("cpu"))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Devices() as devices:
            yield devices
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def convolved(devices: _Devices) -> set[str]:
    """Devices on which convolutions ran."""
    return set().union(*(seen for name, seen in devices.seen.items() if "conv" in name))


def test_the_clips_network_is_used_on_the_gpu(fake_cuda: _Devices, tmp_path: Path, monkeypatch: Any) -> None:
    net = MaskNet().to("cuda").eval()
    key = key_frame()
    tracked = TrackedMask.of_key(disc(30, 40))
    memory = SubjectMemory(SubjectGuide.bundled("cuda"), key.picture, tracked)
    memory.remember(key.picture, replace(tracked, distance=3))
    result = next_mask(net, memory, key.picture, tracked, key.picture)
    assert result.mask.shape == (64, 96) and result.distance == 1
    assert convolved(fake_cuda) == {"cuda"} and "_to_copy" in fake_cuda.seen
    stored: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(network, "save_file", lambda tensors, path: (stored.update(tensors), path.touch()))
    save_network(net, tmp_path / "network.safetensors")
    assert stored.keys() == net.state_dict().keys() and {x.device.type for x in stored.values()} == {"cpu"}


def test_the_clips_network_is_trained_on_the_gpu(fake_cuda: _Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for gradients, whose recording needs CUDA itself."""
    losses: list[str] = []
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: losses.append(self.device.type))
    with torch.no_grad():
        net = train_network([key_frame()], "cuda", params=TINY)
    assert net is not None and {p.device.type for p in net.parameters()} == {"cuda"}
    assert losses == ["cuda"] * TINY.steps and convolved(fake_cuda) == {"cuda"}


def test_a_tensor_that_was_left_on_the_host_is_noticed(fake_cuda: _Devices) -> None:
    net = MaskNet().to("cuda").eval()
    with torch.no_grad(), pytest.raises(RuntimeError, match="cpu"):
        net(torch.empty(1, 6, 64, 96, device="cpu"))
