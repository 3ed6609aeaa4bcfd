"""Work that is larger than its memory: SparseMat's own case, 8K within 1 GB, and 16384 x 16384, all on the CPU.

Run from the repository: `python -m benchmarks.budget [--cases sparsemat 8k 16k]`; it writes results/budget.json.
sparsemat: 6800 x 3825 with about 9 million active pixels and room for 4.3 million (SparseMat §3.3): the cascade's
active pixels at each scale, and its SAD beside that of the same budget in parts, which equals one shot. 8k: `uhrmat
image --outputs alpha` on a rendered scene of 7680 x 4320 without a limit and with --max-memory 1GB, in parts (largest
difference of the alphas, 16-bit TIFF) and as a cascade (SAD against the exact alpha). 16k: a rendered scene of 4096 x
4096 and its mirror images, four by four, file to file with --max-memory 6GB.
Peak memory is that of the process tree, as `benchmarks.watch` sees it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.common import header, parser, write
from benchmarks.image import grey, scene
from benchmarks.watch import available, watch
from uhrmat.hints.files import read_trimap
from uhrmat.media import Picture, open_png, read_picture
from uhrmat.media.resample import area_average
from uhrmat.metrics import score
from uhrmat.prior.base import working_shape
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.fuse import upsampled_prior
from uhrmat.refine.memory.tiling import count_cells
from uhrmat.refine.runner import refine_with_budget
from uhrmat.refine.shm.refiner import SHMRefiner
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.synth import render_scene

ROOM = 4_300_000
"""Active pixels at once, of SparseMat's example."""


def sparsemat(quick: bool, folder: Path) -> dict[str, Any]:
    """Active pixels at each scale where about half of them fit."""
    height, width = (382, 680) if quick else (3825, 6800)
    result = render_scene(7, height, width, kind="hair", unknown_share=0.34, size=0.9)
    picture = Picture.from_array(np.rint(result.image * 255).astype(np.uint8))
    shape = working_shape(height, width, 64 if quick else None)
    # The exact alpha on the small copy: this case is about the active pixels, not about the prior.
    prior = area_average(result.alpha, shape)
    inputs = RefineInput(picture, downsample_picture(picture, shape), prior, result.trimap, trimap_mask(result.trimap))
    refiner = SHMRefiner(None, "tiles", torch.float32, "cpu")
    active, load = int(inputs.active.sum()), refiner.cost.load(count_cells(inputs.active))
    room = active // 2 if quick else ROOM
    budget = refiner.cost.bytes(round(room * load / active))
    alphas = {mode: upsampled_prior(prior, result.trimap) for mode in ("parts", "cascade")}
    refine_with_budget(refiner, inputs, alphas["parts"], "parts", budget)
    done = refine_with_budget(refiner, inputs, alphas["cascade"], "cascade", budget)
    steps = [{"scale": step.scale, "active": step.active, "parts": step.parts} for step in done.steps]
    size = {"height": height, "width": width, "active_of_one_shot": active, "room": room}
    sads = {
        f"sad_{mode}": round(score(alpha.clip(0, 1), result.alpha, result.trimap).values["sad"], 3)
        for mode, alpha in alphas.items()
    }
    return size | {"steps": steps, "notes": done.notes} | sads


def matte(picture: Path, trimap: Path, out: Path, *options: str) -> dict[str, Any]:
    """One run of `uhrmat image` in a process of its own."""
    out.mkdir()
    line = [sys.executable, "-m", "uhrmat", "image", str(picture), "--trimap", str(trimap), "-o", str(out), "--json"]
    run = watch([*line, *options], out, 3600, available())
    row: dict[str, Any] = {"options": list(options), "wall_s": run.wall_s, "peak_bytes": run.peak_bytes}
    if run.error:
        return row | {"error": run.error}
    item = json.loads(run.output)["items"][0]
    return row | {key: item[key] for key in ("active_pixels", "precision", "notes", "seconds", "peak_memory")}


def eight_k(quick: bool, folder: Path) -> dict[str, Any]:
    """Without a limit, in parts, as a cascade."""
    size = "tiny" if quick else "8k"
    picture, trimap, truth = scene(folder, size)
    limit = [] if quick else ["--max-memory", "1GB"]
    cases = {"free": [], "parts": [*limit, "--overflow", "parts"], "cascade": [*limit, "--overflow", "cascade"]}
    rows: dict[str, Any] = {}
    free = np.zeros(0)
    for name, options in cases.items():
        out = folder / name
        rows[name] = matte(picture, trimap, out, "--outputs", "alpha", "--alpha-format", "tiff", *options)
        if "error" not in rows[name]:
            alpha = read_picture(out / f"{size}_alpha.tif").pixels[..., 0]
            free = alpha if name == "free" else free
            rows[name]["largest_difference"] = float(np.abs(alpha.astype(np.float64) - free).max() / 65535)
            rows[name]["sad"] = round(score(alpha, truth, grey(trimap)).values["sad"], 4)
        print(name, rows[name], flush=True)
    return rows


def sixteen_k(quick: bool, folder: Path) -> dict[str, Any]:
    """File to file, alpha and foreground, and the alpha of one corner against the exact one."""
    side, times = (96, 2) if quick else (4096, 4)
    result = render_scene(7, side, side, kind="hair", unknown_share=0.06, size=0.7)
    picture, trimap = folder / "mosaic.png", folder / "mosaic_trimap.png"
    mosaic(picture, np.rint(result.image * 255).astype(np.uint8), times)
    mosaic(trimap, result.trimap[..., None], times)
    row = matte(picture, trimap, folder / "mosaic", "--max-memory", "6GB")
    if "error" in row:
        return row
    alpha = cv2.imread(str(folder / "mosaic" / "mosaic_alpha.png"), cv2.IMREAD_UNCHANGED)
    assert alpha is not None and alpha.shape == (side * times, side * times)
    corner = score(alpha[:side, :side], result.alpha, read_trimap(trimap)[:side, :side])
    return {"side": side * times} | row | {"corner_sad": round(corner.values["sad"], 3)}


def mosaic(path: Path, piece: np.ndarray, times: int) -> None:
    """`piece` (h, w, C) uint8 and its mirror images as a PNG of times x times pieces, written row by row of pieces."""
    strip = np.concatenate([piece[:, :: -1 if column % 2 else 1] for column in range(times)], 1)
    height, width, channels = strip.shape
    with open_png(path, width, height * times, channels, 8) as png:
        for row in range(times):
            png.write(np.ascontiguousarray(strip[:: -1 if row % 2 else 1]).squeeze())


CASES: dict[str, Callable[[bool, Path], dict[str, Any]]] = {"sparsemat": sparsemat, "8k": eight_k, "16k": sixteen_k}


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    stored = wanted.results / "budget.json"
    document: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() and not wanted.quick else {}
    document |= header(wanted.threads, wanted.quick)
    for name in wanted.cases:
        with tempfile.TemporaryDirectory() as folder:
            document[name] = CASES[name](wanted.quick, Path(folder))
        print(name, document[name], flush=True)
        write(wanted.results, "budget", document)


if __name__ == "__main__":
    main()
