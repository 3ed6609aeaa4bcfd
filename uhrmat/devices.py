"""Where to compute and how precisely: what "auto" means on this machine, and how much memory was taken."""

from __future__ import annotations

import torch

from uhrmat.errors import InputError
from uhrmat.memory import most_held_memory

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> str:
    """A usable device: "auto" is CUDA, then MPS, then the CPU. Raises InputError for one that is not there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise InputError(f"There is no device called {name!r}.", "Choose auto, cpu, cuda, cuda:1, … or mps.")
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise InputError(f"This machine has no usable {kind} device.", "Use --device cpu, or --device auto.")
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise InputError(f"There is no device {name}; {torch.cuda.device_count()} are here.", "Choose a lower number.")
    return name


def pick_precision(name: str, device: str) -> tuple[str, torch.dtype]:
    """Name and type of the arithmetic. "auto": fp16 on CUDA, bf16 on CPUs that multiply it in hardware, else fp32."""
    if name == "auto":
        name = "fp16" if device.startswith("cuda") else "bf16" if device == "cpu" and fast_bf16() else "fp32"
    if name not in PRECISIONS:
        raise InputError(f"There is no precision called {name!r}.", f"Choose auto, {', '.join(PRECISIONS)}.")
    if name == "fp16" and device == "cpu":
        raise InputError("fp16 is slow and coarse on the CPU.", "Use --precision bf16 or fp32.")
    return name, PRECISIONS[name]


def fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def set_threads(threads: int | None) -> None:
    """CPU threads of torch and OpenCV; None leaves their defaults, one per core."""
    if threads is not None:
        import cv2

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


def peak_memory(device: str) -> int:
    """Bytes: on CUDA the most allocated there so far; else see `memory.most_held_memory`."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return most_held_memory()
