"""Users' own checkpoints to safetensors with a card: SparseMat, MODNet, ViTMatte.

A checkpoint of PyTorch is a pickle. It is opened here and nowhere else, with `weights_only=True`, which admits
tensors and plain containers and runs no code.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.errors import WeightsError
from uhrmat.core.regular import need_regular
from uhrmat.core.stage import all_or_none
from uhrmat.hub.card import Card, write_card
from uhrmat.hub.sparsemat import convert_sparsemat, is_sparsemat
from uhrmat.hub.tensors import load_tensors
from uhrmat.hub.verify import sha256

if TYPE_CHECKING:  # `uhrmat models list` and all other commands of the hub do without loading torch
    from torch import Tensor

KINDS = ("auto", "sparsemat", "modnet", "vitmatte")
NO_LICENCE = "none stated"
_BRANCHES = ("backbone.", "lr_branch.", "hr_branch.", "f_branch.")
_PARTS = ("backbone.", "decoder.")
_USE = {
    "sparsemat": "its sparse high-resolution module, run by `uhrmat.refine.shm.released` on the dense engine, given "
    "the "
    "32-channel context at 1/16 of its own low-resolution network. `uhrmat image` does not take it: that context is "
    "not to be had from other priors, and two layers were trained off centre.",
    "modnet": "PyTorch programs that have MODNet's network. uhrmat itself runs MODNet as ONNX.",
    "vitmatte": "`--prior` with the folder's path, and every program that loads ViTMatte with transformers.",
}


@dataclass(frozen=True)
class ConversionResult:
    """What was written. files: paths; kind: of KINDS; tensors: how many; notes: what happened to which."""

    files: list[Path]
    kind: str
    tensors: int
    notes: list[str] = field(default_factory=list)


def convert(
    source: Path, output: Path | None = None, kind: str = "auto", licence: str = NO_LICENCE
) -> ConversionResult:
    """A checkpoint (.pth, .ckpt, .bin) or a folder of ViTMatte to safetensors with a card beside.

    output: the .safetensors file, for a folder the new folder; default beside the source. kind: one of KINDS; "auto"
    tells by tensor names. licence: for the card. Raises WeightsError for anything else, naming what does not fit.
    """
    if source.is_dir():
        return _convert_folder(source, output or source.with_name(f"{source.name}-safetensors"), licence)
    tensors = read_checkpoint(source)
    if kind == "auto":
        kind = detect(tensors, source)
    tensors, notes = _CONVERTERS[kind](tensors)
    target = output or source.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target} does not end with .safetensors.", "Give such a name with --output.")
    files = {"weights": target, "card": target.with_suffix(".md")}
    with all_or_none(files) as staged:
        _save(tensors, staged["weights"], {"network": kind, "source": source.name})
        _card(staged["weights"], kind, source, licence, notes, staged["card"])
    return ConversionResult(list(files.values()), kind, len(tensors), notes)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a PyTorch checkpoint (`state_dict` and `module.` stripped) or a safetensors file."""
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
    """Which network the tensors are of, by their names. Raises WeightsError where it is none of KINDS."""
    if is_sparsemat(tensors):
        return "sparsemat"
    if all(any(name.startswith(branch) for name in tensors) for branch in _BRANCHES):
        return "modnet"
    if all(any(name.startswith(part) for name in tensors) for part in _PARTS):
        return "vitmatte"
    some = ", ".join(list(tensors)[:3])
    raise WeightsError(
        f"{source} is of no network known here: its tensors are {some}, ….", f"Known: {', '.join(KINDS[1:])}."
    )


def _modnet(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return _with_parts(tensors, _BRANCHES, "MODNet")


def _vitmatte(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    return _with_parts(tensors, _PARTS, "ViTMatte")


def _with_parts(tensors: dict[str, Tensor], parts: tuple[str, ...], name: str) -> tuple[dict[str, Tensor], list[str]]:
    missing = [part for part in parts if not any(key.startswith(part) for key in tensors)]
    other = [key for key in tensors if not key.startswith(parts)]
    if missing or other:
        what = f"no tensors {missing}" if missing else f"tensors like {other[0]}"
        raise WeightsError(f"This is no checkpoint of {name}: it has {what}.", "Leave --kind to auto.")
    return tensors, []


_CONVERTERS: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]]] = {
    "sparsemat": convert_sparsemat,
    "modnet": _modnet,
    "vitmatte": _vitmatte,
}


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
    tensors, notes = _vitmatte(read_checkpoint(candidates[0]))
    copies = [path for path in (config, source / "preprocessor_config.json") if path.is_file()]
    files = {name: output / name for name in ("model.safetensors", *(path.name for path in copies), "README.md")}
    with all_or_none(files) as staged:
        _save(tensors, staged["model.safetensors"], {"format": "pt"})
        for path in copies:
            staged[path.name].write_bytes(path.read_bytes())
        _card(staged["model.safetensors"], "vitmatte", candidates[0], licence, notes, staged["README.md"])
    return ConversionResult(list(files.values()), "vitmatte", len(tensors), notes)


def _save(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, target, metadata)


def _card(target: Path, kind: str, source: Path, licence: str, notes: list[str], path: Path) -> None:
    rows = [
        ("network", kind),
        ("SHA-256", f"`{sha256(target)}`"),
        ("bytes", f"{target.stat().st_size:,}"),
        ("made from", f"`{source.name}`, SHA-256 `{sha256(source)}`, by `uhrmat models convert`"),
        ("licence", licence),
    ]
    write_card(path, Card(target.stem, licence, rows, _USE[kind], notes))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
