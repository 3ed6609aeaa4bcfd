"""The n-th step on the disk fails, for every n: image, batch and a clip's files keep the old set, or have the new one.

"Old" and "new" are whole sets; what a kill leaves is as the next run in the folder finds it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.batch.helpers import LIGHT, FakeExecutor, batch_run, light, mask, photo
from tests.faults import MODES, Mode, every_step, small_files
from tests.video.helpers import frames, pipeline, write_masks, write_stream
from uhrmat.batch.run import run_batch
from uhrmat.batch.settings import Settings
from uhrmat.batch.verify import verify
from uhrmat.batch.worker import Worker
from uhrmat.core.errors import OutputError
from uhrmat.image.outputs import OutputSpec
from uhrmat.image.plan import plan
from uhrmat.image.write import write_outputs
from uhrmat.media import check_writable
from uhrmat.pipeline import StillPipeline, StillResult
from uhrmat.video.finish import finish_clip
from uhrmat.video.plan import ClipPlan, plan_clip
from uhrmat.video.run import ClipResources, matte_segment
from uhrmat.video.spec import ClipSpec
from uhrmat.video.targets import Target


def visible(folder: Path) -> dict[str, bytes]:
    """The files that have a name, below `folder`."""
    paths = (path for path in folder.rglob("*") if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, data in contents.items():
        (folder / name).write_bytes(data)


SPEC = OutputSpec(outputs=("alpha", "foreground", "preview"), alpha_format="tiff", overwrite=True)


@pytest.fixture(scope="module")
def matted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, StillResult]:
    root = tmp_path_factory.mktemp("image")
    picture, hint = photo(root / "p.png"), mask(root / "m.png")
    return picture, hint, StillPipeline.from_options(LIGHT).matte(picture, mask=hint)


@pytest.mark.parametrize("mode", MODES)
def test_image(tmp_path: Path, matted: tuple[Path, Path, StillResult], mode: Mode) -> None:
    picture, hint, matte = matted

    def work(folder: Path) -> None:
        write_outputs(matte, plan([picture], SPEC, folder=folder, mask=hint)[0].files, SPEC)

    (tmp_path / "new").mkdir()
    work(tmp_path / "new")
    new = visible(tmp_path / "new")
    old = {name: b"old " + name.encode() for name in new}
    assert len(new) == 3
    for folder, good in every_step(work, tmp_path, mode, partial(fill, contents=old)):
        if mode == "once" and not good:
            assert visible(folder) == old, folder.name
        check_writable(folder)
        assert visible(folder) in (old, new), folder.name
        assert not good or visible(folder) == new
        work(folder)
        assert visible(folder) == new and not list(folder.glob(".uhrmat-*")), folder.name


@pytest.mark.parametrize("mode", MODES)
def test_batch(tmp_path: Path, mode: Mode) -> None:
    """Also: what the manifest calls done is there, with these bytes; and the next run does what is left."""
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    settings = light(outputs=("alpha", "foreground"))
    old = made(tmp_path, tmp_path / "old", replace(settings, premultiply=True))
    new = made(tmp_path, tmp_path / "new", settings)
    assert set(old) == set(new) and old["p_foreground.png"] != new["p_foreground.png"]

    worker = Worker(settings)

    def work(folder: Path) -> None:
        wanted = replace(batch_run(tmp_path, settings=settings), out=folder, overwrite=True)
        if not run_batch(wanted, lambda: FakeExecutor(worker.run), lambda event: None)[0].good:
            raise OutputError("something failed")

    def prepare(folder: Path) -> None:
        shutil.copytree(tmp_path / "old", folder, dirs_exist_ok=True)

    for folder, good in every_step(work, tmp_path, mode, prepare):
        if mode == "once" and not good:
            assert results(folder) in (old, new), folder.name
        check_writable(folder)
        assert results(folder) in (old, new), folder.name
        assert not good or results(folder) == new
        if results(folder) == new:
            wrong = verify(folder, (1, 1), lambda event: None).wrong
            assert not wrong or not good
        work(folder)
        assert results(folder) == new and not verify(folder, (1, 1), lambda event: None).wrong
        assert [path.name for path in folder.iterdir() if path.name.startswith(".uhrmat-")] == []


def results(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in visible(folder).items() if not name.startswith("failures")}


def made(root: Path, out: Path, settings: Settings) -> dict[str, bytes]:
    wanted = replace(batch_run(root, settings=settings), out=out)
    assert run_batch(wanted, lambda: FakeExecutor(Worker(settings).run), lambda event: None)[0].good
    return visible(out)


@pytest.fixture(scope="module")
def joinable(tmp_path_factory: pytest.TempPathFactory) -> ClipPlan:
    """A clip of two outputs, all of whose segments are done."""
    root = tmp_path_factory.mktemp("clip")
    scene = frames(4)
    spec = ClipSpec(
        source=write_stream(root / "c.mkv", scene),
        output=root / "out",
        outputs=("alpha", "foreground"),
        codec="ffv1",
        interval=2,
        mask=write_masks(root / "masks", scene, 0),
        model=LIGHT,
    )
    result = plan_clip(spec, overwrite=True)
    result.work.begin(result.settings, resume=False)
    resources = ClipResources(pipeline("bilinear"), None)
    for segment in result.segments:
        matte_segment(result, segment, resources)
    return result


def moved(joinable: ClipPlan, folder: Path) -> ClipPlan:
    """The same batch_run with its outputs in `folder`."""
    targets = tuple(Target(target.content, folder / target.path.name) for target in joinable.targets)
    return replace(joinable, targets=targets)


def prepared(folder: Path, joinable: ClipPlan, old: Mapping[str, bytes]) -> None:
    shutil.copytree(joinable.work.folder, moved(joinable, folder).work.folder)
    fill(folder, old)


@pytest.mark.parametrize("mode", MODES)
def test_the_clip_joiner(tmp_path: Path, joinable: ClipPlan, mode: Mode) -> None:
    def work(folder: Path) -> None:
        finish_clip(moved(joinable, folder))

    new = joined(joinable, tmp_path / "new")
    old = {name: b"old " + name.encode() for name in new}
    assert sorted(new) == ["c_alpha.mkv", "c_foreground.mkv"]
    for folder, good in every_step(work, tmp_path, mode, partial(prepared, joinable=joinable, old=old)):
        if mode == "once" and not good:
            assert visible(folder) == old, folder.name
        check_writable(folder)
        assert visible(folder) in (old, new), folder.name
        assert not good or visible(folder) == new
        if not good and moved(joinable, folder).work.begin(joinable.settings, resume=True):
            work(folder)
            assert visible(folder) == new


def joined(joinable: ClipPlan, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    prepared(folder, joinable, {})
    finish_clip(moved(joinable, folder))
    return visible(folder)


def test_the_clip_joiner_on_a_full_disk(tmp_path: Path, joinable: ClipPlan) -> None:
    """The muxer's own writing fails after so many bytes."""
    new = joined(joinable, tmp_path / "new")
    old = {name: b"old " + name.encode() for name in new}
    largest = max(len(data) for data in new.values())
    for most in (0, 1, 300, largest // 3, largest // 2, largest - 1, 2 * largest):
        folder = tmp_path / str(most)
        folder.mkdir()
        prepared(folder, joinable, old)
        with small_files(most):
            try:
                finish_clip(moved(joinable, folder))
            except OutputError:
                assert visible(folder) == old and most < largest
            else:
                assert visible(folder) == new and most > largest
        assert not list(folder.glob(".uhrmat-*"))
