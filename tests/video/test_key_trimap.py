"""Key frames with a trimap: strokes thinner than a small pixel count, a whole trimap is taken as it is."""

from __future__ import annotations

import numpy as np

from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.video.key_trimap import solve_key_trimap

SIZE, SMALL = (96, 128), (24, 32)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]]
INSIDE = np.hypot(Y - 48, X - 64) < 30
NOISE = np.random.default_rng(0).normal(0, 0.01, (*SIZE, 3))
PICTURE = np.clip(np.where(INSIDE[..., None], (0.8, 0.3, 0.2), (0.2, 0.4, 0.7)) + NOISE, 0, 1).astype(np.float32)


def strokes() -> np.ndarray:
    """Lines of two pixels, half as wide as a small pixel."""
    trimap = np.full(SIZE, 128, np.uint8)
    trimap[47:49, 44:84] = 255
    trimap[3:5, 4:124] = trimap[91:93, 4:124] = 0
    return trimap


def test_thin_strokes_on_a_key_frame_find_the_subject() -> None:
    alpha = solve_key_trimap(area_average(PICTURE, SMALL), strokes(), AffinityPrior("closed-form"))
    inside = area_average(INSIDE.astype(np.float32), SMALL)
    assert alpha.shape == SMALL
    assert alpha[inside == 1].mean() > 0.95 and alpha[inside == 0].mean() < 0.05


def test_a_whole_trimap_goes_to_the_method_as_it_is_downsampled() -> None:
    trimap = np.where(INSIDE, 255, 0).astype(np.uint8)
    trimap[40:60, 30:50] = 128
    seen: list[np.ndarray] = []

    def method(picture: np.ndarray, hints: LowResHints) -> PriorResult:
        assert hints.trimap is not None
        seen.append(hints.trimap)
        return PriorResult(np.zeros(SMALL, np.float32), "none")

    assert not solve_key_trimap(area_average(PICTURE, SMALL), trimap, method).any()
    assert seen[0][12, 18] == 255 and seen[0][0, 0] == 0 and seen[0][12, 10] == 128
    assert (seen[0] == downsample_trimap(trimap, SMALL)).all()
