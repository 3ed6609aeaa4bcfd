"""Memory of DDFE: bytes per pixel for budgets, and the picture that HRIMF-AMR needs 23 GB of GPU memory for.

    python -m benchmarks.ddfe calibrate             updates uhrmat/refine/memory/bytes_per_pixel.json
    python -m benchmarks.ddfe memory                3915 x 4059 pixels within 1 GB, on the CPU

`memory` refines a generated picture from a generated matte at the working size, as `uhrmat image --refiner ddfe` does
once the prior is there, and prints the largest resident size of its process: Python, torch and picture included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.calibrate import _peak, _reset, job, machine, store
from uhrmat.core.devices import peak_memory
from uhrmat.core.units import parse_bytes
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.refine.base import RefineInput
from uhrmat.refine.ddfe.network import DDFE, SIZES
from uhrmat.refine.ddfe.refiner import DDFERefiner
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import refiner_limit
from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.memory.tiling import count_cells
from uhrmat.refine.runner import refine_within
from uhrmat.sparsity.spatial import trimap_mask

SIDES = (768, 2304)


def measure(size: str, side: int) -> None:
    """Prints load, active pixels and bytes of one step, as JSON. To be run in a process of its own."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        save_file(DDFE(size).state_dict(), Path(folder) / "w.safetensors", {"size": size})
        refiner = DDFERefiner(str(Path(folder) / "w.safetensors"), "tiles", torch.float32, "cpu")
    for work in (job(256), job(side)):
        alpha, start = np.ones(work.size, np.float32), _reset("cpu")
        refiner.prepare(work, alpha)((slice(0, side), slice(0, side)))
    cells = count_cells(work.active)
    load = Cost("tiles", 1, 0).load(cells)
    print(json.dumps({"load": load, "active": int(cells.sum()), "bytes": _peak("cpu") - start}))


def calibrate() -> None:
    """Slope and intercept of each size from two pictures, each in a fresh process."""
    for size in sorted(SIZES):
        runs = [f"import benchmarks.ddfe as d; d.measure({size!r}, {side})" for side in SIDES]
        done = [subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True) for run in runs]
        low, high = (json.loads(run.stdout.splitlines()[-1]) for run in done)
        slope = (high["bytes"] - low["bytes"]) / (high["load"] - low["load"])
        found = {
            "per_pixel": round(slope, 1),
            "fixed": max(0, round(low["bytes"] - slope * low["load"])),
            "per_active_pixel_of_the_ring": round(slope * high["load"] / high["active"], 1),
            "loads": [low["load"], high["load"]],
        }
        print(size, found, flush=True)
        store(f"cpu/tiles/float32/ddfe-{size}", found, {"cpu": machine("cpu")})


def scene(height: int, width: int, side: int) -> RefineInput:
    """A soft wavy edge of hair's width in noise, with its trimap and the matte at working size."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:height, :width]
    edge = (width / 2 + width / 8 * np.sin(y * 12 / height) - x).astype(np.float32)
    alpha = np.clip(edge / 40 + 0.5, 0, 1)
    shade = cv2.resize(rng.random((height // 8, width // 8), np.float32), (width, height))
    picture = np.rint(255 * (0.25 * shade + 0.6 * alpha)).astype(np.uint8)
    pixels = np.stack([picture, picture // 2, 255 - picture], -1)
    trimap = np.where(np.abs(edge) < width / 16, 128, np.where(edge > 0, 255, 0)).astype(np.uint8)
    shape = (side, round(side * width / height)) if height < width else (round(side * height / width), side)
    small, low = area_average(pixels, shape, 255.0), area_average(alpha, shape)
    prior = np.where(downsample_trimap(trimap, shape) == 128, low, low > 0.5).astype(np.float32)
    return RefineInput(Picture.from_array(pixels), small, prior, trimap, trimap_mask(trimap))


def memory(options: argparse.Namespace) -> None:
    """Prints what was refined, in how many parts, in what time, and the process's peak."""
    torch.set_num_threads(options.threads)
    refiner = DDFERefiner(options.weights, "tiles", torch.float32, "cpu")
    work = scene(options.height, options.width, options.side)
    assert work.trimap is not None
    before = peak_memory("cpu")
    alpha = upsampled_prior(work.prior, work.trimap)
    start = time.perf_counter()
    done = refine_within(refiner, work, alpha, "parts", refiner_limit("cpu", parse_bytes(options.max_memory)))
    apply_trimap(alpha, work.trimap)
    result = {
        "picture": [options.width, options.height],
        "unknown": int((work.trimap == 128).sum()),
        "steps": [[step.scale, step.active, step.parts] for step in done.steps],
        "seconds": round(time.perf_counter() - start, 1),
        "peak before refining, MB": round(before / 1e6),
        "peak, MB": round(peak_memory("cpu") / 1e6),
    }
    print(json.dumps(result, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("calibrate", "memory"))
    parser.add_argument("--width", type=int, default=4059)
    parser.add_argument("--height", type=int, default=3915)
    parser.add_argument("--side", type=int, default=768, help="short side of the matte to start from")
    parser.add_argument("--max-memory", default="1GB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", help="a name or a .safetensors file")
    options = parser.parse_args()
    if options.what == "calibrate":
        calibrate()
    else:
        memory(options)


if __name__ == "__main__":
    main()
