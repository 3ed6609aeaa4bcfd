"""What refiners and their memory budget do to whole planes, for planes on the host and on a device alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import Tensor

from uhrmat.media.resample import Shape, downsample_mask, downsample_picture, downsample_trimap
from uhrmat.refine import fuse
from uhrmat.refine.memory.tiling import Part, count_cells
from uhrmat.sparsity.spatial import remaining_active

if TYPE_CHECKING:
    from uhrmat.refine.base import RefineInput

Plane = Any
"""A map of a picture: np.ndarray on the host, torch.Tensor on a device."""


class PlaneOperations(Protocol):
    """Operations on planes of one kind. Names and arguments are those of `media.resample`, `sparsity` and `fuse`."""

    def count_cells(self, inputs: RefineInput) -> np.ndarray:
        """Active pixels in each cell, see `memory.tiling.count_cells`."""

    def unknown_trimap(self, inputs: RefineInput) -> Plane:
        """(H, W) uint8, 128 everywhere."""

    def no_pixels(self, inputs: RefineInput) -> Plane:
        """(H, W) bool, False everywhere."""

    def downsample_picture(self, picture: Any, shape: Shape) -> Any: ...
    def downsample_trimap(self, trimap: Plane, shape: Shape) -> Plane: ...
    def downsample_mask(self, mask: Plane, shape: Shape) -> Plane: ...
    def remaining_active(self, active: Plane, prior: Plane, refined: bool) -> Plane: ...
    def upsampled_prior(self, prior: Plane, trimap: Plane, out: Plane | None = None) -> Plane: ...
    def apply_trimap(self, alpha: Plane, trimap: Plane) -> None: ...

    def keep_for_retry(self, inputs: RefineInput, alpha: Plane) -> Callable[[], None]:
        """A function that restores every pixel of `alpha` that a try may write."""

    def keep_halo(self, active: Plane, alpha: Plane, part: Part) -> Callable[[], None]:
        """A function that restores the active pixels of a part's halo in `alpha`."""


class HostPlanes:
    """`PlaneOperations` on NumPy arrays."""

    def count_cells(self, inputs: RefineInput) -> np.ndarray:
        return count_cells(inputs.active)

    def unknown_trimap(self, inputs: RefineInput) -> np.ndarray:
        return np.full(inputs.size, 128, np.uint8)

    def no_pixels(self, inputs: RefineInput) -> np.ndarray:
        return np.zeros(inputs.size, bool)

    downsample_picture = staticmethod(downsample_picture)
    downsample_trimap = staticmethod(downsample_trimap)
    downsample_mask = staticmethod(downsample_mask)
    remaining_active = staticmethod(remaining_active)
    upsampled_prior = staticmethod(fuse.upsampled_prior)
    apply_trimap = staticmethod(fuse.apply_trimap)

    def keep_for_retry(self, inputs: RefineInput, alpha: np.ndarray) -> Callable[[], None]:
        # Active pixels and, in a cascade, unknown ones.
        written = np.ones(inputs.size, bool) if inputs.trimap is None else inputs.active | (inputs.trimap == 128)
        before = alpha[written]

        def restore() -> None:
            alpha[written] = before

        return restore

    def keep_halo(self, active: np.ndarray, alpha: np.ndarray, part: Part) -> Callable[[], None]:
        halo = active[part.window].copy()
        halo[part.core_in_window] = False
        kept = alpha[part.window][halo]

        def restore() -> None:
            alpha[part.window][halo] = kept

        return restore


def planes_of(plane: Plane) -> PlaneOperations:
    """The operations for planes of this one's kind."""
    if isinstance(plane, Tensor):
        from uhrmat.refine.resident.planes import ON_DEVICE

        return ON_DEVICE
    return ON_HOST


ON_HOST: PlaneOperations = HostPlanes()
