"""Diagnosis of an installation: versions, devices, engines, codecs, weights, and how to correct what is wrong."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from uhrmat._version import __version__
from uhrmat.core.errors import UhrmatError
from uhrmat.core.units import format_bytes

LIBRARIES = {
    "torch": "torch", "numpy": "numpy", "opencv-python-headless": "cv2", "pillow": "PIL", "pymatting": "pymatting",
    "av": "av", "tifffile": "tifffile", "openexr": "OpenEXR", "safetensors": "safetensors",
    "huggingface-hub": "huggingface_hub",
}  # fmt: skip
"""Distributions that uhrmat needs, with the module of each."""
EXTRAS = {
    "onnxruntime": ("hub-priors", "priors from ONNX networks"),
    "transformers": ("hub-priors", "ViTMatte as prior"),
    "ray": ("ray", "many machines"),
    "starlette": ("ui", "uhrmat paint"),
    "uvicorn": ("ui", "uhrmat paint"),
    "spconv-cu118": ("cuda", "sparse convolutions on NVIDIA GPUs"),
}
LITTLE_MEMORY, LITTLE_DISK = 2 << 30, 1 << 30
"""Bytes below which a warning is given: memory of a 4K photograph with reserve, and the largest catalogued networks."""


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        section: Of the report.
        name: What was examined.
        value: Its state.
        problem: What is wrong, empty where nothing is.
        cure: How to correct it, empty where nothing is wrong.
    """

    section: str
    name: str
    value: str
    problem: str = ""
    cure: str = ""


def examine() -> list[Finding]:
    """Examine everything. It takes some seconds: libraries are imported, engines timed, weights hashed.

    Returns:
        Lines by section, in order. A section that cannot be examined is a line with its error as the problem.
    """
    findings = []
    for section, look in _SECTIONS.items():
        try:
            findings += [Finding(section, *row) for row in look()]
        except Exception as error:  # the diagnosis itself must not fail
            cure = error.hint if isinstance(error, UhrmatError) else "See the finding above it, or install uhrmat anew."
            findings.append(Finding(section, "not examined", type(error).__name__, f"{section}: {error}", cure))
    return findings


def as_dict(findings: list[Finding]) -> dict[str, Any]:
    """Convert findings to what JSON takes: values by section and name, and the problems."""
    sections: dict[str, dict[str, str]] = {}
    for one in findings:
        sections.setdefault(one.section, {})[one.name] = one.value
    problems = [{"problem": one.problem, "cure": one.cure} for one in findings if one.problem]
    return {"sections": sections, "problems": problems}


Row = tuple[str, ...]
"""Name and value, and where something is wrong, problem and cure."""


def _versions() -> Iterator[Row]:
    yield "uhrmat", __version__
    yield "python", f"{platform.python_version()}, {sys.executable}"
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    for name, module in LIBRARIES.items():
        version = _version(name)
        try:
            importlib.import_module(module)
        except Exception as error:
            reason = f"{name} {version or 'is not installed'}: it cannot be loaded ({type(error).__name__}: {error})."
            yield name, "cannot be loaded", reason, "Install again: pip install -c constraints.txt ."
            continue
        yield name, version or "installed, version unknown"


def _extras() -> Iterator[Row]:
    for name, (extra, use) in EXTRAS.items():
        version = _version(name)
        if version is None:
            yield name, f"absent, for {use}: pip install '.[{extra}]'"
        elif (name, version) == ("onnxruntime", "1.23.0"):
            yield name, version, "onnxruntime 1.23.0 has a regression.", "pip install -c constraints.txt onnxruntime"
        else:
            yield name, version


def _machine() -> Iterator[Row]:
    import torch

    from uhrmat.core.devices import pick_device, pick_precision
    from uhrmat.core.memory import available_memory, has_nvidia

    device = pick_device("auto")
    yield "device", device
    yield "cuda of torch", torch.version.cuda or "none: this build of torch computes on the CPU only"
    if has_nvidia():
        yield "NVIDIA driver", nvidia_driver() or "version unknown"
    for number in range(torch.cuda.device_count()):
        yield _card(number)
    if not torch.cuda.is_available() and has_nvidia():
        problem = f"There is an NVIDIA GPU, but torch {torch.__version__} cannot use it."
        yield "NVIDIA GPU", "there, unused", problem, gpu_cure(torch.version.cuda, nvidia_driver())
    yield "precision", pick_precision("auto", device)[0]
    yield "threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors"
    free = available_memory()
    little = (
        f"Only {format_bytes(free)} of memory are free.",
        "Close other programs, or set --max-memory and --working-size 512.",
    )
    yield "memory", f"{format_bytes(free)} free", *(little if free < LITTLE_MEMORY else ())


def _card(number: int) -> Row:
    import torch

    from uhrmat.core.devices import LEAST_ON_GPU, free_gpu_memory, gpu_failure

    card, name = torch.cuda.get_device_properties(number), f"cuda:{number}"
    value = f"{card.name}, {format_bytes(card.total_memory)}, compute capability {card.major}.{card.minor}"
    if failure := gpu_failure(name):
        what = f"{card.name} cannot run torch {torch.__version__}: {failure}."
        built = ", ".join(torch.cuda.get_arch_list())
        return name, value, what, f"{gpu_cure(torch.version.cuda, nvidia_driver())} This build is for {built}."
    free = free_gpu_memory(name)
    value += f", {format_bytes(free)} free"
    if free < LEAST_ON_GPU:
        what = f"Only {format_bytes(free)} of {card.name} are free, so it is not used."
        return name, value, what, "End other programs that use it (`nvidia-smi` lists them)."
    return name, value


DRIVERS = {13: (580, "cu130"), 12: (525, "cu126"), 11: (450, "cu118")}
"""Major versions of CUDA: the oldest driver on Linux, and an index of torch's builds for it."""


def gpu_cure(cuda: str | None, driver: str) -> str:
    """Advice where torch cannot use an NVIDIA GPU.

    Args:
        cuda: Version of CUDA that torch is built for, like "12.6"; None for a build for the CPU.
        driver: Version of the NVIDIA driver, like "550.54.14"; empty where it is unknown.
    """
    have = int(driver.split(".")[0]) if driver.split(".")[0].isdigit() else 0
    if cuda is not None and have:
        needed = DRIVERS.get(int(cuda.split(".")[0]), (0, ""))[0]
        if have < needed:
            return f"Update the driver to {needed} or later; it is {driver}.{_older(have)}"
    if cuda is None:
        fitting = next((index for least, index in DRIVERS.values() if have >= least), "cu126")
        return f"Install a build for CUDA: {_install(fitting)}."
    return f"Install a build for its architecture: {_install('cu126')}, or use --device cpu."


def _older(driver: int) -> str:
    fitting = next((index for least, index in DRIVERS.values() if driver >= least), "")
    return f" Or install a build for this one: {_install(fitting)}." if fitting else ""


def _install(index: str) -> str:
    return f"pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/{index}"


def nvidia_driver() -> str:
    """Version of the NVIDIA driver, like "550.54.14"; empty where it is unknown."""
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text()
        if match := re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text):
            return match[1]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        line = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=10)
        return done.stdout.split("\n")[0].strip() if done.returncode == 0 else ""
    return ""


def _engines() -> Iterator[Row]:
    from uhrmat.core.devices import pick_device, pick_precision
    from uhrmat.sparse.choose import candidate_engines, fastest_engine, run_trials

    device = pick_device("auto")
    name, dtype = pick_precision("auto", device)
    seconds, failed = run_trials(candidate_engines(device, dtype), device, dtype)
    for engine, time in seconds.items():
        yield engine, f"{1000 * time:.1f} ms for three layers on 50,000 active pixels, {name} on {device}"
    for engine, reason in failed.items():
        yield engine, "cannot run", f"The engine {engine} cannot run on {device}: {reason}", "Use --engine tiles."
    yield "auto takes", fastest_engine(seconds) if seconds else "none can run"


def _codecs() -> Iterator[Row]:
    import av

    from uhrmat.media.video import CODECS

    for codec in CODECS.values():
        kind = "carries alpha" if codec.has_alpha else "no alpha: a grey matte or a composite"
        value = f"{kind}; {' or '.join(map(str, codec.bits))} bits{', lossless' if codec.lossless else ''}"
        if codec.sequence or codec.encoder in av.codecs_available:
            yield codec.name, value
        else:
            problem = f"PyAV's FFmpeg has no encoder {codec.encoder}, so {codec.name} cannot be written."
            yield codec.name, "cannot be written", problem, "Install PyAV from PyPI: pip install --force-reinstall av"


def _weights() -> Iterator[Row]:
    from huggingface_hub import constants

    from uhrmat.hub import catalog_entries, is_cached
    from uhrmat.hub.consent import ALLOW, hub_setting

    yield "cache", *_cache(Path(constants.HF_HUB_CACHE))
    if constants.HF_HUB_OFFLINE:
        yield "offline", "HF_HUB_OFFLINE is set: nothing is fetched"
    if constants.ENDPOINT != "https://huggingface.co":
        yield "mirror", constants.ENDPOINT
    value, origin = hub_setting()
    what = "fetches a network where a picture has no hint" if value == ALLOW else "used for what a command names only"
    yield "hub", f"{value} ({origin}): {what}"
    here = [entry for entry in catalog_entries() if is_cached(entry)]
    if not any(entry.source == "bundled" for entry in here):
        yield "bundled", "none", "The weights that travel with uhrmat are not there.", "Install it again: pip install ."
    for entry in here:
        yield entry.name, *_verified(entry)


def _cache(folder: Path) -> Row:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    value = f"{folder}, {format_bytes(free)} free"
    if not os.access(nearest, os.W_OK):
        return value, f"The cache {folder} cannot be written to.", "Set HF_HOME to a folder of your own."
    if free < LITTLE_DISK:
        return value, f"Only {format_bytes(free)} are free for {folder}.", "Free some, or set HF_HOME to another disk."
    return (value,)


def _verified(entry: Any) -> Row:
    """Hashes every file of an entry that is on this machine; changes nothing."""
    from uhrmat.hub.bundled import bundled_weights_dir
    from uhrmat.hub.fetch import cached_file
    from uhrmat.hub.verify import verify_file

    for file in entry.files:
        bundled = entry.source == "bundled"
        path = bundled_weights_dir() / file.path if bundled else cached_file(entry.repo, entry.revision, file.path)
        try:
            if path is not None:
                verify_file(path, file, cache=None)
        except UhrmatError as error:
            cure = (
                "Restore it: git checkout weights, or install again." if bundled else f"uhrmat models pull {entry.name}"
            )
            return "damaged", f"{entry.name}: {error.message}", cure
    return (f"{format_bytes(entry.bytes)}, SHA-256 {entry.main.sha256[:12]}… as it must be",)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


_SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "versions": _versions,
    "extras": _extras,
    "machine": _machine,
    "engines": _engines,
    "codecs": _codecs,
    "weights": _weights,
}
