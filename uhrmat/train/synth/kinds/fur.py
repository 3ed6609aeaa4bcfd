"""Fur: an animal-like body covered with short strands that follow a flow, dense at the silhouette."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.canvas import blank, draw, mask_of, paint, soften
from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.shapes import blob
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons
from uhrmat.train.synth.texture import colour, surface

COATS = np.array(
    [[0.07, 0.06, 0.06], [0.30, 0.20, 0.13], [0.55, 0.38, 0.22], [0.75, 0.60, 0.42], [0.90, 0.87, 0.82],
     [0.52, 0.50, 0.48], [0.62, 0.30, 0.12]], np.float32,
)  # fmt: skip
"""Natural colours of animals' coats."""


SCALE = 4
"""Pixels per sample of the field of normals."""


def fur(stage: Stage) -> Floats:
    """A furry body of one to four rounded parts."""
    rng = stage.rng
    body = _body(stage)
    pelt = _pelt(stage)
    layer = paint(blank(*stage.shape), body, pelt)
    length = stage.side * float(np.exp(rng.uniform(np.log(0.015), np.log(0.08))))
    edge, inner = _roots(stage, body, length)
    flow = fractal(rng, *stage.shape, cell=stage.side * 0.5, octaves=2) * 1.2 + rng.uniform(0, 2 * np.pi)
    light = (1 + 0.3 * fractal(rng, *stage.shape, cell=length * 1.5, octaves=2)).clip(0.4, 1.7)
    stand = rng.uniform(0.35, 0.9)
    for roots, outwards, shade in ((inner, None, 0.85), (edge, stand, 0.95), (edge[::3], stand + 0.1, 1.1)):
        _cover(stage, layer, body, roots, outwards, flow, (length, shade), pelt, light)
    return soften(layer, rng.uniform(0.35, 0.9) if stage.chance(0.75) else rng.uniform(0.9, 2.5))


def _body(stage: Stage) -> Floats:
    """Coverage of the body (H, W), softly outlined."""
    rng = stage.rng
    radius = stage.side * rng.uniform(0.18, 0.36)
    at = stage.centre(0.15)
    parts = [blob(rng, at, radius, rough=0.3, stretch=rng.uniform(1, 1.7))]
    for _ in range(int(rng.integers(0, 4))):
        angle = rng.uniform(0, 2 * np.pi)
        off = at + radius * rng.uniform(0.7, 1.2) * np.array([np.cos(angle), np.sin(angle)])
        parts.append(blob(rng, off, radius * rng.uniform(0.25, 0.7), rough=0.25, stretch=rng.uniform(1, 2)))
    mask = np.zeros(stage.shape, np.float32)
    for part in parts:
        mask = np.maximum(mask, mask_of(*stage.shape, [part]))
    return mask


def _pelt(stage: Stage) -> Floats:
    """Colour of the coat (H, W, 3): two tones in patches, or a photograph's."""
    rng = stage.rng
    if stage.chance(0.3):
        return surface(stage)
    coats = COATS[rng.integers(len(COATS), size=2)]
    tones = [colour(stage, chroma=0.35) if stage.chance(0.4) else coat for coat in coats]
    patches = fractal(rng, *stage.shape, cell=stage.side * rng.uniform(0.05, 0.4), octaves=3)
    sharp = rng.uniform(0.5, 4)
    mix = (0.5 + sharp * patches).clip(0, 1)[..., None]
    grain = 1 + 0.2 * fractal(rng, *stage.shape, cell=12, octaves=3)[..., None]
    return np.asarray(((tones[0] * (1 - mix) + tones[1] * mix) * grain).clip(0, 1), np.float32)


def _roots(stage: Stage, body: Floats, length: float) -> tuple[Points, Points]:
    """Root points close to the outline and, sparser, all over the body."""
    rng = stage.rng
    solid = (body > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    rows, cols = np.nonzero((depth > 0) & (depth < 0.9 * length))
    number = min(len(rows), stage.count(7000 * rng.uniform(0.5, 1.0)))
    pick = rng.integers(0, max(len(rows), 1), number if len(rows) else 0)
    edge = np.stack([cols[pick], rows[pick]], 1) + rng.uniform(0, 1, (len(pick), 2))
    edge = edge[np.argsort(-depth[rows[pick], cols[pick]] + rng.normal(0, 0.2 * length, len(pick)))]
    rows, cols = np.nonzero(depth >= 0.7 * length)
    pick = rng.integers(0, max(len(rows), 1), stage.count(2500) if len(rows) else 0)
    return edge, np.stack([cols[pick], rows[pick]], 1).astype(float)


def _cover(
    stage: Stage, layer: Floats, body: Floats, roots: Points, outwards: float | None, flow: Floats,
    look: tuple[float, float], pelt: Floats, light: Floats,
) -> None:  # fmt: skip
    """Strands at `roots`, turned from the flow towards the outline's normal by the share `outwards`."""
    if len(roots) == 0:
        return
    rng = stage.rng
    length, shade = look
    rows = np.clip(roots[:, 1].astype(int), 0, stage.height - 1)
    cols = np.clip(roots[:, 0].astype(int), 0, stage.width - 1)
    angle = flow[rows, cols].astype(float)
    if outwards is not None:
        normal = _outward(body, min(length, stage.side * 0.03))[rows // SCALE, cols // SCALE]
        angle = np.arctan2(
            outwards * np.sin(normal) + (1 - outwards) * np.sin(angle),
            outwards * np.cos(normal) + (1 - outwards) * np.cos(angle),
        )
    clumps = fractal(rng, *stage.shape, cell=max(6.0, length * 0.4), octaves=2)[rows, cols]
    angle = angle + 0.5 * clumps + rng.normal(0, 0.16, len(roots))
    lengths = length * rng.uniform(0.5, 1.25, len(roots)) * (1 + 0.3 * clumps)
    bend = Growth(float(np.pi / 2), rng.uniform(0, 1.2), rng.uniform(0.2, 0.7), 0.0, 1.0, 9)
    outlines = ribbons(grow(rng, roots, angle, lengths, bend), _widths(stage, len(roots)), taper=0.9, power=1.3)
    tone = pelt[rows, cols] * shade * np.exp(rng.normal(0, 0.2, (len(roots), 1))) + rng.normal(0, 0.01, (len(roots), 3))
    draw(layer, outlines, tone.clip(0.005, 0.995), light=light)


def _outward(body: Floats, reach: float) -> Floats:
    """Angle of the outline's normal, smoothed over `reach` pixels, on a grid SCALE times coarser."""
    size = (body.shape[1] // SCALE + 1, body.shape[0] // SCALE + 1)
    small = cv2.resize(body, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(1.0, reach / SCALE))
    return np.asarray(np.arctan2(-cv2.Sobel(soft, cv2.CV_32F, 0, 1), -cv2.Sobel(soft, cv2.CV_32F, 1, 0)), np.float32)


def _widths(stage: Stage, count: int) -> np.ndarray:
    return stage.stroke(0.8, 2.0) * stage.rng.uniform(0.5, 1.1, count)
