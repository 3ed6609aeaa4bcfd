"""One 3x3 convolution, 32 to 32 channels, on 0.36 M active pixels of 4096x4096: every engine, checked and timed.

Run from the repository: `python -m benchmarks.engines [--threads 2] [--repeats 9]`; it writes results/engines.json.
`wall_ms` and `cpu_ms` are minima over the repeats; a busy machine changes the second, processor time, less. spconv's
CPU build runs in a process of one thread, where alone it is right; the dense engine is timed once.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.sparse import ActiveSet, DenseEngine, Engine, Feat, TilesEngine
from uhrmat.sparse.kernels import make_kernel
from uhrmat.sparse.spconv_engine import SpconvEngine

SIDE, ACTIVE, CHANNELS = 4096, 360_000, 32
RESULTS = Path(__file__).parent / "results" / "engines.json"


def band() -> np.ndarray:
    """(SIDE, SIDE) bool: a wavy ring of exactly ACTIVE pixels."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - SIDE / 2
    distance = np.abs(np.hypot(y, x) + 60 * np.sin(8 * np.arctan2(y, x)) - 0.3 * SIDE)
    mask = np.zeros(SIDE * SIDE, bool)
    mask[np.argpartition(distance.ravel(), ACTIVE)[:ACTIVE]] = True
    return mask.reshape(SIDE, SIDE)


def colours(ys: Tensor, xs: Tensor) -> Tensor:
    """CHANNELS channels of the coordinates, in [-1, 1]."""
    phases = torch.arange(CHANNELS) / CHANNELS
    return torch.sin(ys[..., None] * (0.1 + phases) + xs[..., None] * (0.9 - phases))


def parameters() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, generator=rng) / (9 * CHANNELS) ** 0.5
    return weight, torch.randn(CHANNELS, generator=rng) / 10


def best(work: Callable[[], object], repeats: int, warm_up: bool = True) -> dict[str, float]:
    """Minima in milliseconds."""
    if warm_up:
        work()
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall_ms": round(min(wall) * 1e3, 1), "cpu_ms": round(min(cpu) * 1e3, 1)}


class GatherGemm:
    """The baseline: rows of active sites only, nine gathered neighbours per site, one matrix product per part."""

    def __init__(self, active: ActiveSet, part: int = 1 << 15) -> None:
        number = torch.full((SIDE + 2, SIDE + 2), active.count, dtype=torch.int32)
        ys, xs = active.mask().nonzero(as_tuple=True)
        number[ys + 1, xs + 1] = torch.arange(active.count, dtype=torch.int32)
        shifts = [(dy, dx) for dy in range(3) for dx in range(3)]
        self.table = torch.stack([number[ys + dy, xs + dx] for dy, dx in shifts], 1)
        self.part = part
        self.rows = torch.cat([colours(ys, xs), torch.zeros(1, CHANNELS)])

    def convolve(self, weight: Tensor, bias: Tensor) -> Tensor:
        factor = weight.permute(2, 3, 1, 0).reshape(-1, CHANNELS).contiguous()
        out = torch.empty(len(self.table), CHANNELS)
        for start in range(0, len(out), self.part):
            table = self.table[start : start + self.part]
            near = self.rows.index_select(0, table.flatten()).view(len(table), -1)
            torch.addmm(bias, near, factor, out=out[start : start + self.part])
        return out.relu_()


def breakdown(engine: TilesEngine, weight: Tensor, bias: Tensor, repeats: int) -> dict[str, dict[str, float]]:
    """Times of the three steps of a tiles layer, each run alone over all chunks."""
    level = engine.active.levels[0]
    table = level.table(level, level.tile + 2, 1, -1)
    side, room = level.tile + 2, (1 << 20) * torch.get_num_threads()
    count = room // (side * side * CHANNELS * engine.dtype.itemsize)
    parts = [part.flatten() for part in table.split(count)]
    source = engine.sample(colours).data
    window = torch.empty(count * side * side, CHANNELS, dtype=engine.dtype)
    seen = window.normal_().view(count, side, side, CHANNELS).permute(0, 3, 1, 2)
    weight, bias = weight.to(engine.dtype), bias.to(engine.dtype)
    found = F.conv2d(seen, weight, bias).permute(0, 2, 3, 1)
    out = torch.empty(level.tiles, level.tile, level.tile, CHANNELS, dtype=engine.dtype).split(count)
    kernel = make_kernel(weight, bias, 1, "relu", tuple(seen.shape))
    steps: dict[str, Callable[[], object]] = {
        "halo": lambda: [torch.index_select(source, 0, p, out=window[: len(p)]) for p in parts],
        "convolution": lambda: [kernel(seen[: len(tiles)]) for tiles in out],
        "store": lambda: [tiles.copy_(found[: len(tiles)]) for tiles in out],
    }
    return {name: best(work, repeats) for name, work in steps.items()}


def error(got: Tensor, want: Tensor) -> float:
    return float((got.float() - want).abs().max())


def run_engine(engine: Engine, repeats: int, want: Tensor) -> dict[str, float]:
    """Times of one layer, and its largest difference from `want`."""
    weight, bias = parameters()
    x = engine.sample(colours)
    times = best(lambda: engine.subm_conv(x, weight, bias, "relu"), repeats)
    return times | {"max_error": error(engine.values(engine.subm_conv(x, weight, bias, "relu")), want)}


def spconv_alone(repeats: int) -> dict[str, float] | None:
    """The same layer in a process of one thread; the want is computed there by tiles, itself checked here."""
    if importlib.util.find_spec("spconv") is None:
        return None
    code = f"import benchmarks.engines as e; e.spconv_child({repeats})"
    root = Path(__file__).parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


@torch.no_grad()
def spconv_child(repeats: int) -> None:
    torch.set_num_threads(1)
    active, (weight, bias) = ActiveSet.from_mask(band()), parameters()
    tiles = TilesEngine(active)
    want = tiles.values(tiles.subm_conv(tiles.sample(colours), weight, bias, "relu"))
    engine = SpconvEngine(active, device="cpu", single_thread_oracle=True)
    print(json.dumps(run_engine(engine, repeats, want)))


def machine(threads: int) -> dict[str, object]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "amx_bf16": any("amx_bf16" in line for line in _cpuinfo()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    mask, (weight, bias) = band(), parameters()
    active = ActiveSet.from_mask(mask)
    dense = DenseEngine(mask)
    x = dense.sample(colours)
    results: list[Feat] = []
    dense_times = best(lambda: results.append(dense.subm_conv(x, weight, bias, "relu")), 1, warm_up=False)
    want = dense.values(results.pop())
    baseline = GatherGemm(active)
    found: dict[str, object] = {
        "gather_gemm_fp32": best(lambda: baseline.convolve(weight, bias), options.repeats)
        | {"max_error": error(baseline.convolve(weight, bias), want)}
    }
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        engine = TilesEngine(active, dtype)
        steps = breakdown(engine, weight, bias, options.repeats)
        found[f"tiles_{name}"] = run_engine(engine, options.repeats, want) | {"steps": steps}
    found["dense_fp32"] = dense_times
    found["spconv_cpu_one_thread"] = spconv_alone(2)
    level = active.levels[0]
    case = {"side": SIDE, "active": active.count, "tiles": level.tiles, "sites": level.sites, "channels": CHANNELS}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"machine": machine(options.threads), "case": case, "engines": found}, indent=1) + "\n"
    )
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
