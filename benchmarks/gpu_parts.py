"""The parts of `benchmarks.gpu` beside its engines, one a process: `python3 -m benchmarks.gpu_parts PART`.

refine: the product's refinement at 4K and 8K: first, median, and pictures of other shapes. prior: `closed-form+knn` on
the device and its largest difference from the same in float64 on the CPU's torch. memory: parts and cascade planned for
half of what one shot needs, and under a cap of torch's allocator, with the difference from one shot. sparsemat: 6800 x
3825 with 9 million active pixels and room for 4.3 million. clips: frames at 1080p and 4K in memory, with the seconds of
their stages. profile: the device's idle share while it refines. calibration: memory per active pixel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.common import header, parser, write
from benchmarks.shot import bands, synthetic
from uhrmat.core.devices import pick_precision
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.on_device.solver import DeviceSolver
from uhrmat.refine.base import RefineInput
from uhrmat.refine.calibrate import cells, measure_cell
from uhrmat.refine.fuse import upsampled_prior
from uhrmat.refine.memory.budget import refiner_limit
from uhrmat.refine.memory.tiling import count_cells
from uhrmat.refine.runner import RefineOutcome, refine_with_budget, refine_within
from uhrmat.refine.shm.refiner import SHMRefiner

Rows = Iterator[dict[str, Any]]
SIZES = {"4K": (2160, 3840, 600_000), "8K": (4320, 7680, 2_400_000)}
SMALL = (382, 680, 80_000)
"""Height, width and active pixels of pictures that are refined in parts, in a quick run."""
SHAPES = ((2000, 3600, 500_000), (2160, 3840, 450_000), (3840, 2160, 700_000))


def _refiner(device: str) -> SHMRefiner:
    return SHMRefiner(None, "tiles", pick_precision("auto", device)[1], device)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _seconds(work: Callable[[], object], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def refine(device: str, quick: bool) -> Rows:
    """Milliseconds from the prior to the alpha on the host."""
    refiner = _refiner(device)
    sizes = {"tiny": (96, 128, 1_500)} if quick else SIZES

    def once(inputs: RefineInput) -> float:
        alpha = upsampled_prior(inputs.prior, inputs.trimap)
        work = lambda: refine_within(refiner, inputs, alpha, "cascade", refiner_limit(device, None))  # noqa: E731
        return round(1e3 * _seconds(work, device), 2)

    for name, (height, width, active) in sizes.items():
        inputs = synthetic(bands(height, width, active))
        first, later = once(inputs), [once(inputs) for _ in range(2 if quick else 9)]
        yield {"case": name, "active": active, "first_ms": first, "median_ms": float(np.median(later))}
    shapes = ((80, 120, 900),) if quick else SHAPES
    for height, width, active in shapes:
        inputs = synthetic(bands(height, width, active))
        yield {"case": f"{width}x{height}", "active": active, "first_ms": once(inputs), "second_ms": once(inputs)}


def disc(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A soft disc on noise, (h, w, 3) float32, and its trimap."""
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - height / 2, x - width / 2) / height
    alpha = np.clip((0.3 - radius) / 0.08 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(1).normal(0, 0.03, (height, width, 3))
    back = np.stack([x / width, y / height, 0.4 + 0 * x], -1)
    picture = (alpha * [0.8, 0.3, 0.2] + (1 - alpha) * back + noise).clip(0, 1).astype(np.float32)
    return picture, np.where(radius < 0.2, 255, np.where(radius > 0.4, 0, 128)).astype(np.uint8)


def prior(device: str, quick: bool) -> Rows:
    """Seconds of the low-resolution system at working size, and its difference from the same on the CPU."""
    picture, trimap = disc(*((64, 96) if quick else (768, 1365)))
    for name in ("closed-form", "closed-form+knn"):
        solver, alphas = DeviceSolver(device), []
        seconds = [_seconds(lambda: alphas.append(solver(picture, trimap, name)[0]), device) for _ in range(3)]  # noqa: B023
        row = {"prior": name, "unknown": int((trimap == 128).sum()), "first_s": seconds[0], "best_s": min(seconds)}
        yield row
        small = (picture, trimap) if quick else disc(192, 256)
        there, here = DeviceSolver(device)(*small, name)[0], DeviceSolver("cpu")(*small, name)[0]
        yield {"prior": name, "largest_difference": float(np.abs(there - here).max())}


def memory(device: str, quick: bool) -> Rows:
    """Parts and cascade planned for half of what one shot needs, then with torch's allocator capped there."""
    refiner = _refiner(device)
    inputs = synthetic(bands(*(SMALL if quick else SIZES["4K"])))
    whole = upsampled_prior(inputs.prior, inputs.trimap)
    refine_with_budget(refiner, inputs, whole, "parts", 1 << 50)
    half = refiner.cost.bytes(refiner.cost.load(count_cells(inputs.active)) // 2)
    limits = {"planned": (half, 1.0)}
    if device.startswith("cuda"):
        total = torch.cuda.get_device_properties(device).total_memory
        limits["capped"] = (1 << 50, min(1.0, (torch.cuda.memory_allocated() + half) / total))
    for name, (limit, share) in limits.items():
        for mode in ("parts", "cascade"):
            alpha = upsampled_prior(inputs.prior, inputs.trimap)
            if share < 1:
                torch.cuda.empty_cache()
                torch.cuda.set_per_process_memory_fraction(share)
            try:
                once = refine_within if name == "capped" else refine_with_budget
                done = once(refiner, inputs, alpha, mode, limit)
                yield _budgeted(name, mode, done) | {"largest_difference": float(np.abs(alpha - whole).max())}
            finally:
                if share < 1:
                    torch.cuda.set_per_process_memory_fraction(1.0)


def _budgeted(name: str, mode: str, done: RefineOutcome) -> dict[str, Any]:
    steps = [{"scale": step.scale, "active": step.active, "parts": step.parts} for step in done.steps]
    return {"case": name, "mode": mode, "steps": steps, "notes": done.notes}


def sparsemat(device: str, quick: bool) -> Rows:
    """SparseMat's own case (§3.3): about twice as many active pixels as fit."""
    refiner = _refiner(device)
    inputs = synthetic(bands(*(SMALL if quick else (3825, 6800, 9_000_000))))
    load = refiner.cost.load(count_cells(inputs.active))
    room = refiner.cost.bytes(round(load * 4.3 / 9))
    for mode in ("parts", "cascade"):
        alpha, done = upsampled_prior(inputs.prior, inputs.trimap), []
        work = lambda: done.append(refine_with_budget(refiner, inputs, alpha, mode, room))  # noqa: B023, E731
        seconds = round(_seconds(work, device), 3)
        yield _budgeted("{1}x{0}".format(*inputs.active.shape), mode, done[0]) | {"seconds": seconds}


def clips(device: str, quick: bool) -> Rows:
    """Frames with a moving subject and a trimap each, from arrays to alpha and foreground."""
    sizes = {"tiny": (96, 128)} if quick else {"1080p": (1080, 1920), "4K": (2160, 3840)}
    pipeline = StillPipeline(AffinityPrior("closed-form+knn", DeviceSolver(device)), device=device)
    for name, (height, width) in sizes.items():
        picture, trimap = disc(height, width)
        pixels, frames = np.rint(picture * 255).astype(np.uint8), 2 if quick else 8
        seconds: dict[str, float] = {}
        start = time.perf_counter()
        for number in range(frames + 1):
            if number == 1:
                seconds, start = {}, time.perf_counter()  # the first one warms up
            moved = [np.roll(array, 4 * number, 1) for array in (pixels, trimap)]
            done = pipeline.matte(Picture.from_array(moved[0]), hints=Hints(trimap=moved[1]))
            for stage, took in done.stats.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + took
        rate = frames / (time.perf_counter() - start)
        stages = {stage: round(took / frames, 4) for stage, took in seconds.items()}
        yield {"case": name, "frames_per_s": round(rate, 3), "seconds_a_frame": stages}


def profile(device: str, quick: bool) -> Rows:
    """What runs while a 4K picture is refined, and for how much of the time nothing runs on the device."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    refiner = _refiner(device)
    inputs = synthetic(bands(*((96, 128, 1_500) if quick else SIZES["4K"])))
    alpha = upsampled_prior(inputs.prior, inputs.trimap)
    refiner.refine(inputs, alpha.copy())
    on_gpu = device.startswith("cuda")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with record(activities=kinds) as log:
        wall = _seconds(lambda: refiner.refine(inputs, alpha), device)
    key = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(log.key_averages(), key=lambda event: -getattr(event, key))
    busy = sum(getattr(event, key) for event in events) / 1e6
    rows = [{"name": e.key, "count": e.count, "ms": round(getattr(e, key) / 1e3, 3)} for e in events[:25]]
    yield {"wall_ms": round(wall * 1e3, 2), "busy_ms": round(busy * 1e3, 2), "idle_share": max(0.0, 1 - busy / wall),
           "top": rows}  # fmt: skip


def calibration(device: str, quick: bool) -> Rows:
    """Bytes per active pixel of every engine, network and precision that runs here."""
    for cell in cells(device)[: 1 if quick else None]:
        try:
            yield {"cell": cell.key(device)} | measure_cell(device, cell, (128, 192) if quick else cell.sides())
        except Exception as error:
            yield {"cell": cell.key(device), "error": str(error)[:300]}


PARTS: dict[str, Callable[[str, bool], Rows]] = {
    "refine": refine, "prior": prior, "memory": memory, "sparsemat": sparsemat, "clips": clips, "profile": profile,
    "calibration": calibration,
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("part", choices=list(PARTS))
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    document: dict[str, Any] = {**header(wanted.threads, wanted.quick), "device": wanted.device, "rows": []}
    write(wanted.results, f"gpu-{wanted.part}", document)
    for row in PARTS[wanted.part](wanted.device, wanted.quick):
        document["rows"].append(row)
        print(row, flush=True)
        write(wanted.results, f"gpu-{wanted.part}", document)


if __name__ == "__main__":
    main()
