"""Interface of refiners: `RefineInput`, the protocol `Refiner`, and the protocols that a memory budget needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.memory.tiling import RefineWindow
from uhrmat.refine.planes import Plane
from uhrmat.sparse.active import LEVELS


@dataclass(frozen=True)
class RefineInput:
    """One picture at one scale, as a refiner sees it: on the host in NumPy arrays or on a device in tensors.

    Attributes:
        picture: The picture, (H, W) pixels: a `media.Picture`, on a device a `resident.picture.ResidentPicture`.
        small: Low-resolution copy of the picture, (h, w, 3) float32 in [0, 1].
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        trimap: (H, W) uint8 {0, 128, 255}, or None where nothing is known.
        active: (H, W) bool, the pixels to refine.
        levels: Levels of the active set that the refiner uses; on a device no others are made.
    """

    picture: Any
    small: Plane
    prior: Plane
    trimap: Plane | None
    active: Plane
    levels: int = LEVELS

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.picture.height, self.picture.width


RefineLevel = Callable[[RefineInput, Plane], None]
"""Refines the active pixels of one pyramid level's alpha, (H, W) float32, in place."""


class Refiner(Protocol):
    """A method that computes alpha at the active pixels. To add one, see `uhrmat.refine.registry`.

    Attributes:
        name: Of the method, for reports.
        engine: Name of the engine that runs its convolutions, "none" where it has none.
    """

    name: str
    engine: str

    def refine(self, inputs: RefineInput, alpha: Plane) -> None:
        """Refines `alpha` at the active pixels, in place.

        Args:
            inputs: The picture with its prior.
            alpha: (H, W) float32, the upsampled prior (`fuse.upsampled_prior`). Refined values may leave [0, 1] by a
                little; `fuse.apply_trimap` clips them.
        """


@runtime_checkable
class TileableRefiner(Protocol):
    """A refiner that can work window by window, so that a picture of any size fits a memory budget.

    Attributes:
        reach: Radius of its receptive field, pixels.
        cost: Memory that it needs, see `memory.cost`.
    """

    reach: int
    cost: Cost

    def prepare(self, inputs: RefineInput, alpha: Plane) -> RefineWindow:
        """Does once what all windows share, and returns the function that refines one window of `alpha` in place."""

    def finish(self, inputs: RefineInput, alpha: Plane) -> None:
        """Corrects the whole alpha in place, once every window is refined."""


@runtime_checkable
class PyramidRefiner(TileableRefiner, Protocol):
    """A tileable refiner that goes to full resolution level by level, by factors of at most two."""

    def refine_pyramid(self, inputs: RefineInput, alpha: Plane, refine_level: RefineLevel) -> Plane:
        """Refines every level by `refine_level`, coarse to fine.

        Returns:
            (H, W) bool, the pixels that the last level refined.
        """
