"""Subjects cut out of photographs by masks and teachers' labels: more shapes and surfaces than there are mattes.

Their alphas are our own affinity prior's, behind a trimap around the mask. They need not be right in the photograph:
composited on another background they are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from uhrmat.media import atomic_write
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.train.subject.photos import Photo, PhotoFiles, find_photos, read_image
from uhrmat.train.subject.pool import Pool


@dataclass(frozen=True, kw_only=True)
class CutoutParams:
    """Which subjects are cut out, and how. None is tuned.

    Attributes:
        people_every: one in so many of the street photographs, which all look alike.
        agreement: of the teachers, from which on a label is trusted, in [0, 1].
        areas: least and largest share of the photograph that the subject covers.
        mask_margin, label_margin: unknown on either side of the edge of a mask and of a label, as a share of the root
            of the photograph's area.
        least_margin: the same at least, pixels.
        least_side: shorter side of the subject's box, pixels.
        border: around the box, as a share of its longer side.
        quality: of the JPEG files, in [0, 100].
    """

    people_every: int = 4
    agreement: float = 0.8
    areas: tuple[float, float] = (0.03, 0.85)
    mask_margin: float = 0.008
    label_margin: float = 0.02
    least_margin: int = 3
    least_side: int = 100
    border: float = 0.06
    quality: int = 97


CUTOUTS = CutoutParams()


def write_cutouts(
    data: Path, pool: Pool, folder: Path, note: Callable[[str], None] = lambda _: None, params: CutoutParams = CUTOUTS
) -> None:
    """Cut the subjects out of the photographs of `data` into NAME.jpg and NAME.png (alpha); existing files are kept.

    Args:
        data: see `subject.photos`.
        pool: its photographs with their labels.
        folder: of the files.
        note: receives lines for people.
        params: which and how.

    Raises:
        InputError: a photograph cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = {(photo.source, photo.name): number for number, photo in enumerate(pool.photos) if photo.window < 0}
    chosen = list(_candidates(find_photos(data), params))
    note(f"cutting out the subjects of {len(chosen)} photographs")
    for files in chosen:
        photo = files.photo
        stem = folder / f"{photo.source}-{photo.name}"
        number = labels.get((photo.source, photo.name))
        if Path(f"{stem}.png").exists() or number is None or float(pool.agreement[number]) < params.agreement:
            continue
        picture = read_image(files.file, cv2.IMREAD_COLOR)
        label = pool.planes[number, 3].cpu().numpy() if files.subject is None else None
        mask = read_image(files.subject, cv2.IMREAD_GRAYSCALE) if files.subject is not None else label
        assert mask is not None
        cut = cut_out(picture, mask, params.mask_margin if label is None else params.label_margin, params)
        if cut is not None:
            _write(Path(f"{stem}.jpg"), cut[0], params.quality)
            _write(Path(f"{stem}.png"), cut[1], params.quality)


def find_cutouts(folder: Path) -> list[tuple[Path, Path]]:
    """Photographs and alphas that `write_cutouts` has written."""
    return [
        (path, path.with_suffix(".png")) for path in sorted(folder.glob("*.jpg")) if path.with_suffix(".png").is_file()
    ]


def _candidates(photos: Iterable[PhotoFiles], params: CutoutParams) -> Iterable[PhotoFiles]:
    """Photographs with a subject that are not held out. Those of `mattes` have better alphas of their own."""
    street = 0
    for files in photos:
        photo = files.photo
        if photo.held_out or photo.source in ("mattes", "textures") or not _has_subject(photo):
            continue
        if photo.source == "people":
            street += 1
            if street % params.people_every:
                continue
        yield files


def _has_subject(photo: Photo) -> bool:
    return photo.subject or photo.tag in ("person", "animal", "object")


def cut_out(
    picture: np.ndarray, mask: np.ndarray, margin: float, params: CutoutParams = CUTOUTS
) -> tuple[np.ndarray, np.ndarray] | None:
    """The box of a subject.

    Args:
        picture: (H, W, 3) uint8, BGR.
        mask: (h, w) uint8, of any size.
        margin: unknown on either side of the mask's edge, as a share of the root of the picture's area.
        params: see there.

    Returns:
        The picture (h', w', 3) and its alpha (h', w'), uint8; None where the subject is too small or fills the picture.
    """
    height, width = picture.shape[:2]
    inside = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > 127
    if not params.areas[0] < inside.mean() < params.areas[1]:
        return None
    radius = max(params.least_margin, int(margin * np.sqrt(height * width)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    front = cv2.erode(inside.astype(np.uint8), kernel, borderValue=1) > 0
    back = cv2.dilate(inside.astype(np.uint8), kernel) == 0
    if not front.any() or not back.any():
        return None
    trimap = np.where(front, 255, np.where(back, 0, 128)).astype(np.uint8)
    small = np.ascontiguousarray(picture[..., ::-1]).astype(np.float32) / 255
    alpha = np.rint(255 * AffinityPrior(CLOSED_FORM_KNN)(small, LowResHints(trimap)).alpha).astype(np.uint8)
    box = _box(alpha, params)
    return None if box is None else (picture[box], alpha[box])


def _box(alpha: np.ndarray, params: CutoutParams) -> tuple[slice, slice] | None:
    """The subject's box with a border; a subject that the lower edge cuts off still reaches it."""
    rows, columns = np.nonzero((alpha > 40).any(1))[0], np.nonzero((alpha > 40).any(0))[0]
    if not len(rows) or min(np.ptp(rows), np.ptp(columns)) + 1 < params.least_side:
        return None
    border = int(params.border * (max(np.ptp(rows), np.ptp(columns)) + 1)) + 4
    top, left = max(0, rows[0] - border), max(0, columns[0] - border)
    return slice(top, rows[-1] + 1 + border), slice(left, columns[-1] + 1 + border)


def _write(path: Path, pixels: np.ndarray, quality: int) -> None:
    done, data = cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [])
    assert done, "OpenCV encodes what it has decoded"
    with atomic_write(path) as part:
        part.write_bytes(data.tobytes())
