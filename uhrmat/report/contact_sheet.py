"""A contact sheet of one matte: an overview, and the crops with most detail at 1:1.

Photograph, trimap (or the prior, where no trimap was given) and active pixels in red; alpha, cut-out over checks and
over green; then a row for each crop: photograph, alpha, cut-out over checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.media.display import Screen, checkerboard, downsample_colour, fit_size
from uhrmat.media.resample import downsample
from uhrmat.report.detail_crops import Crop, detail_crops

if TYPE_CHECKING:  # importing uhrmat.pipeline loads torch, which pages and sheets of stored mattes do without
    from uhrmat.pipeline import StillResult

Array = npt.NDArray[Any]
PANEL, PLACES = 640, 3
"""Longer side of a panel, pixels, and number of crops."""
_RED, _GREEN = np.array([1.0, 0.1, 0.1], np.float32), np.array([0.12, 0.66, 0.24], np.float32)
_MARK = (255, 210, 0)
_GAP, _LABEL = 6, 22


def contact_sheet(matte: StillResult, panel: int = PANEL, places: int = PLACES) -> Array:
    """Draw the contact sheet of a matte.

    Args:
        matte: A result of the pipeline.
        panel: Longer side of a panel, pixels.
        places: Largest number of crops at 1:1; there are none where the panels are at 1:1 themselves.

    Returns:
        (h, w, 3) uint8, three panels wide.
    """
    height, width = matte.alpha.shape
    size = fit_size(height, width, panel)
    screen = Screen(matte.picture.info)
    crops = detail_crops(matte.alpha, size, places) if size != (height, width) else []
    rows = [_overview(matte, screen, size, crops)]
    rows += [_crop(matte, screen, place, number) for number, place in enumerate(crops, 1)]
    return np.vstack([_row(panels) for panels in _pairs(rows)])


def _pairs(rows: list[list[tuple[str, Array]]]) -> list[list[tuple[str, Array]]]:
    """Rows of three panels."""
    return [row[i : i + 3] for row in rows for i in range(0, len(row), 3)]


def _overview(matte: StillResult, screen: Screen, size: tuple[int, int], crops: list[Crop]) -> list[tuple[str, Array]]:
    photo = _unit(screen(downsample(matte.picture.pixels, size)))
    alpha = downsample(matte.alpha, size)[..., None]
    colour = (
        photo if matte.foreground is None else _unit(screen(downsample_colour(matte.foreground, matte.alpha, size)))
    )
    active = downsample(matte.active.view(np.uint8) * np.uint8(255), size)[..., None] * np.float32(0.7 / 255)
    return [
        ("photograph", _marked(_bytes(photo), matte.alpha.shape, crops)),
        _trimap_or_prior(matte, size),
        (f"active pixels: {matte.stats.active_share:.1%}", _bytes(_over(_RED, photo, active))),
        ("alpha", _grey(alpha)),
        ("cut-out", _bytes(_over(colour, checkerboard(*size), alpha))),
        ("over green", _bytes(_over(colour, _GREEN, alpha))),
    ]


def _trimap_or_prior(matte: StillResult, size: tuple[int, int]) -> tuple[str, Array]:
    """The trimap that was given, else the low-resolution alpha."""
    if "trimap" in matte.given:
        return "trimap", _grey(downsample(matte.trimap, size)[..., None].astype(np.float32) / 255)
    prior = cv2.resize(matte.prior_alpha, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return "prior", _grey(prior[..., None])


def _crop(matte: StillResult, screen: Screen, place: Crop, number: int) -> list[tuple[str, Array]]:
    part = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
    photo = screen(matte.picture.pixels[part])
    alpha = matte.alpha[part][..., None]
    colour = photo if matte.foreground is None else screen(matte.foreground[part])
    return [
        (f"{number}: photograph, 1:1", photo),
        (f"{number}: alpha", _grey(alpha)),
        (f"{number}: cut-out", _bytes(_over(_unit(colour), checkerboard(place.height, place.width), alpha))),
    ]


def _marked(photo: Array, full: tuple[int, ...], crops: list[Crop]) -> Array:
    """The photograph with the places of the crops."""
    scale = photo.shape[0] / full[0]
    for number, place in enumerate(crops, 1):
        top, left = round(place.top * scale), round(place.left * scale)
        corner = round((place.left + place.width) * scale) - 1, round((place.top + place.height) * scale) - 1
        cv2.rectangle(photo, (left, top), corner, _MARK, 2)
        cv2.putText(photo, str(number), (left + 5, corner[1] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _MARK, 2, cv2.LINE_AA)
    return photo


def _row(panels: list[tuple[str, Array]]) -> Array:
    """Panels side by side, each with its name above it."""
    columns = []
    for name, pixels in panels:
        head = np.full((_LABEL, pixels.shape[1], 3), 32, np.uint8)
        cv2.putText(head, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (235, 235, 235), 1, cv2.LINE_AA)
        columns.append(np.pad(np.vstack([head, pixels]), ((0, _GAP), (0, _GAP), (0, 0)), constant_values=32))
    return np.hstack(columns)


def _over(front: Array, behind: Array, alpha: Array) -> Array:
    """Compositing equation."""
    return np.asarray(alpha * front + (1 - alpha) * behind)


def _unit(pixels: Array) -> npt.NDArray[np.float32]:
    return np.asarray(np.divide(pixels, np.float32(255), dtype=np.float32))


def _bytes(pixels: Array) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(pixels.clip(0, 1) * 255), np.uint8)


def _grey(pixels: Array) -> npt.NDArray[np.uint8]:
    """Convert (h, w, 1) in [0, 1] to (h, w, 3) bytes."""
    return np.repeat(_bytes(pixels), 3, axis=2)
