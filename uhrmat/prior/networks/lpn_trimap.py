"""A low-resolution prior network (LPN) for pictures with a trimap: `TrimapNet` corrects an affinity prior.

The closed form with non-local affinities (`closed_form.affinity`) is right where colours vary along lines and wrong
where subject and background look alike. The network takes its alpha beside picture and trimap and adds a residual,
which is zero at first: untrained it returns that alpha. It is a U-Net of plain convolutions without normalisation, on
groups of 2 x 2 pixels (the inverse of Shi et al., CVPR 2016).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.hub.tensors import check_input_version, load_into, load_tensors
from uhrmat.prior.networks.lpn import LPNOutput

INPUT_VERSION = 1
"""Version of the inputs that weights are trained on, kept in their metadata and checked on load. Version 1: RGB of a
display-referred picture in [0, 1] and the low-resolution alpha, 0.5 taken off each, with both known regions as masks.
Raise it with any change of these, and train the weights again."""
STRIDE = 16
"""The deepest stage's stride: pictures are padded up to a multiple of it inside."""
_INPUTS = 6
_WIDTHS = (32, 48, 72, 96)


class TrimapNet(nn.Module):
    """Picture, trimap and an affinity prior's alpha to an `LPNOutput` whose logits are alpha itself, not clamped."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        wide = 4 * _INPUTS
        for width in _WIDTHS:
            self.down.append(_pair(wide, width))
            wide = width
        self.up = nn.ModuleList()
        for width in reversed(_WIDTHS[:-1]):
            self.up.append(_pair(wide + width, width))
            wide = width
        self.head = nn.Conv2d(wide, 4, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, known: Tensor, closed: Tensor) -> LPNOutput:
        """Correct an alpha. Known pixels come out exactly 0 and 1.

        Args:
            image: (B, 3, H, W) in [0, 1].
            known: (B, 2, H, W), 1 where the trimap is foreground, and where it is background.
            closed: (B, 1, H, W) in [0, 1], the affinity prior's alpha.
        """
        height, width = image.shape[-2:]
        x = torch.cat([image - 0.5, known, closed - 0.5], 1)
        x = F.pixel_unshuffle(F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), "replicate"), 2)
        skips = []
        for number, stage in enumerate(self.down):
            x = stage(F.avg_pool2d(x, 2) if number else x)
            skips.append(x)
        context = x
        for stage, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(torch.cat([x, skip], 1))
        change = F.pixel_shuffle(self.head(x), 2)[..., :height, :width].float()
        unknown = 1 - known.sum(1, keepdim=True)
        return LPNOutput(unknown * (closed + change) + known[:, :1], context.float())


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
    return nn.Sequential(first, nn.LeakyReLU(0.1, inplace=True), second, nn.LeakyReLU(0.1, inplace=True))


def load_trimap_net(path: str | Path) -> TrimapNet:
    """The network of a .safetensors file, for evaluation.

    Raises:
        WeightsError: the file holds another network, or was trained on other inputs, see `INPUT_VERSION`.
    """
    tensors, metadata = load_tensors(Path(path))
    check_input_version(metadata, Path(path), INPUT_VERSION, "lpn-trimap")
    return load_into(TrimapNet(), tensors, Path(path), "lpn-trimap", "uhrmat train lpn")
