"""The four tables of HRIMF-AMR (Ye et al., IEEE TIP 2025, Tables II to V) from pictures with trimaps and true alphas.

Every low-resolution method works at half the picture's size (or at a working size), and every upsampling method starts
from the same low-resolution matte. What cannot run is left out, with the reason.
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
from uhrmat.refine.base import RefineInput, Refiner
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.registry import make_refiner
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.bench.pictures import BenchPicture
from uhrmat.train.bench.work import count_macs, count_parameters

METHODS = ("closed-form", "closed-form+knn", "knn", "lbdm", "rw", "lpn-trimap", "vitmatte")
"""Low-resolution methods of different kinds: closed form, closed form with KNN affinities (the default), KNN matting,
learning-based matting, random walk, and two networks."""
UPSAMPLERS = {
    "bilinear": ("bilinear", None),
    "guided filter": ("guided", None),
    "DDFE": ("ddfe", None),
    "DDFE anchored": ("ddfe", "ddfe-anchored"),
    "DDFE paper size": ("ddfe", "ddfe-paper"),
    "DDFE paper size without MDRD": ("ddfe", "ddfe-paper-no-mdrd"),
    "SHM": ("shm", None),
}
"""Upsampling methods by the name that tables show: refiner and weights."""
ADAPTABILITY_UPSAMPLERS = ("bilinear", "guided filter", "DDFE", "DDFE anchored")
"""Upsampling methods of Table II, for every low-resolution method; the first one has all of UPSAMPLERS."""
MEASURES = ("sad", "mse", "grad", "conn", "mad")
Row = dict[str, float]


@dataclass
class BenchScores:
    """What was measured.

    Attributes:
        rows: by (low-resolution method, upsampling method) a row for each picture.
        low: by low-resolution method, MAD and MSE of its mattes at low resolution, a row for each picture.
        skipped: methods that were left out, with the reason.
        parameters: number of parameters of each upsampling method.
        pictures: their names.
    """

    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    low: dict[str, list[Row]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)

    def mean(self, method: str, upsampling: str) -> Row | None:
        """Means over the pictures, None where there are none."""
        return _mean(self.rows.get((method, upsampling), []))

    def mean_low(self, method: str) -> Row | None:
        """`mean` of the low-resolution mattes."""
        return _mean(self.low.get(method, []))


def measure(
    items: Sequence[BenchPicture], methods: Sequence[str] = METHODS, side: int | None = None,
    note: Callable[[str], None] = lambda _: None, all_upsamplers: bool = True,
) -> BenchScores:  # fmt: skip
    """Score every low-resolution method with the upsampling methods on every picture.

    Args:
        items: pictures with trimaps and true alphas.
        methods: names of priors; the first one is combined with all of UPSAMPLERS.
        side: short side of the low-resolution branch in pixels; None for half the picture's size.
        note: receives a line for each picture.
        all_upsamplers: False: ADAPTABILITY_UPSAMPLERS for the first method too.
    """
    scores = BenchScores()
    refiners = _load_refiners(scores, UPSAMPLERS if all_upsamplers else ADAPTABILITY_UPSAMPLERS)
    priors = {name: PriorRegistry(name) for name in methods if _is_known(name, scores)}
    for item in items:
        picture = read_picture(item.picture)
        size = (picture.height, picture.width)
        hints, truth = Hints(trimap=read_trimap(item.trimap, size)), read_matte(item.truth)
        small, known = prior_inputs(picture, hints, side, halved=side is None)
        for name, prior in priors.items():
            if name in scores.skipped:
                continue
            try:
                low = prior.choose(hints.given)[0](small, known)
            except (UhrmatError, ImportError) as error:
                scores.skipped[name] = _reason(error)
                continue
            chosen = refiners if name == methods[0] else _for_adaptability(refiners)
            _measure_one(scores, name, picture, hints, small, low, truth, chosen)
        scores.pictures.append(item.name)
        note(f"{item.name}: {len(scores.pictures)} of {len(items)}")
    return scores


def _load_refiners(scores: BenchScores, names: Iterable[str]) -> dict[str, Refiner]:
    """The upsampling methods whose weights are on this machine; the others go to `scores.skipped`."""
    refiners: dict[str, Refiner] = {}
    for upsampling in names:
        name, weights = UPSAMPLERS[upsampling]
        try:
            refiners[upsampling] = make_refiner(name, weights, "auto", torch.float32, "cpu")
        except UhrmatError as error:
            scores.skipped[upsampling] = _reason(error)
            continue
        net = getattr(refiners[upsampling], "net", None)
        scores.parameters[upsampling] = count_parameters(net) if isinstance(net, nn.Module) else 0
    return refiners


def _for_adaptability(refiners: dict[str, Refiner]) -> dict[str, Refiner]:
    return {name: refiner for name, refiner in refiners.items() if name in ADAPTABILITY_UPSAMPLERS}


def _is_known(name: str, scores: BenchScores) -> bool:
    try:
        PriorRegistry(name)
    except UhrmatError as error:
        scores.skipped[name] = _reason(error)
    return name not in scores.skipped


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, UhrmatError) else str(error)


def _measure_one(
    scores: BenchScores, method: str, picture: Picture, hints: Hints, small: np.ndarray, low: PriorResult,
    truth: np.ndarray, refiners: dict[str, Refiner],
) -> None:  # fmt: skip
    trimap = hints.trimap
    assert trimap is not None
    shape = low.alpha.shape[:2]
    open_share = area_average((trimap == 128).astype(np.float32), shape)
    scores.low.setdefault(method, []).append(_low_error(low.alpha, area_average(truth, shape), open_share))
    inputs = RefineInput(picture, small, low.alpha, trimap, trimap_mask(trimap))
    for upsampling, refiner in refiners.items():
        scores.rows.setdefault((method, upsampling), []).append(measure_refiner(refiner, inputs, truth))


def measure_refiner(refiner: Refiner, inputs: RefineInput, truth: np.ndarray) -> Row:
    """Refine and score in 8 bits over the trimap's unknown region.

    Args:
        refiner: upsampling method.
        inputs: with a trimap.
        truth: (H, W) true alpha in [0, 1].

    Returns:
        MEASURES by name, "seconds", and "gflops": thousand million operations of the network.
    """
    assert inputs.trimap is not None
    alpha = upsampled_prior(inputs.prior, inputs.trimap)
    row = _refined(refiner, inputs, alpha)
    apply_trimap(alpha, inputs.trimap)
    values = score(np.rint(alpha * 255).astype(np.float32) / 255, truth, inputs.trimap).values
    return row | {name: values[name] for name in MEASURES}


def _low_error(alpha: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Row:
    """MAD and MSE, both times a thousand, weighted by the unknown share of each small pixel."""
    off, total = np.abs(alpha - truth), max(float(weight.sum()), 1e-6)
    return {"mad": 1000 * float((off * weight).sum()) / total, "mse": 1000 * float((off**2 * weight).sum()) / total}


@torch.inference_mode()
def _refined(refiner: Refiner, inputs: RefineInput, alpha: np.ndarray) -> Row:
    """Refines in place; seconds, and thousand million operations of its network."""
    net = getattr(refiner, "net", nn.Identity())
    with count_macs(net) as counter:
        start = time.perf_counter()
        refiner.refine(inputs, alpha)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "gflops": counter.gflops}


def _mean(rows: list[Row]) -> Row | None:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else None
