"""Safetensors files, read with suspicion: the header is checked before anything of its size is allocated.

Layout (https://huggingface.co/docs/safetensors): 8 bytes with the header's length, little-endian; the header, JSON;
the data. A file from anywhere may lie in all three.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from uhrmat.core.errors import WeightsError
from uhrmat.core.regular import need_regular

if TYPE_CHECKING:  # `uhrmat models list` and all other commands of the hub do without loading torch
    from torch import Tensor, nn

    Net = TypeVar("Net", bound=nn.Module)

MAX_HEADER = 25_000_000
"""Bytes of header; 100 000 tensors need about 10 MB."""
MAX_TENSORS = 100_000
INPUT_VERSION_KEY = "input_version"
"""Metadata key with the version of a network's inputs: how colours, alpha and working size are scaled before it sees
them. Trained weights are good for that version only. A file without the key is of version 1."""
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16}
_BITS |= {"U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64}


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, on the CPU, and the file's metadata. Raises WeightsError on what is no sound safetensors."""
    metadata = read_header(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path), metadata
    except (OSError, SafetensorError) as error:
        raise _unsound(path, str(error)) from error


def load_into(net: Net, tensors: dict[str, Tensor], path: Path, what: str, command: str) -> Net:
    """`net`, for evaluation, with the tensors of the file `path`, as float32 whatever that holds.

    what: the network's name for people; command: what writes such weights. Raises WeightsError where names or shapes
    are another network's, and where values are no numbers to reckon with, see `check_values`.
    """
    check_values(tensors, path, net)
    try:
        net.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        wrong = f"The weights {path} are not those of {what}."
        raise WeightsError(wrong, f"Give weights that `{command}` wrote.") from error
    return net.eval()


def check_input_version(metadata: Mapping[str, str], path: Path, expected: int, what: str) -> None:
    """Refuse weights that were trained on differently scaled inputs than this uhrmat makes.

    Args:
        metadata: of the safetensors file, see `INPUT_VERSION_KEY`.
        path: the file, for the error.
        expected: version of the inputs that the network's code makes.
        what: the network's name, for the error.

    Raises:
        WeightsError: the file's version is another one.
    """
    version = metadata.get(INPUT_VERSION_KEY, "1")
    if version != str(expected):
        raise WeightsError(
            f"The weights {path} were trained with input version {version} of {what}, "
            f"but this uhrmat makes inputs of version {expected}.",
            "Use the release of uhrmat that they were trained with, or train them again with this one.",
        )


def check_values(tensors: dict[str, Tensor], path: Path, net: nn.Module | None = None) -> None:
    """Raises WeightsError unless all values are floating-point numbers of at least 16 bits, finite in float32.

    NaN or infinity anywhere spoils whole mattes, or, worse, parts of them; integers and float8 are quantised weights
    whose scales are not here. net: the counters that it has itself (of batches, say) may be integers.
    """
    import torch

    counters = {name for name, value in net.state_dict().items() if not value.is_floating_point()} if net else set()
    for name, value in tensors.items():
        if name in counters:
            continue
        if value.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            kind = str(value.dtype).removeprefix("torch.")
            raise WeightsError(
                f"{path}: the weights {name[:80]!r} are {kind}, not floating-point numbers of 16 bits or more.",
                "Give weights that are not quantised.",
            )
        if not bool(torch.isfinite(value.float()).all()):
            raise WeightsError(
                f"{path}: the weights {name[:80]!r} have values that are not finite (NaN or infinity).",
                "Take an earlier checkpoint, or fetch the file again.",
            )


def read_header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file whose header agrees with itself and with the file's size.

    Raises WeightsError where it does not: too long, no JSON, unknown types, or places outside the file.
    """
    need_regular(path, WeightsError)
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise _unsound(path, f"its header claims {length:,} bytes of {size:,}")
            raw = file.read(length)
    except OSError as error:
        what = f"The weights {path} cannot be read: {error.strerror or error}."
        raise WeightsError(what, "Give another .safetensors file.") from error
    header = _parsed(path, raw)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _unsound(path, "its metadata are no texts")
    if len(header) > MAX_TENSORS:
        raise _unsound(path, f"it claims {len(header):,} tensors")
    _check_places(path, header, size - 8 - length)
    return metadata


def _parsed(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _unsound(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _unsound(path, "its header is no JSON object")
    return header


def _check_places(path: Path, header: dict[str, Any], room: int) -> None:
    """Every tensor takes the bytes that its type and shape need, one after the other, to the end of the file."""
    spans = sorted(_span(path, name, entry) for name, entry in header.items())
    end = 0
    for begin, stop, name in spans:
        if begin != end:
            raise _unsound(path, f"the tensor {name[:80]!r} overlaps another or leaves a hole")
        end = stop
    if end != room:
        raise _unsound(path, f"its tensors need {end:,} bytes and it holds {room:,}")


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    try:
        kind, shape, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, begin, stop]
    except (KeyError, TypeError, ValueError) as error:
        raise _unsound(path, f"the tensor {name[:80]!r} is not described") from error
    if not isinstance(kind, str) or kind not in _BITS:
        raise _unsound(path, f"the tensor {name[:80]!r} has an unknown type")
    if not isinstance(shape, list) or any(type(n) is not int or not 0 <= n < 1 << 48 for n in numbers):
        raise _unsound(path, f"the tensor {name[:80]!r} has an impossible shape or place")
    if len(shape) > 16 or stop - begin != math.prod(shape) * _BITS[kind] // 8:
        raise _unsound(path, f"the tensor {name[:80]!r} has a shape that does not fit its bytes")
    return begin, stop, name


def _unsound(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{path} is no sound safetensors file: {why}.", "Fetch or write it again; it may have arrived cut short."
    )
