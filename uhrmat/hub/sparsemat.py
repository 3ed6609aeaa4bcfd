"""SparseMat's published checkpoints, written for spconv 1.2.1, as tensors of `uhrmat.refine.shm.released`.

spconv 1.2.1 keeps kernels as (kh, kw, in, out), and two of its silent faults are part of what was learned:

* layer1.0's first convolution and shortcut are declared for 128 channels and get 64. 1.2.1 views the kernel as
  (-1, 64, 64), so the first 9 of 18 slices act, one per tap.
* layer4.0's first convolution and shortcut read at -1, +1, +3 with the centre tap at 0. That is a matter of the
  network, not of the kernel, so the tensors are only turned and `refine.shm.released.OffCentre` reads them so.

The checkpoint is matched by names where a ResNet's names are customary (layer1.0.conv1, layer1.0.downsample.0) and
elsewhere by shape and order; a tensor that is left over, or missing, is an error. The low-resolution network's
tensors (lpn.*) are not converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uhrmat.core.errors import WeightsError

if TYPE_CHECKING:  # `uhrmat models list` and all other commands of the hub do without loading torch
    from torch import Tensor

Tensors = dict[str, "Tensor"]
_WIDTHS = (64, 128, 256, 512)
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Role:
    """One convolution of ours. name: its module; shape: of the stored kernel (kh, kw, in, out); norm: whether a batch
    normalisation follows; pattern: of its name in the checkpoint, where that is known."""

    name: str
    shape: tuple[int, int, int, int]
    norm: bool = True
    pattern: str = r"(?!.*layer\d)"


def roles() -> list[Role]:
    """Every sparse convolution of the module, in the order in which a picture passes them."""
    all_roles = [Role("stem", (3, 3, 4, 64)), Role("down", (3, 3, 64, 64)), Role("settle", (3, 3, 64, 64))]
    before = 128
    for number, width in enumerate(_WIDTHS):
        for block in range(2):
            ours, theirs = f"stages.{number}.{block}", rf".*layer{number + 1}\.{block}\."
            inputs = before if block == 0 else width
            all_roles.append(Role(f"{ours}.conv1", (3, 3, inputs, width), pattern=theirs + "conv1"))
            all_roles.append(Role(f"{ours}.conv2", (3, 3, width, width), pattern=theirs + "conv2"))
            if block == 0:
                all_roles.append(Role(f"{ours}.shortcut", (3, 3, inputs, width), pattern=theirs + "downsample"))
        before = width
    for number, (inputs, width) in enumerate(((512, 256), (320, 256), (320, 64))):
        all_roles.append(Role(f"ups.{number}", (3, 3, inputs, width)))
        all_roles.append(Role(f"sides.{number}", (1, 1, width, 1), norm=False))
    for number, (kernel, inputs, width) in enumerate(((3, 67, 32), (3, 32, 16), (1, 16, 1))):
        all_roles.append(Role(f"head.{number}", (kernel, kernel, inputs, width), norm=False))
    return all_roles


def is_sparsemat(tensors: Tensors) -> bool:
    """Whether these are tensors of SparseMat's sparse module, of any layout."""
    return any(re.fullmatch(r"shm\..*layer1\.0\.conv1\.weight", name) for name in tensors)


def convert_sparsemat(tensors: Tensors) -> tuple[Tensors, list[str]]:
    """Tensors of `refine.shm.released.ReleasedSHM`, and a line for each about where it comes from.

    Raises WeightsError listing what is missing, left over or of another layout.
    """
    own = {name[4:]: value for name, value in tensors.items() if name.startswith("shm.")}
    if any(name.endswith("layer1.0.conv1.weight") and value.shape[0] != 3 for name, value in own.items()):
        raise WeightsError(
            "This SparseMat is of spconv 2 (kernels start with the outputs): it was trained anew, by other rules.",
            "Only checkpoints of spconv 1.2.1, as published, can be converted.",
        )
    matcher = _Matcher(own)
    converted: Tensors = {}
    for role in roles():
        converted |= matcher.convolution(role)
    converted |= matcher.gates()
    matcher.finish()
    dropped = len(tensors) - len(own)
    order_note = "kernels of one shape without a customary name were taken in the order of the file: check this list"
    return converted, [order_note, *matcher.notes, f"{dropped} tensors of the low-resolution network are left out"]


class _Matcher:
    """Hands out the checkpoint's tensors, each once."""

    def __init__(self, tensors: Tensors) -> None:
        self.left = {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
        self.notes: list[str] = []

    def convolution(self, role: Role) -> Tensors:
        stem = self._first(role)
        kernel = _transpose_kernel(self.left.pop(f"{stem}.weight"), role)
        converted = {f"{role.name}.weight": kernel}
        width = role.shape[3]
        bias = self.left.pop(f"{stem}.bias", None)
        inner = role.name.endswith(("conv1", "shortcut")) or role.name in ("stem", "down", "settle")
        if not inner:
            converted[f"{role.name}.bias"] = kernel.new_zeros(width) if bias is None else bias
        elif bias is not None:
            raise WeightsError(f"{stem} has a bias where SparseMat has none.", "Give a published checkpoint.")
        if role.norm:
            converted |= self._norm(stem, role.name, width)
        self.notes.append(f"`{role.name}` from `shm.{stem}`")
        return converted

    def gates(self) -> Tensors:
        """Masked-SE: three dense 1x1 convolutions, foreground, background, gate; kernels (out, in, 1, 1)."""
        converted: Tensors = {}
        for name, shape in (("front", (32, 32, 1, 1)), ("back", (32, 32, 1, 1)), ("gate", (512, 64, 1, 1))):
            stem = self._pick([n for n, v in self.left.items() if tuple(v.shape) == shape], f"gate.{name}", shape)
            kernel = self.left.pop(f"{stem}.weight")
            bias = self.left.pop(f"{stem}.bias", None)
            converted[f"gate.{name}.weight"] = kernel.flatten(1)
            converted[f"gate.{name}.bias"] = kernel.new_zeros(shape[0]) if bias is None else bias
            self.notes.append(f"`gate.{name}` from `shm.{stem}`")
        return converted

    def finish(self) -> None:
        if self.left:
            some = ", ".join(f"shm.{name} {tuple(value.shape)}" for name, value in list(self.left.items())[:8])
            raise WeightsError(f"{len(self.left)} tensors have no place: {some}.", "Give a published checkpoint.")

    def _first(self, role: Role) -> str:
        fitting = [n for n, v in self.left.items() if tuple(v.shape) == role.shape and re.match(role.pattern, n)]
        return self._pick(fitting, role.name, role.shape)

    def _pick(self, names: list[str], role: str, shape: tuple[int, ...]) -> str:
        names = [name for name in names if name.endswith(".weight")]
        if not names:
            raise WeightsError(f"The checkpoint has no kernel {shape} for {role}.", "Give a published checkpoint.")
        return names[0].removesuffix(".weight")

    def _norm(self, stem: str, role: str, width: int) -> Tensors:
        """The batch normalisation that belongs to a convolution: nearest by name, same number, first in order."""
        means = [n for n, v in self.left.items() if n.endswith(".running_mean") and tuple(v.shape) == (width,)]
        if not means:
            raise WeightsError(f"The checkpoint has no statistics of {width} channels for {role}.", "Give another.")
        best = max((n.removesuffix(".running_mean") for n in means), key=lambda name: _nearness(stem, name))
        return {f"{role}.norm.{part}": self.left.pop(f"{best}.{part}") for part in _STATISTICS} | {
            f"{role}.norm.num_batches_tracked": self._zero()
        }

    def _zero(self) -> Tensor:
        import torch

        return torch.zeros((), dtype=torch.int64)


def _transpose_kernel(kernel: Tensor, role: Role) -> Tensor:
    """A kernel (kh, kw, in, out) in our layout: (out, in, kh, kw), transposed convolutions (in, out, kh, kw)."""
    if role.shape[2] == 128 and role.shape[3] == 64:  # the first fault: the first 9 of 18 slices of 64x64
        kernel = kernel.reshape(18, 64, 64)[:9].reshape(3, 3, 64, 64)
    order = (2, 3, 0, 1) if role.name.startswith("ups") else (3, 2, 0, 1)
    return kernel.permute(*order)


def _nearness(conv: str, norm: str) -> tuple[int, bool, bool]:
    """How well two modules' names belong together: parents shared, same depth, same number (conv2, bn2)."""
    a, b = conv.split("."), norm.split(".")
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    numbers = [re.fullmatch(r"[a-z_]+(\d+)", parts[-1]) for parts in (a, b)]
    return shared, len(a) == len(b), all(numbers) and numbers[0][1] == numbers[1][1]  # type: ignore[index]
