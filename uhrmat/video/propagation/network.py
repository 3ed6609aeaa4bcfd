"""The network that propagates a mask: `PersonNet` with more input planes, trained for one clip.

The planes are RGB, the last mask, and the two of the guide (`guide.SubjectGuide`). The training starts from the bundled
weights `mask-propagation`, which follow the mask of any subject, see `train.propagation`, and know no guide.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.devices import channels_last, one_thread
from uhrmat.core.files import atomic_write
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_into, load_tensors
from uhrmat.prior.networks.lpn import STRIDE, PersonNet
from uhrmat.video.propagation.guide import SubjectGuide
from uhrmat.video.propagation.pairs import KeyFrame, PairMaker
from uhrmat.video.propagation.params import TRAINING, PropagationTrainingParams

BASE_WEIGHTS = "mask-propagation"
"""The bundled weights that the training of a clip starts from."""


class MaskNet(PersonNet):
    """RGB and more planes (B, C, H, W) in [0, 1] to an `LPNOutput`: how much of each pixel belongs to the subject.

    Args:
        inputs: C: 4 with the last mask, 6 with the planes of the guide too.
    """

    def __init__(self, inputs: int = 6) -> None:
        super().__init__(norm=False)
        first = self.stem[0]
        assert isinstance(first, nn.Conv2d)
        self.stem[0] = nn.Conv2d(inputs, first.out_channels, 3, stride=2, padding=1)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], inputs: int) -> MaskNet:
        """A network that computes what one with fewer input planes does, whatever is in the others.

        Args:
            tensors: of a `PersonNet` without normalisation or of a `MaskNet`, by name.
            inputs: of the new network.

        Raises:
            RuntimeError: they are those of another network.
            KeyError: likewise.
        """
        widened = dict(tensors)
        first = tensors["stem.0.weight"]
        more = inputs - first.shape[1]
        widened["stem.0.weight"] = F.pad(first, (0, 0, 0, 0, 0, more))
        net = cls(inputs)
        net.load_state_dict(widened)
        return net


def network_shape(height: int, width: int, side: int) -> tuple[int, int]:
    """Shape (h, w) of the pictures that the network sees of a clip's frames: multiples of its stride.

    Args:
        height, width: of the frames, pixels.
        side: short side, pixels; smaller frames are not enlarged by more than the rounding.
    """
    scale = min(1.0, side / min(height, width))
    h, w = (max(1, round(x * scale / STRIDE)) * STRIDE for x in (height, width))
    return h, w


def train_network(
    keys: Sequence[KeyFrame], device: str = "cpu", params: PropagationTrainingParams = TRAINING,
    stop: threading.Event | None = None, *, steps: int | None = None,
) -> MaskNet | None:  # fmt: skip
    """Train a network on key frames.

    On the CPU it runs on one thread beside one that makes the pictures, so that the weights do not depend on the number
    of threads. The loss is binary cross-entropy plus Dice (Milletari et al., 3DV 2016, https://arxiv.org/abs/1606.04797).

    Args:
        keys: of one shape, at least one; see `network_shape`.
        device: torch device.
        params: see there.
        stop: ends the work early when it is set.
        steps: optimizer steps; default those of so many key frames.

    Returns:
        The network, for evaluation, on `device`; None where it was stopped.
    """
    net = load_base_network(device).train()
    guide = SubjectGuide.bundled(device)
    steps = params.total_steps(len(keys)) if steps is None else steps
    optimizer = torch.optim.AdamW(net.parameters(), params.rate, weight_decay=params.weight_decay)
    averaged = load_base_network(device)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params.rate, total_steps=steps + 1)
    with one_thread(), ThreadPoolExecutor(1) as pool:
        batches = _Batches(keys, params)
        following = pool.submit(batches.make)
        for step in range(steps):
            if stop is not None and stop.is_set():
                return None
            seen, targets = (part.to(device) for part in following.result())
            if step + 1 < steps:
                following = pool.submit(batches.make)
            inputs = torch.cat([seen, guide.planes(seen[:, :3])], 1)
            loss = propagation_loss(net(channels_last(inputs, device)).logits, targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), params.clip_norm)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for slow, fast in zip(averaged.parameters(), net.parameters(), strict=True):
                    slow.lerp_(fast, 1 - min(params.average, (step + 1) / (step + 10)))
    return averaged


class _Batches:
    """Batches of pairs, from each key frame in turn."""

    def __init__(self, keys: Sequence[KeyFrame], params: PropagationTrainingParams) -> None:
        rng = np.random.default_rng(params.seed)
        self._makers = [PairMaker(key, rng) for key in keys]
        self._size, self._count = params.batch, 0

    def make(self) -> tuple[Tensor, Tensor]:
        """(B, 4, h, w) and (B, 1, h, w)."""
        pairs = [self._makers[(self._count + at) % len(self._makers)].pair() for at in range(self._size)]
        self._count += self._size
        inputs = torch.from_numpy(np.stack([inputs.transpose(2, 0, 1) for inputs, _ in pairs]))
        return inputs.contiguous(), torch.from_numpy(np.stack([target for _, target in pairs]))[:, None]


def propagation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus one minus Dice coefficient of logits and target in [0, 1], (B, 1, H, W); a scalar."""
    alpha = logits.sigmoid()
    both, total = (alpha * target).sum((1, 2, 3)), (alpha + target).sum((1, 2, 3))
    dice = (2 * both + 1) / (total + 1)
    return F.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()


@torch.inference_mode()
def propagate_by_network(net: MaskNet, picture: np.ndarray, mask: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The mask of a frame from the warped mask of the frame before.

    Args:
        net: trained, for evaluation.
        picture: (h, w, 3) float32 RGB in [0, 1].
        mask: (h, w) float32 in [0, 1].
        planes: (h, w, 2) float32 in [0, 1], of the guide.

    Returns:
        (h, w) float32 in [0, 1].
    """
    device = next(net.parameters()).device
    inputs = np.ascontiguousarray(np.dstack([picture, mask, planes]).transpose(2, 0, 1)[None], np.float32)
    with one_thread():
        logits = net(channels_last(torch.from_numpy(inputs), device)).logits
    return np.asarray(logits[0, 0].sigmoid().cpu().numpy(), np.float32)


def save_network(net: MaskNet, path: Path) -> None:
    """Write a network's weights, all of the file or nothing. Raises OutputError."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)


def load_network(path: Path, device: str = "cpu") -> MaskNet:
    """The network of a file that `save_network` wrote, for evaluation. Raises WeightsError."""
    tensors, _ = load_tensors(path)
    net = load_into(MaskNet(), tensors, path, "a clip's mask propagation", "uhrmat video")
    return channels_last(net, device)


def load_base_network(device: str = "cpu", path: Path | None = None) -> MaskNet:
    """The network that training starts from, for evaluation, with planes for a guide that it does not heed yet.

    Args:
        device: torch device.
        path: a file of `uhrmat train propagation`; default the bundled one.

    Raises:
        WeightsError: the weights are damaged or another network's.
    """
    path = path or bundled_weights(BASE_WEIGHTS)
    tensors, _ = load_tensors(path)
    base = load_into(MaskNet(4), tensors, path, BASE_WEIGHTS, "uhrmat train propagation")
    return channels_last(MaskNet.from_tensors(base.state_dict(), 6).eval(), device)
