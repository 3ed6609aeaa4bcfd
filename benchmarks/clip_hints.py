"""Where the hints of a clip lie: forward, backward, both ways and matted again, against exact alpha.

Run from the repository: `python -m benchmarks.clip_hints [--height 270 --frames 36 --kinds hair fur --seeds 5 6]`; it
writes results/clip_hints.json. Clips with exact alpha are generated: a subject that moves to and fro by a third of the
height, whose loose parts bend, before a panning background. Hints are masks (alpha above 0.5) of one or two frames, the
others' are propagated; refined by the refiner and read back from the 16-bit stills that `uhrmat video` writes.

"redo" begins with the stills of "forward" and mattes the second half again with a new mask at three quarters of the
clip. Measured over the frames without a mask: J (IoU at 0.5) and MAD x 1000 of the whole picture, the worst J; for
"redo" also of the frames that were matted again, beside those of "forward", and the change of alpha from the last frame
that was kept to the first that was matted again beyond that of the true alpha (MAD x 1000).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from benchmarks.davis import iou
from benchmarks.hint_clip import write_clip
from uhrmat.core.devices import set_threads
from uhrmat.core.options import ModelOptions
from uhrmat.hints.files import read_alpha
from uhrmat.prior.worker import PriorProcess
from uhrmat.train.synth.clip import ClipFrame, ClipRecipe, render_clip
from uhrmat.video.existing import find_existing
from uhrmat.video.plan import plan_clip
from uhrmat.video.propagation.params import METHODS, PropagationTrainingParams
from uhrmat.video.redo import redo_clip
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/clip_hints.json."""
    options = _options(arguments)
    set_threads(options.threads)
    rows: list[dict[str, Any]] = []
    with closing(PriorProcess()) as process:
        for recipe in recipes(options):
            clip = list(render_clip(recipe))
            with tempfile.TemporaryDirectory() as name:
                for row in measured(options, clip, Path(name), process):
                    rows.append({"kind": recipe.kind, "seed": recipe.seed, **row})
                    print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
                    write(options.results, "clip_hints", {**header(options.threads, options.quick), "rows": rows})


def recipes(options: argparse.Namespace) -> Iterator[ClipRecipe]:
    """The clips."""
    for kind in options.kinds:
        for seed in options.seeds:
            height = options.height
            yield ClipRecipe(
                height, -(-height * 16 // 18) * 2, options.frames, seed=seed, kind=kind, gust=height / 108,
                sway=height / 3, pan=height / 270, noise=1.0,
            )  # fmt: skip


def measured(
    options: argparse.Namespace, clip: Sequence[ClipFrame], folder: Path, process: PriorProcess
) -> Iterator[dict[str, Any]]:
    """A row for each choice of key frames."""
    last, middle, late = len(clip) - 1, len(clip) // 2, 3 * len(clip) // 4
    write_clip(folder / "clip.mkv", [frame.image for frame in clip], "bgr0")
    steps = 2 if options.quick else options.steps
    training = PropagationTrainingParams() if steps is None else PropagationTrainingParams(steps=steps)
    spec = ClipSpec(
        source=folder / "clip.mkv", outputs=("alpha",), bits=16, codec="png", propagation=options.method,
        training=training, model=ModelOptions(refiner=options.refiner, precision="fp32"),
    )  # fmt: skip
    ways = {"forward": (0,), "backward": (last,), "both ways": (0, last), "from the middle": (middle,)}
    for name, keys in ways.items() if options.method == "network" else [("forward", (0,))]:
        begun = time.perf_counter()
        alphas = matted(replace(spec, output=folder / name), clip, keys, process)
        yield {"way": name, **scores(clip, alphas, keys), "seconds": round(time.perf_counter() - begun, 1)}
    again = range(middle, last + 1)
    before = read(folder / "forward", clip)
    alphas = matted(replace(spec, output=folder / "forward", redo=((middle, last),)), clip, (0, late), process)
    assert all(np.array_equal(before[at], alphas[at]) for at in range(middle)), "what lies outside has changed"
    step = np.abs((alphas[middle] - alphas[middle - 1]) - (clip[middle].alpha - clip[middle - 1].alpha)).mean()
    yield {
        "way": "redo", **scores(clip, alphas, (0, late)), "join": round(1000 * float(step), 2),
        **{f"{key}_again": value for key, value in scores(clip, alphas, (late,), again).items()},
        **{f"{key}_before": value for key, value in scores(clip, before, (late,), again).items()},
    }  # fmt: skip


def matted(spec: ClipSpec, clip: Sequence[ClipFrame], keys: Sequence[int], process: PriorProcess) -> list[np.ndarray]:
    """The alphas of all frames, with masks of some."""
    with tempfile.TemporaryDirectory() as name:
        for at in keys:
            cv2.imwrite(f"{name}/m{at:04d}.png", np.where(clip[at].alpha > 0.5, 255, 0).astype(np.uint8))
        plan = plan_clip(replace(spec, mask=Path(name)), overwrite=True)
        resources = ClipResources.load(plan, process.solve)
        if spec.redo:
            redo_clip(plan, resources, find_existing(plan))
        else:
            matte_clip(plan, resources)
    assert spec.output is not None
    return read(spec.output, clip)


def read(folder: Path, clip: Sequence[ClipFrame]) -> list[np.ndarray]:
    """The alphas (H, W) in [0, 1] of a folder of stills."""
    return [read_alpha(folder / f"clip_{frame.number:06d}.png") for frame in clip]


def scores(
    clip: Sequence[ClipFrame], alphas: Sequence[np.ndarray], keys: Sequence[int], frames: Sequence[int] | None = None
) -> dict[str, float]:
    """Mean and worst J, and MAD x 1000, over the frames (all without) but the key frames."""
    wanted = [at for at in (range(len(clip)) if frames is None else frames) if at not in keys]
    values = [iou(alphas[at] > 0.5, clip[at].alpha > 0.5) for at in wanted]
    mad = float(np.mean([np.abs(alphas[at] - clip[at].alpha).mean() for at in wanted]))
    return {"J": round(float(np.mean(values)), 4), "worst": round(min(values), 4), "mad": round(1000 * mad, 2)}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--height", type=int, default=270)
    options.add_argument("--frames", type=int, default=36)
    options.add_argument("--kinds", nargs="*", default=["hair", "fur"])
    options.add_argument("--seeds", type=int, nargs="*", default=[5])
    options.add_argument("--method", choices=METHODS, default="network")
    options.add_argument("--refiner", default="shm")
    options.add_argument("--steps", type=int, help="of the training for the first key frame; the usual ones without")
    parsed = options.parse_args(arguments)
    if parsed.quick:
        vars(parsed).update({"height": 72, "frames": 6, "kinds": ["hair"], "refiner": "bilinear"})
    return parsed


if __name__ == "__main__":
    main()
