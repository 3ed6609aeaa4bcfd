"""A low-resolution prior network (LPN) for pictures with a trimap: `TrimapNet` estimates what is foreground.

An affinity prior (`closed_form.affinity`) is right where colours vary along lines and wrong where subject and
background look alike. The network takes its alpha beside picture and trimap and estimates alpha at a quarter of their
size: coarse, but by what objects look like. The prior's system is then solved once more with that estimate as a data
term (`closed_form.corrected`), so that the network says what is foreground and the affinities draw its edges.

The encoder is MobileNetV2's on the picture at half size and starts from the weights of `lpn-subject`; a decoder of our
own goes up to a quarter of the size, where it sees the input's pixels in groups of 4 x 4.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import WeightsError
from uhrmat.hub.tensors import check_input_version, load_into, load_tensors
from uhrmat.prior.networks.lpn import folded_tensors
from uhrmat.prior.networks.mobilenet import mobilenet_v2_stages

INPUT_VERSION = 2
"""Version of the inputs that weights are trained on, kept in their metadata and checked on load. Version 2: RGB of a
display-referred picture in [0, 1], scaled to [-1, 1] inside, both known regions as masks, and the affinity prior's
alpha less 0.5. Raise it with any change of these, and train the weights again."""
STRIDE = 64
"""The deepest stage's stride: pictures are padded up to a multiple of it inside."""
GRID = 4
"""Pixels of the picture on a side of one pixel of the estimate."""
_PLANES = 3
_ENCODER = (16, 24, 32, 96, 320)
"""Channels of the encoder at 1/4, 1/8, 1/16, 1/32 and 1/64 of the picture's size."""
_DECODER = (96, 64, 48, 48)
"""Channels of the decoder at 1/32, 1/16, 1/8 and 1/4."""
_DETAIL = 48
_ENCODER_SCALE = 0.25
"""Factor on the encoder's features, whose magnitude is about 4, where the decoder takes them."""


class TrimapNet(nn.Module):
    """Picture, trimap and an affinity prior's alpha to logits of alpha at a quarter of the size."""

    def __init__(self, norm: bool = False) -> None:
        """norm: with batch normalisation in the decoder, for training; without, for folded weights."""
        super().__init__()
        self.stem, self.stages = mobilenet_v2_stages()
        first = self.stem[0]
        assert isinstance(first, nn.Conv2d)
        self.stem[0] = nn.Conv2d(3 + _PLANES, first.out_channels, 3, 2, 1)
        self.detail = _pair(GRID**2 * (3 + _PLANES), _DETAIL, norm)
        self.narrow, self.mix, wide = nn.ModuleList(), nn.ModuleList(), _ENCODER[-1]
        for skip, width in zip(reversed(_ENCODER[:-1]), _DECODER, strict=True):
            self.narrow.append(nn.Conv2d(wide, width, 1))
            self.mix.append(_pair(width + skip, width, norm))
            wide = width
        self.last = _pair(wide + _DETAIL, _DETAIL, norm)
        self.head = nn.Conv2d(_DETAIL, 1, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, known: Tensor, closed: Tensor) -> Tensor:
        """Estimate alpha.

        Args:
            image: (B, 3, H, W) in [0, 1].
            known: (B, 2, H, W), 1 where the trimap is foreground, and where it is background.
            closed: (B, 1, H, W) in [0, 1], the affinity prior's alpha.

        Returns:
            (B, 1, ceil(H / 4), ceil(W / 4)) logits, each of the mean alpha of 4 x 4 pixels.
        """
        height, width = image.shape[-2:]
        x = torch.cat([image * 2 - 1, known, closed - 0.5], 1)
        x = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), "replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        detail = self.detail(F.pixel_unshuffle(x, GRID))
        y = self.stem(F.avg_pool2d(x, 2))
        skips = [y]
        for stage in self.stages:
            y = stage(y)
            skips.append(y)
        y = _ENCODER_SCALE * (y + y.mean((-2, -1), keepdim=True))
        for narrow, mix, skip in zip(self.narrow, self.mix, reversed(skips[:-1]), strict=True):
            up = F.interpolate(narrow(y), scale_factor=2, mode="bilinear", align_corners=False)
            y = mix(torch.cat([up, _ENCODER_SCALE * skip], 1))
        logits: Tensor = self.head(self.last(torch.cat([y, detail], 1)))
        return logits.float()[..., : -(-height // GRID), : -(-width // GRID)]


def _pair(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, norm), _conv(outputs, outputs, norm))


def _conv(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm)
    nn.init.kaiming_normal_(conv.weight, a=0.1)
    parts: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, momentum=0.03)] if norm else [conv]
    return nn.Sequential(*parts, nn.LeakyReLU(0.1, inplace=True))


@torch.no_grad()
def start_encoder(net: TrimapNet, tensors: dict[str, Tensor]) -> None:
    """Give the encoder of `net` that of `lpn-subject`; the planes which that has not seen begin without effect.

    Args:
        net: changed in place.
        tensors: of `lpn-subject`, see `lpn.load_subject`.

    Raises:
        WeightsError: a tensor is missing or has another shape.
    """
    state = net.state_dict()
    for name, value in state.items():
        if not name.startswith(("stem.", "stages.")):
            continue
        given = tensors.get(name)
        if given is None or given.shape[:1] + given.shape[2:] != value.shape[:1] + value.shape[2:]:
            raise WeightsError(f"The weights have no {name} of this shape.", "Start from those of lpn-subject.")
        if given.dim() == 1:
            value.copy_(given)
        else:
            value.zero_()[:, : given.shape[1]] = given
    net.load_state_dict(state)


@torch.inference_mode()
def estimate_alpha(net: TrimapNet, image: Tensor, known: Tensor, closed: Tensor) -> Tensor:
    """The affinity prior's alpha with the network's change of it, at the picture's size.

    The change is the difference of the network's alpha (of the mean of the logits of a picture and of its mirror image)
    and of the prior's averaged over the same 4 x 4 pixels, enlarged: where the two agree at that size the prior's
    detail stays as it is.

    Args:
        net: in evaluation mode.
        image, known, closed: see `TrimapNet.forward`.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    height, width = closed.shape[-2:]
    # to a multiple of the grid, so that the mirror image's pixels fall into the same groups
    padded = [F.pad(x, (0, -width % GRID, 0, -height % GRID), "replicate") for x in (image, known, closed)]
    logits = net(*padded) + net(*(x.flip(-1) for x in padded)).flip(-1)
    change = torch.sigmoid(logits / 2) - F.avg_pool2d(padded[2], GRID)
    full = F.interpolate(change, scale_factor=GRID, mode="bilinear", align_corners=False)
    return (closed + full[..., :height, :width]).clamp(0, 1)


def fold_trimap_net(net: TrimapNet) -> TrimapNet:
    """A network without batch normalisation that computes the same as `net` in evaluation mode."""
    plain = TrimapNet()
    plain.load_state_dict(folded_tensors(net, plain))
    return plain.eval()


def load_trimap_net(path: str | Path) -> TrimapNet:
    """The network of a .safetensors file, for evaluation.

    Raises:
        WeightsError: the file holds another network, or was trained on other inputs, see `INPUT_VERSION`.
    """
    tensors, metadata = load_tensors(Path(path))
    check_input_version(metadata, Path(path), INPUT_VERSION, "lpn-trimap")
    return load_into(TrimapNet(), tensors, Path(path), "lpn-trimap", "uhrmat train trimap")
