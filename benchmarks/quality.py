"""Quality of the refiners behind one prior, on a folder of pictures with trimaps and true alphas.

    python -m benchmarks.quality low --pictures DIR --trimaps DIR --truth DIR [--baseline cf]
    python -m benchmarks.quality uhr --pictures DIR [--baseline cf]

`uhr` is a folder as ../shared/tools/uhr.py writes it: NAME.png, NAME_trimap.png, NAME_gt.png. Every method sees the
same prior; alphas are measured as 8-bit files hold them, over the trimap's unknown region, by alphamatting.com's
definitions. --baseline adds PyMatting at full resolution (cf, knn, lbdm), each in a process of its own with its memory.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import common
from uhrmat.hints.files import read_alpha, read_matte, read_trimap
from uhrmat.media import read_picture
from uhrmat.metrics import score
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.closed_form.solve import solve
from uhrmat.refine.registry import REFINERS

MEASURES = ("sad", "mse", "grad", "conn")
Row = dict[str, float]
Files = tuple[Path, Path, Path]


class Set:
    """The pictures of one folder: names, and the three files of each."""

    def __init__(self, pictures: Path, trimaps: Path | None, truth: Path | None) -> None:
        self.pictures, self.trimaps, self.truth = pictures, trimaps, truth
        result = (p.stem for p in pictures.glob("*.png"))
        self.names = sorted(name for name in result if not name.endswith(("_trimap", "_gt")))

    def files(self, name: str) -> Files:
        """Picture, trimap, true alpha."""
        trimap = self.trimaps / f"{name}.png" if self.trimaps else self.pictures / f"{name}_trimap.png"
        truth = self.truth / f"{name}.png" if self.truth else self.pictures / f"{name}_gt.png"
        return self.pictures / f"{name}.png", trimap, truth


def measure(alpha: np.ndarray, files: Files) -> Row:
    """The four measures of an alpha, rounded to 8 bits."""
    trimap = read_trimap(files[1], alpha.shape)
    result = score(np.rint(alpha * 255).astype(np.float32) / 255, read_matte(files[2]), trimap).values
    return {name: result[name] for name in MEASURES}


class Once:
    """The prior's solver, run once for each picture: all refiners start from the same alpha, solved once. A prior that
    refines its solution by an estimate (`lpn-trimap`) solves twice."""

    def __init__(self) -> None:
        self._last: dict[bool, tuple[bytes, tuple[np.ndarray, list[str]]]] = {}

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        arrays = [image, trimap]
        if start is not None:
            arrays += [start.alpha, *(() if start.estimate is None else (start.estimate,))]
        inputs = hashlib.sha256(b"".join(array.tobytes() for array in arrays) + name.encode()).digest()
        again = start is not None
        if again not in self._last or self._last[again][0] != inputs:
            self._last[again] = inputs, solve(image, trimap, name, start)
        return self._last[again][1]


def refined(files: Files, matters: dict[str, StillPipeline]) -> dict[str, Row]:
    """Each refiner on one picture."""
    rows: dict[str, Row] = {}
    picture = read_picture(files[0])
    for name, matter in matters.items():
        matte = matter.matte(picture, trimap=files[1], foreground=False)
        rows[name] = measure(matte.alpha, files) | {"seconds": matte.stats.seconds["refine"]}
    return rows


def baseline(files: Files, method: str) -> Row:
    """PyMatting at full resolution in a process of its own: seconds of processor time and gigabytes beside."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "benchmarks.reference", method, str(files[0]), str(files[1]), out]
        process = subprocess.Popen(command, cwd=common.ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            return {}
        alpha = read_alpha(Path(out, "alpha.png"))
    trimap = read_trimap(files[1], alpha.shape)
    alpha[trimap == 0], alpha[trimap == 255] = 0, 1
    row = measure(alpha, files)
    return row | {"seconds": usage.ru_utime + usage.ru_stime, "gigabytes": usage.ru_maxrss / 1e6}


def mean(rows: list[Row]) -> Row:
    return {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    result = Set(options.pictures, options.trimaps, options.truth)
    once = Once()
    matters = {
        name: StillPipeline(
            options.prior,
            refiner=name,
            solver=once,
            threads=options.threads,
            weights=options.weights if name == "shm" else None,
        )
        for name in options.refiners.split(",")
    }
    table: dict[str, list[Row]] = {}
    for name in result.names[: 1 if options.quick else None]:
        rows = refined(result.files(name), matters)
        for method in filter(None, options.baseline.split(",")):
            if row := baseline(result.files(name), method):
                rows[method] = row
        for method, row in rows.items():
            table.setdefault(method, []).append(row)
        print(name, {method: round(row["sad"], 2) for method, row in rows.items()}, flush=True)
    means = {method: mean(rows) | {"pictures": len(rows)} for method, rows in table.items()}
    for method, row in means.items():
        print(f"{method:12}", *(f"{key} {value:g}" for key, value in row.items()))
    document = common.header(options.threads, options.quick)
    document |= {"set": options.set, "prior": options.prior, "means": means, "pictures": table}
    print(common.write(options.results, f"quality-{options.set}", document))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = common.parser(__doc__)
    parser.add_argument("set", help="a name for the result, such as low or uhr")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--trimaps", type=Path, help="default: NAME_trimap.png beside the pictures")
    parser.add_argument("--truth", type=Path, help="default: NAME_gt.png beside the pictures")
    parser.add_argument("--refiners", default=",".join(REFINERS))
    parser.add_argument("--baseline", default="", help="PyMatting's methods at full resolution: cf,knn,lbdm")
    parser.add_argument("--prior", default="auto", help="of all refiners")
    parser.add_argument("--weights", help="of the refiner shm")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
