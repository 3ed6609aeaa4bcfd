"""What a prior is asked, and the first one begun before torch is there. Nothing here imports torch."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from uhrmat.hints import Hints, read_hints
from uhrmat.media import Picture
from uhrmat.prior.affinity import METHODS, AffinityPrior, Solver
from uhrmat.prior.base import SHORT_SIDE, SmallHints, area_average, working_shape
from uhrmat.prior.choose import pick
from uhrmat.shrink import shrunk_strips, small_trimap

Problem = tuple[np.ndarray, SmallHints]
"""What a prior is asked: the small copy (h, w, 3) and the small hints."""


@dataclass(frozen=True)
class _Begun:
    """What `begin_prior` made; it serves whoever has the same picture and hints in hand, told by identity."""

    picture: weakref.ref[Picture]
    said: Mapping[str, Any]
    hints: Hints
    how: tuple[int | None, bool]
    problem: Problem


_SOLVED_BY = {"lpn-trimap": "closed-form"}
"""Priors that begin with another one's answer."""
_begun: _Begun | None = None
_making = threading.Lock()


def small_copy(picture: Picture, shape: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1], display-referred: the picture averaged over the area of each small pixel."""
    if picture.pixels.dtype == np.float32:
        if picture.height < shape[0] or picture.width < shape[1]:
            return area_average(picture.to_float(), shape)
        strips = shrunk_strips(picture.to_float, (picture.height, picture.width), shape)
        return np.concatenate([strip for _, strip in strips])
    return area_average(picture.pixels, shape, float(np.iinfo(picture.pixels.dtype).max))


def small_hints(hints: Hints, shape: tuple[int, int]) -> SmallHints:
    """The hints averaged over the area of each small pixel; what is smaller than `shape` (h, w) is enlarged."""
    return SmallHints(
        None if hints.trimap is None else small_trimap(hints.trimap, shape),
        None if hints.mask is None else area_average(hints.mask, shape),
        None if hints.plate is None else small_copy(hints.plate, shape),
        hints.key,
        None if hints.alpha is None else area_average(hints.alpha, shape),
    )


def small_problem(picture: Picture, hints: Hints, side: int | None, halved: bool = False) -> Problem:
    """What a prior is asked: the small copy (h, w, 3) and the small hints. side: see `working_shape`; halved: half the
    picture's size at most, for a refiner that lives on the difference (HRIMF-AMR)."""
    with _making:
        done = _begun
    if done is not None and done.hints is hints and done.picture() is picture and done.how == (side, halved):
        _forget()
        return done.problem
    return _made(picture, hints, side, halved)


def hints_of(picture: Picture, said: Mapping[str, Any]) -> Hints:
    """`read_hints` of what was said about a picture, by name; those of a prior that was begun are not read again."""
    with _making:
        done = _begun
    if done is not None and done.picture() is picture and _same(done.said, said):
        return done.hints
    return read_hints((picture.height, picture.width), **said)


def begin_prior(
    picture: Picture, said: Mapping[str, Any], name: str, side: int | None, solver: Solver, halved: bool = False
) -> None:
    """Asks `solver` for the prior that `Matter.matte` will ask for, so that a solver that remembers has it by then.

    said: hints by name, as `read_hints` takes them. They, and the small copies, are kept for `hints_of` and
    `small_problem`, which are asked with these very objects; neither picture nor hints may be changed until then.
    """
    global _begun
    given = frozenset(key for key, value in said.items() if value is not None)
    chosen = pick(name, given).name
    method = _SOLVED_BY.get(chosen, chosen)
    if method not in METHODS:
        return
    with _making:
        hints = read_hints((picture.height, picture.width), **said)
        problem = _made(picture, hints, side, halved)
        _begun = _Begun(weakref.ref(picture, lambda _: _forget()), said, hints, (side, halved), problem)
    AffinityPrior(method, solver)(*problem)


def _made(picture: Picture, hints: Hints, side: int | None, halved: bool) -> Problem:
    short = min(picture.height, picture.width)
    shape = working_shape(
        picture.height, picture.width, min(side or SHORT_SIDE, max(1, short // 2)) if halved else side
    )
    return small_copy(picture, shape), small_hints(hints, shape)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(value is other[name] for name, value in one.items())


def _forget() -> None:
    global _begun
    _begun = None
