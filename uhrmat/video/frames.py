"""Mattes a clip frame by frame with temporal sparsity (SparseMat, CVPR 2023, §3.2; see `sparsity.temporal`)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.parallel import side_by_side
from uhrmat.core.timing import StageTimer
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import PriorStage, StillPipeline, empty_note
from uhrmat.refine.back_projection import back_project
from uhrmat.refine.base import RefineInput
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.sparsity.spatial import dilate, trimap_from_alpha, trimap_mask
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY, changed_pixels, fuse_temporal, temporal_mask, thresholds
from uhrmat.video.averaging import FramePair, average_alphas, static_weight
from uhrmat.video.reuse import ReusedPrior
from uhrmat.video.state import NEVER, ClipMonitor, LastComputed, SmoothedPrior


@dataclass(frozen=True, kw_only=True)
class TemporalOptions:
    """Which pixels of a frame are computed again.

    Attributes:
        temporal: keep what did not change; False: compute every frame anew.
        threshold: change of a colour from which on a pixel is computed again, in [0, 1], see
            `sparsity.temporal.TemporalParams`.
        halo: pixels computed around what changed, because the refiner needs them, and then thrown away.
        averaged: average what is computed again with its last alpha in static regions, see `video.averaging`.

    Raises:
        InputError: the threshold is out of range.
    """

    temporal: bool = True
    threshold: float = TEMPORAL_SPARSITY.threshold
    halo: int = 12
    averaged: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"The threshold {self.threshold:g} must be from 0 to 1.", "Give one like 0.05.")


@dataclass(frozen=True, kw_only=True)
class FrameStats:
    """Figures of one frame.

    Attributes:
        number: of the frame.
        pixels: of the picture.
        band: pixels of the spatial mask M_s (SparseMat §3.2).
        active: pixels of the spatio-temporal mask M (SparseMat §3.2).
        computed: pixels of M with its halo.
        noise: standard deviation, in [0, 1].
        threshold: in [0, 1], as it was adapted to the noise.
        key: the whole band was computed.
        cut: a new shot begins here.
        seconds: by stage.
        notes, warnings: lines for the user; warnings say that the result may not be what was meant.
        confidence: of the propagated mask, in [0, 1]; None where no network propagated one.
        propagation: "sure", "doubtful" or "lost" (next to nothing of the subject is left), or None likewise.
        matte_blur: softness of the given matte that the alpha agrees with, in its pixels; None where it is not made to,
            see `refine.back_projection`.
    """

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
    confidence: float | None = None
    propagation: str | None = None
    matte_blur: float | None = None

    @property
    def active_share(self) -> float:
        """Share of the picture that is active."""
        return self.active / self.pixels

    @property
    def reuse_share(self) -> float:
        """Share of the band that was kept from earlier frames."""
        return 1 - self.active / self.band if self.band else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        values = {**asdict(self), "active_share": self.active_share, "reuse_share": self.reuse_share}
        return {key: value for key, value in values.items() if value is not None}


@dataclass(kw_only=True)
class FrameResult:
    """Result of one frame. Its arrays must not be changed: the next frame is compared with them.

    Attributes:
        picture: the frame.
        alpha: (H, W) float32 in [0, 1].
        foreground: (H, W, 3) straight colour of the picture's type, or None.
        active: (H, W) bool, M.
        computed: (H, W) bool, M with its halo: what the refiner saw.
        stats: figures.
        restored: the alpha comes from an earlier run.
    """

    picture: Picture
    alpha: np.ndarray
    foreground: np.ndarray | None
    active: np.ndarray
    computed: np.ndarray
    stats: FrameStats
    restored: bool = False


@dataclass(frozen=True, kw_only=True)
class FramePrior:
    """A frame with its low-resolution alpha.

    Attributes:
        picture: the frame.
        number: of the frame.
        hints: of the frame.
        stage: of the low-resolution stage, before smoothing.
        prior: (h, w) float32 in [0, 1], smoothed in time.
        trimap: (H, W) uint8 {0, 128, 255}, of the hints or of `prior`.
        cut: a new shot begins here.
        noise: standard deviation, in [0, 1], as it was known at this frame.
        seconds: by stage.
    """

    picture: Picture
    number: int
    hints: Hints
    stage: PriorStage
    prior: np.ndarray
    trimap: np.ndarray
    cut: bool
    noise: float
    seconds: dict[str, float]


class ClipPipeline:
    """Mattes the frames of one clip in their order.

    A pixel is computed again only if it changed since it was last computed; prior, last alpha and new alpha are joined
    by SparseMat Eq. 2 (`sparsity.temporal.fuse_temporal`). After `reset` nothing depends on earlier frames.

    Args:
        pipeline: prior, refiner and memory budget.
        options: which pixels are computed again.
    """

    _matte_blur: float | None

    def __init__(self, pipeline: StillPipeline, options: TemporalOptions | None = None) -> None:
        self.pipeline, self.options = copy.copy(pipeline), options or TemporalOptions()
        self.pipeline.priors = pipeline.priors.for_clips()
        self.reset()

    def reset(self) -> None:
        """Forgets all frames; the next one is a key frame."""
        self._monitor, self._begun = ClipMonitor(), False
        self._size: tuple[int, int] | None = None
        self._forget_priors()
        self._forget_pixels()

    def frame(
        self, picture: Picture, number: int, hints: Hints, *, foreground: bool = True, known: np.ndarray | None = None
    ) -> FrameResult:
        """Matte the next frame: `find_prior` and `refine`.

        Args:
            picture: the frame.
            number: its number in reports.
            hints: of this frame, see `hints.read_hints`.
            foreground: estimate the foreground's colours.
            known: see `refine`.

        Raises:
            InputError: the frame has another size than those before.
            UhrmatError: see `StillPipeline`.
        """
        return self.refine(self.find_prior(picture, number, hints), foreground=foreground, known=known)

    def find_prior(self, picture: Picture, number: int, hints: Hints) -> FramePrior:
        """Compute the low-resolution alpha of the next frame.

        It depends on the frames before, but not on their refined alpha: one thread may compute it while another refines
        the frame before.

        Args:
            picture: the frame.
            number: its number in reports.
            hints: of this frame, see `hints.read_hints`.

        Raises:
            InputError: the frame has another size than those before.
            UhrmatError: see `StillPipeline`.
        """
        clock = StageTimer()
        self._check_size(picture, number)
        with clock("prior"):
            cut = self._monitor.update(picture.pixels)
            if cut or not self.options.temporal:
                self._forget_priors()
            call = self._reused if self.options.temporal else None
            stage = self.pipeline.run_prior(picture, hints, fresh=cut or not self._begun, run=call)
            self._begun = True
            prior, trimap = self._smooth(stage, picture, hints)
        return FramePrior(
            picture=picture, number=number, hints=hints, stage=stage, prior=prior, trimap=trimap, cut=cut,
            noise=self._monitor.noise, seconds=clock.seconds,
        )  # fmt: skip

    def refine(
        self, frame: FramePrior, *, foreground: bool = True, known: np.ndarray | None = None,
        matte_blur: float | None = None,
    ) -> FrameResult:  # fmt: skip
        """Compute the alpha of a frame from its prior. The frames must come in their order.

        Args:
            frame: of `find_prior`.
            foreground: estimate the foreground's colours.
            known: (n,) float32, alpha of the active pixels from an earlier run. If n pixels are active, it is used
                instead of the refiner, and no foreground is estimated.
            matte_blur: what the earlier run says of it, see `FrameStats`.

        Returns:
            Alpha, foreground and figures.

        Raises:
            UhrmatError: see `StillPipeline`.
        """
        clock, picture, stage = StageTimer(), frame.picture, frame.stage
        with clock("refine"):
            if frame.cut or not self.options.temporal:
                self._forget_pixels()
            key = self._last is None
            masks = self._masks(frame)
            restored = known is not None and len(known) == np.count_nonzero(masks[1])
            alpha, notes, colours = upsampled_prior(frame.prior, frame.trimap), list[str](), None
            inputs = RefineInput(picture, stage.small, frame.prior, frame.trimap, masks[2])
            if known is not None and restored:
                alpha[masks[1]] = known
                self._matte_blur = matte_blur if key else self._matte_blur
            else:
                final = key and stage.prior.name != "alpha"  # nothing is averaged, no given matte is agreed with
                (outcome, colours), static = side_by_side(
                    lambda: self.pipeline.refine(inputs, alpha, foreground, final),
                    lambda: self._static_pixels(inputs, masks[1], frame.noise),
                    threads=self.pipeline.max_memory is None,
                )
                notes = outcome.notes
                if key:  # one for the shot: a softness that changed from frame to frame would flicker
                    self._matte_blur = self.pipeline.find_matte_blur(alpha, masks[2], frame.hints, stage.prior)
                if self._matte_blur is not None:
                    back_project(alpha, masks[2], frame.prior, self._matte_blur)
                if static is not None and self._last is not None:
                    average_alphas(alpha, self._last.alpha, *static)
            self._remember(alpha, inputs, masks)
        if foreground and not restored:
            with clock("foreground"):
                colours = self.pipeline.estimate_foreground(picture, alpha, stage.prior, colours)
        band, active, computed = (int(np.count_nonzero(mask)) for mask in masks)
        warnings = [*picture.info.notes, *frame.hints.warnings, *empty_note(alpha)]
        stats = FrameStats(
            number=frame.number,
            pixels=alpha.size,
            band=band,
            active=active,
            computed=computed,
            noise=frame.noise,
            threshold=thresholds(self.options.threshold, frame.noise)[1],
            key=key,
            cut=frame.cut,
            seconds={**frame.seconds, **clock.seconds},
            notes=[*stage.notes, *notes],
            warnings=warnings,
            matte_blur=self._matte_blur,
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

    def _forget_priors(self) -> None:
        """Forgets what `find_prior` keeps of a shot."""
        self._prior, self._reused = SmoothedPrior(), ReusedPrior()

    def _forget_pixels(self) -> None:
        """Forgets what `refine` keeps of a shot."""
        self._last: LastComputed | None = None
        self._before: RefineInput | None = None
        self._shot = 0
        self._matte_blur = None

    def _check_size(self, picture: Picture, number: int) -> None:
        size = picture.height, picture.width
        if self._size not in (None, size):
            have = "x".join(str(n) for n in reversed(self._size or ()))
            what = f"Frame {number} is {picture.width}x{picture.height}, the frames before {have}."
            raise InputError(what, "Give clips of one size.")
        self._size = size

    def _smooth(self, stage: PriorStage, picture: Picture, hints: Hints) -> tuple[np.ndarray, np.ndarray]:
        """The prior (h, w) smoothed in time, and its trimap (H, W)."""
        prior = stage.prior.alpha
        scale = picture.height / len(stage.small)
        alpha = self._prior(stage.small, prior, (prior == 0) | (prior == 1), self._monitor.noise, scale)
        if hints.trimap is not None or alpha is prior:
            return alpha, stage.trimap
        return alpha, trimap_from_alpha(alpha, stage.trimap.shape)

    def _masks(self, frame: FramePrior) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """M_s, M and M with its halo."""
        spatial = trimap_mask(frame.trimap)
        active = spatial if self._last is None else self._changed(self._last, frame, spatial)
        computed = spatial & dilate(active, 2 * self.options.halo + 1) if self.options.halo else active
        return spatial, active, computed

    def _static_pixels(
        self, inputs: RefineInput, active: np.ndarray, noise: float
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The pixels (H, W) bool whose new alpha is averaged with the last one, and their `static_weight`."""
        if self._last is None or self._before is None or not self.options.averaged:
            return None
        where = active & (self._last.number >= 0)
        return (where, static_weight(FramePair(inputs, self._before, where, noise))) if where.any() else None

    def _remember(self, alpha: np.ndarray, inputs: RefineInput, masks: tuple[np.ndarray, ...]) -> None:
        """Joins prior, last and new alpha in place (SparseMat Eq. 2), and keeps them for the next frame."""
        (spatial, active, _), pixels = masks, inputs.picture.pixels
        if self._last is None:
            self._last = LastComputed(alpha, pixels.copy(), np.full(alpha.shape, NEVER, np.int16))
        else:
            fuse_temporal(alpha, self._last.alpha, spatial, active)
        assert inputs.trimap is not None
        apply_trimap(alpha, inputs.trimap)
        self._last.update(alpha, pixels, spatial, active, self._shot)
        self._shot += 1
        self._before = inputs

    def _changed(self, last: LastComputed, frame: FramePrior, spatial: np.ndarray) -> np.ndarray:
        """M: pixels that changed since they were last computed, or never were."""
        low, high = thresholds(self.options.threshold, frame.noise)
        held = last.number == self._shot - 1
        linear = frame.picture.info.linear
        moved = changed_pixels(
            frame.picture.pixels, last.colours, low, high, held, spatial & (last.number >= 0), linear=linear
        )
        return temporal_mask(spatial, moved, last.number < 0)
