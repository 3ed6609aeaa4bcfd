"""DAVIS sequences with their masks: how far a hint is carried, and what the network that finds people sees in them.

Run from the repository: `python -m benchmarks.davis FOLDER [--names dog …] [--modes first keys person] [--keep OUT]`,
FOLDER with JPEGImages/NAME/*.jpg and Annotations/NAME/*.png (Perazzi et al., CVPR 2016). IoU of `alpha > 0.5`, as
`uhrmat video` writes it, with the masks, over the frames that had no mask as hint. first: the mask of frame 0 is given;
keys: that of every --step-th frame; person: nothing is.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import header, parser, write
from uhrmat.core.options import ModelOptions
from uhrmat.hints.files import read_alpha, read_mask
from uhrmat.prior.choose import AFFINITY_PRIORS
from uhrmat.prior.worker import PriorProcess
from uhrmat.video.plan import plan_clip
from uhrmat.video.propagation.params import METHODS
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

_AT = (0.1, 0.25, 0.5, 1.0)
"""Shares of a sequence over whose frames the IoU is given: a carried hint gets worse."""


def sequences(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each sequence and mode."""
    names = options.names or sorted(path.name for path in (options.folder / "Annotations").iterdir())
    for name in names:
        for mode in options.modes:
            with tempfile.TemporaryDirectory() as scratch:
                out = (options.keep or Path(scratch)) / f"{name}-{mode}"
                row = {"name": name, "mode": mode, **measured(options, name, mode, out, Path(scratch))}
            print(f"{name}, {mode}: IoU {row['iou']:.3f}; {row['until']}", flush=True)
            yield row


def measured(options: argparse.Namespace, name: str, mode: str, out: Path, scratch: Path) -> dict[str, Any]:
    """IoU of a sequence matted into the folder `out`: over all frames without a hint, and until shares of them."""
    masks = sorted((options.folder / "Annotations" / name).glob("*.png"))[: options.frames]
    keys = {"first": masks[:1], "keys": masks[:: options.step], "person": []}[mode]
    hints = scratch / "hints"
    hints.mkdir()
    for path in keys:
        shutil.copy(path, hints)
    spec = ClipSpec(
        source=options.folder / "JPEGImages" / name, output=out, outputs=("alpha",), codec="png", frames=len(masks),
        mask=hints if keys else None, propagation=options.propagation, averaged=not options.frame_by_frame,
        model=ModelOptions(threads=options.threads, refiner=options.refiner),
    )  # fmt: skip
    plan = plan_clip(spec, overwrite=True)
    with closing(PriorProcess()) as process:
        report = matte_clip(plan, ClipResources.load(plan, process.solve if plan.prior in AFFINITY_PRIORS else None))
    result = [iou(read_alpha(out / path.name) > 0.5, read_mask(path) > 0.5) for path in masks if path not in keys]
    until = {f"{share:.0%}": round(float(np.mean(result[: max(1, round(share * len(result)))])), 4) for share in _AT}
    return {"frames": len(masks), "hints": len(keys), "iou": round(float(np.mean(result)), 4), "until": until,
            "worst": round(min(result), 4), "frames_per_second": report.rate, "notes": report.notes}  # fmt: skip


def iou(result: np.ndarray, truth: np.ndarray) -> float:
    """Of two masks (H, W) bool; 1 where both are empty."""
    union = np.count_nonzero(result | truth)
    return np.count_nonzero(result & truth) / union if union else 1.0


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/davis.json."""
    result = parser(__doc__)
    result.add_argument("folder", type=Path)
    result.add_argument("--names", nargs="*", help="all that there are without")
    result.add_argument("--modes", nargs="*", choices=("first", "keys", "person"), default=["first", "keys"])
    result.add_argument("--step", type=int, default=10)
    result.add_argument("--frames", type=int)
    result.add_argument("--refiner", default="shm")
    result.add_argument("--propagation", choices=METHODS, default=METHODS[0])
    result.add_argument("--frame-by-frame", action="store_true", help="no frame looks at its neighbours")
    result.add_argument("--keep", type=Path, help="folder for the mattes")
    options = result.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for row in sequences(options):
        rows.append(row)
        write(options.results, "davis", {**header(options.threads, options.quick), "sequences": rows})


if __name__ == "__main__":
    main()
