"""Which prior is asked: the one that was named, or the one that the hints decide on. Names only, nothing is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from uhrmat.errors import InputError
from uhrmat.prior.affinity import METHODS

NEEDS = {
    **dict.fromkeys(METHODS, "trimap"),
    "mask": "mask",
    "alpha": "alpha",
}
"""Priors by name, each with the hint that it cannot do without; a mask makes a trimap."""
_BY_HINT = (("alpha", "alpha"), ("trimap", "closed-form"), ("mask", "closed-form"))
_USED_BY = {"alpha": ("alpha",)}


@dataclass(frozen=True)
class Choice:
    """name: of the prior; note: why, for the user, empty where the user named it."""

    name: str
    note: str = ""


def pick(name: str, given: frozenset[str]) -> Choice:
    """The prior to ask where `given` hints (see `hints.NAMES`) were given. name: "auto" or what the user named.

    Raises InputError where a hint that it needs is missing, where it would ignore one, or where there is no such prior.
    """
    if name == "auto":
        return _decided(given)
    if name not in NEEDS:
        raise InputError(f"There is no prior called {name!r}.", f"Choose auto or one of {', '.join(sorted(NEEDS))}.")
    need = NEEDS[name]
    if need and need not in given and not (need == "trimap" and "mask" in given):
        hint = "a trimap or a mask" if need == "trimap" else f"the hint {need}"
        options = "--trimap or --mask" if need == "trimap" else f"--{need}"
        raise InputError(f"The prior {name} needs {hint}.", f"Give {options}, or choose another prior.")
    for hint, users in _USED_BY.items():
        if hint in given and name not in users:
            raise InputError(f"The prior {name} takes no {hint}.", f"Leave --prior out, or leave --{hint} out.")
    return Choice(name)


def _decided(given: frozenset[str]) -> Choice:
    for hint, name in _BY_HINT:
        if hint in given:
            note = "" if hint in ("trimap", "mask") else f"prior {name}: because of the hint {hint}"
            return Choice(name, note)
    raise InputError(
        "Nothing says what the foreground is.", "Give --trimap, or a coarse --mask from any segmentation tool."
    )
