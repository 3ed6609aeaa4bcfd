"""Training pairs from photographs: a subject, deformed and moved, over its own background or another photograph.

Over another photograph the picture often shows a second subject, so that the network learns to follow the mask that it
is given and not whatever is salient. The pairs themselves are made as those of a clip's key frames, see
`video.propagation.pairs`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.train.subject.pool import Pool
from uhrmat.video.propagation.pairs import KeyFrame, PairMaker
from uhrmat.video.propagation.params import PairParams

_ASPECTS = ((8 / 9, 11 / 9), (1.0, 1.0), (8 / 9, 12 / 9))
"""Height and width of batches, in sides; landscape as clips mostly are."""
_STEP = 32
"""Sides of batches are multiples of it: the network's stride."""
_PAIRS = PairParams(scale=0.25, rotation=0.3)
_TRIES = 8
"""Views drawn of a photograph before another is taken, where its subject lies outside of them."""


@dataclass(frozen=True, kw_only=True)
class PhotoPairParams:
    """Parameters of the pairs made from photographs. May be changed; the weights depend on them.

    Attributes:
        pairs: how a subject is moved and its last mask perturbed: scales and rotations vary more than in one clip.
        other_background: share of pairs over another photograph.
        zoom: largest logarithm of the enlargement of a photograph beyond what covers the view.
        least_area, most_area: share of the view that the subject covers.
        least_agreement: of the teachers on a photograph without mask, see `Pool.agreement`.
        street: weight of a street photograph among the subjects; of others 1. There are three of them to one other.
        steepness: factor by which teachers' soft labels are steepened about 0.5.
    """

    pairs: PairParams = _PAIRS
    other_background: float = 0.45
    zoom: float = 0.45
    least_area: float = 0.008
    most_area: float = 0.6
    least_agreement: float = 0.75
    street: float = 0.35
    steepness: float = 1.6


class PhotoPairs:
    """Makes pairs from the photographs of a pool.

    Args:
        pool: labelled photographs, on the CPU.
        held_out: makes pairs of the photographs that are never trained on, instead of all others.
        params: see there.
    """

    def __init__(self, pool: Pool, held_out: bool = False, params: PhotoPairParams = PhotoPairParams()) -> None:
        self._pool, self._params = pool, params
        area = (pool.planes[:, 3] > 127).float().flatten(1).mean(1)
        usable = (area > params.least_area) & (area < params.most_area) & (pool.agreement > params.least_agreement)
        chosen = pool.select(lambda photo: photo.held_out == held_out)
        subject = pool.select(lambda photo: photo.tag in ("person", "animal", "object"))
        street = pool.select(lambda photo: photo.source == "people")
        weights = (usable * chosen * subject * (1 - (1 - params.street) * street)).double().numpy()
        self.count = int(np.count_nonzero(weights))
        self._subjects = weights / max(float(weights.sum()), 1e-12)
        self._backgrounds = np.flatnonzero(chosen.numpy())

    def batch(self, rng: np.random.Generator, side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """`count` pairs of about side² pixels.

        Returns:
            Inputs (B, 4, h, w), RGB and last mask, and targets (B, 1, h, w), float32 in [0, 1].
        """
        tall, wide = _ASPECTS[int(rng.integers(len(_ASPECTS)))]
        shape = (max(1, round(side * tall / _STEP)) * _STEP, max(1, round(side * wide / _STEP)) * _STEP)
        pairs = [self._pair(rng, shape) for _ in range(count)]
        inputs = np.stack([inputs.transpose(2, 0, 1) for inputs, _ in pairs])
        return np.ascontiguousarray(inputs), np.stack([target for _, target in pairs])[:, None]

    def _pair(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        params, key = self._params, None
        while key is None:
            row = int(rng.choice(len(self._subjects), p=self._subjects))
            for _ in range(_TRIES):
                view = self._view(row, shape, rng)
                if params.least_area < (view.alpha > 0.5).mean() < params.most_area:
                    key = view
                    break
        background = None
        if rng.random() < params.other_background:
            background = self._view(int(rng.choice(self._backgrounds)), shape, rng).picture
        return PairMaker(key, rng, params.pairs, background=background).pair()

    def _view(self, row: int, shape: tuple[int, int], rng: np.random.Generator) -> KeyFrame:
        """A random view (h, w) of a photograph, covered by it, half of them mirrored."""
        height, width = shape
        planes = self._pool.planes[row, :4].permute(1, 2, 0).numpy()
        tall, wide = 1.0, float(self._pool.aspect[row])
        scale = max(height / tall, width / wide) * math.exp(rng.uniform(0, self._params.zoom))
        top, left = (rng.uniform(0, max(0.0, scale * side - size)) for side, size in ((tall, height), (wide, width)))
        stored = planes.shape[0]
        matrix = np.array([[scale * wide / stored, 0, -left], [0, scale * tall / stored, -top]])
        pixels = cv2.warpAffine(np.ascontiguousarray(planes), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        values = pixels.astype(np.float32) / np.float32(255)
        alpha = np.clip((values[..., 3] - 0.5) * self._params.steepness + 0.5, 0, 1)
        return KeyFrame(np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(alpha, np.float32))
