"""The four tables of HRIMF-AMR (IEEE TIP 2025, Tables II to V) from pictures with trimaps and true alphas.

Every method works at half the picture's size (or at a working size), and every way up to full size sees the same
low-resolution matte. What cannot run is left out with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from uhrmat.core.errors import UhrmatError
from uhrmat.hints.files import read_matte, read_trimap
from uhrmat.hints.read import Hints
from uhrmat.media import Picture, read_picture
from uhrmat.media.resample import area_average
from uhrmat.metrics import score
from uhrmat.prior.base import PriorResult
from uhrmat.prior.prefetch import prior_inputs
from uhrmat.prior.registry import PriorRegistry
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.refiner import RefineInput, Refiner, make_refiner
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.bench.pictures import BenchPicture
from uhrmat.train.bench.work import count_macs

METHODS = ("closed-form", "closed-form+knn", "knn", "lbdm", "rw", "lpn-trimap", "vitmatte")
"""Low-resolution methods that differ in kind: a local linear model, the same with like pixels tied (the default),
neighbours in colour, learned locally, edges only, and two networks."""
UPSAMPLERS = {
    "bilinear": ("bilinear", None),
    "guided filter": ("guided", None),
    "DDFE": ("ddfe", None),
    "DDFE anchored": ("ddfe", "ddfe-anchored"),
    "DDFE paper size": ("ddfe", "ddfe-paper"),
    "DDFE paper size without MDRD": ("ddfe", "ddfe-paper-no-mdrd"),
    "SHM": ("shm", None),
}
"""Ways from low resolution to full size: refiner and weights."""
ADAPTABILITY_UPSAMPLERS = ("bilinear", "guided filter", "DDFE", "DDFE anchored")
"""Of Table II, for every method; the first method has all of UPSAMPLERS."""
MEASURES = ("sad", "mse", "grad", "conn", "mad")
Row = dict[str, float]


@dataclass
class BenchScores:
    """rows: (method, way) → a row per picture; low: method → MAD and MSE of its low-resolution mattes; skipped: what
    was left out, with the reason; parameters: of each way; pictures: names."""

    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    low: dict[str, list[Row]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)

    def mean(self, method: str, way: str) -> Row | None:
        """Means over the pictures, None where there are none."""
        return _mean(self.rows.get((method, way), []))

    def mean_low(self, method: str) -> Row | None:
        """`mean` of the low-resolution mattes."""
        return _mean(self.low.get(method, []))


def measure(
    items: Sequence[BenchPicture], methods: Sequence[str] = METHODS, side: int | None = None,
    note: Callable[[str], None] = lambda _: None, every_way: bool = True,
) -> BenchScores:  # fmt: skip
    """Every method and way on every picture. side: short side of the low-resolution branch, None: half; every_way:
    all of UPSAMPLERS for the first method, else ADAPTABILITY_UPSAMPLERS for it too."""
    found = BenchScores()
    ways = _ways(found, UPSAMPLERS if every_way else ADAPTABILITY_UPSAMPLERS)
    priors = {name: PriorRegistry(name) for name in methods if _makes(name, found)}
    for item in items:
        picture = read_picture(item.picture)
        size = (picture.height, picture.width)
        hints, truth = Hints(trimap=read_trimap(item.trimap, size)), read_matte(item.truth)
        small, known = prior_inputs(picture, hints, side, halved=side is None)
        for name, prior in priors.items():
            if name in found.skipped:
                continue
            try:
                low = prior.choose(hints.given)[0](small, known)
            except (UhrmatError, ImportError) as error:
                found.skipped[name] = _reason(error)
                continue
            _measure_one(found, name, picture, hints, small, low, truth, ways if name == methods[0] else _few(ways))
        found.pictures.append(item.name)
        note(f"{item.name}: {len(found.pictures)} of {len(items)}")
    return found


def _ways(found: BenchScores, names: Iterable[str]) -> dict[str, Refiner]:
    """The refiners that can be made here; the others go to `found.skipped`."""
    made: dict[str, Refiner] = {}
    for way in names:
        name, weights = UPSAMPLERS[way]
        try:
            made[way] = make_refiner(name, weights, "auto", torch.float32, "cpu")
        except UhrmatError as error:
            found.skipped[way] = _reason(error)
            continue
        net = getattr(made[way], "net", None)
        found.parameters[way] = sum(p.numel() for p in net.parameters()) if isinstance(net, nn.Module) else 0
    return made


def _few(ways: dict[str, Refiner]) -> dict[str, Refiner]:
    return {way: refiner for way, refiner in ways.items() if way in ADAPTABILITY_UPSAMPLERS}


def _makes(name: str, found: BenchScores) -> bool:
    try:
        PriorRegistry(name)
    except UhrmatError as error:
        found.skipped[name] = _reason(error)
    return name not in found.skipped


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, UhrmatError) else str(error)


def _measure_one(
    found: BenchScores, method: str, picture: Picture, hints: Hints, small: np.ndarray, low: PriorResult,
    truth: np.ndarray, ways: dict[str, Refiner],
) -> None:  # fmt: skip
    trimap = hints.trimap
    assert trimap is not None
    shape = low.alpha.shape[:2]
    open_share = area_average((trimap == 128).astype(np.float32), shape)
    found.low.setdefault(method, []).append(_low_error(low.alpha, area_average(truth, shape), open_share))
    job = RefineInput(picture, small, low.alpha, trimap, trimap_mask(trimap))
    for way, refiner in ways.items():
        found.rows.setdefault((method, way), []).append(measure_refiner(refiner, job, truth))


def measure_refiner(refiner: Refiner, job: RefineInput, truth: np.ndarray) -> Row:
    """MEASURES of a refined job with a trimap, in 8 bits over its unknown region; with seconds, and operations as
    gflops. truth: (H, W) true alpha."""
    assert job.trimap is not None
    alpha = upsampled_prior(job.prior, job.trimap)
    row = _refined(refiner, job, alpha)
    apply_trimap(alpha, job.trimap)
    values = score(np.rint(alpha * 255).astype(np.float32) / 255, truth, job.trimap).values
    return row | {name: values[name] for name in MEASURES}


def _low_error(alpha: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Row:
    """MAD and MSE, both times a thousand, weighted by the unknown share of each small pixel."""
    off, total = np.abs(alpha - truth), max(float(weight.sum()), 1e-6)
    return {"mad": 1000 * float((off * weight).sum()) / total, "mse": 1000 * float((off**2 * weight).sum()) / total}


@torch.inference_mode()
def _refined(refiner: Refiner, job: RefineInput, alpha: np.ndarray) -> Row:
    """Refines in place; seconds, and thousand million operations of its network."""
    net = getattr(refiner, "net", nn.Identity())
    with count_macs(net) as work:
        start = time.perf_counter()
        refiner.refine(job, alpha)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "gflops": work.gflops}


def _mean(rows: list[Row]) -> Row | None:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else None
