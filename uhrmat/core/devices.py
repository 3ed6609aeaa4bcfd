"""Devices, precision and threads: what "auto" means on this machine, and how much memory was used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TypeVar, cast

import torch

from uhrmat.core.errors import InputError
from uhrmat.core.memory import peak_resident_memory
from uhrmat.core.units import format_bytes

LEAST_ON_GPU = 1 << 30
"""Bytes that must be free on a GPU for "auto" to take it: weights, the libraries' workspaces and the smallest tiles.
An estimate, not measured."""
Placed = TypeVar("Placed", bound=torch.Tensor | torch.nn.Module)
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> str:
    """A usable torch device for a name that a user gives.

    Args:
        name: "auto" (CUDA, then MPS, then the CPU; see `device_note`), "cpu", "cuda", "cuda:1", … or "mps".

    Raises:
        InputError: The device does not exist, or is a GPU on which a trial convolution fails.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return "cuda" if cuda and not _unfit("cuda") else "mps" if mps else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise InputError(f"There is no device called {name!r}.", "Choose auto, cpu, cuda, cuda:1, … or mps.")
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        cure = "Use --device cpu, or --device auto; `uhrmat doctor` says what is in the way."
        raise InputError(f"This machine has no usable {kind} device.", cure)
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise InputError(f"There is no device {name}; {torch.cuda.device_count()} are here.", "Choose a lower number.")
    if kind == "cuda" and (failure := gpu_failure(name)):
        cure = "Use --device cpu; `uhrmat doctor` says what the GPU needs."
        raise InputError(f"The GPU {name} cannot be used: {failure}.", cure)
    return name


def device_note(name: str) -> str:
    """A note for the user on why "auto" does not use an existing GPU; empty in all other cases."""
    if name != "auto" or not torch.cuda.is_available():
        return ""
    reason = _unfit("cuda")
    return f"the GPU is not used: {reason} (see `uhrmat doctor`)" if reason else ""


def _unfit(device: str) -> str:
    """Why "auto" does not use an existing GPU; empty where it does."""
    failure = gpu_failure(device)
    if failure:
        return failure
    free = free_gpu_memory(device)
    return f"only {format_bytes(free)} of its memory are free" if free < LEAST_ON_GPU else ""


@cache
def gpu_failure(device: str) -> str:
    """Why one small convolution fails on a GPU, in one line; empty where it succeeds. Tried once per process.

    Usual causes: no kernel for its architecture, a driver that is too old, no memory for the context.
    """
    try:
        with on_device(device):
            x = torch.ones(1, 8, 8, 8, device=device)
            y = torch.nn.functional.conv2d(x, torch.ones(8, 8, 3, 3, device=device), padding=1)
            if y[0, 0, 4, 4].item() != 72:  # 8 channels × 3 × 3
                return "it computes wrong results"
    except Exception as error:  # torch has no class for these
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:160]
    return ""


def free_gpu_memory(device: str) -> int:
    """Bytes of a GPU that this process may use: what is free, and what torch has reserved without using it."""
    where = torch.device(device)
    unused = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
    return int(torch.cuda.mem_get_info(where)[0] + unused)


def on_device(device: str | torch.device) -> AbstractContextManager[object]:
    """Make a GPU this thread's current one within a block; does nothing for other devices.

    Libraries beside torch (spconv) compute on the current GPU, wherever their tensors are.
    """
    where = torch.device(device)
    return torch.cuda.device(where) if where.type == "cuda" else nullcontext()


def pick_precision(name: str, device: str) -> tuple[str, torch.dtype]:
    """The name and type of the arithmetic for a name that a user gives.

    Args:
        name: "auto" (fp16 on CUDA, bf16 on CPUs that multiply it in hardware, else fp32), "fp32", "bf16" or "fp16".
        device: As `pick_device` returns it.

    Raises:
        InputError: There is no such precision, or it is fp16 on the CPU.
    """
    if name == "auto":
        name = "fp16" if device.startswith("cuda") else "bf16" if device == "cpu" and has_fast_bf16() else "fp32"
    if name not in PRECISIONS:
        raise InputError(f"There is no precision called {name!r}.", f"Choose auto, {', '.join(PRECISIONS)}.")
    if name == "fp16" and device == "cpu":
        raise InputError("fp16 is slow and coarse on the CPU.", "Use --precision bf16 or fp32.")
    return name, PRECISIONS[name]


def compute_exactly(device: str) -> None:
    """Make float32 mean float32 on CUDA in this process: no TF32, whose products have 10 bits of mantissa.

    torch allows TF32 in convolutions by default.

    Args:
        device: As `pick_device` returns it; others than CUDA are left as they are.
    """
    if device.startswith("cuda"):
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def set_threads(threads: int | None) -> None:
    """Set the CPU threads of torch and OpenCV; None leaves their defaults, one per core."""
    if threads is not None:
        import cv2

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


def peak_memory(device: str) -> int:
    """The most bytes that torch has allocated on a CUDA device; for others see `memory.peak_resident_memory`."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_memory()


def channels_last(what: Placed, device: str | torch.device) -> Placed:
    """A network or pictures (B, C, H, W) on a device, with the channels of a pixel beside each other in memory.

    On the CPU convolutions of networks with few channels are up to 1.7 times as fast in this layout.

    Args:
        what: a network is moved in place.
        device: torch device.
    """
    # torch's own type hints know no keyword `memory_format` of a module's `to`
    return cast(Placed, what.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread of the CPU inside, so that results do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
