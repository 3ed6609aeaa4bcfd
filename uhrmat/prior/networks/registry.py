"""Networks as priors, by the name that the user gives; and the default network where no hint is given."""

from __future__ import annotations

from pathlib import Path

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub import CatalogEntry, LocalWeights, find_entry, is_cached, resolve
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.consent import hub_allowed
from uhrmat.prior.base import PriorMethod
from uhrmat.prior.choose import BUNDLED_NETWORKS, PriorChoice

DEFAULT_NETWORKS: dict[str, tuple[str, ...]] = {"cpu": (), "cuda": ("birefnet-lite",)}
"""Networks of the catalogue that go before the bundled one where no hint is given, by kind of device, best first. On a
CPU none does: MODNet knows people only, and was never measured here; BiRefNet-lite takes 5 to 9 seconds and 6 to 11 GB
a picture (docs/research/no-hints.md#which-network-where)."""


def load_network(name: str, device: str = "cpu", threads: int | None = None) -> PriorMethod:
    """Load a network as a prior.

    Args:
        name: of the catalogue, a file, a folder or owner/repository[@revision][:file].
        device: torch device.
        threads: of onnxruntime, None for its own choice.

    Raises:
        InputError: the library that runs it is not installed.
        WeightsError: it cannot be fetched, or is none that a prior can be made of.
    """
    if name in BUNDLED_NETWORKS:
        return _load_bundled(name, bundled_weights(name), device)
    weights = resolve(name)
    if weights.path.suffix == ".safetensors" and weights.path.stem in BUNDLED_NETWORKS:
        return _load_bundled(weights.path.stem, weights.path, device)
    if weights.path.suffix == ".onnx":
        from uhrmat.prior.networks.onnx import OnnxPrior

        return OnnxPrior(weights.path, weights.entry, threads, device)
    loader = promptable_loader(weights)
    if loader:
        from uhrmat.prior.networks.promptable import PromptableNetwork, PromptablePrior

        network = PromptableNetwork(weights.path, loader, device)
        return PromptablePrior(network, weights.path.parent.name if weights.entry is None else weights.entry.name)
    if _is_vitmatte(weights):
        from uhrmat.prior.networks.vitmatte import VitMattePrior

        entry = weights.entry
        label = weights.path.parent.name if entry is None else entry.name
        return VitMattePrior(weights.path, label, "" if entry is None else entry.architecture, device)
    raise WeightsError(
        f"{weights.origin} is no network that a prior can be made of.",
        "Give an .onnx file, or a folder of ViTMatte, SAM 2 or EdgeTAM; see `uhrmat models list`.",
    )


def load_bundled_subject(device: str = "cpu") -> PriorMethod:
    """The best of `bundled_networks`. Raises InputError where no weights are bundled."""
    for name in bundled_networks():
        return _load_bundled(name, bundled_weights(name), device)
    raise InputError("The bundled network is missing from this installation.", "Install uhrmat again.")


def bundled_networks() -> list[str]:
    """Names of `BUNDLED_NETWORKS` whose weights travel with this installation, best first."""
    return [name for name in BUNDLED_NETWORKS if find_entry(name) is not None]


def _load_bundled(name: str, path: Path, device: str) -> PriorMethod:
    if name == "lpn-subject":
        from uhrmat.prior.networks.subject import SubjectPrior

        return SubjectPrior(path, device)
    from uhrmat.prior.networks.person import PersonPrior

    return PersonPrior(path, device)


def promptable_loader(weights: LocalWeights) -> str:
    """The loader of a network that takes points and boxes, see `promptable.loader_of`; "" for any other."""
    if weights.entry is not None:
        return weights.entry.loader if weights.entry.task == "prompts" else ""
    from uhrmat.prior.networks.promptable import loader_of

    return loader_of(weights.path.parent) if weights.path.suffix == ".safetensors" else ""


def _is_vitmatte(weights: LocalWeights) -> bool:
    if weights.entry is not None:
        return weights.entry.loader == "vitmatte"
    return weights.path.suffix == ".safetensors" and (weights.path.parent / "config.json").is_file()


def choose_default_network(device: str, threads: int | None = None) -> tuple[PriorMethod, PriorChoice]:
    """Choose and load the network for pictures without hints.

    The catalogue's default for the device if it is on this machine, or if the user has allowed downloads (see
    `hub.consent`) and the Hub can be reached; else the first of `bundled_networks`.

    Args:
        device: torch device.
        threads: of onnxruntime, None for its own choice.

    Returns:
        The network, and its name with the reason for the choice.

    Raises:
        InputError: there is none.
    """
    wanted = _wanted(device)
    why = ""
    if wanted and not _onnx_runs_on(device):
        why = f" and onnxruntime does not run on {device}"
    elif wanted:
        allowed = hub_allowed()
        pull = f"`uhrmat models pull {wanted[0].name}`"
        why = " and the Hub does not answer" if allowed else f" and no other network is on this machine ({pull})"
        for entry in wanted:
            held = is_cached(entry)
            if not held and not allowed:
                continue
            try:
                made = load_network(entry.name, device, threads)
            except WeightsError:
                continue
            where = "which is on this machine" if held else "fetched from the Hub"
            return made, PriorChoice(entry.name, f"prior {entry.name}, {where}, because no hint was given")
    for name in bundled_networks():
        try:
            made = load_network(name, device, threads)
        except WeightsError:
            continue
        what = f"which finds {BUNDLED_NETWORKS[name]}"
        return made, PriorChoice(name, f"prior {name}, {what}, because no hint was given{why}")
    raise InputError(
        f"Nothing says what the foreground is{why}.",
        "Give a trimap, or a coarse mask from any segmentation tool, or name a network as the prior.",
    )


def _onnx_runs_on(device: str) -> bool:
    """Whether onnxruntime is installed and computes on that kind of device."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return device.startswith("cpu") or "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _wanted(device: str) -> list[CatalogEntry]:
    """Defaults for the device; those on this machine come first."""
    kind = device.split(":")[0]
    entries = [
        entry for entry in map(find_entry, DEFAULT_NETWORKS.get(kind, DEFAULT_NETWORKS["cpu"])) if entry is not None
    ]
    return sorted(entries, key=lambda entry: not is_cached(entry))
