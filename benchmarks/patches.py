"""The same network patch by patch against one sparse shot (SparseMat's Table 4), and its GMACs (Table 3).

Run from the repository: `python -m benchmarks.patches [--width 3840 --height 2160]`; it writes results/patches.json and
.png. A rendered scene of hair, the closed form at working size as prior, SHM-lite in fp32. Patches are 512 pixels wide
and overlap by an eighth, where their mean counts; only patches with active pixels are run, and each sees the picture,
and Masked-SE's context, of itself alone. They run dense, as other networks do, and with the tiles engine: both give
the same matte. Seams: the mean squared error of the gradient within two pixels of a patch's border, beside that of
the one shot at the same pixels, against the exact alpha.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.common import Peak, header, parser, plot_if_possible, write
from benchmarks.macs import active_sites, dense_sites, macs
from benchmarks.shot import Shot, hair
from uhrmat.media import Picture
from uhrmat.media.resample import downsample_trimap
from uhrmat.metrics import differences, gradient_error
from uhrmat.metrics.plots import plot_bars
from uhrmat.prior.base import LowResHints, working_shape
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.features import context_maps
from uhrmat.refine.shm.network import SIZES
from uhrmat.refine.shm.refiner import load_shm
from uhrmat.sparse import ActiveSet, make_engine
from uhrmat.sparse.engine import SampleFn
from uhrmat.sparsity.spatial import trimap_mask

PATCH = 512
Box = tuple[slice, slice]


def starts(length: int, patch: int) -> list[int]:
    """Where patches begin along one axis: an eighth of overlap or more, the last one flush with the end."""
    last = max(0, length - patch)
    return sorted({min(at, last) for at in range(0, last + patch - patch // 8, patch - patch // 8)})


def boxes(active: np.ndarray, patch: int) -> Iterator[Box]:
    """Patches that hold active pixels."""
    for top in starts(active.shape[0], patch):
        for left in starts(active.shape[1], patch):
            box = (slice(top, top + patch), slice(left, left + patch))
            if active[box].any():
                yield box


def borders(active: np.ndarray, patch: int) -> np.ndarray:
    """(H, W) bool: active pixels within two of a patch's border inside the picture."""
    near = np.zeros(active.shape, bool)
    for axis, length in enumerate(active.shape):
        for start in starts(length, patch):
            for edge in (start, min(start + patch, length)):
                if 0 < edge < length:
                    near[(slice(None),) * axis + (slice(edge - 2, edge + 2),)] = True
    return near & active


class Patchwise:
    """A shot in patches: the sum of the patches' residuals over their number, on top of the base."""

    def __init__(self, shot: Shot, patch: int) -> None:
        self.shot, self.patch = shot, patch

    def __call__(self) -> np.ndarray:
        """(H, W) float32; the base where no patch is active."""
        shot, inputs = self.shot, self.shot.inputs
        total, count = np.zeros(inputs.size, np.float32), np.zeros(inputs.size, np.uint8)
        for box in boxes(inputs.active, self.patch):
            engine = make_engine(shot.engine, np.ascontiguousarray(inputs.active[box]), shot.dtype)
            x = engine.sample(self._moved(box[0].start, box[1].start))
            result = shot.net(engine, x, *self._context(box))
            engine.scatter(result, total[box], add=True)
            count[box] += 1
        return shot.alpha.numpy() + total / np.maximum(count, 1)

    def _moved(self, top: int, left: int) -> SampleFn:
        return lambda ys, xs: self.shot.features(ys + top, xs + left)

    def _context(self, box: Box) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, (h, w) = self.shot.inputs, self.shot.inputs.prior.shape
        rows, columns = (_scaled(part, of, n) for part, of, n in zip(box, inputs.size, (h, w), strict=True))
        small, prior = inputs.small[rows, columns], inputs.prior[rows, columns, None]
        return context_maps(small)[None], context_maps(prior)[None]


def _scaled(part: slice, length: int, small: int) -> slice:
    start = part.start * small // length
    return slice(start, max(start + 1, -(-min(part.stop, length) * small // length)))


def scene(height: int, width: int) -> tuple[RefineInput, np.ndarray]:
    """Inputs with a real prior, and the exact alpha."""
    result = hair(height, width)
    picture = Picture.from_array(np.rint(result.image * 255).astype(np.uint8))
    shape = working_shape(height, width)
    small = downsample_picture(picture, shape)
    prior = AffinityPrior()(small, LowResHints(downsample_trimap(result.trimap, shape))).alpha
    return RefineInput(picture, small, prior, result.trimap, trimap_mask(result.trimap)), result.alpha


def measure(
    work: Callable[[], Any], inputs: RefineInput, truth: np.ndarray, near: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """Cost of one run, its errors in the unknown region, and the alpha."""
    with Peak() as peak:
        start = time.perf_counter()
        alpha = np.asarray(work())
        seconds = time.perf_counter() - start
    assert inputs.trimap is not None
    unknown = inputs.trimap == 128
    alpha = np.where(unknown, alpha.clip(0, 1), inputs.trimap == 255).astype(np.float32)
    errors = differences(alpha, truth, unknown)
    seam = gradient_error(alpha, truth, near & unknown) / max(1, int((near & unknown).sum()))
    row = {"seconds": round(seconds, 3), "peak_bytes": peak.bytes}
    row |= {"mad_1e3": errors.absolute / errors.pixels * 1e3, "mse_1e3": errors.squared / errors.pixels * 1e3}
    return row | {"seam_1e3": seam * 1e3}, alpha


def gmacs(inputs: RefineInput) -> dict[str, Any]:
    """Thousand millions of multiply-accumulates of both sizes, dense and on the active set, without Masked-SE."""
    dense, sparse = dense_sites(*inputs.size), active_sites(ActiveSet.from_mask(inputs.active))
    return {
        name: {
            "dense": macs(config, dense) / 1e9,
            "sparse": macs(config, sparse) / 1e9,
            "share": macs(config, sparse) / macs(config, dense),
        }
        for name, config in SIZES.items()
    }


@torch.inference_mode()
def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--height", type=int, default=2160)
    options.add_argument("--width", type=int, default=3840)
    wanted = options.parse_args(argv)
    torch.set_num_threads(wanted.threads)
    height, width, patch = (96, 160, 64) if wanted.quick else (wanted.height, wanted.width, PATCH)
    inputs, truth = scene(height, width)
    near, net, device = borders(inputs.active, patch), load_shm(None), torch.device("cpu")

    def shot(engine: str) -> Shot:
        return Shot(inputs, net, engine, torch.float32, device)

    shot("tiles")()  # what is built once per process belongs to no row
    one, alpha = measure(shot("tiles"), inputs, truth, near)
    rows, changes = {"one_shot": one}, {}
    for name, engine in (("patches_dense", "dense"), ("patches_tiles", "tiles")):
        rows[name], other = measure(Patchwise(shot(engine), patch), inputs, truth, near)
        apart = cv2.absdiff(alpha, other)
        changes[name] = {"mean_at_borders": float(apart[near].mean()) if near.any() else 0.0, "max": float(apart.max())}
    document = {
        **header(wanted.threads, wanted.quick),
        "case": {"height": height, "width": width, "patch": patch, "active": int(inputs.active.sum())},
        "patches": sum(1 for _ in boxes(inputs.active, patch)),
        "runs": rows,
        "against_one_shot": changes,
        "gmacs": gmacs(inputs),
    }
    print(write(wanted.results, "patches", document))
    print(rows, changes, document["gmacs"], sep="\n")
    plot_if_possible(
        plot_bars,
        wanted.results / "patches.png",
        "Refinement",
        "s",
        {name: row["seconds"] for name, row in rows.items()},
    )


if __name__ == "__main__":
    main()
