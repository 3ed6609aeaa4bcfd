"""Hair: clumped, tapering, crossing strands on a head, with flyaways and a back layer out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uhrmat.train.synth.canvas import blank, draw, mask_of, paint, soften
from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.shapes import blob, ellipse, shoulders
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, clump, grow, ribbons, split_ribbons
from uhrmat.train.synth.texture import colour, surface

_NATURAL = np.array(
    [[0.06, 0.05, 0.05], [0.16, 0.10, 0.07], [0.30, 0.19, 0.12], [0.45, 0.30, 0.18], [0.72, 0.55, 0.34],
     [0.86, 0.76, 0.58], [0.50, 0.20, 0.09], [0.62, 0.62, 0.62], [0.88, 0.87, 0.85]], np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A way to wear hair; lengths in head radii."""

    length: tuple[float, float]
    weight: tuple[float, float]
    wave: tuple[float, float]
    turns: tuple[float, float]
    frizz: float


STYLES = {
    "long": Style((1.8, 3.2), (6.0, 11.0), (0.0, 0.15), (1, 3), 0.04),
    "wavy": Style((1.5, 2.8), (5.0, 9.0), (0.3, 0.7), (2, 5), 0.06),
    "curly": Style((0.8, 1.8), (1.5, 4.0), (0.9, 1.7), (3, 6), 0.10),
    "short": Style((0.2, 0.6), (0.2, 1.0), (0.0, 0.3), (1, 2), 0.08),
    "wind": Style((1.2, 2.6), (3.0, 6.0), (0.1, 0.5), (1, 3), 0.09),
    "afro": Style((0.4, 0.9), (0.0, 0.2), (0.8, 1.6), (4, 8), 0.14),
}


@dataclass(frozen=True)
class Head:
    """Where the head is, how its hair grows and which colours it has."""

    centre: Points
    radius: float
    growth: Growth
    style: Style
    tint: Floats
    width: float
    light: Floats


def hair(stage: Stage) -> Floats:
    """A head seen from behind or from the front, hair of a random style."""
    head = _head(stage)
    layer = blank(*stage.shape)
    front = stage.chance(0.5)
    if front:
        coat(stage, layer, head, (-1.35 * np.pi, 0.35 * np.pi), 0.8, blur=stage.rng.uniform(0, 2.5) * stage.side / 1024)
    _body(stage, layer, head, front)
    _cap(stage, layer, head, front)
    arc = (-0.92 * np.pi, -0.08 * np.pi) if front else (-1.3 * np.pi, 0.3 * np.pi)
    coat(stage, layer, head, arc, 1.0)
    flyaways(stage, layer, head)
    return soften(layer, stage.rng.uniform(0.35, 0.8) if stage.chance(0.8) else stage.rng.uniform(0.8, 2.5))


def _head(stage: Stage) -> Head:
    rng = stage.rng
    style = STYLES[str(rng.choice(list(STYLES)))]
    pull = float(np.pi / 2 + rng.normal(0, 0.15))
    if style is STYLES["wind"]:
        pull = float(rng.choice([0.15, 0.85]) * np.pi + rng.normal(0, 0.3))
    growth = Growth(pull, rng.uniform(*style.weight), rng.uniform(0.15, 0.5), rng.uniform(*style.wave),
                    rng.uniform(*style.turns), 40 if style.wave[1] > 0.6 else 28)  # fmt: skip
    centre = stage.centre(0.13) - (0, 0.1 * stage.side)
    radius = stage.side * rng.uniform(0.14, 0.26)
    tint = _NATURAL[int(rng.integers(len(_NATURAL)))] if stage.chance(0.8) else colour(stage, chroma=0.9)
    return Head(centre, radius, growth, style, tint, stage.stroke(0.9, 2.6), _light(stage, centre, radius))


def _light(stage: Stage, centre: Points, radius: float) -> Floats:
    """Shading (H, W) of hair: broad patches and a glossy band around the crown."""
    rng = stage.rng
    ys, xs = np.ogrid[: stage.height, : stage.width]
    lit = centre + rng.normal(0, 0.3, 2) * radius
    away = np.sqrt(((xs - lit[0]) / radius) ** 2 + ((ys - lit[1]) / radius) ** 2).astype(np.float32)
    band = np.exp(-(((away - rng.uniform(0.5, 1.0)) / rng.uniform(0.12, 0.35)) ** 2))
    patches = fractal(rng, *stage.shape, cell=radius, octaves=3)
    return np.asarray((0.9 + 0.25 * patches + rng.uniform(0, 0.9) * band).clip(0.25, 2.2), np.float32)


def coat(stage: Stage, layer: Floats, head: Head, arc: tuple[float, float], share: float, blur: float = 0.0) -> None:
    """Hair rooted over an arc of the head: dark locks underneath, clumped strands above."""
    rng = stage.rng
    guides = stage.count(150 * share)
    angle = rng.uniform(*arc, guides)
    depth = np.sqrt(rng.uniform(0, 1, guides))
    crown = head.centre - (0, 0.25 * head.radius)
    around = np.stack([np.cos(angle), np.sin(angle)], 1)
    roots = crown + head.radius * depth[:, None] * around * (1.0, 0.85)
    lengths = head.radius * rng.uniform(*head.style.length) * rng.uniform(0.7, 1.1, guides)
    paths = grow(rng, roots, angle + rng.normal(0, 0.3, guides), lengths, head.growth)
    paths = paths[np.argsort(depth)[::-1] if stage.chance(0.5) else np.argsort(roots[:, 1])[::-1]]
    shape = head.radius * rng.uniform(0.05, 0.16)
    locks = ribbons(paths[:, : int(paths.shape[1] * rng.uniform(0.5, 0.8))], np.full(guides, shape), taper=0.9)
    dark = head.tint * 0.6 * rng.uniform(0.8, 1.2, (guides, 1))
    draw(layer, locks, dark, blur=max(blur, rng.uniform(1, 3)), light=head.light)
    strands, owner = clump(rng, paths, int(rng.integers(9, 16)), spread=head.radius * rng.uniform(0.05, 0.14),
                           close=rng.uniform(0.0, 0.75), tip=rng.uniform(0, 0.9),
                           frizz=head.style.frizz * rng.uniform(0.4, 1.6))  # fmt: skip
    draw_strands(stage, layer, strands, owner, head.tint, head.width, blur=blur, light=head.light)


def draw_strands(
    stage: Stage,
    layer: Floats,
    paths: Points,
    owner: NDArray[np.intp],
    tint: Floats,
    width: float,
    *,
    blur: float = 0.0,
    opacity: float = 1.0,
    light: Floats | None = None,
) -> None:
    """Ribbons in three pieces, each strand with a colour of its own near its lock's colour, darker at the root."""
    rng = stage.rng
    count = len(paths)
    widths = width * rng.uniform(0.45, 1.0, count)
    outlines = ribbons(paths, widths, taper=0.85, power=rng.uniform(1.2, 2.5))
    lock = rng.normal(0, 0.14, int(owner.max()) + 1)[owner]
    base = tint * np.exp(lock + rng.normal(0, 0.18, count))[:, None] + rng.normal(0, 0.012, (count, 3))
    tip = np.exp(rng.normal(0, 0.15))
    shades = [base * s for s in (0.85, 1.0, tip)]
    parts = split_ribbons(outlines, 3)
    polygons = [part[i] for i in range(count) for part in parts]
    colours = np.stack(shades, 1).reshape(-1, 3).clip(0.005, 0.995)
    draw(layer, polygons, colours, blur=blur, opacity=opacity, light=light)


def flyaways(stage: Stage, layer: Floats, head: Head) -> None:
    """Single thin strands that stand off, a few of them out of focus."""
    rng = stage.rng
    for blur, share in ((rng.uniform(0.8, 3.0) * stage.side / 1024, 0.3), (0.0, 1.0)):
        count = stage.count(rng.uniform(20, 60 + 140 * stage.difficulty) * share)
        angle = rng.uniform(-1.15 * np.pi, 0.15 * np.pi, count)
        roots = head.centre + head.radius * rng.uniform(0.6, 1.05, (count, 1)) * np.stack(
            [np.cos(angle), np.sin(angle)], 1
        )
        loose = Growth(head.growth.pull, head.growth.weight * rng.uniform(0.2, 0.8), rng.uniform(0.5, 1.3),
                       head.growth.wave * rng.uniform(0.3, 1), head.growth.turns, 40)  # fmt: skip
        lengths = head.radius * rng.uniform(*head.style.length) * rng.uniform(0.3, 1.2, count)
        paths = grow(rng, roots, angle + rng.normal(0, 0.5, count), lengths, loose)
        owner = np.arange(count)
        draw_strands(stage, layer, paths, owner, head.tint, head.width * 0.6, blur=blur, light=head.light)


def _body(stage: Stage, layer: Floats, head: Head, front: bool) -> None:
    """Shoulders in some cloth and, from the front, a face."""
    rng = stage.rng
    if stage.chance(0.15):
        return
    chin = head.centre + np.array([rng.normal(0, 0.05), rng.uniform(1.15, 1.3)]) * head.radius
    bottom = float(stage.height) if stage.size >= 1 else float(chin[1] + 2 * head.radius)
    skin = np.array([0.80, 0.60, 0.48], np.float32) * rng.uniform(0.25, 1.15)
    neck = ellipse(chin - (0, 0.1 * head.radius), head.radius * 0.45, head.radius * 0.75)
    shade = np.minimum(0.75 + 0.35 * head.light[..., None] * skin, 1.0) * skin
    outline = shoulders(rng, chin + np.array([0, 0.45 * head.radius]), head.radius, bottom)
    paint(layer, mask_of(*stage.shape, [neck]), shade * 0.8)
    paint(layer, mask_of(*stage.shape, [outline]), surface(stage))
    if front:
        face = ellipse(head.centre + np.array([0, 0.2 * head.radius]), head.radius * 0.8, head.radius * 1.08)
        paint(layer, mask_of(*stage.shape, [face]), shade)


def _cap(stage: Stage, layer: Floats, head: Head, front: bool) -> None:
    """The solid part of the hair, so that the head does not show through."""
    rng = stage.rng
    grain = fractal(rng, *stage.shape, cell=max(6.0, head.radius * 0.05), octaves=2)[..., None]
    texture = (head.tint * 0.75 * head.light[..., None] * (1 + 0.1 * grain)).clip(0, 1).astype(np.float32)
    skull = blob(rng, head.centre, head.radius, rough=0.04, stretch=1.08, turn=np.pi / 2)
    if front:
        skull[:, 1] = np.minimum(skull[:, 1], head.centre[1] - 0.25 * head.radius + 0.2 * np.abs(
            skull[:, 0] - head.centre[0]))  # fmt: skip
    paint(layer, mask_of(*stage.shape, [skull]), texture)
