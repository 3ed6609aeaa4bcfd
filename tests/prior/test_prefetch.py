"""What is begun ahead is not made twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uhrmat import pipeline as matter
from uhrmat.core.errors import InputError
from uhrmat.core.memory import memory_limit
from uhrmat.hints.read import Hints
from uhrmat.image import load as load_module
from uhrmat.image.load import Prefetcher, load
from uhrmat.image.outputs import OutputSpec
from uhrmat.image.plan import ImageTask, plan
from uhrmat.media import Picture, limits
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.prefetch import PriorInputs, prefetch_prior, prior_inputs

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def _trimap() -> np.ndarray:
    trimap = np.full((60, 80), 128, np.uint8)
    trimap[:, :30], trimap[:, 50:] = 0, 255
    return trimap


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The working sizes of the small copies that the matter made itself."""
    sides: list[int | None] = []

    def counted(picture: Picture, hints: Any, side: int | None, halved: bool) -> PriorInputs:
        sides.append(side)
        return prior_inputs(picture, hints, side, halved)

    monkeypatch.setattr(matter, "prior_inputs", counted)
    return sides


@pytest.mark.parametrize("side", [20, 10])
def test_a_matte_begun_ahead_is_the_same_matte(made: list[int | None], side: int) -> None:
    picture, trimap, matter = (
        Picture.from_array(PIXELS),
        _trimap(),
        StillPipeline(refiner="bilinear", working_size=20),
    )
    plain = matter.matte(picture, trimap=trimap, foreground=False)
    begun = prefetch_prior(picture, Hints(trimap=trimap), "auto", side)
    assert begun is not None and len(begun.inputs[0]) == side
    ahead = matter.matte(picture, trimap=trimap, foreground=False, prefetched=begun)
    assert made == ([20] if side == 20 else [20, 20]) and (ahead.alpha == plain.alpha).all()


def test_what_no_affinity_prior_answers_is_not_begun() -> None:
    assert prefetch_prior(Picture.from_array(PIXELS), Hints(key="green"), "auto", 20) is None


def test_the_first_photograph_is_solved_while_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, pixels in (("one.png", PIXELS), ("two.png", PIXELS), ("trimap.png", _trimap())):
        Image.fromarray(pixels).save(tmp_path / name)
    names = [tmp_path / "one.png", tmp_path / "two.png"]
    jobs = [
        plan([name], OutputSpec(outputs=("alpha",)), folder=tmp_path, trimap=tmp_path / "trimap.png")[0]
        for name in names
    ]
    calls: list[tuple[int, ...]] = []

    def solver(
        image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        calls.append(image.shape)
        return solve(image, trimap, name)

    with closing(Prefetcher(jobs)) as ahead:
        ahead.prefetch_prior("auto", 20, solver)
        first, second = ahead.take(jobs[0]), ahead.take(jobs[1])
    assert first.prefetched is not None and (first.hints.trimap == _trimap()).all() and second.prefetched is None
    assert [shape[0] for shape in calls] == [20]


def test_what_cannot_be_read_is_told_when_it_is_taken(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "one.png")
    inputs = plan([tmp_path / "one.png"], OutputSpec(outputs=("alpha",)), folder=tmp_path, key="green")[0]
    (tmp_path / "one.png").unlink()
    with closing(Prefetcher([inputs])) as ahead:
        ahead.prefetch_prior("auto", None, solve)
        with pytest.raises(InputError):
            ahead.take(inputs)


def test_what_finds_no_room_beside_the_photograph_before_it_is_read_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.png", "two.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    jobs = plan([tmp_path / "one.png", tmp_path / "two.png"], OutputSpec(outputs=("alpha",)))
    held = {"one.png": [0], "two.png": [90_000, 0]}  # the second beside the first one's matte, then alone

    def loaded(inputs: ImageTask, *options: Any) -> Any:
        now = held[inputs.photo.name].pop(0)
        monkeypatch.setattr(limits, "resident_memory", lambda: now)
        return load(inputs, *options)

    monkeypatch.setattr(load_module, "load", loaded)
    with memory_limit(100_000), closing(Prefetcher(jobs)) as ahead:
        assert [ahead.take(inputs).picture.width for inputs in jobs] == [80, 80]
    assert held == {"one.png": [], "two.png": []}
