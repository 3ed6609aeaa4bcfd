"""The solver of the prior that runs on GPUs beside PyMatting's and the CPU's own, on photographs with trimaps.

    python -m benchmarks.device_prior --photos FOLDER [--trimaps Trimap1] [--device cpu] [--threads 2]

writes results/device_prior.json after each photograph. FOLDER holds Images/NAME.png and TRIMAPS/NAME.png. For
`closed-form` and `closed-form+knn`: seconds, by the clock and of all processors, of both solvers as shipped and of
PyMatting's `estimate_alpha_cf` (the
closed form alone), how far each is from the solution at a relative residual of 1e-9 (`exact`), and how far the two
exact solutions are from each other: largest and mean differences of alpha over the unknown pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.common import header, parser, write
from uhrmat.prior.closed_form.on_device.solver import DeviceSolver, DeviceSolverParams
from uhrmat.prior.closed_form.params import ClosedFormParams
from uhrmat.prior.closed_form.solve import solve

NAMES = ("closed-form", "closed-form+knn")
_EXACT = 1e-9


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What `work` returns, and the seconds that it took: by the clock, and of all processors."""
    start, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, (round(time.perf_counter() - start, 4), round(time.process_time() - busy, 4))


def apart(a: np.ndarray, b: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    """Largest and mean difference of two alphas."""
    difference = np.abs(a - b)[unknown]
    return {"largest": float(difference.max()), "mean": float(difference.mean())}


def compare(image: np.ndarray, trimap: np.ndarray, name: str, device: str) -> dict[str, Any]:
    """One photograph and prior."""
    unknown = trimap == 128
    here, there = (
        ClosedFormParams(tolerance=_EXACT, rough_tolerance=_EXACT),
        DeviceSolverParams(tolerance=_EXACT, rough_tolerance=_EXACT),
    )
    (ours, _), ours_s = timed(lambda: solve(image, trimap, name))
    (on_device, _), device_s = timed(lambda: DeviceSolver(device)(image, trimap, name))
    exact, same = (
        solve(image, trimap, name, params=here)[0],
        DeviceSolver(device, device_params=there)(image, trimap, name)[0],
    )
    row = {
        "prior": name, "unknown": int(unknown.sum()), "cpu_s": ours_s[0], "device_s": device_s[0],
        "cpu_processor_s": ours_s[1], "device_processor_s": device_s[1],
        "cpu_from_exact": apart(ours, exact, unknown), "device_from_exact": apart(on_device, exact, unknown),
        "exact_from_exact": apart(exact, same, unknown),
    }  # fmt: skip
    if name == "closed-form":
        from pymatting import estimate_alpha_cf

        alpha = np.where(trimap == 128, 0.5, trimap / 255.0)
        seconds = timed(lambda: estimate_alpha_cf(image.astype(np.float64), alpha))[1]
        row |= {"pymatting_s": seconds[0], "pymatting_processor_s": seconds[1]}
    return row


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--photos", type=Path, required=True)
    options.add_argument("--trimaps", default="Trimap1")
    options.add_argument("--names", nargs="*", help="of photographs; all by default")
    options.add_argument("--priors", nargs="+", default=list(NAMES), choices=NAMES)
    options.add_argument("--step", type=int, default=1, help="take every n-th pixel of every n-th row")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    document: dict[str, Any] = {**header(wanted.threads, wanted.quick), "device": wanted.device, "rows": []}
    paths = sorted(wanted.photos.glob("Images/*.png"))
    for path in [path for path in paths if not wanted.names or path.stem in wanted.names]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        trimap = cv2.imread(str(wanted.photos / wanted.trimaps / path.name), cv2.IMREAD_GRAYSCALE)
        assert image is not None and trimap is not None, path
        step = 4 if wanted.quick else wanted.step
        picture = image[::step, ::step, ::-1].astype(np.float32) / 255
        regions = np.where(trimap < 85, 0, np.where(trimap > 170, 255, 128)).astype(np.uint8)[::step, ::step]
        for name in wanted.priors:
            row = {"photo": path.stem} | compare(picture, regions, name, wanted.device)
            document["rows"].append(row)
            print(row, flush=True)
            write(wanted.results, "device_prior", document)


if __name__ == "__main__":
    main()
