"""Which prior is used: the one that the user names, or the one that the hints decide. Names only, nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.hints.compatibility import HINT_WORDS

CLOSED_FORM_KNN = "closed-form+knn"
LPN_TRIMAP = "lpn-trimap"
"""The same, corrected by a network, see `closed_form.corrected`."""
AFFINITY_PRIORS = ("closed-form", CLOSED_FORM_KNN, "knn", "lbdm", "lkm", "rw")
"""Names of the priors in `closed_form.affinity`."""
SOLVING_PRIORS = (*AFFINITY_PRIORS, LPN_TRIMAP)
"""Priors that begin by solving an affinity prior."""
REQUIRED_HINTS = {
    **dict.fromkeys(AFFINITY_PRIORS, "trimap"),
    "mask": "mask",
    "plate": "plate",
    "key": "",
    "alpha": "alpha",
    "prompts": "prompts",
    "lpn-person": "",
    LPN_TRIMAP: "trimap",
}
"""Priors by name, each with the hint that it requires, or "". A mask serves as a trimap. Networks come beside these."""
DEFAULT_NETWORK = "network"
"""The prior where no hint is given: a network that finds the subject, see `networks.registry`."""
BUNDLED_NETWORKS = {"lpn-subject": "any subject", "lpn-person": "people only"}
"""Networks that travel with uhrmat and what they find, best first. One whose weights are not bundled does not count."""
PROMPTABLE = {"sam2_video": "sam2", "sam2": "sam2", "edgetam_video": "edgetam", "edgetam": "edgetam"}
"""`model_type` in the config.json of networks that take points and boxes, with the loader that reads them."""
_PRIOR_OF_HINT = {
    "prompts": "prompts",
    "plate": "plate",
    "key": "key",
    "alpha": "alpha",
    "mask": LPN_TRIMAP,
    "trimap": LPN_TRIMAP,
}
"""The prior that "auto" means for a hint. Of several hints the first in this order decides."""
_PRIOR_OF_CLIP_HINT = {**_PRIOR_OF_HINT, "mask": CLOSED_FORM_KNN, "trimap": CLOSED_FORM_KNN}
"""The same for clips: a network's correction costs more than a frame's whole solution, which begins at the last one."""
_ONLY_USER = {"plate": "plate", "key": "key", "alpha": "alpha", "prompts": "prompts"}
"""Hints that one prior alone takes, and that prior; prompts also go to networks that require them."""
_GIVEN = {"alpha": "an alpha was", "prompts": "points or boxes were"}


@dataclass(frozen=True)
class PriorChoice:
    """A chosen prior.

    Attributes:
        name: of the prior.
        note: why it was chosen, for the user; empty where the user named it.
    """

    name: str
    note: str = ""


def choose_prior(name: str, given: frozenset[str], clip: bool = False) -> PriorChoice:
    """Choose the prior for the hints of a picture or a clip.

    Args:
        name: "auto", one of `REQUIRED_HINTS`, or a network: a name of the catalogue, a file, a folder or
            owner/repository.
        given: names of the hints that are given, see `hints.compatibility`.
        clip: whether the picture is one of many frames.

    Raises:
        InputError: a hint that the prior requires is missing, the prior would ignore one, or there is no such prior.
    """
    if name == "auto":
        return _choose_by_hints(given, _PRIOR_OF_CLIP_HINT if clip else _PRIOR_OF_HINT)
    required = REQUIRED_HINTS.get(name)
    if required is None:
        required = _network_hint(name)
    if required and required not in given and not (required == "trimap" and "mask" in given):
        what = {"trimap": "a trimap or a mask", "alpha": "an alpha", "prompts": "points or boxes"}.get(
            required, f"a {required}"
        )
        raise InputError(f"The prior {name} needs {what}.", "Give it, or choose another prior.")
    for hint, user in _ONLY_USER.items():
        if hint in given and name != user and required != hint:
            word = HINT_WORDS.get(hint, hint)
            raise InputError(f"The prior {name} takes no {word}.", f"Leave the prior or the {word} out.")
    return PriorChoice(name)


def takes_prompts(name: str) -> bool:
    """Whether a prior by that name makes something of points, boxes and strokes; "auto" does."""
    from uhrmat.hub import find_entry

    if name in ("auto", "prompts"):
        return True
    entry = None if name in REQUIRED_HINTS else find_entry(name)
    return entry.task == "prompts" if entry is not None else _is_promptable(Path(name))


def _is_promptable(folder: Path) -> bool:
    """Whether a folder in transformers' layout holds a network that takes prompts."""
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return False
    return kind in PROMPTABLE


def _choose_by_hints(given: frozenset[str], priors: Mapping[str, str]) -> PriorChoice:
    for hint, name in priors.items():
        if hint in given:
            return PriorChoice(name, f"prior {name}, because {_GIVEN.get(hint, f'a {hint} was')} given")
    return PriorChoice(DEFAULT_NETWORK)


def _network_hint(name: str) -> str:
    """The hint that a network requires, as far as its name tells. InputError where the name cannot be a network."""
    from uhrmat.hub import find_entry
    from uhrmat.hub.catalog import close_names

    entry = find_entry(name)
    if entry is not None and entry.task != "refiner":
        return entry.task if entry.task in ("trimap", "prompts") else ""
    if entry is None and (Path(name).exists() or "/" in name):
        return "prompts" if _is_promptable(Path(name)) else ""
    close = close_names(name)
    raise InputError(
        f"There is no prior called {name!r}.",
        (f"Did you mean {' or '.join(close)}? " if close else "")
        + f"Choose auto, {', '.join(REQUIRED_HINTS)}, a name from `uhrmat models list`, a file or owner/repository.",
    )
