"""The chroma key on thin and motion-blurred hair: mean absolute error of the finished alpha, and of the colour.

    python -m benchmarks.chroma_key [--seeds 200-211] [--sides 960 1440] [--refiner shm] [--pictures DIR]

Scenes as in `benchmarks.key_scenes`; nothing but the picture is given. Errors times a thousand: `whole` over the whole
picture, `thin` over strands up to 3 pixels wide and the pixels beside them, `soft` over all fractional alpha; `prior`
and `prior_thin` are those of the low-resolution alpha, enlarged; `lost` is the mean of truth minus alpha over `thin`,
large where a key is too hard; `leak` is the mean alpha where the truth is 0. `colour` is the error of the
straight foreground against the subject's own colour without spill, weighted by alpha, over `soft`. Seeds 100 to 105
chose constants; report on others.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from benchmarks.key_scenes import LENS, KeyScene, key_scene
from uhrmat.pipeline import StillPipeline, StillResult
from uhrmat.sparsity.spatial import upsampled_rows

Row = dict[str, float]


def measure(scene: KeyScene, result: StillResult, seconds: float) -> Row:
    """All figures of one scene, times a thousand except processor seconds."""
    off = np.abs(result.alpha - scene.alpha)
    prior = np.abs(upsampled_rows(result.prior_alpha, scene.alpha.shape, 0, len(scene.alpha)) - scene.alpha)
    row = {
        "whole": off.mean(), "thin": off[scene.thin].mean(), "soft": off[scene.soft].mean(),
        "prior": prior.mean(), "prior_thin": prior[scene.thin].mean(),
        "lost": (scene.alpha - result.alpha)[scene.thin].mean(), "leak": result.alpha[scene.alpha == 0].mean(),
    }  # fmt: skip
    if result.foreground is not None:
        colours = np.abs(result.foreground.astype(np.float32) / 255 - scene.own).mean(-1)
        weight = scene.alpha * scene.soft
        row["colour"] = (colours * weight).sum() / weight.sum()
    return {name: round(1000 * float(value), 3) for name, value in row.items()} | {"seconds": round(seconds, 2)}


def save(folder: Path, scene: KeyScene, result: StillResult) -> None:
    """The picture, both alphas, and the cut-out over magenta, over white and as it should be, side by side."""
    assert result.foreground is not None
    folder.mkdir(parents=True, exist_ok=True)
    alpha, colour = result.alpha[..., None], result.foreground.astype(np.float32) / 255
    behind = [np.array([1, 0, 1], np.float32), np.array([1, 1, 1], np.float32)]
    over = [alpha * colour + (1 - alpha) * b for b in behind]
    right = [scene.alpha[..., None] * scene.own + (1 - scene.alpha[..., None]) * b for b in behind]
    alphas = [np.repeat(a[..., None], 3, -1) for a in (result.alpha, scene.alpha)]
    rows = [[scene.picture / np.float32(255), alphas[0], *over], [scene.picture / np.float32(255), alphas[1], *right]]
    sheet = np.concatenate([np.concatenate(row, 1) for row in rows])
    cv2.imwrite(
        str(folder / f"{scene.name.split()[0]}.png"), np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)[..., ::-1]
    )


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/chroma_key.json."""
    options = _options(arguments)
    first, last = (int(x) for x in options.seeds.split("-"))
    sides = [128] if options.quick else options.sides
    pipeline = StillPipeline("key", options.refiner, threads=options.threads)
    rows: dict[str, Row] = {}
    document: dict[str, Any] = {**header(options.threads, options.quick), "refiner": options.refiner, "scenes": rows}
    for seed in range(first, first + 1 if options.quick else last + 1):
        side = sides[seed // 2 % len(sides)]
        scene = key_scene(seed, side, side * 4 // 3, options.lens)
        start = time.process_time()
        result = pipeline.matte(scene.picture, key="auto", foreground=not options.alpha_only)
        rows[scene.name] = measure(scene, result, time.process_time() - start)
        print(f"{scene.name:24}", *(f"{k} {v:g}" for k, v in rows[scene.name].items()), flush=True)
        if options.pictures is not None:
            save(options.pictures, scene, result)
    groups = {"all": rows} | {
        kind: {n: r for n, r in rows.items() if kind in n} for kind in ("still", "moved", *(f"x{s}" for s in sides))
    }
    document["means"] = {
        group: {key: round(float(np.mean([r[key] for r in part.values()])), 3) for key in next(iter(part.values()))}
        for group, part in groups.items()
        if part
    }
    for group, mean in document["means"].items():
        print(f"{group:24}", *(f"{k} {v:g}" for k, v in mean.items()))
    print(write(options.results, "chroma_key", document))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--seeds", default="200-210", help="first and last, each a scene; odd ones moved")
    options.add_argument("--sides", type=int, nargs="+", default=[960, 1440], help="short sides in pixels, in turn")
    options.add_argument("--lens", type=float, default=LENS, help="blur of lens and sensor, sigma in pixels")
    options.add_argument("--refiner", default="shm")
    options.add_argument("--alpha-only", action="store_true", help="measure no colours")
    options.add_argument("--pictures", type=Path, help="folder for contact sheets, PNG")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
