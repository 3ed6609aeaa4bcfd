"""Tiny promptable networks with random weights, in transformers' layout."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

SIDE = 64
_SHARED: dict[str, Any] = {
    "image_size": SIDE, "memory_attention_hidden_size": 128, "memory_attention_num_layers": 1,
    "memory_encoder_hidden_size": 128, "memory_encoder_output_channels": 64, "mask_downsampler_embed_dim": 128,
    "memory_fuser_embed_dim": 128, "memory_fuser_intermediate_dim": 32, "num_maskmem": 3,
    "max_object_pointers_in_encoder": 4, "memory_attention_rope_feat_sizes": [4, 4], "initializer_range": 0.3,
}  # fmt: skip
_PROMPTS = {"hidden_size": 128, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
_DECODER = {"hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
_GRIDS = [[16, 16], [8, 8], [4, 4]]


def _spread(net: Any) -> Any:
    """Larger random weights, so that what the network says differs from place to place."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * (1.5 / max(1, parameter[0].numel()) ** 0.5))
        score = net.mask_decoder.pred_obj_score_head.proj_out
        score.weight.zero_()
        score.bias.fill_(4)  # the subject is there
    return net


def save_sam2(folder: Path) -> Path:
    """SAM 2 for clips."""
    import transformers

    backbone = {
        "hidden_size": 8, "num_attention_heads": 1, "image_size": [SIDE, SIDE], "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [8, 4, 14, 7], "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [2, 2], "model_type": "sam2_hiera_det_model",
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": _GRIDS,
        "fpn_hidden_size": 128, "model_type": "sam2_vision_model",
    }  # fmt: skip
    config = transformers.Sam2VideoConfig(
        vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER,
        memory_attention_feed_forward_hidden_size=32, **_SHARED,
    )  # fmt: skip
    _spread(transformers.Sam2VideoModel(config)).save_pretrained(folder)
    return folder


def save_edgetam(folder: Path) -> Path:
    """EdgeTAM for clips, with a backbone of plain convolutions in the place of timm's."""
    import transformers

    register_backbone()
    vision = {
        "backbone_config": {"model_type": "uhrmat_test_backbone"}, "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": _GRIDS, "fpn_hidden_size": 128, "model_type": "edgetam_vision_model",
    }  # fmt: skip
    config = transformers.EdgeTamVideoConfig(
        vision_config=vision, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER,
        memory_attention_mlp_hidden_size=32, memory_attention_rope_k_sizes=[2, 2], perceiver_resampler_num_latents=4,
        perceiver_resampler_num_latents_2d=4, perceiver_resampler_hidden_size=64,
        perceiver_resampler_mlp_intermediate_size=16, perceiver_resampler_attention_head_dim=64, **_SHARED,
    )  # fmt: skip
    _spread(transformers.EdgeTamVideoModel(config)).save_pretrained(folder)
    return folder


def register_backbone() -> None:
    """Make the backbone known to transformers' AutoModel."""
    import torch
    import transformers
    from transformers.modeling_outputs import BaseModelOutput

    if "uhrmat_test_backbone" in transformers.models.auto.configuration_auto.CONFIG_MAPPING:
        return

    class TestBackboneConfig(transformers.PretrainedConfig):  # type: ignore[misc, name-defined]
        model_type = "uhrmat_test_backbone"

    class TestBackbone(transformers.PreTrainedModel):  # type: ignore[misc, name-defined]
        config_class = TestBackboneConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            widths = (3, 8, 16, 32, 64)
            self.stages = torch.nn.ModuleList(
                torch.nn.Conv2d(a, b, 4 if n == 0 else 2, 4 if n == 0 else 2)
                for n, (a, b) in enumerate(itertools.pairwise(widths))
            )
            self.post_init()

        def forward(self, pixel_values: Any, **kwargs: Any) -> Any:
            maps = [pixel_values]
            for stage in self.stages:
                maps.append(torch.relu(stage(maps[-1])))
            return BaseModelOutput(last_hidden_state=maps[1:])

    transformers.AutoConfig.register("uhrmat_test_backbone", TestBackboneConfig)
    transformers.AutoModel.register(TestBackboneConfig, TestBackbone)
