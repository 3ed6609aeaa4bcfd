"""All files of a set or none, whatever fails, and also after a kill: with the next run in the folder."""

from __future__ import annotations

import errno
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults import MODES, Mode, every_step
from uhrmat.core import durable, stage
from uhrmat.core.errors import OutputError
from uhrmat.core.lock import STALE, Lock
from uhrmat.core.stage import all_or_none, recover
from uhrmat.media import atomic_write, check_writable

NAMES = ("alpha", "foreground", "cutout")
NEW = {f"x_{name}.png": f"new {name}" for name in NAMES}


def targets(folder: Path) -> dict[str, Path]:
    return {name: folder / f"x_{name}.png" for name in NAMES}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() if path.is_file() else "a folder" for path in folder.iterdir()}


def visible(folder: Path) -> dict[str, str]:
    return {name: text for name, text in contents(folder).items() if not name.startswith(".")}


def fill(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)


def write_all(folder: Path, overwrite: bool = True) -> None:
    with all_or_none(targets(folder), overwrite=overwrite) as staged:
        for name, path in staged.items():
            path.write_text(f"new {name}")


def test_all_appear_and_more_may_be_added(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with all_or_none(targets(folder)) as staged:
        for name, path in list(staged.items()):
            path.write_text(f"new {name}")
            assert not (folder / path.name).exists()
        staged["sound"] = path.with_suffix(".mka")
        staged["sound"].write_text("sound")
    assert contents(folder) == {**NEW, "x_cutout.mka": "sound"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_none_appears_when_writing_fails(tmp_path: Path, error: type[BaseException]) -> None:
    fill(tmp_path, {"x_alpha.png": "old"})
    with pytest.raises(error), all_or_none(targets(tmp_path)) as staged:
        staged["alpha"].write_text("new")
        raise error
    assert contents(tmp_path) == {"x_alpha.png": "old"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("old", "links"), [((), True), (("foreground",), True), (NAMES, True), (("foreground",), False)]
)
def test_the_nth_step_fails(
    tmp_path: Path, mode: Mode, old: tuple[str, ...], links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """links: whether the file system has hard links."""
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    before = {f"x_{name}.png": f"old {name}" for name in old}
    count = 0
    for folder, good in every_step(write_all, tmp_path, mode, lambda folder: fill(folder, before)):
        count += 1
        if mode == "once":
            assert visible(folder) == (NEW if good else before)
        recover(folder)
        assert contents(folder) in (NEW, before), folder.name
        assert not good or contents(folder) == NEW
    assert count > 20


def _no_links(source: Any, target: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    with (
        pytest.raises(OutputError, match=r"x_cutout\.png has appeared"),
        all_or_none(targets(tmp_path), overwrite=False) as staged,
    ):
        for path in staged.values():
            path.write_text("new")
        fill(tmp_path, {"x_cutout.png": "another's"})
    assert contents(tmp_path) == {"x_cutout.png": "another's"}
    with (
        pytest.raises(OutputError, match="has appeared"),
        atomic_write(tmp_path / "a.txt", overwrite=False) as temporary,
    ):
        temporary.write_text("new")
        fill(tmp_path, {"a.txt": "another's"})
    assert contents(tmp_path) == {"x_cutout.png": "another's", "a.txt": "another's"}


def test_a_file_that_appears_in_the_last_instant_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = durable.move_without_replacing

    def late(source: Path, target: Path) -> None:
        if target.name == "x_cutout.png":
            target.write_text("another's")
        real(source, target)

    monkeypatch.setattr(stage, "move_without_replacing", late)
    with pytest.raises(OutputError, match="has appeared"):
        write_all(tmp_path, overwrite=False)
    assert contents(tmp_path) == {"x_cutout.png": "another's"}


def killed_after(root: Path, moves: int) -> Path:
    """A folder with an old set in which a new one was killed when it was delivered and so many files had been moved."""
    old = {name: "old" for name in NEW}
    for folder, _ in every_step(write_all, root, "kill", lambda folder: fill(folder, old)):
        moved = [name for name, text in visible(folder).items() if text == NEW[name]]
        if len(moved) == moves and list(folder.glob(".uhrmat-*/.uhrmat-journal.json")):
            return folder
    raise AssertionError("never killed there")


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_the_next_run_finishes_what_was_killed(tmp_path: Path, moves: int) -> None:
    folder = killed_after(tmp_path, moves)
    assert len(visible(folder)) == 3 < len(contents(folder))
    check_writable(folder)
    assert contents(folder) == NEW


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("x_cutout.png", {"x_alpha.png": "old", "x_foreground.png": "old", "x_cutout.png": "by hand"}),
        ("x_alpha.png", {"x_alpha.png": "by hand", "x_foreground.png": NEW["x_foreground.png"],
                         "x_cutout.png": NEW["x_cutout.png"]}),
    ],
)  # fmt: skip
def test_what_was_changed_after_the_kill_is_kept(tmp_path: Path, changed: str, left: dict[str, str]) -> None:
    """One that is still to come, one that was moved already."""
    folder = killed_after(tmp_path, 1)
    fill(folder, {changed: "by hand"})
    assert recover(folder) == 1 and contents(folder) == left


def test_a_stage_of_a_live_process_is_left(tmp_path: Path) -> None:
    with all_or_none(targets(tmp_path)) as staged:
        for path in staged.values():
            path.write_text("new")
        assert recover(tmp_path) == 0 and all(path.exists() for path in staged.values())
    assert set(contents(tmp_path)) == set(NEW)


def test_only_stages_are_removed(tmp_path: Path) -> None:
    fill(tmp_path / ".uhrmat-abcdefgh", {"notes.txt": "mine"})
    fill(tmp_path / ".uhrmat-notes", {".uhrmat-lock": ""})
    fill(tmp_path, {".uhrmat-12345678": "a file", ".note.tmp.txt": ""})
    (tmp_path / ".uhrmat-87654321").symlink_to(tmp_path / ".uhrmat-notes")
    before = contents(tmp_path)
    (tmp_path / ".uhrmat-empty000").mkdir()
    fill(tmp_path / ".uhrmat-dead0000", {".uhrmat-lock": "", "x_alpha.png": "half"})
    assert recover(tmp_path) == 2 and contents(tmp_path) == before
    assert (tmp_path / ".uhrmat-abcdefgh" / "notes.txt").exists()


@pytest.mark.parametrize(
    "journal",
    ["", "[", "[1]", "3", '[{"name": "a"}]',
     *(json.dumps([{"name": name, "new": [3, 1], "old": None, "kept": "k"}]) for name in ("../a", "/a", "..", "", 3)),
     json.dumps([{"name": "a", "new": [3, 1], "old": [1, 1], "kept": "../kept"}])],
)  # fmt: skip
def test_a_journal_of_someone_else_moves_nothing(tmp_path: Path, journal: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    fill(folder / ".uhrmat-abcdefgh", {".uhrmat-lock": "", ".uhrmat-journal.json": journal, "a": "bad"})
    fill(tmp_path, {"kept": "mine"})
    recover(folder)
    assert [path.name for path in folder.iterdir()] == [".uhrmat-abcdefgh"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "out"]


def test_old_temporary_files_are_removed_and_young_ones_kept(tmp_path: Path) -> None:
    names = (".p_alpha.0123abcd.tmp.png", ".a.89abcdef.tmp")
    fill(tmp_path, {name: "half" for name in (*names, "mine.tmp")})
    assert recover(tmp_path) == 0
    for name in (names[0], "mine.tmp"):
        os.utime(tmp_path / name, (time.time() - STALE - 30,) * 2)
    assert recover(tmp_path) == 1 and set(contents(tmp_path)) == {names[1], "mine.tmp"}


def test_two_sets_at_once_do_not_mix(tmp_path: Path) -> None:
    """Eight threads write the same three names; whoever is last, it is last with all three."""

    def work(text: str) -> None:
        for _ in range(5):
            with all_or_none(targets(tmp_path)) as staged:
                for path in staged.values():
                    path.write_text(text)
            assert set(contents_of_set(tmp_path)) <= set("abcdefgh")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, "abcdefgh"))  # raises what a thread has raised
    assert len(set(contents_of_set(tmp_path))) == 1
    assert set(contents(tmp_path)) == set(NEW)


def contents_of_set(folder: Path) -> list[str]:
    return [(folder / name).read_text() for name in NEW]


def test_everything_is_flushed_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("sync_file", "sync_folder", "move_without_replacing"):
        real = getattr(durable, name)

        def noted(path: Path, *rest: Any, name: str = name, real: Any = real) -> None:
            steps.append(f"{name} {path.name}".replace(path.parent.name, "stage"))
            real(path, *rest)

        monkeypatch.setattr(stage, name, noted)
    write_all(tmp_path)
    moved = steps.index("move_without_replacing x_alpha.png")
    assert steps[:3] == [f"sync_file {name}" for name in NEW] and steps[3].startswith("sync_file .uhrmat-journal")
    assert steps[moved - 1].startswith("sync_folder .uhrmat-") and steps[-1] == f"sync_folder {tmp_path.name}"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"), all_or_none(targets(tmp_path / "taken")):
        pass


def test_a_stage_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Lock.acquire, []

    def acquire(self: Lock) -> None:
        if not calls:
            calls.append(self.path)
            assert recover(tmp_path) == 1
        real(self)

    monkeypatch.setattr(Lock, "acquire", acquire)
    write_all(tmp_path)
    assert contents(tmp_path) == NEW and not calls[0].parent.exists()
