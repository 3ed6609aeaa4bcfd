"""Users' own checkpoints to safetensors with a card: MODNet, ViTMatte.

A checkpoint of PyTorch is a pickle. It is opened here and nowhere else, with `weights_only=True`, which admits
tensors and plain containers and runs no code.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uhrmat.core.errors import WeightsError
from uhrmat.core.regular import need_regular
from uhrmat.core.stage import all_or_none
from uhrmat.hub.card import Card, write_card
from uhrmat.hub.tensors import load_tensors
from uhrmat.hub.verify import sha256

if TYPE_CHECKING:  # `uhrmat models list` and all other commands of the hub do without loading torch
    from torch import Tensor

KINDS = ("auto", "modnet", "vitmatte")
NO_LICENCE = "none stated"
_PARTS = {
    "modnet": ("backbone.", "lr_branch.", "hr_branch.", "f_branch."),
    "vitmatte": ("backbone.", "decoder."),
}
"""First parts of the tensors' names, by network."""
_TITLES = {"modnet": "MODNet", "vitmatte": "ViTMatte"}
_USE = {
    "modnet": "PyTorch programs that have MODNet's network. uhrmat itself runs MODNet as ONNX.",
    "vitmatte": "`--prior` with the folder's path, and every program that loads ViTMatte with transformers.",
}


@dataclass(frozen=True)
class ConversionResult:
    """What was written.

    Attributes:
        files: Paths of the weights, the card and copied settings.
        kind: The network, one of `KINDS` but "auto".
        tensors: Number of tensors.
    """

    files: list[Path]
    kind: str
    tensors: int


def convert(
    source: Path, output: Path | None = None, kind: str = "auto", licence: str = NO_LICENCE
) -> ConversionResult:
    """Convert a checkpoint or a folder of ViTMatte to safetensors with a card beside.

    Args:
        source: A checkpoint (.pth, .ckpt, .bin, .safetensors), or a folder as transformers writes it.
        output: The .safetensors file, for a folder the new folder; None writes beside the source.
        kind: One of `KINDS`; "auto" recognises the network by the names of its tensors.
        licence: Stated in the card.

    Raises:
        WeightsError: The source cannot be read, or is of no network known here.
    """
    if source.is_dir():
        return _convert_folder(source, output or source.with_name(f"{source.name}-safetensors"), licence)
    tensors = read_checkpoint(source)
    if kind == "auto":
        kind = detect(tensors, source)
    _check_names(tensors, kind)
    target = output or source.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target} does not end with .safetensors.", "Give such a name with --output.")
    files = {"weights": target, "card": target.with_suffix(".md")}
    with all_or_none(files) as staged:
        _save(tensors, staged["weights"], {"network": kind, "source": source.name})
        _card(staged["weights"], kind, source, licence, staged["card"])
    return ConversionResult(list(files.values()), kind, len(tensors))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a PyTorch checkpoint or a safetensors file, without running code.

    Args:
        path: The file.

    Returns:
        Tensors by name; of a checkpoint those below `state_dict` or `model`, without the prefix `module.`.

    Raises:
        WeightsError: The file cannot be read, holds more than tensors, no tensors, or values that are not finite.
    """
    need_regular(path, WeightsError)
    if path.suffix == ".safetensors":
        return load_tensors(path)[0]
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = f"{path} holds more than tensors, or is no checkpoint; what else it holds is not run."
        raise WeightsError(what, "In the program that wrote it, save `model.state_dict()` alone.") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read as a checkpoint: {_short(error)}.", "Give another file.") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no tensors by name.", "Save `model.state_dict()`.")
    tensors = {str(key).removeprefix("module."): value for key, value in content.items() if torch.is_tensor(value)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors by name.", "Save `model.state_dict()`.")
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path}: {name} has values that are not finite.", "Take an earlier checkpoint.")
    return tensors


def detect(tensors: dict[str, Tensor], source: Path) -> str:
    """Recognise the network by the names of its tensors.

    Args:
        tensors: By name.
        source: Their file, for the error.

    Returns:
        One of `KINDS` but "auto".

    Raises:
        WeightsError: It is none of them.
    """
    for kind, parts in _PARTS.items():
        if all(any(name.startswith(part) for name in tensors) for part in parts):
            return kind
    some = ", ".join(list(tensors)[:3])
    raise WeightsError(
        f"{source} is of no network known here: its tensors are {some}, ….", f"Known: {', '.join(KINDS[1:])}."
    )


def _check_names(tensors: dict[str, Tensor], kind: str) -> None:
    """Raises WeightsError where a part of the network is missing or a tensor belongs to none."""
    parts = _PARTS[kind]
    missing = [part for part in parts if not any(key.startswith(part) for key in tensors)]
    other = [key for key in tensors if not key.startswith(parts)]
    if missing or other:
        what = f"no tensors {missing}" if missing else f"tensors like {other[0]}"
        raise WeightsError(f"This is no checkpoint of {_TITLES[kind]}: it has {what}.", "Leave --kind to auto.")


def _convert_folder(source: Path, output: Path, licence: str) -> ConversionResult:
    """A folder as transformers writes it: config.json and pytorch_model.bin or model.safetensors."""
    config = source / "config.json"
    try:
        settings = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{source} has no readable config.json.", "Give a folder of transformers.") from error
    if not isinstance(settings, dict) or settings.get("model_type") != "vitmatte":
        raise WeightsError(f"{config} is not of ViTMatte.", "Other networks: give the checkpoint file.")
    candidates = [source / n for n in ("model.safetensors", "pytorch_model.bin") if (source / n).is_file()]
    if not candidates:
        raise WeightsError(f"{source} holds no weights.", "Needed: model.safetensors or pytorch_model.bin.")
    tensors = read_checkpoint(candidates[0])
    _check_names(tensors, "vitmatte")
    copies = [path for path in (config, source / "preprocessor_config.json") if path.is_file()]
    files = {name: output / name for name in ("model.safetensors", *(path.name for path in copies), "README.md")}
    with all_or_none(files) as staged:
        _save(tensors, staged["model.safetensors"], {"format": "pt"})
        for path in copies:
            staged[path.name].write_bytes(path.read_bytes())
        _card(staged["model.safetensors"], "vitmatte", candidates[0], licence, staged["README.md"])
    return ConversionResult(list(files.values()), "vitmatte", len(tensors))


def _save(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, target, metadata)


def _card(target: Path, kind: str, source: Path, licence: str, path: Path) -> None:
    rows = [
        ("network", kind),
        ("SHA-256", f"`{sha256(target)}`"),
        ("bytes", f"{target.stat().st_size:,}"),
        ("made from", f"`{source.name}`, SHA-256 `{sha256(source)}`, by `uhrmat models convert`"),
        ("licence", licence),
    ]
    write_card(path, Card(target.stem, licence, rows, _USE[kind]))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
