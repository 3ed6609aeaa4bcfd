"""Every engine on the GPU: parity with the dense oracle, latency, memory and pictures per second at 4K and 8K.

    python3 -m benchmarks.gpu_engines --results OUT

needs torch 2.4 or newer with CUDA, numpy, opencv-python-headless, pillow and safetensors, and no network; it writes
OUT/gpu.json and OUT/gpu.png, the JSON after every cell, so that a run that is cut short keeps what it has. Where the
code came without its repository, say which commit it is: UHRMAT_COMMIT=$(git rev-parse HEAD). To include spconv, put
the unpacked wheels of spconv-cu118, cumm-cu118, pccm, ccimport, portalocker, fire, termcolor, lark and pybind11 on
PYTHONPATH (`pip install --no-deps --target DIR *.whl`). `--device cpu --quick` takes the same path without a GPU.

A cell is network x engine x precision x picture. `refine_ms` = sampling + network + scattering with everything on the
device and the geometry's tables built, medians; `active_set_ms` and `first_ms` are what a new picture costs before:
its active set (on the host) and the first refinement, which builds the tables. A cell that fails holds its `error`.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Peak, header, median_ms, parser, plot_if_possible, why, write
from benchmarks.shot import Shot, bands, synthetic
from uhrmat.core.devices import PRECISIONS
from uhrmat.metrics.plots import plot_bars
from uhrmat.refine.base import RefineInput
from uhrmat.refine.shm.network import SHM
from uhrmat.refine.shm.refiner import load_shm
from uhrmat.sparse import ActiveSet, make_engine

CASES = {"4K": (2160, 3840, 600_000), "8K": (4320, 7680, 2_400_000)}
ENGINES = ("tiles", "spconv", "dense")
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
"""Largest difference from the dense engine in fp32 that passes; outputs are in [0, 1] (`paper`) or about 0 (`lite`)."""


def network(size: str) -> SHM:
    """SHM-lite with its trained weights; `paper`, for which there are none, with random ones."""
    if size == "lite":
        return load_shm(None)
    torch.manual_seed(0)
    return SHM(size).eval()


def parity_masks(quick: bool) -> dict[str, np.ndarray]:
    """Shapes that are hard on tilings."""
    height, width = (61, 83) if quick else (509, 767)
    rng = np.random.default_rng(1)
    single = np.zeros((height, width), bool)
    single[height // 2, width // 3] = True
    return {
        "bands": bands(height, width, height * width // 8),
        "noise": rng.random((height, width)) < 0.1,
        "full": np.ones((height // 4, width // 4), bool),
        "single": single,
        "empty": np.zeros((height, width), bool),
    }


def output(inputs: RefineInput, net: SHM, engine: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(N, 1) float32: the network's result at the active pixels in row-major order."""
    shot = Shot(inputs, net, engine, dtype, device)
    on = shot.geometry()
    return on.values(shot.network(on, shot.sample(on))).float().cpu()


def parity(size: str, engine: str, precision: str, device: torch.device, quick: bool) -> dict[str, Any]:
    """Largest difference from the oracle for each mask."""
    net, errors = network(size), {}
    for name, mask in parity_masks(quick).items():
        inputs = synthetic(mask)
        want = output(inputs, net, "dense", torch.float32, device)
        got = output(inputs, net, engine, PRECISIONS[precision], device)
        errors[name] = float((got - want).abs().max()) if len(want) else 0.0
    worst = max(errors.values())
    return {"max_error": worst, "passed": worst <= TOLERANCE[precision], "by_mask": errors}


def speed(
    inputs: RefineInput, size: str, engine: str, precision: str, device: torch.device, repeats: int
) -> dict[str, Any]:
    """Latency and memory of one cell."""
    shot = Shot(inputs, network(size), engine, PRECISIONS[precision], device)
    with Peak(device) as peak:
        start = time.perf_counter()
        mask_or_active = inputs.active if engine == "dense" else ActiveSet.from_mask(inputs.active)
        geometry = (time.perf_counter() - start) * 1e3
        on = make_engine(engine, mask_or_active, shot.dtype, device)
        shot.scatter(on, shot.network(on, shot.sample(on)))
        _wait(device)
        first = (time.perf_counter() - start) * 1e3 - geometry
    x = shot.sample(on)
    y = shot.network(on, x)
    steps = {
        "sample_ms": median_ms(lambda: shot.sample(on), device, repeats),
        "network_ms": median_ms(lambda: shot.network(on, x), device, repeats),
        "scatter_ms": median_ms(lambda: shot.scatter(on, y), device, repeats),
    }
    refine, active = sum(steps.values()), int(np.count_nonzero(inputs.active))
    return {
        "active": active,
        "active_set_ms": round(geometry, 3),
        "first_ms": round(first, 3),
        **steps,
        "refine_ms": round(refine, 3),
        "fps": round(1e3 / refine, 2),
        "peak_bytes": peak.total,
        "engine_bytes": peak.bytes,
        "bytes_per_active": round(peak.bytes / active),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def exact_fp32() -> None:
    """No TF32: fp32 means fp32 here."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def cells(wanted: Any, device: torch.device, document: dict[str, Any]) -> None:
    """Fills `parity` and `speed` of the document, and saves it after each cell as the result of this name."""
    plain = [(net, engine, p) for net in wanted.nets for engine in wanted.engines for p in wanted.precisions]
    for net, engine, precision in plain:
        row = {"net": net, "engine": engine, "precision": precision}
        with _cell(document["parity"], row, wanted, document):
            row |= parity(net, engine, precision, device, wanted.quick)
    cases = {"tiny": (96, 128, 1_500)} if wanted.quick else CASES
    for case, (height, width, active) in cases.items():
        inputs = synthetic(bands(height, width, active))
        for net, engine, precision in plain:
            row = {"case": case, "net": net, "engine": engine, "precision": precision}
            with _cell(document["speed"], row, wanted, document):
                row |= speed(inputs, net, engine, precision, device, 2 if wanted.quick else wanted.repeats)


@contextlib.contextmanager
def _cell(rows: list[dict[str, Any]], row: dict[str, Any], wanted: Any, document: dict[str, Any]) -> Any:
    """One cell: whatever it raises (no memory, no spconv, a type that the device lacks) becomes its `error`."""
    try:
        yield
    except Exception as error:
        row["error"] = why(error)
    rows.append(row)
    print(row, flush=True)
    write(wanted.results, wanted.name, document)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@torch.inference_mode()
def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--nets", nargs="+", default=["lite", "paper"], choices=("lite", "paper"))
    options.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    options.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=list(PRECISIONS))
    options.add_argument("--name", default="gpu", help="of the result")
    options.add_argument("--repeats", type=int, default=20)
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    exact_fp32()
    device = torch.device(wanted.device)
    document: dict[str, Any] = {**header(wanted.threads, wanted.quick), "device": str(device)}
    document |= {"tolerance": TOLERANCE, "parity": [], "speed": []}
    cells(wanted, device, document)
    path = write(wanted.results, wanted.name, document)
    done = [row for row in document["speed"] if "refine_ms" in row]
    values = {f"{r['case']} {r['net']} {r['engine']} {r['precision']}": r["refine_ms"] for r in done}
    title = f"Refinement on {document['machine'].get('gpu', device)}"
    plot_if_possible(plot_bars, wanted.results / f"{wanted.name}.png", title, "ms", values)
    print(path)


if __name__ == "__main__":
    main()
