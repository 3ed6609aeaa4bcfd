"""Memory of DDFE: the picture that HRIMF-AMR needs 23 GB of GPU memory for, within 1 GB on the CPU.

    python -m benchmarks.ddfe                       3915 x 4059 pixels

It refines a generated picture from a generated matte at the working size, as `uhrmat image --refiner ddfe` does
once the prior is there, and prints the largest resident size of its process: Python, torch and picture included.
"""

from __future__ import annotations

import argparse
import json
import time

import cv2
import numpy as np
import torch

from uhrmat.core.devices import peak_memory
from uhrmat.core.units import parse_bytes
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.refine.base import RefineInput
from uhrmat.refine.ddfe.refiner import DDFERefiner
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import refiner_limit
from uhrmat.refine.runner import refine_within
from uhrmat.sparsity.spatial import trimap_mask


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
    parser.add_argument("--width", type=int, default=4059)
    parser.add_argument("--height", type=int, default=3915)
    parser.add_argument("--side", type=int, default=768, help="short side of the matte to start from")
    parser.add_argument("--max-memory", default="1GB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", help="a name or a .safetensors file")
    memory(parser.parse_args())


if __name__ == "__main__":
    main()
