"""Refines a picture of the host on a device: one upload, one download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from uhrmat.core.devices import on_device
from uhrmat.core.transfer import Array, download, upload
from uhrmat.media import Picture
from uhrmat.refine.base import PyramidRefiner, RefineInput, Refiner
from uhrmat.refine.pyramid import pyramid_shapes
from uhrmat.refine.resident.picture import ResidentPicture, flat_pixels, new_plane
from uhrmat.refine.resident.planes import apply_trimap, trimap_from_alpha, trimap_mask, upsampled_prior
from uhrmat.refine.runner import RefineOutcome, refine_within
from uhrmat.refine.sparse_refiner import SparseRefiner

_PLANES = 48
"""Bytes for each pixel of a picture that its planes take on a device beside the stored colours: trimap, active pixels,
alpha and its bounds, the alpha that a retry starts from, buffer rows at four levels, temporary planes. Counted, not
measured."""


EstimateColours = Callable[[torch.Tensor, torch.Tensor], "torch.Tensor | None"]
"""The foreground's colours of stored pixels (H, W, 3) with their alpha (H, W), in the pixels' type, or None where the
memory ran out."""


@dataclass(frozen=True)
class HostPlanes:
    """A picture and what is known of it, on the host.

    Attributes:
        picture: The picture.
        small: Low-resolution copy, (h, w, 3) float32 in [0, 1].
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        trimap: (H, W) uint8 {0, 128, 255}; None makes one of the prior (`spatial.trimap_from_alpha`).
        active: (H, W) bool, the pixels to refine; None takes those of the trimap (`spatial.trimap_mask`).
        alpha: (H, W) float32 that is refined; None takes the upsampled prior.
    """

    picture: Picture
    small: np.ndarray
    prior: np.ndarray
    trimap: np.ndarray | None
    active: np.ndarray | None = None
    alpha: np.ndarray | None = None


@dataclass(frozen=True)
class HostResult:
    """What came back.

    Attributes:
        alpha: (H, W) float32.
        trimap: (H, W) uint8 {0, 128, 255}, the given one or the one made.
        outcome: What the refiner did.
        colours: (H, W, 3) of the picture's type, the foreground's colours, or None.
    """

    alpha: np.ndarray
    trimap: np.ndarray
    outcome: RefineOutcome
    colours: np.ndarray | None = None


def resident_bytes(picture: Picture) -> int:
    """Bytes that a picture's planes take on a device beside what the refiner itself needs."""
    return picture.height * picture.width * (3 * picture.pixels.dtype.itemsize + _PLANES)


def stays_on_device(refiner: Refiner, picture: Picture, limit: int) -> bool:
    """Whether a picture is refined with everything on the device: on CUDA, within half of the limit in bytes.

    Scene-linear pictures are not: only their active pixels are converted, on the host.
    """
    if not isinstance(refiner, SparseRefiner) or refiner.device.type != "cuda" or picture.info.linear:
        return False
    return resident_bytes(picture) <= limit // 2


@torch.inference_mode()
def refine_on_device(
    refiner: SparseRefiner[Any], host: HostPlanes, mode: str, limit: int, finished: bool = False,
    estimate_colours: EstimateColours | None = None,
) -> HostResult:  # fmt: skip
    """Refine a picture within a memory limit.

    Args:
        refiner: Has the device.
        host: The picture.
        mode: One of `runner.MODES`.
        limit: Bytes of the device beside those that are held already.
        finished: Whether the trimap is applied, see `fuse.apply_trimap`.
        estimate_colours: Estimates the foreground's colours from the refined alpha while both are there.

    Raises:
        MemoryBudgetError: The limit is below what the smallest parts need.
    """
    with on_device(refiner.device):
        inputs, alpha = _upload(refiner, host)
        outcome = refine_within(refiner, inputs, alpha, mode, limit - resident_bytes(host.picture))
        if finished:
            assert inputs.trimap is not None
            apply_trimap(alpha, inputs.trimap)
        wanted = {"alpha": alpha, "active": outcome.active}
        if host.trimap is None:
            wanted["trimap"] = inputs.trimap
        colours = None if estimate_colours is None else estimate_colours(inputs.picture.pixels, alpha)
        if colours is not None:
            wanted["colours"] = colours
        done = dict(zip(wanted, download(list(wanted.values())), strict=True))
    trimap = done["trimap"] if host.trimap is None else host.trimap
    outcome = replace(outcome, active=done["active"])
    stored = done["colours"].view(host.picture.pixels.dtype) if "colours" in done else None
    return HostResult(done["alpha"], trimap, outcome, stored)


def _upload(refiner: SparseRefiner[Any], host: HostPlanes) -> tuple[RefineInput, torch.Tensor]:
    """The picture on the device, and the alpha that is refined."""
    pixels, size = host.picture.pixels, (host.picture.height, host.picture.width)
    given: dict[str, Array] = {"pixels": pixels, "small": host.small, "prior": host.prior}
    for name, plane in (("trimap", host.trimap), ("active", host.active), ("alpha", host.alpha)):
        if plane is not None:
            given[name] = plane
    there = dict(zip(given, upload(list(given.values()), refiner.device), strict=True))
    prior = there["prior"]
    trimap = there["trimap"] if "trimap" in there else trimap_from_alpha(prior, size)
    active = there["active"] if "active" in there else trimap_mask(trimap)
    if "alpha" in there:
        alpha = new_plane(size, refiner.device)
        alpha.copy_(there["alpha"])
    elif isinstance(refiner, PyramidRefiner) and len(pyramid_shapes(size, host.prior.shape[:2])) > 1:
        alpha = new_plane(size, refiner.device)  # the last level begins with the result of the one before
    else:
        alpha = upsampled_prior(prior, trimap)
    flat_pixels(alpha)[-1:].zero_()
    picture = ResidentPicture(there["pixels"], host.picture.info)
    return RefineInput(picture, there["small"], prior, trimap, active, refiner.levels), alpha
