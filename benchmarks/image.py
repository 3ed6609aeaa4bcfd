"""File to file: `uhrmat image` against PyMatting's methods at full resolution, on rendered scenes with exact alpha.

Run from the repository: `python -m benchmarks.image [--sizes 4k 8k] [--methods uhrmat cf knn lbdm]`; it writes
results/image.json and .png. Every method is a process of its own that reads a PNG and a trimap and writes alpha and
foreground; its seconds, processor time and the peak memory of its process tree stand beside SAD, MSE, Grad and Conn in
the trimap's unknown region. A method that takes longer than --max-seconds, or more than --max-gb (default: what is
available, less one), is stopped, and that is its result. uhrmat runs as it comes; PyMatting's first import compiles for
a minute, so run `python -c "import pymatting"` once before.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, plot_if_possible, write
from benchmarks.shot import hair
from benchmarks.watch import Run, available, watch
from uhrmat.metrics import score
from uhrmat.metrics.plots import plot_bars

SIZES = {"tiny": (128, 160), "4k": (2160, 3840), "8k": (4320, 7680)}
METHODS = ("uhrmat", "cf", "knn", "lbdm")


def scene(folder: Path, size: str) -> tuple[Path, Path, np.ndarray]:
    """Picture and trimap as PNG, and the exact alpha."""
    actual = hair(*SIZES[size])
    picture, trimap = folder / f"{size}.png", folder / f"{size}_trimap.png"
    cv2.imwrite(str(picture), np.rint(actual.image[..., ::-1] * 255).astype(np.uint8))
    cv2.imwrite(str(trimap), actual.trimap)
    return picture, trimap, actual.alpha


def grey(path: Path) -> np.ndarray:
    """(H, W) uint8."""
    actual = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert actual is not None, f"{path} cannot be read"
    return actual


def command(method: str, picture: Path, trimap: Path, out: Path, threads: int) -> tuple[list[str], Path]:
    """What to run, and where its alpha will be."""
    if method == "uhrmat":
        options = ["--trimap", str(trimap), "-o", str(out), "--threads", str(threads), "--json"]
        return [sys.executable, "-m", "uhrmat", "image", str(picture), *options], out / f"{picture.stem}_alpha.png"
    files = [str(picture), str(trimap), str(out)]
    return [sys.executable, "-m", "benchmarks.reference", method, *files], out / "alpha.png"


def result(method: str, run: Run, alpha: Path, truth: np.ndarray, trimap: np.ndarray) -> dict[str, Any]:
    """One row: cost, and figures where there is an alpha to judge."""
    row: dict[str, Any] = {"method": method, "wall_s": run.wall_s, "cpu_s": run.cpu_s, "peak_bytes": run.peak_bytes}
    if run.error is not None:
        return row | {"error": run.error}
    row |= {name: round(value, 4) for name, value in score(grey(alpha), truth, trimap).values.items()}
    if method == "uhrmat":
        item = json.loads(run.output)["items"][0]
        row |= {key: item[key] for key in ("active_pixels", "precision", "engine", "seconds", "notes")}
    return row


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--sizes", nargs="+", default=["4k"], choices=SIZES)
    options.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options.add_argument("--max-seconds", type=float, default=1200)
    options.add_argument("--max-gb", type=float)
    wanted = options.parse_args(argv)
    limit = int(wanted.max_gb * 1e9) if wanted.max_gb else available() - (1 << 30)
    document: dict[str, Any] = header(wanted.threads, wanted.quick) | {"protocol": "alphamatting, unknown region"}
    document |= {"memory_limit": limit, "seconds_limit": wanted.max_seconds, "scenes": []}
    for size in ["tiny"] if wanted.quick else wanted.sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            picture, trimap, truth = scene(folder, size)
            known = grey(trimap)
            runs: list[dict[str, Any]] = []
            of = {"size": size, "height": truth.shape[0], "width": truth.shape[1]}
            document["scenes"].append({**of, "unknown": int((known == 128).sum()), "runs": runs})
            for method in wanted.methods:
                out = folder / method
                out.mkdir()
                line, alpha = command(method, picture, trimap, out, wanted.threads)
                runs.append(result(method, watch(line, out, wanted.max_seconds, limit), alpha, truth, known))
                print(size, runs[-1], flush=True)
                write(wanted.results, "image", document)
    rows = [(scene["size"], run) for scene in document["scenes"] for run in scene["runs"]]
    values = {f"{size} {run['method']}" + (" (stopped)" if "error" in run else ""): run["wall_s"] for size, run in rows}
    plot_if_possible(plot_bars, wanted.results / "image.png", "File to file", "s", values)


if __name__ == "__main__":
    main()
