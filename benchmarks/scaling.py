"""SHM-lite end to end (active set, sampling, network, scattering): time and memory follow the active pixels.

Run from the repository: `python -m benchmarks.scaling [--threads 2] [--precision auto]`; it writes results/scaling.json
and .png. First 0.05 to 4 million active pixels of one picture of 4096 x 4096, with the exponent of time over active
pixels fitted; then 0.6 million active pixels of pictures from 4096 x 4096 to 16384 x 16384. Pictures are noise, active
pixels lie in wavy bands 32 pixels wide. Times are minima over the repeats; memory is what the refinement takes beyond
the picture, the trimap and the alpha, which exist before it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

from benchmarks.common import Peak, header, parser, plot_if_possible, write
from benchmarks.shot import Shot, bands, synthetic
from uhrmat.core.devices import PRECISIONS, pick_precision
from uhrmat.metrics.plots import plot_lines
from uhrmat.refine.base import RefineInput
from uhrmat.refine.shm.refiner import load_shm

SIDE, ACTIVES = 4096, [50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 4_000_000]
SIDES, FIXED = [4096, 8192, 16384], 600_000
T = TypeVar("T")


def timed(shot: Shot) -> dict[str, float]:
    """Milliseconds of each step of one refinement, and `wall_ms` and `cpu_ms` of all."""
    result: dict[str, float] = {}

    def step(name: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        done = work()
        result[name] = (time.perf_counter() - start) * 1e3
        return done

    start, used = time.perf_counter(), time.process_time()
    engine = step("active_set_ms", shot.geometry)
    x = step("sample_ms", lambda: shot.sample(engine))
    y = step("network_ms", lambda: shot.network(engine, x))
    step("scatter_ms", lambda: shot.scatter(engine, y))
    total = {"wall_ms": (time.perf_counter() - start) * 1e3, "cpu_ms": (time.process_time() - used) * 1e3}
    return {name: round(value, 2) for name, value in (total | result).items()}


def measure(inputs: RefineInput, dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    """The fastest of `repeats` refinements after a first one, whose memory is taken."""
    shot = Shot(inputs, load_shm(None), "tiles", dtype, torch.device("cpu"))
    with Peak() as peak:
        shot()
    times = min((timed(shot) for _ in range(repeats)), key=lambda t: t["wall_ms"])
    active = int(np.count_nonzero(inputs.active))
    size = {"height": inputs.size[0], "width": inputs.size[1], "active": active}
    row = {**size, **times, "peak_bytes": peak.bytes, "bytes_per_active": round(peak.bytes / active)}
    print(row, flush=True)
    return row


def exponent(rows: list[dict[str, Any]], key: str) -> float:
    """p of the least-squares fit key ~ active^p."""
    logs = np.log([[row["active"], row[key]] for row in rows])
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3)


@torch.inference_mode()
def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS))
    options.add_argument("--repeats", type=int, default=5)
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    precision, dtype = pick_precision(wanted.precision, "cpu")
    side, actives, sides, fixed, repeats = SIDE, ACTIVES, SIDES, FIXED, wanted.repeats
    if wanted.quick:
        side, actives, sides, fixed, repeats = 256, [2_000, 4_000, 8_000], [256, 512], 4_000, 1
    with contextlib.redirect_stdout(None):  # what is built once per process belongs to no row
        measure(synthetic(bands(128, 128, 2_000)), dtype, 1)
    by_active = [measure(synthetic(bands(side, side, active)), dtype, repeats) for active in actives]
    by_picture = [measure(synthetic(bands(side, side, fixed)), dtype, repeats) for side in sides]
    small, large = by_picture[0], by_picture[-1]
    document = {
        **header(wanted.threads, wanted.quick),
        "network": "shm-lite",
        "engine": "tiles",
        "precision": precision,
        "by_active": by_active,
        "exponent": {key: exponent(by_active, key) for key in ("wall_ms", "cpu_ms", "peak_bytes")},
        "by_picture": by_picture,
        "picture_ratio": {key: round(large[key] / small[key], 3) for key in ("wall_ms", "cpu_ms", "peak_bytes")},
    }
    print(write(wanted.results, "scaling", document))
    print("exponents", document["exponent"], "ratios over the pictures", document["picture_ratio"])
    series = {
        "milliseconds, clock": [(row["active"] / 1e6, row["wall_ms"]) for row in by_active],
        "megabytes": [(row["active"] / 1e6, max(row["peak_bytes"], 1) / 1e6) for row in by_active],
    }
    title = f"SHM-lite, tiles, {precision}: {side} x {side}"
    plot_if_possible(plot_lines, wanted.results / "scaling.png", title, "million active pixels", "ms / MB", series)


if __name__ == "__main__":
    main()
