"""What cameras, processing and files do to pictures, for batches on any device: tone, colour, blur, noise, JPEG."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)


def simulate_camera(image: Tensor, dice: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1], sides multiples of 8, with random exposure, colour, blur, noise, compression."""
    image = adjust_tone(image, dice, 1.0)
    image = torch.where(_some(image, dice, 0.07), _grey(image).expand_as(image), image)
    image = torch.where(_some(image, dice, 0.25), _blurred(image, dice), image)
    strength = torch.exp(_dice(image, dice) * math.log(14)) / 255
    noise = torch.randn(image.shape, generator=dice, device=image.device) * strength
    image = torch.where(_some(image, dice, 0.35), image + noise, image).clamp(0, 1)
    return torch.where(_some(image, dice, 0.35), _compressed(image, dice), image).clamp(0, 1)


def adjust_tone(image: Tensor, dice: torch.Generator, strength: float) -> Tensor:
    """A random tone curve, channel gains and saturation for each picture (B, 3, H, W) in [0, 1]."""
    gamma = torch.exp(0.25 * strength * _normal(image, dice))
    channels = torch.randn(len(image), 3, 1, 1, generator=dice, device=image.device)
    gain = torch.exp(0.13 * strength * _normal(image, dice) + 0.07 * strength * channels)
    image = (image.clamp(1e-4, 1) ** gamma * gain + 0.03 * strength * _normal(image, dice)).clamp(0, 1)
    colour = (1 + 0.35 * strength * _normal(image, dice)).clamp(0, 1.8)
    colour = torch.where(_some(image, dice, 0.5), colour, torch.ones_like(colour))
    grey = _grey(image)
    return (grey + colour * (image - grey)).clamp(0, 1)


def _grey(image: Tensor) -> Tensor:
    return (image * image.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)


def _blurred(image: Tensor, dice: torch.Generator) -> Tensor:
    """A Gaussian of its own width, 0.4 to 2 pixels, for each picture."""
    sigma = 0.4 + 1.6 * _dice(image, dice).flatten()
    steps = torch.arange(-5, 6, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    count, _, height, width = image.shape
    x = F.pad(image, (5, 5, 5, 5), "reflect").reshape(1, count * 3, height + 10, width + 10)
    x = F.conv2d(x, kernel[:, None, None, :], groups=count * 3)
    return F.conv2d(x, kernel[:, None, :, None], groups=count * 3).reshape(image.shape)


def _compressed(image: Tensor, dice: torch.Generator) -> Tensor:
    """JPEG's loss: coefficients of 8 x 8 blocks rounded to steps that grow with the frequency, chroma's coarser."""
    basis = _cosines(image)
    step = 0.008 * torch.exp(_dice(image, dice) * math.log(12))
    ramp = torch.arange(8, device=image.device, dtype=image.dtype)
    steps = step[..., None, None] * (1 + 0.55 * (ramp[:, None] + ramp))  # (B, 1, 1, 1, 8, 8)
    to = image.new_tensor([_LUMA, (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813)])
    ycc = torch.einsum("dc,bchw->bdhw", to, image)
    count, _, height, width = image.shape
    blocks = ycc.reshape(count, 3, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    coefficients = basis @ blocks @ basis.T
    scale = image.new_tensor([1.0, 2.0, 2.0])[:, None, None, None, None] * steps
    coefficients = basis.T @ ((coefficients / scale).round() * scale) @ basis
    ycc = coefficients.permute(0, 1, 2, 4, 3, 5).reshape(count, 3, height, width)
    return torch.einsum("cd,bdhw->bchw", torch.linalg.inv(to), ycc)


def _cosines(like: Tensor) -> Tensor:
    n = torch.arange(8, device=like.device, dtype=like.dtype)
    basis = torch.cos((2 * n[None] + 1) * n[:, None] * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _dice(image: Tensor, dice: torch.Generator) -> Tensor:
    return torch.rand(len(image), 1, 1, 1, generator=dice, device=image.device)


def _normal(image: Tensor, dice: torch.Generator) -> Tensor:
    return torch.randn(len(image), 1, 1, 1, generator=dice, device=image.device)


def _some(image: Tensor, dice: torch.Generator, share: float) -> Tensor:
    return _dice(image, dice) < share
