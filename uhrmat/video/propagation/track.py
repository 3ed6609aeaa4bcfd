"""One step of the propagation: the mask of a frame from that of its neighbour, and how certain it is."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.core.devices import one_thread
from uhrmat.core.parallel import side_by_side
from uhrmat.sparsity.temporal import is_cut, thumbnail
from uhrmat.video.flow import optical_flow, warp
from uhrmat.video.propagation.crop import Crop, cut_out, put_back, subject_crop
from uhrmat.video.propagation.memory import SubjectMemory
from uhrmat.video.propagation.network import MaskNet, propagate_by_network
from uhrmat.video.propagation.params import TRACKING, TrackingParams
from uhrmat.video.propagation.states import TrackedMask


def next_mask(
    net: MaskNet, memory: SubjectMemory, before: np.ndarray, tracked: TrackedMask, now: np.ndarray,
    params: TrackingParams = TRACKING,
) -> TrackedMask:  # fmt: skip
    """The mask of the frame next to one whose mask is known, after or before it.

    At a cut the flow means nothing: then the network sees an empty last mask, and the confidence is 0.

    The network's masks of several crops around the warped last mask are averaged. On the CPU two threads work side by
    side, with the same result as one.

    Args:
        net: trained on the clip.
        memory: of the subject in this direction, up to the neighbour.
        before: (h, w, 3) float32 RGB in [0, 1] of the neighbour at the network's size.
        tracked: its mask.
        now: the frame, likewise.
        params: see there.
    """
    threads = memory.guide.device.type == "cpu"

    def check_flow() -> np.ndarray:
        memory.catch_up()
        return optical_flow(before, now, params.check_level)

    with one_thread():
        back, forth = side_by_side(lambda: optical_flow(now, before), check_flow, threads=threads)
        warped = warp(tracked.alpha, back)
        disagreement = np.linalg.norm(back + warp(forth, back), axis=2)
        reliable = disagreement <= params.fold + params.fold_share * np.linalg.norm(back, axis=2)
        if reliable.mean() < params.cut_share and is_cut(thumbnail(now), thumbnail(before), 0.0):
            warped, reliable = np.zeros_like(warped), np.zeros_like(reliable)
        around = subject_crop(warped, params.guide_crop, tracked.key_area, params)
        look = memory.guide.look(cut_out(now, around))
        views = [(subject_crop(warped, factor, tracked.key_area, params), warped) for factor in params.crops]
        unaided = subject_crop(warped, params.appearance_crop, tracked.key_area, params), np.zeros_like(warped)

        def seen(crop: Crop, last: np.ndarray) -> np.ndarray:
            planes = cut_out(look.planes, crop.within(around, now.shape))
            return put_back(propagate_by_network(net, cut_out(now, crop), cut_out(last, crop), planes), crop)

        masks, (mask, similarity) = side_by_side(
            lambda: [seen(*view) for view in views],
            lambda: (seen(*unaided), put_back(memory.similarity(look, tracked.distance + 1), around)),
            threads=threads,
        )
    mask = np.asarray(np.mean([*masks, mask], 0), np.float32)
    mask = add_similarity(mask, similarity, params)
    mask = near_prediction(hold_background(mask, warped, reliable, params), warped, params)
    return TrackedMask(
        mask=np.rint(mask * 255).astype(np.uint8), confidence=mask_confidence(mask, warped, reliable),
        distance=tracked.distance + 1, key_area=tracked.key_area, trust=tracked.trust,
    )  # fmt: skip


def add_similarity(mask: np.ndarray, similarity: np.ndarray, params: TrackingParams = TRACKING) -> np.ndarray:
    """`mask` with more of what resembles the subject, and less of what resembles the background.

    Args:
        mask: (h, w) float32 in [0, 1], of the network.
        similarity: (h, w) float32, see `SubjectMemory.similarity`; 0 changes nothing.
        params: see there.

    Returns:
        (h, w) float32 in [0, 1].
    """
    return _shifted(mask, np.clip(params.match_weight * similarity, -params.match_limit, params.match_limit))


def _shifted(mask: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """A mask (h, w) float32 in [0, 1] with `logits` (h, w) added to its own."""
    odds = mask / np.maximum(1 - mask, 1e-6) * np.exp(logits)
    return np.asarray(odds / (1 + odds), np.float32)


def hold_background(
    mask: np.ndarray, warped: np.ndarray, reliable: np.ndarray, params: TrackingParams = TRACKING
) -> np.ndarray:
    """`mask` with less of what the last mask, moved by a flow that is reliable, says is background.

    It keeps a mask from growing into surroundings that look like the subject; where the flow is unreliable, as beside
    moving edges and where the subject comes into view, and next to the warped mask, nothing is changed.

    Args:
        mask: (h, w) float32 in [0, 1], of the network.
        warped: (h, w) float32 in [0, 1], the warped last mask. Where it is empty nothing is changed.
        reliable: (h, w) bool, pixels whose forward and backward flow agree.
        params: see there.

    Returns:
        (h, w) float32 in [0, 1].
    """
    place = warped > 0.5
    if not place.any():
        return mask
    far = cv2.distanceTransform((~place).astype(np.uint8), cv2.DIST_L2, 5)
    share = np.minimum(far / (params.still_distance * np.sqrt(np.count_nonzero(place))), 1) * reliable
    return _shifted(mask, -params.still_background * share)


def near_prediction(mask: np.ndarray, warped: np.ndarray, params: TrackingParams = TRACKING) -> np.ndarray:
    """`mask` without the components that lie far from the predicted place of the subject.

    Where the prediction is empty nothing is dropped, so that a subject that was covered can return anywhere.

    Args:
        mask: (h, w) float32 in [0, 1], of the network.
        warped: (h, w) float32 in [0, 1], the warped last mask.
        params: see there.

    Returns:
        (h, w) float32 in [0, 1].
    """
    place = warped > 0.5
    if not place.any():
        return mask
    distance = cv2.distanceTransform((~place).astype(np.uint8), cv2.DIST_L2, 5)
    count, labels = cv2.connectedComponents((mask > 0.1).astype(np.uint8), connectivity=8)
    nearest = np.full(count, np.inf, np.float32)
    np.minimum.at(nearest, labels.ravel(), distance.ravel())
    keep = nearest <= params.reach * np.sqrt(np.count_nonzero(place))
    keep[0] = True
    return np.where(keep[labels], mask, 0).astype(np.float32)


def mask_confidence(mask: np.ndarray, warped: np.ndarray, reliable: np.ndarray) -> float:
    """How certain a propagated mask is, in [0, 1].

    The product of two numbers: the certainty of the network, mean |2 m - 1| over the pixels that either mask touches,
    and the overlap (soft IoU) of the mask with the warped last one where forward and backward flow agree.

    Args:
        mask: (h, w) in [0, 1].
        warped: (h, w) in [0, 1], the last mask, warped.
        reliable: (h, w) bool, pixels whose forward and backward flow agree.
    """
    touched = np.maximum(mask, warped) > 0.1
    if not touched.any():
        return 0.0
    certainty = float(np.abs(2 * mask[touched] - 1).mean())
    here = touched & reliable
    union = float(np.maximum(mask, warped)[here].sum())
    overlap = float(np.minimum(mask, warped)[here].sum()) / union if union > 0 else 0.0
    return certainty * overlap
