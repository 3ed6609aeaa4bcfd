"""Finished weights: a safetensors file and the card that says where they come from."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uhrmat.core.stage import all_or_none
from uhrmat.hub.tensors import INPUT_VERSION_KEY
from uhrmat.train.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a model card states beside the recipe.

    Attributes:
        steps: optimiser steps done.
        crops: what a step's batch is made of ("crops of 160 x 160 from 658 scenes").
        seconds: of training.
        date: ISO 8601.
        data: what was trained on.
        figures: lines of Markdown, each with the command that reproduces it.
    """

    steps: int
    crops: str
    seconds: float
    date: str
    data: str
    figures: list[str] = field(default_factory=list)


def export(net: nn.Module, recipe: Recipe, source: Provenance, path: Path, input_version: int = 1) -> str:
    """Writes `path` (.safetensors) and its card beside it (.md); returns the file's SHA-256.

    input_version: of the network's inputs, see `hub.tensors.check_input_version`.
    """
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    meta = {"network": recipe.network, "size": recipe.size, "steps": str(source.steps), "licence": "Apache-2.0"}
    meta[INPUT_VERSION_KEY] = str(input_version)
    with all_or_none({"weights": path, "card": path.with_suffix(".md")}) as staged:
        weights = staged["weights"]
        save_file(tensors, weights, meta)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        staged["card"].write_text(_card(net, recipe, source, weights, digest), "utf-8")
    return digest


def _card(net: nn.Module, recipe: Recipe, source: Provenance, path: Path, digest: str) -> str:
    count = sum(p.numel() for p in net.parameters())
    rows: list[tuple[str, Any]] = [
        ("network", f"{recipe.network} {recipe.size}, {count:,} parameters, {os.path.getsize(path):,} bytes"),
        ("SHA-256", f"`{digest}`"),
        ("licence", "Apache-2.0"),
        ("data", source.data),
        ("trained", f"{source.steps:,} steps of {recipe.batch} {source.crops}, "
                    f"{source.seconds / 60:.0f} minutes"),
        ("hardware", f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"),
        ("date", source.date),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    numbers = "\n".join(f"{name} = {value!r}" for name, value in recipe.as_dict().items())
    figures = "\n".join(f"* {line}" for line in source.figures) or "* none measured yet"
    head = f"# {path.stem}\n\n| | |\n|---|---|\n{table}\n"
    return f"{head}\n## Measured\n\n{figures}\n\n## Recipe\n\n```toml\n{numbers}\n```\n"
