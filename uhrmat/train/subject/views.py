"""Training views drawn on the training device: photographs as they are, subjects pasted on places, empty places.

Batch number i depends on the pool, the seed and i only, so that a resumed run sees what an unbroken one would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.train.subject.degrade import adjust_tone, simulate_camera
from uhrmat.train.subject.photos import TAGS, Photo
from uhrmat.train.subject.pool import Pool

_SHAPES = ((1.0, 1.0), (1.0, 1.0), (1.22, 0.82), (1.22, 0.82), (0.87, 1.15), (0.87, 1.15), (0.75, 1.33))
"""Height and width of batches, in sides."""
_STEP = 32
_COMPOSITES, _EMPTY = 0.32, 0.17
"""Shares of composites and of pictures without a subject; the rest are photographs as they are."""
_FREE = 0.2
"""Least agreement of teachers at which a photograph is used at all."""
_PASTE = 0.75
"""Least agreement at which its subject is cut out and pasted elsewhere."""


@dataclass(frozen=True)
class Shares:
    """How often each kind of photograph is drawn, relative to the others."""

    street: float = 0.14
    person: float = 0.30
    animal: float = 0.24
    object: float = 0.32


class ViewGenerator:
    """Draws batches of views from the photographs of a pool that are not held out."""

    def __init__(self, pool: Pool, seed: int, shares: Shares | None = None) -> None:
        self.pool, self.seed = pool, seed
        shares = shares or Shares()
        kinds = {
            "street": lambda p: p.source == "people",
            "person": lambda p: p.tag == "person" and p.source != "people",
            "animal": lambda p: p.tag == "animal",
            "object": lambda p: p.tag == "object",
        }
        free = pool.select(lambda p: not p.held_out)
        good = pool.agreement.clamp(0, 1) * (pool.agreement > _FREE)
        self.subjects = sum(
            getattr(shares, name) * _even(pool.select(test) * free * good) for name, test in kinds.items()
        )
        area = pool.planes[:, 3].flatten(1).float().mean(1) / 255
        pastable = (pool.agreement > _PASTE) & (area > 0.02) & (area < 0.75)
        self.cutouts = self.subjects * pastable
        self.places = _even(pool.select(_is_place) * free) + 0.0
        unsure = pool.select(lambda p: p.tag == "ambiguous") * free
        self.subjects = self.subjects + 0.04 * _even(unsure)

    def draw(self, number: int, side: int, count: int) -> dict[str, Tensor]:
        """Batch `number` of `count` views of about side² pixels.

        Returns:
            "image" (B, 3, h, w), "subject", "person" and "weight" (B, 1, h, w) float32 in [0, 1]; "person_known" (B,).
        """
        device = self.pool.planes.device
        dice = torch.Generator(device).manual_seed(self.seed * 1_000_003 + number)
        shape = _shape(side, number)
        pick = torch.rand(count, generator=dice, device=device)
        made = pick < _COMPOSITES + _EMPTY
        from_places = torch.multinomial(self.places, count, True, generator=dice)
        from_subjects = torch.multinomial(self.subjects, count, True, generator=dice)
        base = torch.where(made, from_places, from_subjects)
        grid = self._grid(base, shape, dice, paste=False)
        planes = self._sampled(base, grid, "reflection")
        image, subject, person, weight = planes[:, :3], planes[:, 3:4], planes[:, 4:5], planes[:, 5:6]
        known = self.pool.person_known[base]
        image = _out_of_focus(image, made & (_uniform(count, dice, device) < 0.35), dice)
        for share in (1.0, 0.22):
            paste = (pick < _COMPOSITES) & (_uniform(count, dice, device) < share)
            front = torch.multinomial(self.cutouts, count, True, generator=dice)
            cut = self._sampled(front, self._grid(front, shape, dice, paste=True), "zeros")
            cover = _cover(cut[:, 3:4], dice) * paste[:, None, None, None]
            image = image + cover * (adjust_tone(cut[:, :3], dice, 0.7) - image)
            subject = subject + cover * (1 - subject)
            person = person * (1 - cover) + cover * cut[:, 4:5] / cut[:, 3:4].clamp(min=0.05)
            known = torch.where(paste, known * self.pool.person_known[front], known)
        image = simulate_camera(image.clamp(0, 1), dice)
        return {
            "image": image, "subject": subject.clamp(0, 1), "person": person.clamp(0, 1), "weight": weight,
            "person_known": known,
        }  # fmt: skip

    def _sampled(self, index: Tensor, grid: Tensor, padding: str) -> Tensor:
        planes = self.pool.planes[index].float() / 255
        return F.grid_sample(planes, grid, mode="bilinear", padding_mode=padding, align_corners=False)

    def _grid(self, index: Tensor, shape: tuple[int, int], dice: torch.Generator, paste: bool) -> Tensor:
        """Where each view looks in its photograph: scaled, moved, turned a little, mirrored."""
        pool, count, device = self.pool, len(index), index.device
        aspect, box, touches = pool.aspect[index], pool.box[index], pool.touches[index]
        person = pool.tag[index] == TAGS.index("person")
        frame = shape[1] / shape[0]
        fits, covers = torch.maximum(torch.ones_like(aspect), aspect / frame), torch.clamp(aspect / frame, max=1)
        middle = (box[:, :2] + box[:, 2:]) / 2
        size = (box[:, 2:] - box[:, :2]).clamp(min=0.05)
        # the height of the view in heights of the photograph
        need = torch.maximum(size[:, 1], size[:, 0] * aspect / frame)
        if paste:
            tall = need * torch.exp(_between(count, dice, device, math.log(1.02), math.log(3.2)))
            close = need * torch.exp(_between(count, dice, device, math.log(0.45), math.log(1.2)))
            tall = torch.where(person & (_uniform(count, dice, device) < 0.4), close, tall)
        else:
            whole = covers * _between(count, dice, device, 0.7, 1.0)
            near = need * torch.exp(_between(count, dice, device, math.log(0.35), math.log(1.5)))
            other = torch.maximum(need * _between(count, dice, device, 1.0, 1.6), 0.5 * covers)
            zoom = _uniform(count, dice, device)
            tall = torch.where(person & (zoom < 0.5), near, torch.where(~person & (zoom < 0.35), other, whole))
            tall = torch.minimum(tall, fits)
        stretch = torch.exp(_between(count, dice, device, -0.12, 0.12))
        high, wide = tall / stretch.sqrt(), tall * frame / aspect * stretch.sqrt()
        if not paste:  # the whole photograph, stretched by as much as it takes, in a third of the views
            all_of_it = (_uniform(count, dice, device) < 0.33) & ((fits / covers) < 1.6)
            high, wide = torch.where(all_of_it, 1.0, high), torch.where(all_of_it, 1.0, wide)
        shift = torch.stack([_between(count, dice, device, -1, 1) for _ in range(2)], 1)
        extent = torch.stack([wide, high], 1)
        centre = middle + shift * (0.28 if paste else 0.35) * torch.maximum(extent - 0.6 * size, 0.15 * extent)
        if paste:  # where the subject is cut off by its photograph's edge, the view ends there too
            low, top = extent / 2, 1 - extent / 2
            centre = torch.where(touches[:, :2] & ~touches[:, 2:], torch.maximum(centre, low), centre)
            centre = torch.where(touches[:, 2:] & ~touches[:, :2], torch.minimum(centre, top), centre)
        else:
            inside = extent <= 1
            centre = torch.where(inside, torch.clamp(centre, extent / 2, 1 - extent / 2), 0.5)
        angle = _normal(count, dice, device) * 0.08 * (_uniform(count, dice, device) < 0.5)
        flip = torch.where(_uniform(count, dice, device) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(angle), torch.sin(angle)
        theta = torch.stack(
            [
                torch.stack([wide * cos * flip, -high * sin / aspect, 2 * centre[:, 0] - 1], 1),
                torch.stack([wide * sin * aspect * flip, high * cos, 2 * centre[:, 1] - 1], 1),
            ],
            1,
        )
        return F.affine_grid(theta, [count, 1, *shape], align_corners=False)


def _even(weights: Tensor) -> Tensor:
    return weights / weights.sum().clamp(min=1e-6)


def _is_place(photo: Photo) -> bool:
    return photo.tag == "none"


def _shape(side: int, number: int) -> tuple[int, int]:
    tall, wide = _SHAPES[number * 5 % len(_SHAPES)]
    return max(_STEP, round(side * tall / _STEP) * _STEP), max(_STEP, round(side * wide / _STEP) * _STEP)


def _cover(mask: Tensor, dice: torch.Generator) -> Tensor:
    """An opaque cut-out of a soft label: a little inside of it, so that no rim of the old background comes along."""
    count, device = len(mask), mask.device
    low = _between(count, dice, device, 0.35, 0.6)[:, None, None, None]
    x = ((mask - low) / (0.92 - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _out_of_focus(image: Tensor, which: Tensor, dice: torch.Generator) -> Tensor:
    """Some of the pictures blurred strongly, all by the same amount, by shrinking and enlarging."""
    factor = int(torch.randint(2, 9, (), generator=dice, device=image.device))
    small = F.avg_pool2d(image, factor, ceil_mode=True, count_include_pad=False)
    soft = F.interpolate(small, image.shape[-2:], mode="bicubic", align_corners=False)
    return torch.where(which[:, None, None, None], soft, image)


def _uniform(count: int, dice: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(count, generator=dice, device=device)


def _between(count: int, dice: torch.Generator, device: torch.device, low: float, high: float) -> Tensor:
    return low + (high - low) * _uniform(count, dice, device)


def _normal(count: int, dice: torch.Generator, device: torch.device) -> Tensor:
    return torch.randn(count, generator=dice, device=device)
