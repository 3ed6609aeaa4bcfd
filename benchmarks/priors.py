"""Every prior before SHM: quality, processor seconds, memory.

    python -m benchmarks.priors --data DIR [--backgrounds DIR] [--people DIR] [--networks FILE...] [--only HINTS]

DIR as for `uhrmat bench hrimf-amr`: pictures with trimaps and true alphas. The same pictures are matted with a trimap,
a coarse mask, a small alpha, before a plate and before a screen (composites, see `priors_cases`); photographs of people
(photo/*7.jpg with mask/*7.png, the ones that no network of ours was trained on) without any hint. Each prior runs in
a process of its own. Figures lie over the trimap's unknown region (people: everywhere); SAD, Grad and Conn in
thousands, MSE and MAD (of the whole picture, before rounding) times a thousand. Results are kept picture by picture:
what stands in the file is not measured again, and --seconds stops between two pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import common
from benchmarks.priors_cases import HINTS, Case, cases
from uhrmat.hub.bundled import bundled_weights_dir
from uhrmat.metrics import score
from uhrmat.pipeline import PriorStage, StillPipeline

PRIORS = {
    "trimap": ("closed-form+knn", "closed-form", "knn", "lbdm", "rw", "lkm", "lpn-trimap"),
    "mask": ("auto", "mask"),
    "alpha": ("alpha",),
    "plate": ("plate",),
    "key": ("key",),
    "nothing": ("lpn-person",),
}
"""Priors by hint; `auto` makes a trimap of the mask for the default prior."""
MEASURES = ("sad", "mse", "grad", "conn")
Row = dict[str, float]


class Timed(StillPipeline):
    """seconds: of processor time that the last prior took."""

    seconds = 0.0

    def run_prior(self, *args: Any, **options: Any) -> PriorStage:
        start = time.process_time()
        wanted = super().run_prior(*args, **options)
        self.seconds = time.process_time() - start
        return wanted


def measure(matter: Timed, case: Case) -> Row:
    """All figures of one case."""
    start = time.process_time()
    matte = matter.matte(case.picture, foreground=False, **case.said)
    seconds = time.process_time() - start
    rounded = np.rint(matte.alpha * 255).astype(np.float32) / 255
    result = score(rounded, case.truth, case.region).values
    row = {name: float(result[name]) for name in MEASURES}
    row["mad"] = 1000 * float(np.abs(matte.alpha - case.truth).mean())
    if case.region is None:
        both = ((matte.alpha > 0.5) & (case.truth > 0.5)).sum()
        row["iou"] = float(both / max(1, ((matte.alpha > 0.5) | (case.truth > 0.5)).sum()))
    return row | {
        "prior_seconds": matter.seconds, "seconds": seconds, "gigabytes": matte.stats.peak_memory / 1e9,
    }  # fmt: skip


def child(options: argparse.Namespace) -> None:
    """One prior on the cases that are named, a JSON line for each, until the time is over."""
    torch.set_num_threads(options.threads)
    deadline = time.monotonic() + options.seconds
    hint, prior = options.only.split("/", 1)
    result = cases(hint, options.data, options.people, options.backgrounds)
    matter = Timed(prior, threads=options.threads)
    for name in options.names.split(","):
        if time.monotonic() > deadline:
            break
        print(json.dumps({name: measure(matter, result[name]())}), flush=True)


def run(options: argparse.Namespace, which: str, names: list[str], seconds: float) -> Iterator[dict[str, Row]]:
    """Rows of a prior as its process finds them."""
    command = [sys.executable, "-m", "benchmarks.priors", "--data", str(options.data), "--only", which]
    command += ["--names", ",".join(names), "--threads", str(options.threads), "--seconds", str(seconds)]
    for flag in ("people", "backgrounds"):
        command += [f"--{flag}", str(getattr(options, flag))] if getattr(options, flag) else []
    with subprocess.Popen(command, cwd=common.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        print(f"{which}: failed with exit code {process.returncode}", file=sys.stderr)


def means(rows: dict[str, Row]) -> Row:
    """Means over the pictures; of memory the maximum."""
    columns = {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}
    return {
        key: round(max(column) if key == "gigabytes" else float(np.mean(column)), 3) for key, column in columns.items()
    } | {"pictures": len(rows)}


def planned(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """(hint, prior) pairs that were chosen and are available."""
    wanted = [word for word in options.only.split(",") if word]
    for hint in HINTS:
        extra = tuple(map(str, options.networks)) if hint == "nothing" else ()
        for prior in (*PRIORS[hint], *extra):
            chosen = not wanted or hint in wanted or f"{hint}/{prior}" in wanted
            if chosen and not (
                prior == "lpn-trimap" and not (bundled_weights_dir() / f"{prior}.safetensors").is_file()
            ):
                yield hint, prior


def main(argv: list[str] | None = None) -> None:
    """The command."""
    options = _options(argv)
    if options.names:
        child(options)
        return
    path, end = options.results / "priors.json", time.monotonic() + options.seconds
    table: dict[str, dict[str, Row]] = json.loads(path.read_text())["pictures"] if path.is_file() else {}
    for hint, prior in planned(options):
        label = f"{hint}/{Path(prior).stem if Path(prior).suffix else prior}"
        rows = {} if options.again else table.get(label, {})
        names = list(cases(hint, options.data, options.people, options.backgrounds))[: options.limit]
        left = [name for name in names if name not in rows]
        if left and time.monotonic() < end:
            for row in run(options, f"{hint}/{prior}", left, end - time.monotonic()):
                rows |= row
                table[label] = rows
                _write(options, table)
        if rows:
            print(f"{label:24}", *(f"{key} {value:g}" for key, value in means(rows).items()), flush=True)


def _write(options: argparse.Namespace, table: dict[str, dict[str, Row]]) -> None:
    result = {label: means(rows) for label, rows in table.items() if rows}
    document = common.header(options.threads, options.quick) | {"means": result, "pictures": table}
    common.write(options.results, "priors", document)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, help="photographs for composites before a plate")
    parser.add_argument("--people", type=Path, help="holds photo/*.jpg and mask/*.png")
    parser.add_argument("--networks", type=Path, nargs="*", default=[], help="ONNX files that find people")
    parser.add_argument("--only", default="", help="such as key,trimap/knn: hints, or a hint's prior")
    parser.add_argument("--limit", type=int, help="the first so many pictures")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no picture after so long")
    parser.add_argument("--again", action="store_true", help="measure also what stands in the file")
    parser.add_argument("--names", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.limit = 1 if options.quick else options.limit
    return options


if __name__ == "__main__":
    main()
