"""One 3x3 convolution, 32 to 32 channels, on 0.36 M active pixels of 4096x4096: every engine, checked and timed.

Run from the repository: `python -m benchmarks.engines [--threads 2] [--repeats 9]`; it writes results/engines.json and
.png.
`wall_ms` and `cpu_ms` are minima over the repeats; a busy machine changes the second, processor time, less. spconv's
CPU build runs in a process of one thread, where alone it is right; the dense engine is timed once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.common import ROOT, best, header, parser, plot_if_possible, write
from uhrmat.metrics.plots import plot_bars
from uhrmat.sparse import ActiveSet, DenseEngine, Engine, Feat, TilesEngine
from uhrmat.sparse.kernels import make_kernel
from uhrmat.sparse.spconv_engine import SpconvEngine

SIDE, ACTIVE, CHANNELS = 4096, 360_000, 32
_PART = 1 << 15
"""Sites whose gathered neighbours stay in the cache."""


def band(side: int = SIDE, active: int = ACTIVE) -> np.ndarray:
    """(side, side) bool: a wavy ring of exactly `active` pixels."""
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    distance = np.abs(np.hypot(y, x) + side / 68 * np.sin(8 * np.arctan2(y, x)) - 0.3 * side)
    mask = np.zeros(side * side, bool)
    mask[np.argpartition(distance.ravel(), active)[:active]] = True
    return mask.reshape(side, side)


def colours(ys: Tensor, xs: Tensor) -> Tensor:
    """CHANNELS channels of the coordinates, in [-1, 1]."""
    phases = torch.arange(CHANNELS) / CHANNELS
    return torch.sin(ys[..., None] * (0.1 + phases) + xs[..., None] * (0.9 - phases))


def parameters() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, generator=rng) / (9 * CHANNELS) ** 0.5
    return weight, torch.randn(CHANNELS, generator=rng) / 10


class GatherGemm:
    """The baseline: rows of active sites only, nine gathered neighbours per site, one matrix product.

    part: sites at once. In parts that stay in the cache it is faster than anybody writes it, whole it is the usual one.
    """

    def __init__(self, active: ActiveSet, part: int) -> None:
        number = torch.full((active.height + 2, active.width + 2), active.count, dtype=torch.int32)
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
    result = F.conv2d(seen, weight, bias).permute(0, 2, 3, 1)
    out = torch.empty(level.tiles, level.tile, level.tile, CHANNELS, dtype=engine.dtype).split(count)
    kernel = make_kernel(weight, bias, 1, "relu", tuple(seen.shape))
    steps: dict[str, Callable[[], object]] = {
        "halo": lambda: [torch.index_select(source, 0, p, out=window[: len(p)]) for p in parts],
        "convolution": lambda: [kernel(seen[: len(tiles)]) for tiles in out],
        "store": lambda: [tiles.copy_(result[: len(tiles)]) for tiles in out],
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


def spconv_alone(side: int, active: int, repeats: int) -> dict[str, float] | None:
    """The same layer in a process of one thread; the want is computed there by tiles, itself checked here."""
    if importlib.util.find_spec("spconv") is None:
        return None
    code = f"import benchmarks.engines as e; e.spconv_child({side}, {active}, {repeats})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


@torch.no_grad()
def spconv_child(side: int, count: int, repeats: int) -> None:
    torch.set_num_threads(1)
    active, (weight, bias) = ActiveSet.from_mask(band(side, count)), parameters()
    tiles = TilesEngine(active)
    want = tiles.values(tiles.subm_conv(tiles.sample(colours), weight, bias, "relu"))
    engine = SpconvEngine(active, device="cpu", single_thread_oracle=True)
    print(json.dumps(run_engine(engine, repeats, want)))


def compare(mask: np.ndarray, repeats: int) -> dict[str, Any]:
    """All engines that run in this process."""
    active, (weight, bias) = ActiveSet.from_mask(mask), parameters()
    dense = DenseEngine(mask)
    x = dense.sample(colours)
    results: list[Feat] = []
    dense_times = best(lambda: results.append(dense.subm_conv(x, weight, bias, "relu")), 1, warm_up=False)
    want = dense.values(results.pop())
    result: dict[str, Any] = {}
    for name, part in (("gather_gemm_fp32", active.count), ("gather_gemm_in_parts_fp32", _PART)):
        times = best(partial(GatherGemm(active, part).convolve, weight, bias), repeats)
        result[name] = times | {"max_error": error(GatherGemm(active, part).convolve(weight, bias), want)}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        engine = TilesEngine(active, dtype)
        steps = breakdown(engine, weight, bias, repeats)
        result[f"tiles_{name}"] = run_engine(engine, repeats, want) | {"steps": steps}
    return result | {"dense_fp32": dense_times}


@torch.no_grad()
def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=9)
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    side, count, repeats = (128, 3_000, 1) if wanted.quick else (SIDE, ACTIVE, wanted.repeats)
    mask = band(side, count)
    result = compare(mask, repeats)
    if not wanted.quick:
        result["spconv_cpu_one_thread"] = spconv_alone(side, count, 2)
    level = ActiveSet.from_mask(mask).levels[0]
    case = {"side": side, "active": count, "tiles": level.tiles, "sites": level.sites, "channels": CHANNELS}
    document = header(wanted.threads, wanted.quick) | {"case": case, "engines": result}
    path = write(wanted.results, "engines", document)
    values = {name: times["wall_ms"] for name, times in result.items() if times}
    title = f"3x3, {CHANNELS} to {CHANNELS} channels, {count} pixels"
    plot_if_possible(plot_bars, wanted.results / "engines.png", title, "ms", values)
    print(path.read_text())


if __name__ == "__main__":
    main()
