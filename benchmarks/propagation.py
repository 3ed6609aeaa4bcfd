"""Mask propagation from the first frame's mask: the clip's network and optical flow side by side, on DAVIS sequences.

Run from the repository: `python -m benchmarks.propagation FOLDER [FOLDER …] [--names dog …] [--frames 40] [--prior]`,
FOLDER with JPEGImages/NAME/*.jpg and Annotations/NAME/*.png (Perazzi et al., CVPR 2016). J is the IoU of
`alpha > 0.5` with the mask, at the mask's size, mean over all frames but the first. Without --prior the edges of a mask
are not solved but taken as they are; with it the alphas are those that `uhrmat video` starts from. "doubtful" are the
frames whose confidence is below the threshold, and their mean J, beside that of the others.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from benchmarks.davis import iou
from uhrmat.core.devices import set_threads
from uhrmat.core.memory import peak_resident_memory
from uhrmat.hints.files import read_alpha, read_mask
from uhrmat.media.video import open_clip
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.worker import PriorProcess
from uhrmat.video.hints import ClipHints, propagated_file
from uhrmat.video.plan import SHORT_SIDE
from uhrmat.video.propagate import propagate_segment
from uhrmat.video.propagation.clip import ClipTracker
from uhrmat.video.propagation.params import METHODS, PropagationTrainingParams
from uhrmat.video.propagation.report import frame_figures
from uhrmat.video.segments import Segment

Method = Callable[[np.ndarray, LowResHints], PriorResult]


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/propagation.json."""
    options = _options(arguments)
    set_threads(options.threads)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        method: Method = trimap_alpha
        if options.prior:
            method = AffinityPrior("closed-form", stack.enter_context(closing(PriorProcess())).solve)
        for folder, name in sequences(options):
            for kind in options.methods:
                rows.append(measured(options, folder, name, kind, method))
                print(line(rows[-1]), flush=True)
                write(options.results, "propagation", {**header(options.threads, options.quick), "sequences": rows})
    for kind in options.methods:
        means = [row["J"] for row in rows if row["method"] == kind]
        print(f"{kind}: mean J {np.mean(means):.3f} of {len(means)} sequences, worst {min(means):.3f}")


def sequences(options: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Folder and name of each sequence."""
    for folder in options.folders:
        for path in sorted((folder / "Annotations").iterdir()):
            if not options.names or path.name in options.names:
                yield folder, path.name


def measured(options: argparse.Namespace, folder: Path, name: str, kind: str, method: Method) -> dict[str, Any]:
    """The figures of one sequence and one way of propagation."""
    masks = sorted((folder / "Annotations" / name).glob("*.png"))[: options.frames]
    keys = {at: masks[at] for at in (options.keys or [0])}
    hints = ClipHints(kind="mask", keys=keys, propagated=True)
    training = PropagationTrainingParams(steps=2 if options.quick else options.steps)
    with tempfile.TemporaryDirectory() as scratch, closing(open_clip(folder / "JPEGImages" / name)) as reader:
        work, begun, training_seconds = Path(scratch), time.perf_counter(), 0.0
        tracker = None
        if kind == "network":
            tracker = ClipTracker(reader, hints, method, work, training=training, device=options.device)
            tracker.begin(Segment(0, 0, 1))
            training_seconds, begun = time.perf_counter() - begun, time.perf_counter()
        propagate_segment(reader, Segment(0, 0, len(masks)), hints, method, SHORT_SIDE, work, tracker=tracker)
        seconds = (time.perf_counter() - begun) / len(masks)
        scores, states = {}, {}
        for at, path in enumerate(masks):
            if at not in keys:
                truth = read_mask(path) > 0.5
                alpha = cv2.resize(read_alpha(propagated_file(work, at)), truth.shape[::-1])
                scores[at] = iou(alpha > 0.5, truth)
                states[at] = frame_figures(work, at).get("propagation", "sure")
    doubtful = [score for at, score in scores.items() if states[at] != "sure"]
    sure = [score for at, score in scores.items() if states[at] == "sure"]
    values = list(scores.values())
    return {
        "name": name, "method": kind, "frames": len(masks), "J": round(float(np.mean(values)), 4),
        "last_tenth": round(float(np.mean(values[-max(1, len(values) // 10) :])), 4),
        "worst": round(min(values), 4), "doubtful": len(doubtful),
        "J_doubtful": round(float(np.mean(doubtful)), 4) if doubtful else None,
        "J_sure": round(float(np.mean(sure)), 4) if sure else None, "training_seconds": round(training_seconds, 1),
        "seconds_per_frame": round(seconds, 3), "peak_memory": peak_resident_memory(),
    }  # fmt: skip


def trimap_alpha(small: np.ndarray, hints: LowResHints) -> PriorResult:
    """In place of a prior: a trimap as an alpha, whose unknown region is half; the mask then decides."""
    assert hints.trimap is not None
    alpha = hints.trimap.astype(np.float32) / np.float32(255)
    return PriorResult(np.where(hints.trimap == 128, np.float32(0.5), alpha), "trimap")


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    return (
        f"{row['name']}, {row['method']}: J {row['J']:.3f}, last tenth {row['last_tenth']:.3f}, worst "
        f"{row['worst']:.3f}; {row['doubtful']} doubtful (J {row['J_doubtful']}; others {row['J_sure']}); "
        f"training {row['training_seconds']} s, {row['seconds_per_frame']} s a frame"
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("folders", type=Path, nargs="+")
    options.add_argument("--names", nargs="*", help="all that there are without")
    options.add_argument("--frames", type=int, default=40)
    options.add_argument("--keys", type=int, nargs="*", help="frames whose mask is given; 0 without")
    options.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    options.add_argument("--steps", type=int, default=PropagationTrainingParams().steps)
    options.add_argument("--device", default="cpu")
    options.add_argument("--prior", action="store_true", help="solve the masks' edges with the closed form")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
