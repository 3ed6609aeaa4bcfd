"""Clips with true alpha: what temporal sparsity saves, and what it costs.

Run from the repository: `python -m benchmarks.clip [--height 2160 --frames 24] [--noise 0 1 2 4] [--parts quality drift
speed memory] [--backgrounds FOLDER]`; it writes results/clip.json. Quality: hair in gusts before a standing and a
panning background, with noise, a hard cut, a slow fade, with temporal sparsity off, on without averaging ("frame by
frame") and on: MAD, MSE, Grad and dtSSD of the trimap's unknown region (protocol rvm), active and computed pixels,
GMACs of SHM in both sizes. The hint is a trimap of every frame, made from the true alpha. Drift: one long clip, first
against last frames. Speed: frames per second of `matte_clip` from file to file. Memory: what is held until frame 50 and
until frame 2 000 of small ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clip_files import MODES, memory, speed
from benchmarks.common import header, parser, write
from benchmarks.macs import active_sites, dense_sites, macs
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.metrics import ClipScores, Scores, mean_scores
from uhrmat.pipeline import StillPipeline
from uhrmat.refine.shm.network import SIZES
from uhrmat.sparse import ActiveSet
from uhrmat.train.synth.clip import ClipFrame, ClipRecipe, render_clip
from uhrmat.video.frames import ClipPipeline, FrameResult, TemporalOptions

_MEASURES = ("mad", "mse", "grad", "dtssd")
_PARTS = ("quality", "drift", "speed", "memory")
_FADE = 0.02
"""Share of the light that a fade takes per frame: to black in two seconds at 25 frames a second."""


def recipe(options: argparse.Namespace, frames: int, **changes: Any) -> ClipRecipe:
    """A clip of the benchmark: hair, whose gusts grow with the picture."""
    height = options.height
    backgrounds = sorted(options.backgrounds.glob("*.jpg")) if options.backgrounds else ()
    base = ClipRecipe(height, -(-height * 16 // 18) * 2, frames, seed=3, gust=height / 108, backgrounds=backgrounds)
    return replace(base, **changes)


def small(options: argparse.Namespace, frames: int, height: int, width: int) -> ClipRecipe:
    """A long clip of little frames with two levels of noise."""
    return replace(recipe(options, frames, noise=2.0), gust=2.0, height=height, width=width)


def cases(options: argparse.Namespace) -> Iterator[tuple[str, ClipRecipe]]:
    """Name and recipe of every clip of the quality part."""
    n, pan = options.frames, options.height / 270
    for noise in options.noise:
        yield f"static, noise {noise:g}", recipe(options, n, noise=noise)
        yield f"panning, noise {noise:g}", recipe(options, n, noise=noise, pan=pan)
    if options.events:
        yield "hard cut, noise 2", recipe(options, n, noise=2.0, cut=n // 2)
        begins, ends = n // 6, n - 1
        dark = max(0.4, 1 - _FADE * (ends - begins))
        yield "slow fade, noise 2", recipe(options, n, noise=2.0, fade=(begins, ends), fade_to=dark)


def quality(options: argparse.Namespace, matter: StillPipeline) -> Iterator[dict[str, Any]]:
    """A row for each clip and mode."""
    for name, wanted in cases(options):
        if options.only and not any(name.startswith(start) for start in options.only):
            continue
        clip = list(render_clip(wanted))
        for mode in options.modes:
            row = measured(clip, matter, MODES[mode])
            print(f"{name}, {mode}: MAD {row['mad']:.2f}, dtSSD {row['dtssd']:.3f}, reused {row['reuse_share']:.1%}",
                  flush=True)  # fmt: skip
            yield {"clip": name, "height": wanted.height, "frames": wanted.frames, "temporal": mode, **row}


def measured(clip: list[ClipFrame], matter: StillPipeline, gate: TemporalOptions) -> dict[str, Any]:
    """Mean scores, shares, GMACs and seconds of one pass over a clip."""
    state, scores = ClipPipeline(matter, gate), ClipScores(conn=False)
    result: list[Scores] = []
    rows: list[dict[str, float]] = []
    for frame in clip:
        matte = matted(state, frame)
        result.append(scores.push(matte.alpha, frame.alpha, frame.trimap))
        rows.append(costs(matte))
    figures = {name: round(float(getattr(mean_scores(result), name)), 4) for name in _MEASURES}
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    band = sum(row["band"] for row in rows[1:]) or 1
    return {**figures, **means, "reuse_share": round(1 - sum(row["active"] for row in rows[1:]) / band, 4)}


def matted(state: ClipPipeline, frame: ClipFrame) -> FrameResult:
    """One frame with its trimap."""
    return state.frame(Picture.from_array(frame.image), frame.number, Hints(trimap=frame.trimap), foreground=False)


def costs(matte: FrameResult) -> dict[str, float]:
    """Pixels and their shares of the picture, and GMACs of SHM."""
    stats, sites = matte.stats, active_sites(ActiveSet.from_mask(matte.computed))
    work = {f"gmacs_{size}": macs(SIZES[size], sites) / 1e9 for size in ("lite", "paper")}
    work["gmacs_paper_dense"] = macs(SIZES["paper"], dense_sites(*matte.alpha.shape)) / 1e9
    shares = {"active_share": stats.active_share, "computed_share": stats.computed / stats.pixels}
    return {"band": stats.band, "active": stats.active, "noise": 255 * stats.noise, **shares, **work}


def drift(options: argparse.Namespace, matter: StillPipeline) -> Iterator[dict[str, Any]]:
    """MAD of the first and the last tenth of a long clip without key frames, off and on."""
    clip = list(render_clip(small(options, options.drift_frames, 180, 320)))
    size = {"frames": len(clip), "height": 180, "width": 320}
    part = max(1, len(clip) // 10)
    for mode, gate in MODES.items():
        state, scores = ClipPipeline(matter, gate), ClipScores(conn=False)
        mads = [scores.push(matted(state, f).alpha, f.alpha, f.trimap).mad for f in clip]
        thirds = {"first": mads[:part], "last": mads[-part:], "all": mads}
        yield {**size, "temporal": mode, **{name: round(float(np.mean(x)), 3) for name, x in thirds.items()}}


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/clip.json."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    matter = StillPipeline(refiner=options.refiner, precision=options.precision, working_size=options.working_size)
    rows = _earlier(options.results / f"{options.name}.json") if options.add else {}
    document: dict[str, Any] = {
        **header(options.threads, options.quick), "refiner": matter.refiner.name, "precision": matter.precision,
        "working_size": options.working_size, **rows,
    }  # fmt: skip
    parts = {"quality": lambda: quality(options, matter), "drift": lambda: drift(options, matter),
             "speed": lambda: speed(options, recipe(options, options.speed_frames, noise=1.0)),
             "memory": lambda: memory(options, small(options, options.memory_frames, 144, 256))}  # fmt: skip
    for name in options.parts:
        document.setdefault(name, [])
        for row in parts[name]():
            document[name].append(row)
            path = write(options.results, options.name, document)
    print(path, flush=True)


def _earlier(path: Path) -> dict[str, Any]:
    """The parts of a result."""
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {name: result[name] for name in _PARTS if name in result}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    result = parser(__doc__)
    result.add_argument("--height", type=int, default=2160)
    result.add_argument("--frames", type=int, default=24)
    result.add_argument("--noise", type=float, nargs="*", default=[0.0, 1.0, 2.0, 4.0], help="none: the events alone")
    result.add_argument("--only", nargs="*", help="cases whose names begin so: static, panning, hard, slow")
    result.add_argument("--no-events", dest="events", action="store_false", help="leave out the cut and the fade")
    result.add_argument("--drift-frames", type=int, default=300)
    result.add_argument("--speed-frames", type=int, default=60)
    result.add_argument("--memory-frames", type=int, default=2000)
    result.add_argument(
        "--modes", nargs="*", choices=tuple(MODES), default=list(MODES), help="of the quality and speed parts"
    )
    result.add_argument(
        "--keep", type=Path, help="folder where the speed and memory parts' clips stay, to be used again"
    )
    result.add_argument("--parts", nargs="*", choices=_PARTS, default=["quality", "drift"])
    result.add_argument("--refiner", default="shm")
    result.add_argument("--precision", default="auto")
    result.add_argument("--working-size", type=int, default=512)
    result.add_argument("--backgrounds", type=Path, help="folder of photographs; generated backgrounds without")
    result.add_argument("--name", default="clip", help="of the result")
    result.add_argument("--add", action="store_true", help="keep the rows that the result has from other commands")
    options = result.parse_args(arguments)
    if options.quick:
        small = {"height": 72, "frames": 3, "noise": [2.0], "events": False, "drift_frames": 3, "speed_frames": 3,
                 "memory_frames": 4, "working_size": 40, "parts": _PARTS, "precision": "fp32"}  # fmt: skip
        vars(options).update(small)
    return options


if __name__ == "__main__":
    main()
