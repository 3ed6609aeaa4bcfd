"""One step of mask propagation: the network's guide and memory, what holds a mask where it is, cuts, confidence."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from tests.video.tracked import disc, key_frame
from uhrmat.sparsity.temporal import is_cut, thumbnail
from uhrmat.video.propagation.crop import Crop, cut_out, subject_crop
from uhrmat.video.propagation.guide import Look, SubjectGuide
from uhrmat.video.propagation.memory import SubjectMemory, recalls
from uhrmat.video.propagation.network import MaskNet, load_base_network
from uhrmat.video.propagation.params import TRACKING
from uhrmat.video.propagation.states import TrackedMask
from uhrmat.video.propagation.track import (
    add_similarity,
    hold_background,
    mask_confidence,
    near_prediction,
    next_mask,
)


def test_what_moved_with_the_background_is_held_back() -> None:
    subject, leak = disc(30, 30, 8), disc(30, 60, 6)
    mask, sure = 0.8 * np.maximum(subject, leak), np.ones((64, 96), bool)
    held = hold_background(mask, subject, sure)
    assert np.allclose(held[subject > 0], 0.8, atol=1e-5)
    assert np.allclose(held[leak > 0], 4 * np.exp(-3) / (1 + 4 * np.exp(-3)), atol=1e-4)
    assert np.allclose(hold_background(mask, subject, ~sure), mask, atol=1e-5)  # the flow says nothing
    assert np.array_equal(hold_background(mask, 0 * subject, sure), mask)
    grown = hold_background(0.8 * disc(30, 30, 12), disc(30, 30, 11), sure)  # next to the subject it may grow
    assert grown[30, 42] > 1.5 * held[leak > 0].max()
    assert not np.isnan(hold_background(np.maximum(subject, leak), subject, sure)).any()


def test_a_distractor_far_away_is_dropped_and_a_near_part_stays() -> None:
    subject, part, far = disc(30, 30, 8), disc(30, 43, 3), disc(30, 80, 8)
    mask = np.maximum.reduce([subject, part, far])
    assert np.array_equal(near_prediction(mask, subject), np.maximum(subject, part))
    assert np.array_equal(near_prediction(mask, 0 * subject), mask)  # nothing is predicted: it may return anywhere


def test_confidence_is_certainty_times_agreement() -> None:
    mask, reliable = disc(30, 30), np.ones((64, 96), bool)
    assert mask_confidence(mask, mask, reliable) == pytest.approx(1)
    assert mask_confidence(mask, np.roll(mask, 6, 1), reliable) < 0.6
    assert mask_confidence(mask * 0.6, mask * 0.6, reliable) == pytest.approx(0.2, abs=1e-5)
    assert mask_confidence(mask, mask, ~reliable) == 0 and mask_confidence(0 * mask, 0 * mask, reliable) == 0


def test_a_cut_leaves_no_confidence() -> None:
    net, key = load_base_network(), key_frame()
    mask = TrackedMask.of_key(key.alpha)
    memory = SubjectMemory(SubjectGuide.bundled(), key.picture, mask)
    same = next_mask(net, memory, key.picture, mask, key.picture)
    cut = next_mask(net, memory, key.picture, mask, 1 - key.picture)
    assert cut.confidence == 0 and same.distance == cut.distance == 1
    assert same.key_area == pytest.approx(24 * 30)


def test_a_fast_camera_is_no_cut() -> None:
    """The frames differ as much as those of two shots, but the flow follows."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.random((128, 240, 3)).astype(np.float32), (0, 0), 5)
    wide = (wide - wide.min()) / (wide.max() - wide.min())
    before, now = np.ascontiguousarray(wide[:, 24:216]), np.ascontiguousarray(wide[:, :192])
    assert is_cut(thumbnail(now), thumbnail(before), 0.0)
    mask = TrackedMask.of_key(disc(64, 80, 20, (128, 192)))
    net, memory = load_base_network(), SubjectMemory(SubjectGuide.bundled(), before, mask)
    moved = next_mask(net, memory, before, mask, now)
    other = next_mask(net, memory, before, mask, rng.random(now.shape, np.float32))
    assert moved.confidence > 0 and other.confidence == 0


def test_the_base_network_heeds_no_guide() -> None:
    """Its bundled weights have four inputs; what is in the others changes nothing until a clip's training does."""
    planes = torch.rand(1, 6, 64, 96, generator=torch.Generator().manual_seed(0))
    net = load_base_network()
    four = MaskNet(4)
    four.load_state_dict(net.state_dict() | {"stem.0.weight": net.state_dict()["stem.0.weight"][:, :4]})
    with torch.inference_mode():
        torch.testing.assert_close(net(planes).logits, four.eval()(planes[:, :4]).logits, atol=1e-4, rtol=1e-4)
    assert not net.state_dict()["stem.0.weight"][:, 4:].any()


def test_the_guide_sees_a_subject_and_its_features_have_unit_length() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(0).random((96, 128, 3)).astype(np.float32), (0, 0), 6)
    guide = SubjectGuide.bundled()
    look = guide.look(picture)
    assert look.planes.shape == (96, 128, 2) and look.planes.min() >= 0 and look.planes.max() <= 1
    assert look.grid == (12, 16) and torch.allclose(look.features.norm(dim=1), torch.ones(192), atol=1e-4)
    pictures = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())
    assert np.allclose(guide.planes(pictures)[0].permute(1, 2, 0).numpy(), look.planes, atol=1e-5)


class _Colours(SubjectGuide):
    """A guide whose features are the directions of a picture's colours, on a grid of cells of 8 pixels."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        pass

    def look(self, picture: np.ndarray) -> Look:
        height, width = picture.shape[:2]
        cells = cv2.resize(picture, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        features = torch.from_numpy(cells.reshape(-1, 3))
        planes = np.full((height, width, 2), 0.5, np.float32)
        return Look(planes, torch.nn.functional.normalize(features, dim=1), (height // 8, width // 8))


RED, GREEN, BLUE = np.eye(3, dtype=np.float32)
WHOLE = replace(TRACKING, guide_crop=100.0)


def _scene(subject: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    alpha = np.zeros((64, 96), np.float32)
    alpha[16:48, 32:64] = 1
    return np.where(alpha[..., None] > 0, subject, background).astype(np.float32), alpha


def test_what_looks_like_the_key_frames_subject_resembles_it() -> None:
    picture, alpha = _scene(RED, BLUE)
    guide = _Colours()
    memory = SubjectMemory(guide, picture, TrackedMask.of_key(alpha), WHOLE)
    moved = np.roll(picture, 24, 1)
    similarity = memory.similarity(guide.look(moved), 1)
    assert similarity.shape == (64, 96)
    assert similarity[32, 72] == pytest.approx(1, abs=1e-4) and similarity[32, 36] == pytest.approx(-1, abs=1e-4)
    assert memory.similarity(guide.look(np.full_like(picture, 0.5)), 1)[32, 48] == pytest.approx(0, abs=1e-4)
    nothing = SubjectMemory(guide, picture, TrackedMask.of_key(0 * alpha), WHOLE)
    assert not nothing.similarity(guide.look(moved), 1).any()


def test_a_recent_frame_is_remembered_for_a_while() -> None:
    """The subject turns green; the network's mask is right; later frames know both of its colours."""
    picture, alpha = _scene(RED, BLUE)
    turned, _ = _scene(GREEN, BLUE)
    guide = _Colours()
    memory = SubjectMemory(guide, picture, TrackedMask.of_key(alpha), WHOLE)
    look, seen = guide.look(turned), TrackedMask(mask=np.rint(alpha * 255).astype(np.uint8), key_area=1024.0)
    assert memory.similarity(look, 1)[32, 48] == pytest.approx(0, abs=1e-4)
    memory.remember(turned, replace(seen, distance=2))  # not every frame is
    memory.remember(turned, replace(seen, distance=3, confidence=0.4))  # nor one that is not sure
    assert memory.similarity(look, 4)[32, 48] == pytest.approx(0, abs=1e-4)
    memory.remember(turned, replace(seen, distance=3))
    assert memory.similarity(look, 4)[32, 48] == pytest.approx(1, abs=1e-4)
    assert memory.similarity(guide.look(picture), 4)[32, 48] == pytest.approx(1, abs=1e-4)
    assert memory.similarity(look, 3 + TRACKING.recall_span)[32, 48] == pytest.approx(1, abs=1e-4)
    assert memory.similarity(look, 4 + TRACKING.recall_span)[32, 48] == pytest.approx(0, abs=1e-4)
    for distance in (6, 9):
        memory.remember(picture, replace(seen, distance=distance))
        memory.catch_up()
        memory.catch_up()  # nothing is left to do
    assert memory.similarity(look, 10)[32, 48] == pytest.approx(0, abs=1e-4)  # two newer ones took its place


def test_every_third_frame_that_is_sure_is_remembered() -> None:
    mask = TrackedMask(mask=np.zeros((8, 8), np.uint8), confidence=0.5, distance=6)
    assert recalls(mask) and not recalls(replace(mask, confidence=0.49)) and not recalls(replace(mask, distance=7))


def test_similarity_moves_a_mask_within_limits() -> None:
    mask = np.float32([[0.0, 0.5, 0.5, 0.9, 1.0]])
    moved = add_similarity(mask, np.float32([[1.0, 0.1, -0.1, -1.0, 0.0]]))
    odds = np.exp([0.8, -0.8])
    expected = [0, *odds / (1 + odds), 9 * np.exp(-3) / (1 + 9 * np.exp(-3)), 1]
    assert np.allclose(moved, [expected], atol=1e-5)
    assert np.allclose(add_similarity(mask, 0 * mask), mask, atol=1e-6)


def test_a_crop_inside_another_shows_the_same() -> None:
    picture = cv2.GaussianBlur(disc(30, 48, 8), (0, 0), 3)
    outer, inner = subject_crop(picture, 3.0), subject_crop(picture, 1.5)
    assert inner.width < outer.width
    again = cut_out(cut_out(picture, outer), inner.within(outer, picture.shape))
    assert np.abs(again - cut_out(picture, inner)).max() < 0.05
    assert outer.within(outer, picture.shape) == pytest.approx(Crop(0, 0, 96, 64))
