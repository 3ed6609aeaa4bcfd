"""A matte clip of half the size, refined to the size of its pictures, against its enlargements.

Run from the repository: `python -m benchmarks.hint_clip [--height 2160 --frames 3 --kinds hair fur] [--backgrounds
FOLDER]`; it writes results/hint_clip.json. A clip with exact alpha is generated, its alpha averaged over 2 × 2 pixels
and written as a grey 8-bit FFV1 clip: the matte of another tool. `iterate_clip` then takes that file as the alpha of
every frame. Measured against the exact alpha: MAD, MSE, Grad and dtSSD of the trimap's unknown region
(protocol rvm), and MAD of the whole picture.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.common import header, parser, write
from uhrmat.media.resample import halve
from uhrmat.metrics import ClipScores, Scores, mean_scores
from uhrmat.pipeline import StillPipeline
from uhrmat.train.synth.clip import ClipFrame, ClipRecipe, render_clip
from uhrmat.video.iterate import iterate_clip

_METHODS = ("bilinear", "guided", "projection", "shm")
_MEASURES = ("mad", "mse", "grad", "dtssd")
_RATE = 25


def write_clip(path: Path, frames: list[np.ndarray], pixel_format: str) -> None:
    """Write uint8 frames (H, W) or (H, W, 3) as FFV1, exactly as they are."""
    import av

    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        for frame in frames:
            layout = "gray" if frame.ndim == 2 else "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, layout)))
        container.mux(stream.encode(None))


def measure(options: argparse.Namespace, clip: list[ClipFrame], folder: Path, method: str) -> dict[str, Any]:
    """Mean scores and seconds a frame of one refiner."""
    pipeline = StillPipeline(refiner=method, precision="fp32", working_size=options.working_size)
    scores, rows, whole = ClipScores(conn=False), list[Scores](), list[float]()
    begun = time.perf_counter()
    frames = iterate_clip(pipeline, folder / "clip.mkv", {"alpha": folder / "matte.mkv"}, foreground=False)
    for true, frame in zip(clip, frames, strict=True):
        rows.append(scores.push(frame.alpha, true.alpha, true.trimap))
        whole.append(1000 * float(np.abs(frame.alpha - true.alpha).mean()))
    seconds = (time.perf_counter() - begun) / len(clip)
    figures = {name: round(float(getattr(mean_scores(rows), name)), 4) for name in _MEASURES}
    return {**figures, "whole_mad": round(float(np.mean(whole)), 4), "seconds": round(seconds, 2)}


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/hint_clip.json."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    document: dict[str, Any] = {
        **header(options.threads, options.quick), "working_size": options.working_size, "rows": [],
    }  # fmt: skip
    backgrounds = sorted(options.backgrounds.glob("*.jpg")) if options.backgrounds else ()
    for kind in options.kinds:
        width = -(-options.height * 16 // 18) * 2
        recipe = ClipRecipe(
            options.height, width, options.frames, seed=options.seed, kind=kind, gust=options.height / 108,
            noise=options.noise, backgrounds=backgrounds,
        )  # fmt: skip
        clip = list(render_clip(recipe))
        with TemporaryDirectory() as name:
            folder = Path(name)
            write_clip(folder / "clip.mkv", [frame.image for frame in clip], "bgr0")
            halves = [np.rint(255 * halve(frame.alpha)).astype(np.uint8) for frame in clip]
            write_clip(folder / "matte.mkv", halves, "gray")
            for method in options.methods:
                row = {"recipe": {**asdict(recipe), "backgrounds": len(backgrounds)}, "method": method,
                       **measure(options, clip, folder, method)}  # fmt: skip
                print(f"{kind}, {method}: " + ", ".join(f"{k} {row[k]}" for k in (*_MEASURES, "whole_mad", "seconds")),
                      flush=True)  # fmt: skip
                document["rows"].append(row)
                path = write(options.results, "hint_clip", document)
    print(path, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--height", type=int, default=2160)
    options.add_argument("--frames", type=int, default=3)
    options.add_argument("--kinds", nargs="*", default=["hair", "fur"])
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--noise", type=float, default=1.0)
    options.add_argument("--methods", nargs="*", default=list(_METHODS))
    options.add_argument("--working-size", type=int, help="of the alpha; that of the matte clip without")
    options.add_argument("--backgrounds", type=Path, help="folder of photographs; generated backgrounds without")
    parsed = options.parse_args(arguments)
    if parsed.quick:
        vars(parsed).update({"height": 72, "frames": 2, "kinds": ["hair"]})
    return parsed


if __name__ == "__main__":
    main()
