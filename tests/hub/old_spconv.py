"""SparseMat's sparse module with random weights as spconv 1.2.1 ran it, written with coordinate lists and loops over
taps alone: nothing here is shared with uhrmat. Kernels are (kh, kw, in, out), as that version stores them.
"""

from __future__ import annotations

import torch
from torch import Tensor

Sites = dict[tuple[int, int], int]
Tap = tuple[int, int, int]  # number of the kernel's slice, dy, dx

CENTRED: list[Tap] = [(3 * ky + kx, ky - 1, kx - 1) for ky in range(3) for kx in range(3)]
OFF_CENTRE: list[Tap] = [
    (3 * ky + kx, *((0, 0) if (ky, kx) == (1, 1) else (2 * ky - 1, 2 * kx - 1))) for ky in range(3) for kx in range(3)
]


def make_checkpoint(seed: int = 0) -> dict[str, Tensor]:
    """A checkpoint as published: `module.shm.*` in the old layout, with an `lpn.*` tensor beside."""
    torch.manual_seed(seed)
    found: dict[str, Tensor] = {"lpn.backbone.features.0.0.weight": torch.randn(32, 3, 3, 3)}

    def conv(name: str, k: int, a: int, b: int, bias: bool = False) -> None:
        found[f"shm.{name}.weight"] = torch.randn(k, k, a, b) * (2 / (k * k * a)) ** 0.5
        if bias:
            found[f"shm.{name}.bias"] = torch.randn(b) * 0.1

    def norm(name: str, b: int) -> None:
        found[f"shm.{name}.weight"] = torch.rand(b) + 0.5
        found[f"shm.{name}.bias"] = torch.randn(b) * 0.1
        found[f"shm.{name}.running_mean"] = torch.randn(b) * 0.1
        found[f"shm.{name}.running_var"] = torch.rand(b) + 0.5
        found[f"shm.{name}.num_batches_tracked"] = torch.tensor(7)

    for number, inputs in ((1, 4), (2, 64), (3, 64)):
        conv(f"backbone.conv{number}", 3, inputs, 64)
        norm(f"backbone.bn{number}", 64)
    before = 128
    for layer, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"backbone.layer{layer}.{block}"
            conv(f"{name}.conv1", 3, before if block == 0 else width, width)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", 3, width, width, bias=True)
            norm(f"{name}.bn2", width)
            if block == 0:
                conv(f"{name}.downsample.0", 3, before, width)
                norm(f"{name}.downsample.1", width)
        before = width
    for number, (a, b) in enumerate(((512, 256), (320, 256), (320, 64)), 1):
        conv(f"up{number}.0", 3, a, b, bias=True)
        norm(f"up{number}.1", b)
        conv(f"side{number}", 1, b, 1)
    for number, (k, a, b) in enumerate(((3, 67, 32), (3, 32, 16), (1, 16, 1))):
        conv(f"head.{2 * number}", k, a, b, bias=k == 3)
    for name, a, b in (("fg", 32, 32), ("bg", 32, 32), ("gate", 64, 512)):
        found[f"shm.cam.{name}.weight"] = torch.randn(b, a, 1, 1) * 0.3
        found[f"shm.cam.{name}.bias"] = torch.randn(b) * 0.1
    return {f"module.{name}": value for name, value in found.items()}


def run(weights: dict[str, Tensor], mask: Tensor, rgb: Tensor, alpha: Tensor, context: Tensor) -> Tensor:
    """(N,) alpha at the active sites in row-major order.

    mask: (H, W) bool; rgb: (H, W, 3) and alpha: (H, W) in [0, 1]; context: (32, h, w).
    """
    net = _Old({name.removeprefix("module.shm."): value for name, value in weights.items()})
    levels, (height, width) = [_sites(mask)], mask.shape
    for _ in range(3):
        height, width = (height + 1) // 2, (width + 1) // 2
        levels.append(_coarser(levels[-1], height, width))
    where = torch.tensor(list(levels[0]))
    own = rgb[where[:, 0], where[:, 1]]
    x = torch.cat([2 * own - 1, 2 * alpha[where[:, 0], where[:, 1], None] - 1], 1)
    x = net.layer(x, "conv1", "bn1", levels[0]).relu()
    x = net.layer(x, "conv2", "bn2", levels[0], levels[1]).relu()
    half = net.layer(x, "conv3", "bn3", levels[1]).relu()
    quarter = net.stage(half, 1, levels[1], levels[2])
    x = net.stage(quarter, 2, levels[2], levels[3])
    for number in (3, 4):
        x = net.stage(x, number, levels[3])
    x = x * net.gates(context, alpha)
    for number, skip in ((1, quarter), (2, half), (3, own)):
        x = torch.cat([net.up(x, number, levels[4 - number], levels[3 - number]), skip], 1)
    for number in (0, 2):
        x = torch.nn.functional.leaky_relu(net.conv(x, f"head.{number}", levels[0]), 0.01)
    return torch.sigmoid(net.conv(x, "head.4", levels[0]))[:, 0]


class _Old:
    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.w = weights

    def conv(self, x: Tensor, name: str, sites: Sites, to: Sites | None = None, taps: list[Tap] = CENTRED) -> Tensor:
        """Submanifold, or strided to the sites `to`. The kernel is viewed as (-1, channels that come, out)."""
        kernel = self.w[f"{name}.weight"]
        slices = kernel.reshape(-1, x.shape[1], kernel.shape[3])
        target, step = (sites, 1) if to is None else (to, 2)
        found = x.new_zeros(len(target), kernel.shape[3])
        for number, dy, dx in taps if kernel.shape[0] == 3 else [(0, 0, 0)]:
            for (y, v), row in target.items():
                source = sites.get((step * y + dy, step * v + dx))
                if source is not None:
                    found[row] += x[source] @ slices[number]
        return found + self.w.get(f"{name}.bias", torch.zeros(()))

    def norm(self, x: Tensor, name: str) -> Tensor:
        w = [self.w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return torch.nn.functional.batch_norm(x, *w)

    def layer(self, x: Tensor, conv: str, bn: str, sites: Sites, to: Sites | None = None) -> Tensor:
        return self.norm(self.conv(x, f"backbone.{conv}", sites, to), f"backbone.{bn}")

    def stage(self, x: Tensor, number: int, sites: Sites, to: Sites | None = None) -> Tensor:
        taps = OFF_CENTRE if number == 4 else CENTRED
        name, at = f"backbone.layer{number}", sites if to is None else to
        y = self.norm(self.conv(x, f"{name}.0.conv1", sites, to, taps), f"{name}.0.bn1").relu()
        y = self.norm(self.conv(y, f"{name}.0.conv2", at), f"{name}.0.bn2")
        short = self.norm(self.conv(x, f"{name}.0.downsample.0", sites, to, taps), f"{name}.0.downsample.1")
        x = (y + short).relu()
        y = self.norm(self.conv(x, f"{name}.1.conv1", at), f"{name}.1.bn1").relu()
        return (self.norm(self.conv(y, f"{name}.1.conv2", at), f"{name}.1.bn2") + x).relu()

    def up(self, x: Tensor, number: int, sites: Sites, to: Sites) -> Tensor:
        """The strided layer's pairs, the other way round."""
        kernel = self.w[f"up{number}.0.weight"].reshape(9, x.shape[1], -1)
        found = self.w[f"up{number}.0.bias"].repeat(len(to), 1)
        for tap, dy, dx in CENTRED:
            for (y, v), row in sites.items():
                target = to.get((2 * y + dy, 2 * v + dx))
                if target is not None:
                    found[target] += x[row] @ kernel[tap]
        return torch.nn.functional.leaky_relu(self.norm(found, f"up{number}.1"), 0.01)

    def gates(self, context: Tensor, alpha: Tensor) -> Tensor:
        size = context.shape[-2:]
        mask = torch.nn.functional.interpolate(alpha[None, None], size, mode="bilinear")[0]
        pooled = [(context * m).mean((1, 2)) for m in (mask, 1 - mask)]
        parts = [(self._dense(f"cam.{n}", p)).relu() for n, p in zip(("fg", "bg"), pooled, strict=True)]
        return torch.sigmoid(self._dense("cam.gate", torch.cat(parts)))

    def _dense(self, name: str, x: Tensor) -> Tensor:
        return self.w[f"{name}.weight"].flatten(1) @ x + self.w[f"{name}.bias"]


def _sites(mask: Tensor) -> Sites:
    return {(int(y), int(x)): row for row, (y, x) in enumerate(mask.nonzero())}


def _coarser(sites: Sites, height: int, width: int) -> Sites:
    """Sites of a level of that size whose 3x3 window, stride 2, padding 1, holds an active one."""
    found = {((y + dy) // 2, (x + dx) // 2) for y, x in sites for dy in (0, 1) for dx in (0, 1)}
    return {site: row for row, site in enumerate(sorted((y, x) for y, x in found if y < height and x < width))}
