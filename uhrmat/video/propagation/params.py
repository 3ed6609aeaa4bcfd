"""Parameters of the training on a clip's key frames and of the propagation with it. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("network", "flow")
"""How masks are propagated: by the network of `propagation.network`, or by optical flow alone."""


@dataclass(frozen=True, kw_only=True)
class PropagationTrainingParams:
    """Parameters of the training of a clip's network. May be changed; they are part of a clip's settings.

    Batch, weight decay and the clipped norm are those of the trial that this was built from, which took 150 steps at a
    rate of 1.5e-3 from `lpn-person`. From the weights `mask-propagation` 80 steps reach more: docs/research/clips.md.

    Attributes:
        steps: optimizer steps for the first key frame.
        further_steps: and for each key frame after it.
        max_key_frames: as many key frames at most, evenly spaced among those given, are trained on.
        batch: pictures a step.
        side: short side of the pictures in training and in propagation, pixels; a multiple of 32.
        rate: peak learning rate of AdamW on a one-cycle schedule.
        weight_decay: of AdamW.
        clip_norm: largest norm of the gradient.
        average: decay of the exponentially averaged weights, which are the ones used.
        seed: of the random numbers.
    """

    steps: int = 80
    further_steps: int = 30
    max_key_frames: int = 12
    batch: int = 4
    side: int = 256
    rate: float = 8e-4
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    average: float = 0.95
    seed: int = 0

    def total_steps(self, key_frames: int) -> int:
        """Optimizer steps for so many key frames, 1 or more."""
        return self.steps + self.further_steps * (key_frames - 1)


@dataclass(frozen=True, kw_only=True)
class PairParams:
    """How training pairs are made from a key frame, after LucidTracker (Khoreva et al., 2017,
    https://arxiv.org/abs/1703.09554). Lengths of the subject are shares of its bounding box's longer side.

    Attributes:
        scale: standard deviation of the logarithm of the pasted subject's scale.
        rotation: of its rotation, radians.
        near, far: of its displacement; each is used for half of the pairs.
        deform: largest elastic deformation.
        mirror: share of mirrored subjects.
        camera_scale, camera_rotation, camera_shift: standard deviation of the background's motion: logarithm, degrees,
            share of the width.
        background_mirror: share of mirrored backgrounds.
        gain, offset: standard deviation of the logarithm of the exposure, and of an offset of each channel.
        blur, max_blur: share of blurred pictures, and the largest standard deviation in pixels.
        distractor: share of pictures that show the subject's copy elsewhere, which the target leaves out.
        mask_shift, mask_deform: standard deviation of the input mask's displacement, and its largest deformation.
        empty, halved, cluttered: shares of input masks that are empty, lack one half, or have spots elsewhere.
        fill: width of the rim around the subject that is inpainted, as a share of the short side.
        max_cover: share of the picture that the subject covers above which the background is its mean colour.
    """

    scale: float = 0.25
    rotation: float = 0.25
    near: float = 0.1
    far: float = 0.35
    deform: float = 0.12
    mirror: float = 0.3
    camera_scale: float = 0.05
    camera_rotation: float = 3.0
    camera_shift: float = 0.05
    background_mirror: float = 0.2
    gain: float = 0.1
    offset: float = 0.04
    blur: float = 0.3
    max_blur: float = 1.5
    distractor: float = 0.15
    mask_shift: float = 0.06
    mask_deform: float = 0.06
    empty: float = 0.15
    halved: float = 0.15
    cluttered: float = 0.15
    fill: float = 0.027
    max_cover: float = 0.9


@dataclass(frozen=True, kw_only=True)
class TrackingParams:
    """Parameters of the propagation with a trained network.

    Attributes:
        crops: sides of the crops that the network sees, against the bounding box of the last mask; their masks are
            averaged. The key frame is trained on with the same crops.
        appearance_crop: of one more crop, seen without the last mask: what the subject looks like, without where it
            was, keeps the mask from drifting.
        crop_least: least height of a crop, as a share of the frame's.
        crop_key: least extent that a crop is made for, against the square root of the subject's area in the key frame.
        crop_trim: share of the mask's rows and columns on each side that its bounding box leaves out.
        still_background: taken off the logit of a pixel that the warped last mask says is background, where forward and
            backward flow agree: what was background and moves with the flow stays background.
        still_distance: distance from the warped mask over which that grows from 0, as a share of the square root of the
            mask's area.
        reach: components of the new mask that lie farther than this from the warped last mask are dropped, as a share
            of the square root of that mask's area.
        margin: width of the unknown band on either side of the propagated mask's edge, as a share of the short side.
        surest: quantile of a mask's values above 0.5 to which it is scaled: its views may agree to 1 nowhere.
        known: a mask this close to 0 or 1 counts as known, away from edges. In [0, 0.5).
        weight: weight of the propagated mask against the prior where the colours are no evidence, in [0, 1].
        lost: share of the area in the last key frame below which the subject counts as lost.
        doubtful: confidence below which a frame is doubtful, in [0, 1].
        check_level: finest level of the pyramid of the forward flow, see `flow.optical_flow`, which only checks the
            backward flow. 1 instead of 0 saves 0.03 s a frame and changed J by 0.001; a coarser backward flow lost up
            to 0.03.
        fold: disagreement between forward and backward flow, in pixels, of a pixel whose flow counts as unreliable.
        cut_share: a frame that looks like one of another shot is one where the flow is reliable on a smaller share of
            the picture: fast camera motion is followed by the flow (0.78 and more on eight DAVIS sequences), cuts are
            not (0.13 and less between frames of different ones).
        fold_share: and as a share of the motion's length, added to `fold`.
        decay: factor of a direction's weight for each frame's distance from its key frame.
        matte_trust: factor of the weight of a direction that comes from a finished matte beside a range that is matted
            again, where there is a hint too: the matte may be what was wrong. J of two clips with 1, 0.5, 0.3 and 0.1:
            0.740, 0.745, 0.745, 0.745 and 0.586, 0.595, 0.588, 0.581 (docs/research/clips.md).
        guide_crop: side of the crop that the guide sees (`guide.SubjectGuide`), as in `crops`; none may be larger.
        guide_logit: the guide's logits are cut off at this and scaled to [0, 1].
        coarse_share: share of the features at 1/16 of the size in the squared length of a cell's features; the rest is
            of those at 1/8.
        subject_cell, background_cell: a cell that is covered by more, or by less, of the mask is remembered as one of
            the subject, or of the background.
        match_neighbours: most similar cells of either kind whose mean counts (`memory.SubjectMemory`).
        match_weight: what a similarity of 1 adds to a pixel's logit. 16 was no better than 8.
        match_limit: most that is added to or taken off a logit.
        recall_every: of the tracked frames, every so many is remembered,
        recall_confidence: if its confidence is at least this,
        recall_frames: until so many others are,
        recall_span: or so many frames have passed.
    """

    crops: tuple[float, ...] = (2.0, 3.2)
    appearance_crop: float = 3.2
    crop_least: float = 0.35
    crop_key: float = 1.0
    crop_trim: float = 0.01
    still_background: float = 3.0
    still_distance: float = 0.1
    reach: float = 0.5
    margin: float = 1 / 100
    surest: float = 0.8
    known: float = 0.25
    weight: float = 0.75
    lost: float = 0.03
    doubtful: float = 0.5
    check_level: int = 1
    fold: float = 1.0
    fold_share: float = 0.1
    cut_share: float = 0.4
    decay: float = 0.97
    matte_trust: float = 0.5
    guide_crop: float = 3.2
    guide_logit: float = 6.0
    coarse_share: float = 2 / 3
    subject_cell: float = 0.85
    background_cell: float = 0.05
    match_neighbours: int = 4
    match_weight: float = 8.0
    match_limit: float = 3.0
    recall_every: int = 3
    recall_confidence: float = 0.5
    recall_frames: int = 2
    recall_span: int = 12


TRAINING = PropagationTrainingParams()
PAIRS = PairParams()
TRACKING = TrackingParams()
