"""From a seed to a finished scene: subject, background, composition, camera, trimap."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.train.synth import texture
from uhrmat.train.synth.camera import simulate_camera
from uhrmat.train.synth.canvas import straight
from uhrmat.train.synth.kinds.feather import feathers
from uhrmat.train.synth.kinds.fur import fur
from uhrmat.train.synth.kinds.hair import hair
from uhrmat.train.synth.kinds.lace import lace
from uhrmat.train.synth.kinds.mixed import motion, several
from uhrmat.train.synth.kinds.pair import pair
from uhrmat.train.synth.kinds.plants import grass, leaves
from uhrmat.train.synth.kinds.solid import defocused, holes, solid
from uhrmat.train.synth.kinds.vapour import glass, smoke, water
from uhrmat.train.synth.stage import Bytes, Floats, Stage
from uhrmat.train.synth.trimap import make_trimap

_DRAW: dict[str, tuple[Callable[[Stage], Floats], float]] = {
    "hair": (hair, 3.0),
    "fur": (fur, 2.0),
    "leaves": (leaves, 1.0),
    "grass": (grass, 0.5),
    "solid": (solid, 0.7),
    "dof": (defocused, 0.8),
    "holes": (holes, 0.6),
    "feathers": (feathers, 0.7),
    "lace": (lace, 0.7),
    "glass": (glass, 0.4),
    "water": (water, 0.3),
    "smoke": (smoke, 0.4),
    "motion": (motion, 0.6),
    "several": (several, 0.6),
    "pair": (pair, 3.0),
}
KINDS: tuple[str, ...] = tuple(_DRAW)
"""Names of all kinds; "pair" needs subjects."""
_SNAP = 0.5 / 255
_LINEAR = 0.1


@dataclass
class Scene:
    """A synthetic photograph and all that is known about it.

    image, foreground, background: float32 (H, W, 3) in [0, 1], RGB, display-referred. alpha: float32 (H, W) in [0, 1],
    exact. trimap: uint8 {0, 128, 255}. `image` is alpha * foreground + (1 - alpha) * background, except where `linear`
    (composed in linear light) and up to what the camera did where `camera`.
    """

    image: Floats
    alpha: Floats
    foreground: Floats
    background: Floats
    trimap: Bytes
    kind: str
    linear: bool
    camera: bool


def render_scene(
    seed: int,
    height: int,
    width: int,
    *,
    kind: str | None = None,
    backgrounds: Sequence[str | Path] | None = None,
    subjects: Sequence[tuple[str | Path, str | Path]] | None = None,
    difficulty: float = 0.5,
    camera: bool | None = None,
    unknown_share: float | None = None,
    size: float = 1.0,
) -> Scene:
    """Render one scene; the same arguments give the same scene.

    `kind` is one of KINDS (random if None). `backgrounds` are photographs for backgrounds and surfaces, `subjects`
    (photo, alpha) pairs; without them everything is generated. `difficulty` in [0, 1] raises similar colours, noise
    and loose strands. `camera` forces the camera on or off, `unknown_share` asks for that share of unknown pixels,
    `size` scales the subject. Raises InputError for an unknown kind, an empty size or a pair without subjects.
    """
    _check(height, width, kind, subjects)
    photos = tuple(Path(p) for p in backgrounds or ())
    pairs = tuple((Path(p), Path(a)) for p, a in subjects or ())
    difficulty = float(np.clip(difficulty, 0, 1))
    stage = Stage(np.random.default_rng(seed), height, width, difficulty, size, photos, pairs)
    kind = kind or _choose(stage)
    stage.rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])  # naming the chosen kind changes nothing
    alpha, foreground = _subject(stage, kind)
    background = _background(stage, foreground, alpha)
    if stage.chance(0.6):
        foreground = texture.grade(stage, foreground, 0.6)
        background = texture.grade(stage, background, 0.6)
    linear = stage.chance(_LINEAR)
    image = compose(alpha, foreground, background, linear=linear)
    taken = stage.chance(0.85) if camera is None else camera
    trimap = make_trimap(stage, alpha, unknown_share)
    if taken:
        image = simulate_camera(stage, image)
    return Scene(image, alpha, foreground, background, trimap, kind, linear, taken)


def compose(alpha: Floats, foreground: Floats, background: Floats, *, linear: bool = False) -> Floats:
    """alpha * foreground + (1 - alpha) * background, in display space or in linear light (gamma 2.2)."""
    cover = alpha[..., None]
    if not linear:
        return np.asarray(cover * foreground + (1 - cover) * background, np.float32)
    light = cover * np.power(foreground, 2.2) + (1 - cover) * np.power(background, 2.2)
    return np.asarray(np.power(light, 1 / 2.2), np.float32)


def _check(height: int, width: int, kind: str | None, subjects: Sequence[object] | None) -> None:
    if height < 16 or width < 16:
        raise InputError(f"A scene of {width} x {height} pixels is too small.", "Ask for at least 16 x 16.")
    if kind is not None and kind not in _DRAW:
        raise InputError(f"There is no kind of scene named {kind!r}.", f"Choose from: {', '.join(KINDS)}.")
    if kind == "pair" and not subjects:
        raise InputError(
            "A scene of kind 'pair' needs photographs with alphas.", "Give subjects=[(photo, alpha), ...]."
        )


def _choose(stage: Stage) -> str:
    """A random kind by weight; pairs only where there are subjects."""
    names = [k for k in KINDS if k != "pair" or stage.subjects]
    weights = np.array([_DRAW[k][1] for k in names])
    return names[int(stage.rng.choice(len(names), p=weights / weights.sum()))]


def _subject(stage: Stage, kind: str) -> tuple[Floats, Floats]:
    """Alpha, snapped to exactly 0 and 1 at its ends, and the straight foreground."""
    layer = _DRAW[kind][0](stage)
    foreground = straight(layer)
    alpha = layer[..., 3].clip(0, 1)
    alpha[alpha < _SNAP] = 0
    alpha[alpha > 1 - _SNAP] = 1
    return alpha, foreground


def _background(stage: Stage, foreground: Floats, alpha: Floats) -> Floats:
    """A backdrop, the more often close to the foreground's colours the harder the scene."""
    background = texture.backdrop(stage)
    if stage.chance(0.1 + 0.5 * stage.difficulty):
        background = texture.match_colours(stage, background, foreground, alpha)
    return background
