"""The network over time starts from the rule, follows the motion and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.video.helpers import frames, hints, matter, picture
from tests.video.test_standing import textured
from uhrmat.core.errors import WeightsError
from uhrmat.refine.refiner import RefineInput
from uhrmat.refine.time import CANDIDATES, CHANNELS, REST, TimeNet, between
from uhrmat.sparse import DenseEngine
from uhrmat.video import blend
from uhrmat.video.blend import Moment, TimeBlend, by_rule, make_blend
from uhrmat.video.frames import ClipPipeline


def with_net(net: TimeNet, dtype: torch.dtype = torch.float32, engine: str = "tiles") -> TimeBlend:
    return TimeBlend(net, engine, dtype, "cpu")


def answering(*values: float) -> TimeNet:
    """A network that gives the same four outputs, before tanh, everywhere."""
    net = TimeNet()
    assert net.last.bias is not None
    net.last.bias.data = torch.tensor(values, dtype=torch.float32)
    return net


def restless() -> TimeNet:
    torch.manual_seed(4)
    net = TimeNet()
    torch.nn.init.normal_(net.last.weight, std=0.5)
    return net


def moment(shift: int, seed: int = 2) -> tuple[Moment, np.ndarray, np.ndarray]:
    """A square that moves by `shift` pixels, its true alpha, and a new alpha that is far from it."""
    (was, last), (now, true) = textured(0), textured(shift)
    where = np.zeros(true.shape, bool)
    where[16:64, 36:90] = True
    settled = np.full(true.shape, 128, np.uint8)
    jobs = [RefineInput(picture(x), x, a, settled, where) for x, a in ((now, true), (was, last))]
    new = np.random.default_rng(seed).random(true.shape, np.float32)
    return Moment(*jobs, last, where, 0.0), true, new


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_untrained_network_is_the_rule_to_the_bit(dtype: torch.dtype) -> None:
    ruled, learned = ClipPipeline(matter(), blend=by_rule), ClipPipeline(matter(), blend=with_net(TimeNet(), dtype))
    unlike = 0
    for frame in frames(4, noise=2.0, pan=1.5):
        a, b = (
            state.frame(picture(frame.image), frame.number, hints(frame.trimap), foreground=False).alpha
            for state in (ruled, learned)
        )
        assert np.array_equal(a, b)
        unlike += int(np.count_nonzero((a > 0) & (a < 1)))
    assert unlike


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_the_last_alpha_follows_the_foreground(shift: int) -> None:
    seen, true, alpha = moment(shift)
    outside = alpha.copy()
    with_net(answering(0, 0, 30, 0))(seen, alpha)
    inside = seen.where[25:55, 40:86]
    assert inside.all() and np.abs(alpha - true)[25:55, 40:86].mean() < 0.02
    if shift:
        assert np.abs(seen.last - true)[25:55, 40:86].mean() > 0.02
    assert np.array_equal(alpha[~seen.where], outside[~seen.where])


def test_each_candidate_can_win() -> None:
    for which, expected in enumerate(("new", "last")):
        seen, _, alpha = moment(3)
        goal = alpha.copy() if expected == "new" else seen.last
        with_net(answering(*(30.0 * (i == which) for i in range(3)), 0))(seen, alpha)
        assert np.allclose(alpha[seen.where], goal[seen.where], atol=1e-5)


def test_the_answer_is_bounded() -> None:
    x = torch.randn(1, CHANNELS, 12, 12)
    engine = DenseEngine(torch.ones(12, 12))
    with torch.no_grad():
        found = restless()(engine, engine.wrap(x)).data
    offsets = x[:, CANDIDATES]
    low, high = offsets.amin(1, keepdim=True).clamp(max=0), offsets.amax(1, keepdim=True).clamp(min=0)
    assert (found >= low - REST - 1e-6).all() and (found <= high + REST + 1e-6).all() and found.abs().max() > REST


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cells in (1 << 20, 9):
        monkeypatch.setattr(blend, "_CELLS", cells)
        seen, _, alpha = moment(2)
        with_net(restless())(seen, alpha)
        found.append(alpha)
    assert np.allclose(*found, atol=1e-5)
    assert not np.allclose(found[0], moment(2)[2], atol=0.05)


def test_nothing_is_asked_at_a_cut() -> None:
    first, second = frames(2, noise=2.0, cut=1)
    state = ClipPipeline(matter(), blend=with_net(restless()))
    state.frame(picture(first.image), 0, hints(first.trimap), foreground=False)
    after = state.frame(picture(second.image), 1, hints(second.trimap), foreground=False)
    fresh = ClipPipeline(matter()).frame(picture(second.image), 1, hints(second.trimap), foreground=False)
    assert after.stats.cut and np.array_equal(after.alpha, fresh.alpha)


def test_frames_that_are_recalled_change_nothing_after_them(tmp_path: Path) -> None:
    """What a run that goes on knows of the frames before, their active alphas, is all that the network needs."""
    save_file(restless().state_dict(), tmp_path / "w.safetensors", {"size": "blend"})
    whole, resumed = (ClipPipeline(matter(), blend=make_blend(str(tmp_path / "w.safetensors"), matter())) for _ in "ab")
    for frame in frames(3, noise=2.0, pan=1.5):
        given = picture(frame.image), frame.number, hints(frame.trimap)
        once = whole.frame(*given, foreground=False)
        known = once.alpha[once.active] if frame.number < 2 else None
        again = resumed.frame(*given, foreground=False, known=known)
        assert again.recalled == (frame.number < 2) and np.array_equal(once.alpha, again.alpha)
    ruled = ClipPipeline(matter())
    last = [ruled.frame(picture(f.image), f.number, hints(f.trimap)) for f in frames(3, noise=2.0, pan=1.5)][-1]
    assert np.abs(last.alpha - once.alpha).max() > 0.01


def test_weights_are_asked_for_and_must_be_the_networks(tmp_path: Path) -> None:
    assert make_blend(None, matter()) is by_rule
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not those of the blend over time"):
        make_blend(str(tmp_path / "other.safetensors"), matter())


def test_pictures_are_read_between_their_pixels() -> None:
    image = torch.arange(12.0).reshape(3, 4, 1)
    at = torch.tensor([[0.0, 1.5, -5.0, 9.0]]), torch.tensor([[1.0, 0.5, 2.0, 9.0]])
    assert between(lambda ys, xs: image[ys, xs], (3, 4), *at).flatten().tolist() == [1.0, 6.5, 2.0, 11.0]
