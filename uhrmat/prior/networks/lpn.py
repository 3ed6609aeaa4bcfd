"""Low-resolution prior networks (LPN): `PersonNet` and `SubjectNet` find people and subjects without any hint.

SparseMat (Sun, Tang, Tai, CVPR 2023, §3.2) puts a MobileNetV2 encoder-decoder with skips before its sparse refiner;
this is a network of our own from the same kind of blocks: plain convolutions where pictures are still large, inverted
residuals (Sandler et al., CVPR 2018) with squeeze-and-excitation (Hu et al., CVPR 2018) below, a global summary
beside the 1/32 stage, skips up to 1/2. What differs from the paper: 1.5 M parameters instead of 4.0 M; every halving
but the first averages more pixels than it drops (Zhang, ICML 2019), so that a moving edge changes the matte smoothly;
the last doubling places the logits' sub-pixels (Shi et al., CVPR 2016).

A network is trained with batch normalisation and shipped without: `fold_batch_norm` moves it into the convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.hub.tensors import check_input_version, load_into, load_tensors
from uhrmat.prior.networks.mobilenet import mobilenet_v2_stages

INPUT_VERSION = 1
"""Version of the inputs that these networks' weights are trained on, kept in the files' metadata and checked on load.
Version 1: RGB of a display-referred picture in [0, 1], scaled to [-1, 1] inside, at `LpnConfig.working_size` pixels on
the short side. Raise it with any change of these, and train the weights again."""
STRIDE = 32
"""The deepest stage's stride: pictures are padded up to a multiple of it inside."""
CONTEXT = 64
"""Channels of the context features, which lie at 1/16 of the picture's size."""
_EXPANSION = 3
"""Channels inside an inverted residual, as a multiple of its input's. Weights depend on it."""


@dataclass(frozen=True, kw_only=True)
class LpnConfig:
    """Size of a low-resolution prior network.

    Args:
        half: channels at 1/2 of the picture's size.
        quarter: channels at 1/4.
        stages: width, number of blocks and squeeze-and-excitation of the stages at 1/8, 1/16 and 1/32.
        decoder: channels of the decoder at 1/16, 1/8, 1/4 and 1/2.
        outputs: planes of logits.
        working_size: pixels on the picture's short side at inference. 256 measured best with the bundled weights
            (`python -m benchmarks.person --short ...`); weights are trained for it, see `INPUT_VERSION`.
        encoder: "averaging", our own blocks, whose stages halve by averaging; or "mobilenet_v2", whose stages are those
            of MobileNetV2 (width 1), so that they can start from features learned on many more photographs.
    """

    half: int
    quarter: int
    stages: tuple[tuple[int, int, bool], ...]
    decoder: tuple[int, int, int, int]
    outputs: int = 1
    working_size: int = 256
    encoder: str = "averaging"


PERSON = LpnConfig(
    half=16, quarter=32, stages=((48, 3, False), (96, 4, True), (160, 5, True)), decoder=(CONTEXT, 48, 32, 12)
)
SUBJECT = LpnConfig(
    half=16, quarter=24, stages=((32, 3, False), (96, 7, False), (320, 4, False)), decoder=(CONTEXT, 48, 32, 12),
    outputs=2, encoder="mobilenet_v2",
)  # fmt: skip


class LPNOutput(NamedTuple):
    """logits: (B, outputs, H, W) before the sigmoid; context: (B, CONTEXT, ceil(H / 16), ceil(W / 16))."""

    logits: Tensor
    context: Tensor


class PersonNet(nn.Module):
    """RGB (B, 3, H, W) in [0, 1] of any size to an `LPNOutput`: how much of each pixel belongs to people."""

    config: LpnConfig = PERSON

    def __init__(self, norm: bool = True) -> None:
        """norm: with batch normalisation, for training; without, for weights of `fold_batch_norm`."""
        super().__init__()
        size = self.config
        self.stem: nn.Sequential
        if size.encoder == "mobilenet_v2":
            self.stem, self.stages = mobilenet_v2_stages()
        else:
            self.stem = _conv(3, size.half, 3, False, stride=2)
            quarter = (_conv(size.half, size.quarter, 3, norm), _conv(size.quarter, size.quarter, 3, norm))
            self.stages = nn.ModuleList([nn.Sequential(*quarter)])
            wide = size.quarter
            for width, count, gated in size.stages:
                blocks = [InvertedResidual(wide, width, gated, norm)]
                blocks += [InvertedResidual(width, width, gated, norm) for _ in range(count - 1)]
                self.stages.append(nn.Sequential(*blocks))
                wide = width
        skips = [size.half, size.quarter, *(width for width, _, _ in size.stages)]
        wide = skips[-1]
        self.summary = nn.Linear(wide, wide)
        self.ups = nn.ModuleList()
        for skip, width in zip(skips[-2:0:-1], size.decoder, strict=False):
            self.ups.append(Merge(wide, skip, width, norm))
            wide = width
        self.last = _conv(wide, size.decoder[-1], 1, False)
        self.sharp = _conv(size.decoder[-1] + size.half, size.decoder[-1], 3, False)
        self.head = nn.Conv2d(size.decoder[-1], 4 * size.outputs, 3, padding=1)

    @property
    def widths(self) -> dict[str, int]:
        """Channels of encoder and decoder features of `forward_features` together, by the size of their grid."""
        (eighth, *_), (sixteenth, *_) = self.config.stages[:2]
        deepest, deep, shallow, _ = self.config.decoder
        return {"quarter": self.config.quarter + shallow, "eighth": eighth + deep, "sixteenth": sixteenth + deepest}

    def forward(self, image: Tensor) -> LPNOutput:
        """RGB (B, 3, H, W) in [0, 1] of any size to logits of that size."""
        return self.forward_features(image)[0]

    def forward_features(self, image: Tensor) -> tuple[LPNOutput, dict[str, tuple[Tensor, Tensor]]]:
        """The output, and encoder and decoder features by the size of their grid.

        The picture is padded by its own border to a multiple of `STRIDE`; the grids of `widths` cover the padded
        picture.
        """
        height, width = image.shape[-2:]
        x = self.stem(F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE), "replicate") * 2 - 1)
        skips = [x]
        averaging = self.config.encoder == "averaging"
        for stage in self.stages:
            x = stage(_halve(x) if averaging else x)
            skips.append(x)
        x = x + self.summary(x.mean((-2, -1)))[..., None, None]
        features = []
        for up, skip in zip(self.ups, skips[-2:0:-1], strict=True):
            x = up(x, skip)
            features.append(x)
        x = self.sharp(torch.cat([_double(self.last(x)), skips[0]], 1))
        logits = F.pixel_shuffle(self.head(x), 2)[..., :height, :width]
        grids = {grid: (down, up) for grid, down, up in zip(self.widths, skips[1:-1], reversed(features), strict=True)}
        return LPNOutput(logits.float(), features[0][..., : -(-height // 16), : -(-width // 16)].float()), grids


class SubjectNet(PersonNet):
    """RGB (B, 3, H, W) in [0, 1] of any size to logits (B, 2, H, W): plane 0 is the salient subject, plane 1 people.

    Its encoder is MobileNetV2's; batch normalisation, if any, is in the decoder alone.
    """

    config = SUBJECT


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, gate, 1x1 down, plus the input where widths agree."""

    def __init__(self, inputs: int, outputs: int, gated: bool, norm: bool) -> None:
        super().__init__()
        wide = inputs * _EXPANSION
        self.expand = _conv(inputs, wide, 1, norm)
        self.spread = _conv(wide, wide, 3, norm, groups=wide)
        self.gate = SqueezeExcite(wide) if gated else nn.Identity()
        self.project = _conv(wide, outputs, 1, norm, act=False)
        self.skip = inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        change: Tensor = self.project(self.gate(self.spread(self.expand(x))))
        return x + change if self.skip else change


class SqueezeExcite(nn.Module):
    """Squeeze and excitation: a factor for every channel from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, channels // 8), nn.Linear(channels // 8, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W), unchanged in shape."""
        factors = self.excite(F.relu(self.squeeze(x.mean((-2, -1)))))
        return x * torch.sigmoid(factors)[..., None, None].to(x.dtype)


class Merge(nn.Module):
    """Twice the size, joined with the skip of that size, mixed by a convolution."""

    def __init__(self, inputs: int, skip: int, outputs: int, norm: bool) -> None:
        super().__init__()
        self.narrow = _conv(inputs, outputs, 1, norm)
        self.mix = _conv(outputs + skip, outputs, 3, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, h, w) and (B, skip, 2h, 2w) to (B, outputs, 2h, 2w)."""
        mixed: Tensor = self.mix(torch.cat([_double(self.narrow(x)), skip], 1))
        return mixed


def _halve(x: Tensor) -> Tensor:
    """Half the size, each pixel the mean of the 4 x 4 around it, without detail finer than the new grid."""
    return F.avg_pool2d(x, 4, 2, 1, count_include_pad=False)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _conv(
    inputs: int, outputs: int, kernel: int, norm: bool, *, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=not norm)
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu" if act else "linear")
    parts: list[nn.Module] = [conv]
    if norm:
        parts.append(nn.BatchNorm2d(outputs, momentum=0.03))
    if act:
        parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


@torch.inference_mode()
def person_alpha(net: PersonNet, image: Tensor) -> tuple[Tensor, Tensor]:
    """Alpha of people: the mean of the network's outputs for a picture and for its mirror image.

    Args:
        net: in evaluation mode.
        image: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 1, H, W) in [0, 1]; and the context features of the picture, see `LPNOutput`.
    """
    output = net(torch.cat([image, image.flip(-1)]).contiguous(memory_format=torch.channels_last))
    straight, mirrored = torch.sigmoid(output.logits).chunk(2)
    return (straight + mirrored.flip(-1)) / 2, output.context[: len(image)]


@torch.no_grad()
def fold_batch_norm(net: PersonNet) -> PersonNet:
    """A network without batch normalisation that computes the same as `net` in evaluation mode."""
    plain = SubjectNet(norm=False) if isinstance(net, SubjectNet) else PersonNet(norm=False)
    plain.load_state_dict(folded_tensors(net, plain))
    return plain.eval()


@torch.no_grad()
def folded_tensors(net: nn.Module, plain: nn.Module) -> dict[str, Tensor]:
    """The tensors of `plain`, which is `net` without batch normalisation, that compute the same in evaluation mode.

    Each normalisation follows its convolution in an nn.Sequential, where the convolution has no bias.
    """
    tensors = {name: value.clone() for name, value in net.state_dict().items()}
    for name, module in net.named_modules():
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            conv, scale = module[0], module[1]
            assert isinstance(conv, nn.Conv2d) and scale.running_mean is not None and scale.running_var is not None
            factor = scale.weight / torch.sqrt(scale.running_var + scale.eps)
            tensors[f"{name}.0.weight"] = conv.weight * factor[:, None, None, None]
            tensors[f"{name}.0.bias"] = scale.bias - scale.running_mean * factor
    names = plain.state_dict().keys()
    return {name: value for name, value in tensors.items() if name in names}


def load_person(path: str | Path) -> PersonNet:
    """The person network of a .safetensors file, for evaluation.

    Raises:
        WeightsError: the file holds another network, or was trained on other inputs, see `INPUT_VERSION`.
    """
    tensors, metadata = load_tensors(Path(path))
    check_input_version(metadata, Path(path), INPUT_VERSION, "lpn-person")
    return load_into(PersonNet(norm=False), tensors, Path(path), "lpn-person", "uhrmat train lpn")


def load_subject(path: str | Path) -> SubjectNet:
    """The subject network of a .safetensors file, for evaluation.

    Raises:
        WeightsError: the file holds another network, or was trained on other inputs, see `INPUT_VERSION`.
    """
    tensors, metadata = load_tensors(Path(path))
    check_input_version(metadata, Path(path), INPUT_VERSION, "lpn-subject")
    return load_into(SubjectNet(norm=False), tensors, Path(path), "lpn-subject", "uhrmat train subject")
