"""What every sparse engine can do, in the words of masked dense convolution.

A network is written once against `Engine`; `dense` gives the operations their meaning (and gradients), the other
engines reach the same numbers with work that follows the active pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Act = str | float | None
"""None, "relu", or the negative slope of a leaky ReLU."""

SampleFn = Callable[[Tensor, Tensor], Tensor]
"""fn(ys, xs): int64 coordinates of equal shape S, inside the picture -> float tensor of shape S + (C,)."""


@dataclass(frozen=True)
class Feat:
    """Features on the active sites of one level (stride 2**level). `data` is laid out as its engine likes it."""

    data: Tensor
    level: int


def activate(x: Tensor, act: Act) -> Tensor:
    """`x` through the activation; in place where no gradient is being recorded."""
    if act is None:
        return x
    inplace = not (torch.is_grad_enabled() and x.requires_grad)
    slope = 0.0 if act == "relu" else float(act)
    if slope == 0.0:
        return torch.relu_(x) if inplace else torch.relu(x)
    return torch.nn.functional.leaky_relu(x, slope, inplace)


def write_features(target: Tensor, where: tuple[Tensor, ...], found: Tensor, add: bool) -> None:
    """target[where] = found, or += found; a target without channel axis takes the first channel."""
    found = found[:, 0] if target.ndim == 2 else found[:, : target.shape[2]]
    target[where] = target[where] + found if add else found


class Engine(ABC):
    """Operations on features that live on the active sites of a picture at strides 1, 2, 4 and 8.

    Every result is zero (or absent) off the active set of its level. Weights come in PyTorch's dense layout. An empty
    active set is valid everywhere.
    """

    name: str

    @abstractmethod
    def sample(self, fn: SampleFn) -> Feat:
        """Level-0 features from a function of coordinates, which are clamped into the picture before the call."""

    @abstractmethod
    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """Odd kernel (1 or 3), stride 1, weight (out, in, k, k); the level stays."""

    @abstractmethod
    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """3x3, stride 2, padding 1, weight (out, in, 3, 3); one level down."""

    @abstractmethod
    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """`conv_transpose2d` with stride 2 and padding 1, weight (in, out, 3, 3); one level up."""

    @abstractmethod
    def cat(self, *xs: Feat) -> Feat:
        """Channels of several features of one level, side by side."""

    @abstractmethod
    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        """Sum of two features of one level, then the activation."""

    @abstractmethod
    def scale(self, x: Feat, gate: Tensor) -> Feat:
        """Channels times `gate`, (C,) or (B, C)."""

    @abstractmethod
    def mean(self, x: Feat) -> Tensor:
        """(B, C): mean over the active sites of each picture; zero where there are none."""

    @abstractmethod
    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        """Writes level-0 features into `out`, float32 (H, W) or (H, W, C), at the active pixels only, or adds them."""

    @abstractmethod
    def values(self, x: Feat) -> Tensor:
        """(N, C): the active sites in row-major order (picture, y, x)."""
