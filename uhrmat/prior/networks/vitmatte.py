"""ViTMatte (Yao et al., Information Fusion 2024, https://arxiv.org/abs/2305.15272) through transformers. Takes a
trimap.

Input as its image processor makes it: (x / 255 - 0.5) / 0.5 beside the trimap as a fourth channel of 0, 0.5 and 1,
padded to multiples of 32 at the right and below. No code comes from a repository; only safetensors are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub.tensors import check_values, load_tensors
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha

MULTIPLE = 32
"""Input sides are multiples of this, pixels."""
ARCHITECTURES = {"vitmatte-small": (384, 6), "vitmatte-base": (768, 12)}
"""Channels and heads of the published backbones."""


class VitMattePrior:
    """ViTMatte as a prior. Needs a trimap.

    Args:
        path: of a .safetensors file, with its config.json beside it unless `architecture` is known.
        name: of the prior.
        architecture: one of `ARCHITECTURES`, or "".
        device: torch device.

    Raises:
        InputError: transformers is not installed.
        WeightsError: the file holds no such network.
    """

    working_size: int | None = None

    needs_trimap = True

    def __init__(self, path: Path, name: str = "vitmatte", architecture: str = "", device: str = "cpu") -> None:
        self.name, self._device = name, device
        self._net = _load(path, architecture).to(device).eval()

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.trimap is None:
            raise InputError(f"The prior {self.name} needs a trimap or a mask.", "Give one, or choose another prior.")
        import torch

        height, width = small.shape[:2]
        known = hints.trimap.astype(np.float32)
        planes = np.dstack([2 * small - 1, np.where(known == 128, 0.5, known / 255)]).astype(np.float32)
        padded = np.pad(planes, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), mode="edge")
        with torch.inference_mode():
            batch = torch.from_numpy(padded.transpose(2, 0, 1)[None]).to(self._device)
            alpha = self._net(pixel_values=batch).alphas[0, 0, :height, :width].float().cpu().numpy()
        return PriorResult(constrain_alpha(np.clip(alpha, 0, 1), hints.trimap), self.name)


def _load(path: Path, architecture: str) -> Any:
    try:
        from transformers import VitMatteConfig, VitMatteForImageMatting
    except ImportError as error:
        raise InputError(
            "ViTMatte needs transformers, which is not installed.", "pip install 'uhrmat[hub-priors]'"
        ) from error
    from safetensors.torch import load_model

    file = path.parent / "config.json"
    try:
        if file.is_file():
            config = VitMatteConfig.from_json_file(file)
        elif architecture in ARCHITECTURES:
            config = _config(architecture)
        else:
            raise WeightsError(f"{path.parent} holds no config.json.", "Give a folder in transformers' layout.")
        net = VitMatteForImageMatting(config)
        check_values(load_tensors(path)[0], path, net)
        load_model(net, path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{path} is no ViTMatte: {str(error).splitlines()[0]}", "Give a folder in transformers' layout."
        ) from error
    return net


def _config(architecture: str) -> Any:
    """The published configurations: window attention in all blocks but every third, convolutions after those."""
    from transformers import VitDetConfig, VitMatteConfig

    hidden, heads = ARCHITECTURES[architecture]
    backbone = VitDetConfig(  # type: ignore[call-arg, unused-ignore]
        num_channels=4, image_size=512, pretrain_image_size=224, patch_size=16, hidden_size=hidden,
        num_attention_heads=heads, use_absolute_position_embeddings=True, use_relative_position_embeddings=True,
        window_size=14, window_block_indices=[0, 1, 3, 4, 6, 7, 9, 10], residual_block_indices=[2, 5, 8, 11],
        out_features=["stage12"],
    )  # fmt: skip
    return VitMatteConfig(
        backbone_config=backbone, hidden_size=hidden, convstream_hidden_sizes=[48, 96, 192],
        fusion_hidden_sizes=[256, 128, 64, 32],
    )  # fmt: skip
