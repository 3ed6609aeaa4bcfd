"""Which prior is asked: the one that was named, or the one that the hints decide on. Names only, nothing is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import InputError

CLOSED_FORM_KNN = "closed-form+knn"
AFFINITY_PRIORS = ("closed-form", CLOSED_FORM_KNN, "knn", "lbdm", "lkm", "rw")
"""Methods of `affinity`."""
REQUIRED_HINTS = {
    **dict.fromkeys(AFFINITY_PRIORS, "trimap"),
    "mask": "mask",
    "plate": "plate",
    "key": "",
    "alpha": "alpha",
    "lpn-person": "",
    "lpn-trimap": "trimap",
}
"""Priors by name, each with the hint that it cannot do without; a mask makes a trimap. Networks come beside these."""
DEFAULT_NETWORK = "network"
"""The choice where no hint is given: a network that finds the subject by itself, see
`networks.registry.choose_default_network`."""
_BY_HINT = (
    ("plate", "plate"),
    ("key", "key"),
    ("alpha", "alpha"),
    ("mask", CLOSED_FORM_KNN),
    ("trimap", CLOSED_FORM_KNN),
)
_TAKEN_BY = {"plate": "plate", "key": "key", "alpha": "alpha"}


@dataclass(frozen=True)
class PriorChoice:
    """name: of the prior; note: why, for the user, empty where the user named it."""

    name: str
    note: str = ""


def choose_prior(name: str, given: frozenset[str]) -> PriorChoice:
    """The prior to ask where `given` hints (see `hints.compatibility`) were given.

    name: "auto", one of REQUIRED_HINTS, or a network: a name of the catalogue, a file, a folder or owner/repository.
    Raises InputError where a hint that it needs is missing, where it would ignore one, or where there is no such prior.
    """
    if name == "auto":
        return _decided(given)
    need = REQUIRED_HINTS.get(name)
    if need is None:
        need = _network_need(name)
    if need and need not in given and not (need == "trimap" and "mask" in given):
        what, cure = ("a trimap or a mask", "--trimap or --mask") if need == "trimap" else (f"a {need}", f"--{need}")
        raise InputError(f"The prior {name} needs {what}.", f"Give {cure}, or choose another prior.")
    for hint, user in _TAKEN_BY.items():
        if hint in given and name != user:
            raise InputError(f"The prior {name} takes no {hint}.", f"Leave --prior or --{hint} out.")
    return PriorChoice(name)


def _decided(given: frozenset[str]) -> PriorChoice:
    for hint, name in _BY_HINT:
        if hint in given:
            return PriorChoice(name, f"prior {name}, because {'an' if hint == 'alpha' else 'a'} {hint} was given")
    return PriorChoice(DEFAULT_NETWORK)


def _network_need(name: str) -> str:
    """The hint that a network needs, as far as its name tells. InputError where it cannot be one."""
    from uhrmat.hub import find_entry

    entry = find_entry(name)
    if entry is not None and entry.task != "refiner":
        return "trimap" if entry.task == "trimap" else ""
    if entry is None and (Path(name).exists() or "/" in name):
        return ""
    raise InputError(
        f"There is no prior called {name!r}.",
        f"Choose auto, {', '.join(REQUIRED_HINTS)}, a name from `uhrmat models list`, a file or owner/repository.",
    )
