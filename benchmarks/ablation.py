"""What each part of the method contributes: the ablations of SparseMat and HRIMF-AMR, on our data.

    python -m benchmarks.ablation --data DIR [--parts ways dilation] [--working-size 768 | --half] [--methods LIST]
    python -m benchmarks.ablation --data DIR --parts networks --cache SCENES --runs DIR [--steps 600]

DIR: pictures with trimaps and true alphas, see `uhrmat bench`. ways: upsampling methods after one prior, or after
the true alpha, averaged (`--methods exact`); dilation: SHM with the band widened by 0 to 22 pixels (k of SparseMat's
max pooling), with its active pixels and seconds; networks: SHM-lite without its gate, with plain
squeeze-and-excitation, with Masked-SE, and without colour lines, each trained anew from the same seed on the same
scenes by the same schedule (a run that was cut short goes on), with the
error on scenes that were held out. SAD, MSE, Grad, Conn: over the trimap's unknown region, by alphamatting.com's
definitions, 8 bits, means over the pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import header, parser, write
from uhrmat.core.devices import has_fast_bf16
from uhrmat.hints.files import read_matte, read_trimap
from uhrmat.hints.read import Hints
from uhrmat.media import read_picture
from uhrmat.media.resample import area_average
from uhrmat.prior.prefetch import prior_inputs
from uhrmat.prior.registry import PriorRegistry
from uhrmat.refine.base import RefineInput, Refiner
from uhrmat.refine.registry import make_refiner
from uhrmat.refine.shm.network import SHM
from uhrmat.refine.shm.refiner import SHMRefiner
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, trimap_mask
from uhrmat.train.bench.hrimf_amr import measure_refiner
from uhrmat.train.bench.pictures import BenchPicture, find_items
from uhrmat.train.recipe import RefinerRecipe, load_recipe
from uhrmat.train.shm_task import train

PARTS = ("ways", "dilation", "networks")
WAYS = ("bilinear", "guided", "projection", "ddfe", "shm")
EXACT = "exact"
DILATIONS = (1, 5, 15, 25, 35, 45)
NETWORKS = {
    "no gate": "lite-no-gate",
    "plain squeeze-and-excitation": "lite-se",
    "Masked-SE": "lite",
    "Masked-SE, no colour lines": "lite-no-line",
}
MEASURES = ("sad", "mse", "grad", "conn")
Row = dict[str, Any]


@dataclass(frozen=True)
class PriorCase:
    """A picture with the alpha that the prior made of it, and its true alpha."""

    inputs: RefineInput
    truth: np.ndarray

    def measure(self, refiner: Refiner, k: int = SPATIAL_SPARSITY.kernel) -> Row:
        """Measures, active pixels and seconds of one refiner with the band of `k`."""
        assert self.inputs.trimap is not None
        inputs = replace(self.inputs, active=trimap_mask(self.inputs.trimap, k))
        row = measure_refiner(refiner, inputs, self.truth)
        return {**{name: row[name] for name in MEASURES}, "active": int(inputs.active.sum()), "seconds": row["seconds"]}


def load_cases(items: list[BenchPicture], method: str, side: int | None, half: bool = False) -> Iterator[PriorCase]:
    """Every picture with the alpha of the prior `method`, or of EXACT, at working size `side` or half its own."""
    priors = None if method == EXACT else PriorRegistry(method)
    for item in items:
        picture = read_picture(item.picture)
        size = (picture.height, picture.width)
        hints = Hints(trimap=read_trimap(item.trimap, size))
        assert hints.trimap is not None
        small, known = prior_inputs(picture, hints, side, halved=half)
        truth = read_matte(item.truth)
        low = priors.choose(hints.given)[0](small, known).alpha if priors else area_average(truth, small.shape[:2])
        yield PriorCase(RefineInput(picture, small, low, hints.trimap, trimap_mask(hints.trimap)), truth)
        print(f"  {item.name}", file=sys.stderr, flush=True)


def add_case_options(options: argparse.ArgumentParser) -> None:
    """Add the options that `compare_cases` reads."""
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--methods", nargs="+", default=["closed-form+knn"])
    where = options.add_mutually_exclusive_group()
    where.add_argument("--working-size", type=int)
    where.add_argument("--half", action="store_true", help="work at half each picture's size")
    options.add_argument("--limit", type=int)


def compare_cases(options: argparse.Namespace, cases: Mapping[str, tuple[Refiner, int]]) -> list[Row]:
    """A row of means for each method and case (a refiner and its band)."""
    rows = []
    for method in options.methods:
        rows_by_case: dict[str, list[Row]] = {name: [] for name in cases}
        for one in load_cases(find_items(options.data)[: options.limit], method, options.working_size, options.half):
            for name, (refiner, k) in cases.items():
                rows_by_case[name].append(one.measure(refiner, k))
        for name, values in rows_by_case.items():
            means = {key: float(np.mean([value[key] for value in values])) for key in values[0]}
            rows.append({"prior": method, "case": name, "pictures": len(values), **means})
            print(method, name, *(f"{key} {value:.3f}" for key, value in means.items()), flush=True)
    return rows


def ways(options: argparse.Namespace) -> list[Row]:
    """Upsampling methods after one prior."""
    return compare_cases(options, {name: (_refiner(name), SPATIAL_SPARSITY.kernel) for name in WAYS})


def dilation(options: argparse.Namespace) -> list[Row]:
    """SHM as it is shipped, with bands that it was not trained on too."""
    shm = _refiner("shm")
    return compare_cases(options, {f"k = {k}": (shm, k) for k in DILATIONS})


def networks(options: argparse.Namespace) -> list[Row]:
    """Variants of SHM-lite trained alike."""
    tiny = {"side": 64, "batch": 2, "held_out": 2, "steps": 2} if options.quick else {}
    schedule = {"steps": options.steps, "side": options.side, "warmup": max(1, options.steps // 15), "ema": 0.99}
    recipe = load_recipe("shm-lite", RefinerRecipe, **(schedule | tiny))
    rows, cases = [], {}
    for name, size in NETWORKS.items():
        chosen, out = replace(recipe, size=size), options.runs / size
        workers, every = 0 if options.quick else 1, max(1, recipe.steps // 6)
        state = train(chosen, options.cache, out, bf16=has_fast_bf16(), workers=workers, every=every)
        held_out = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        last = next(line for line in reversed(held_out) if "network" in line)
        refiner = SHMRefiner(None, "auto", torch.float32, "cpu")
        net = state.ema.eval()
        assert isinstance(net, SHM)
        refiner.net = net
        cases[name] = (refiner, SPATIAL_SPARSITY.kernel)
        rows.append({"case": name, "steps": state.step, "held out": last["network"]})
        print(rows[-1], flush=True)
    return [*rows, *compare_cases(options, cases)] if options.data else rows


def _refiner(name: str) -> Refiner:
    return make_refiner(name, None, "auto", torch.float32, "cpu")


def main(arguments: list[str] | None = None) -> None:
    """Run the wanted parts and write results/ablation.json after each."""
    options = parser(__doc__)
    add_case_options(options)
    options.add_argument("--parts", nargs="+", default=["ways", "dilation"], choices=PARTS)
    options.add_argument("--cache", type=Path, help="scenes of `uhrmat train`")
    options.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options.add_argument("--steps", type=int, default=600)
    options.add_argument("--side", type=int, default=112)
    options.add_argument("--name", default="ablation", help="of the JSON")
    chosen = options.parse_args(arguments)
    if "networks" in chosen.parts and chosen.cache is None:
        options.error("--parts networks needs --cache SCENES")
    torch.set_num_threads(chosen.threads)
    done: Row = {**header(chosen.threads, chosen.quick), "data": str(chosen.data), "working size": chosen.working_size}
    done["half"] = chosen.half
    run: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
        "ways": ways, "dilation": dilation, "networks": networks,
    }  # fmt: skip
    for part in chosen.parts:
        done[part] = run[part](chosen)
        write(chosen.results, chosen.name, done)


if __name__ == "__main__":
    main()
