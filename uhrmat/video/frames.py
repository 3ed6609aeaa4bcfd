"""A clip frame by frame: what did not change since it was last computed is not computed again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import PriorStage, StageTimer, StillPipeline, empty_note
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.refiner import RefineInput
from uhrmat.sparsity.spatial import dilate, trimap_from_alpha, trimap_mask
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY, changed_pixels, fuse_temporal, temporal_mask, thresholds
from uhrmat.video.blend import Moment, by_rule
from uhrmat.video.reuse import ReusedPrior
from uhrmat.video.state import NEVER, ClipMonitor, LastComputed, SmoothedPrior

KEYFRAME_INTERVAL = 60
"""Frames from one key frame, which is computed anew, to the next: 2.4 seconds at 25 frames a second."""


@dataclass(frozen=True)
class TemporalOptions:
    """When a pixel is computed again. temporal: off computes every frame anew; threshold: change in [0, 1]; halo:
    pixels computed around what changed, for the refiner's sake, and thrown away; averaged: what is computed again is
    averaged with its last alpha where the subject stands (see `standing`)."""

    temporal: bool = True
    threshold: float = TEMPORAL_SPARSITY.threshold
    halo: int = 12
    averaged: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"The threshold {self.threshold:g} is no share.", "Give one from 0 to 1, like 0.05.")


@dataclass(frozen=True, kw_only=True)
class FrameStats:
    """One frame. band: pixels of M_s; active: of M; computed: of M with its halo; reuse_share: of the band that was
    kept; noise and threshold: in [0, 1]; seconds: by stage; key: computed whole; cut: a new shot begins here; warnings:
    what may not be as it was meant."""

    number: int
    pixels: int
    band: int
    active: int
    computed: int
    noise: float
    threshold: float
    key: bool
    cut: bool
    seconds: dict[str, float]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def active_share(self) -> float:
        return self.active / self.pixels

    @property
    def reuse_share(self) -> float:
        return 1 - self.active / self.band if self.band else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "active_share": self.active_share, "reuse_share": self.reuse_share}


@dataclass(kw_only=True)
class FrameResult:
    """alpha: (H, W) float32 in [0, 1]; foreground: (H, W, 3) straight colour in the picture's type or None; active,
    computed: (H, W) bool, M and what the refiner saw, M with its halo; restored: whether the alpha was known. Do not
    change them: the next frame is compared with them."""

    picture: Picture
    alpha: np.ndarray
    foreground: np.ndarray | None
    active: np.ndarray
    computed: np.ndarray
    stats: FrameStats
    restored: bool = False


class ClipPipeline:
    """Mattes the frames of one clip in their order, with the prior, refiner and budget of `pipeline`.

    `reset` forgets everything: what follows then depends on nothing that came before. Raises what the pipeline does,
    and InputError where the frames change their size.
    """

    def __init__(self, pipeline: StillPipeline, options: TemporalOptions | None = None) -> None:
        self.pipeline, self.options = pipeline, options or TemporalOptions()
        self.reset()

    def reset(self) -> None:
        """The next frame is a key frame, and no frame before it counts."""
        self._watch, self._begun = ClipMonitor(), False
        self._forget()

    def frame(
        self, picture: Picture, number: int, hints: Hints, *, foreground: bool = True, known: np.ndarray | None = None
    ) -> FrameResult:
        """The matte of the next frame, called `number` in reports. hints: of this frame, see `hints.read_hints`; known:
        (n,) float32, the alpha of its active pixels from an earlier run; where there are n of them, it is restored,
        and no foreground is made."""
        clock = StageTimer()
        self._check_size(picture, number)
        with clock("prior"):
            cut = self._watch.update(picture.pixels)
            if cut or not self.options.temporal:
                self._forget()
            key = self._last is None
            answer = self._kept if self.options.temporal else None
            asked = self.pipeline.run_prior(picture, hints, fresh=cut or not self._begun, answer=answer)
            self._begun = True
            prior, settled = self._steady(asked, picture, hints)
        with clock("refine"):
            masks = self._masks(picture, settled)
            restored = known is not None and len(known) == np.count_nonzero(masks[1])
            alpha, notes = upsampled_prior(prior, settled), list[str]()
            plan = RefineInput(picture, asked.small, prior, settled, masks[2])
            if known is not None and restored:
                alpha[masks[1]] = known
            else:
                notes = self.pipeline.refine(plan, alpha, foreground).notes
                self._average(alpha, plan, masks[1])
            self._remember(alpha, plan, masks)
        colours = None
        if foreground and not restored:
            with clock("foreground"):
                colours = self.pipeline.colours(picture, alpha, asked.prior)
        band, active, computed = (int(np.count_nonzero(mask)) for mask in masks)
        warnings = [*picture.info.notes, *hints.warnings, *empty_note(alpha)]
        stats = FrameStats(
            number=number,
            pixels=alpha.size,
            band=band,
            active=active,
            computed=computed,
            noise=self._watch.noise,
            threshold=thresholds(self.options.threshold, self._watch.noise)[1],
            key=key,
            cut=cut,
            seconds=clock.seconds,
            notes=[*asked.notes, *notes],
            warnings=warnings,
        )
        return FrameResult(
            picture=picture,
            alpha=alpha,
            foreground=colours,
            active=masks[1],
            computed=masks[2],
            stats=stats,
            restored=restored,
        )

    def _forget(self) -> None:
        self._last: LastComputed | None = None
        self._prior, self._kept, self._shot = SmoothedPrior(), ReusedPrior(), 0
        self._before: RefineInput | None = None

    def _check_size(self, picture: Picture, number: int) -> None:
        if self._last is not None and self._last.alpha.shape != (picture.height, picture.width):
            have = "x".join(str(n) for n in self._last.alpha.shape[::-1])
            what = f"Frame {number} is {picture.width}x{picture.height}, the frames before {have}."
            raise InputError(what, "Give clips of one size.")

    def _steady(self, asked: PriorStage, picture: Picture, hints: Hints) -> tuple[np.ndarray, np.ndarray]:
        """The prior smoothed in time, and what it settles."""
        found = asked.prior.alpha
        scale = picture.height / len(asked.small)
        alpha = self._prior(asked.small, found, (found == 0) | (found == 1), self._watch.noise, scale)
        if hints.trimap is not None or alpha is found:
            return alpha, asked.trimap
        return alpha, trimap_from_alpha(alpha, asked.trimap.shape)

    def _masks(self, picture: Picture, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """M_s, M and M with its halo."""
        spatial = trimap_mask(settled)
        active = spatial if self._last is None else self._changed(self._last, picture, spatial)
        computed = spatial & dilate(active, 2 * self.options.halo + 1) if self.options.halo else active
        return spatial, active, computed

    def _average(self, alpha: np.ndarray, plan: RefineInput, active: np.ndarray) -> None:
        """Draws what is new towards what was there in the last frame; in place."""
        if self._last is None or self._before is None or not self.options.averaged:
            return
        where = active & (self._last.number >= 0)
        if where.any():
            np.clip(alpha, 0, 1, out=alpha)
            by_rule(Moment(plan, self._before, self._last.alpha, where, self._watch.noise), alpha)

    def _remember(self, alpha: np.ndarray, plan: RefineInput, masks: tuple[np.ndarray, ...]) -> None:
        """Joins `alpha` with what is kept, in place, for this frame and the next."""
        (spatial, active, _), pixels = masks, plan.picture.pixels
        if self._last is None:
            self._last = LastComputed(alpha, pixels.copy(), np.full(alpha.shape, NEVER, np.int16))
        else:
            fuse_temporal(alpha, self._last.alpha, spatial, active)
        assert plan.trimap is not None
        apply_trimap(alpha, plan.trimap)
        self._last.update(alpha, pixels, spatial, active, self._shot)
        self._shot += 1
        self._before = plan

    def _changed(self, last: LastComputed, picture: Picture, spatial: np.ndarray) -> np.ndarray:
        """M: what changed since it was last computed, or never was."""
        low, high = thresholds(self.options.threshold, self._watch.noise)
        held = last.number == self._shot - 1
        linear = picture.info.linear
        moved = changed_pixels(
            picture.pixels, last.colours, low, high, held, spatial & (last.number >= 0), linear=linear
        )
        return temporal_mask(spatial, moved, last.number < 0)
