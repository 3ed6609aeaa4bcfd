"""Operations of a sparse engine, defined as masked dense convolutions.

A network is written once against `Engine`. `dense` defines the results and computes gradients; the other engines
compute the same numbers in time and memory that follow the active pixels.
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
"""fn(ys, xs): int64 coordinates of equal shape S, inside the picture; returns a float tensor of shape S + (C,)."""


@dataclass(frozen=True)
class Feat:
    """Features on the active sites of one level.

    Attributes:
        data: Their values, in the layout of the engine that made them.
        level: 0 to 3, for strides 1, 2, 4 and 8.
    """

    data: Tensor
    level: int

    def with_data(self, data: Tensor) -> Feat:
        """Features that were computed site by site from these, and are zero where these are.

        Args:
            data: Their values, in the same layout.
        """
        return Feat(data, self.level)


def activate(x: Tensor, act: Act) -> Tensor:
    """Apply an activation, in place where no gradient is recorded.

    Args:
        x: Of any shape.
        act: The activation.
    """
    if act is None:
        return x
    inplace = not (torch.is_grad_enabled() and x.requires_grad)
    slope = 0.0 if act == "relu" else float(act)
    if slope == 0.0:
        return torch.relu_(x) if inplace else torch.relu(x)
    return torch.nn.functional.leaky_relu(x, slope, inplace)


def write_features(target: Tensor, where: tuple[Tensor, ...], values: Tensor, add: bool) -> None:
    """Write rows of channels into a picture, in place.

    Args:
        target: (H, W), which takes the first channel, or (H, W, C).
        where: (ys, xs), each (N,) int64.
        values: (N, C') with C' at least C.
        add: Whether values are added to the target's, else they replace them.
    """
    values = values[:, 0] if target.ndim == 2 else values[:, : target.shape[2]]
    target[where] = target[where] + values if add else values


class Engine(ABC):
    """Operations on features at the active sites of a picture at strides 1, 2, 4 and 8 (levels 0 to 3).

    Every result is zero, or absent, off the active set of its level. Weights are in PyTorch's dense layout. An empty
    active set is valid everywhere. The convolutions are those of SparseMat (CVPR 2023, §3.3): submanifold (SSC),
    strided (SC) and inverse (DC).

    Attributes:
        name: Of the engine.
    """

    name: str

    @abstractmethod
    def sample(self, fn: SampleFn) -> Feat:
        """Make level-0 features from a function of the active pixels' coordinates.

        Args:
            fn: Called with coordinates inside the picture, maybe several times, each time for a part of them.
        """

    @abstractmethod
    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """Submanifold convolution, stride 1, on the same level.

        Args:
            x: Features of `in` channels.
            weight: (out, in, k, k), k = 1 or 3.
            bias: (out,), or None.
            act: Activation of the result.
        """

    @abstractmethod
    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """Convolution of 3x3, stride 2, padding 1; the result is one level coarser.

        Args:
            x: Features of `in` channels.
            weight: (out, in, 3, 3).
            bias: (out,), or None.
            act: Activation of the result.
        """

    @abstractmethod
    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        """`conv_transpose2d` of 3x3, stride 2, padding 1; the result is one level finer.

        Args:
            x: Features of `in` channels.
            weight: (in, out, 3, 3).
            bias: (out,), or None.
            act: Activation of the result.
        """

    @abstractmethod
    def cat(self, *xs: Feat) -> Feat:
        """Concatenate the channels of features of one level."""

    @abstractmethod
    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        """Add features of one level and apply the activation."""

    @abstractmethod
    def scale(self, x: Feat, gate: Tensor) -> Feat:
        """Multiply each channel by its `gate`, (C,) or (B, C)."""

    @abstractmethod
    def mean(self, x: Feat) -> Tensor:
        """Mean over the active sites of each picture, (B, C); zero where there are none."""

    @abstractmethod
    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        """Write level-0 features into a picture at the active pixels, in place.

        Args:
            x: Level-0 features.
            out: (H, W) float32, which takes the first channel, or (H, W, C).
            add: Whether features are added to the picture's values, else they replace them.
        """

    @abstractmethod
    def values(self, x: Feat) -> Tensor:
        """Features of the N active sites in row-major order (picture, y, x), (N, C)."""
