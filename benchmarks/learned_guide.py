"""A deep guided filter against the plain one: what learning the guide is worth, the ablation's learned upsampler.

    python -m benchmarks.learned_guide --data DIR --cache SCENES --runs DIR [--steps 2000] [--working-size 768 | --half]

After Wu, Zheng, Zhang, Huang: "Fast End-to-End Trainable Guided Filter", CVPR 2018: 1x1 convolutions make the guide
from the colours, the local linear model is fitted on the small picture's guide and enlarged, and everything is trained
through it. Here the guide starts as the colours themselves, so that untrained it is the guided filter; its epsilon is
trained too. Trained on the unknown pixels of `uhrmat train`'s scenes, measured as `benchmarks.ablation` measures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from benchmarks.ablation import add_case_options, compare_cases
from benchmarks.common import header, parser, write
from uhrmat.media.resample import area_average
from uhrmat.refine.base import RefineInput
from uhrmat.refine.baselines import active_coordinates
from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.guided_filter import GUIDED_FILTER
from uhrmat.refine.registry import make_refiner
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY
from uhrmat.train.crops import blur_window, draw_blur
from uhrmat.train.recipe import RefinerRecipe, load_recipe
from uhrmat.train.samples import Sample, SampleCache, require_samples, with_true_priors
from uhrmat.train.task import Batch, batch_numbers, fit

POINTS = 8192
"""Unknown pixels of a step, all of one scene."""


class LearnedGuide(nn.Module):
    """forward(small (1, 3, h, w), prior (1, 1, h, w)): (1, 4, h, w), the model a (3) and b of every small pixel."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, width), nn.Linear(width, width), nn.Linear(width, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.epsilon = nn.Parameter(torch.tensor(float(np.log(GUIDED_FILTER.epsilon))))

    def guide(self, colours: Tensor) -> Tensor:
        """(..., 3): what stands for the colours (..., 3) in [0, 1]."""
        hidden = F.leaky_relu(self.second(F.leaky_relu(self.first(2 * colours - 1), 0.2)), 0.2)
        return colours + self.last(hidden)

    def forward(self, small: Tensor, prior: Tensor) -> Tensor:
        guide = self.guide(small.movedim(1, -1)).movedim(-1, 1)
        centre, level = _mean(guide), _mean(prior)
        pairs = _mean((guide[:, :, None] * guide[:, None]).flatten(1, 2)).unflatten(1, (3, 3))
        spread = (pairs - centre[:, :, None] * centre[:, None]).permute(0, 3, 4, 1, 2)
        along = (_mean(guide * prior) - centre * level).permute(0, 2, 3, 1)
        a = torch.linalg.solve(spread + self.epsilon.exp() * torch.eye(3), along).movedim(-1, 1)
        return _mean(torch.cat([a, level - (a * centre).sum(1, keepdim=True)], 1))


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x, (GUIDED_FILTER.radius,) * 4, mode="reflect"), 2 * GUIDED_FILTER.radius + 1, 1)


class Points(IterableDataset[Batch]):
    """Batch i: small (1, 3, h, w) and prior (1, 1, h, w) of a scene, and of POINTS unknown pixels the coordinates ys,
    xs, colours (n, 3) and true alpha (n,); size (2,)."""

    def __init__(self, cache: Path, recipe: RefinerRecipe, start: int) -> None:
        self.cache, self.recipe, self.start = cache, recipe, start

    def __iter__(self) -> Iterator[Batch]:
        cache = SampleCache(self.cache)
        seeds = [seed for seed in cache.seeds() if seed >= self.recipe.held_out]
        for number in batch_numbers(self.start):
            rng = np.random.default_rng([self.recipe.seed, number])
            sample = cache.load(int(rng.choice(seeds)))
            while not (sample.trimap == 128).any():
                sample = cache.load(int(rng.choice(seeds)))
            sample = with_true_priors(sample) if rng.random() < self.recipe.exact else sample
            yield points(sample, int(rng.integers(len(sample.priors))), rng, draw_blur(rng))


def points(sample: Sample, which: int, rng: np.random.Generator, soft: float = 0.0) -> Batch:
    """One batch of `Points`. soft: see `crops.build_crop`."""
    prior, size = sample.priors[which], sample.trimap.shape
    whole = (slice(0, size[0]), slice(0, size[1]))
    sigma = soft * size[0] / prior.shape[0]
    image, alpha = (blur_window(plane, whole, sigma) for plane in (sample.image, sample.alpha))
    ys, xs = np.nonzero(sample.trimap == 128)
    picked = rng.integers(len(ys), size=POINTS)
    ys, xs = ys[picked], xs[picked]
    return {
        "small": torch.from_numpy(area_average(sample.image, prior.shape, 255)).movedim(-1, 0)[None],
        "prior": torch.from_numpy(prior)[None, None],
        "ys": torch.from_numpy(ys), "xs": torch.from_numpy(xs), "size": torch.tensor(size),
        "colours": torch.from_numpy(image[ys, xs] / np.float32(255)), "alpha": torch.from_numpy(alpha[ys, xs]),
    }  # fmt: skip


@dataclass(frozen=True)
class GuideTask:
    """See `uhrmat.train.task.TrainingTask`."""

    recipe: RefinerRecipe
    cache: Path

    def build(self) -> LearnedGuide:
        return LearnedGuide()

    def stream(self, start: int) -> Points:
        require_samples(self.cache, self.recipe)
        return Points(self.cache, self.recipe, start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        off = (_answer(net, batch) - batch["alpha"]).abs()
        return off.mean() + 2 * off.square().mean(), {"l1": float(off.detach().mean())}

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean absolute error (x1000) on unknown pixels of the held-out scenes, of the plain filter and of `net`."""
        cache, nets = SampleCache(self.cache), {"guided": self.build(), "network": net}
        result: dict[str, list[float]] = {name: [] for name in nets}
        for seed in [seed for seed in cache.seeds() if seed < self.recipe.held_out]:
            sample = cache.load(seed)
            if (sample.trimap == 128).any():
                batch = points(sample, 0, np.random.default_rng(seed))
                for name, each in nets.items():
                    result[name].append(1000 * float((_answer(each, batch).clamp(0, 1) - batch["alpha"]).abs().mean()))
        return {name: float(np.mean(values)) for name, values in result.items()}


def _answer(net: nn.Module, batch: Batch) -> Tensor:
    assert isinstance(net, LearnedGuide)
    height, width = (int(side) for side in batch["size"])
    model = BilinearMaps(net(batch["small"], batch["prior"])[0].movedim(0, -1), (height, width))
    return _applied(net, model, batch["colours"], batch["ys"], batch["xs"])


def _applied(net: LearnedGuide, model: BilinearMaps, colours: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    result = model(ys, xs)
    return (result[..., :3] * net.guide(colours)).sum(-1) + result[..., 3]


class LearnedGuideRefiner:
    """The trained filter on the active pixels."""

    name, engine = "learned-guide", "none"

    def __init__(self, net: LearnedGuide) -> None:
        self.net = net

    @torch.no_grad()
    def refine(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        small, prior = torch.from_numpy(inputs.small).movedim(-1, 0)[None], torch.from_numpy(inputs.prior)[None, None]
        model = BilinearMaps(self.net(small, prior)[0].movedim(0, -1), inputs.size)
        colours, target = PictureColours(inputs.picture), torch.from_numpy(alpha)
        for ys, xs in active_coordinates(inputs.active):
            target[ys, xs] = _applied(self.net, model, colours(ys * inputs.size[1] + xs), ys, xs)


def main(arguments: list[str] | None = None) -> None:
    """Train, measure beside bilinear and the plain filter, write results/learned-guide.json."""
    options = parser(__doc__)
    add_case_options(options)
    options.add_argument("--cache", type=Path, required=True, help="scenes of `uhrmat train`")
    options.add_argument("--runs", type=Path, default=Path("runs/learned-guide"))
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--name", default="learned-guide", help="of the JSON")
    chosen: argparse.Namespace = options.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    schedule = {"steps": 2 if chosen.quick else chosen.steps, "batch": 1, "rate": 2e-3, "warmup": 20, "ema": 0.99}
    recipe = load_recipe("shm-lite", RefinerRecipe, **schedule, held_out=2 if chosen.quick else None)
    state = fit(
        GuideTask(recipe, chosen.cache),
        chosen.runs,
        workers=0 if chosen.quick else 1,
        every=500,
        report=lambda line: print(line, file=sys.stderr),
    )
    net = state.ema.eval()
    assert isinstance(net, LearnedGuide)
    plain = {
        name: (make_refiner(name, None, "auto", torch.float32, "cpu"), SPATIAL_SPARSITY.kernel)
        for name in ("bilinear", "guided")
    }
    rows = compare_cases(chosen, {**plain, "learned guide": (LearnedGuideRefiner(net), SPATIAL_SPARSITY.kernel)})
    write(chosen.results, chosen.name, {
        **header(chosen.threads, chosen.quick), "data": str(chosen.data), "steps": state.step, "ways": rows,
    })  # fmt: skip


if __name__ == "__main__":
    main()
