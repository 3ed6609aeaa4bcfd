"""Failures, full disks, killed runs and signals: what is left, and what the next run does."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from uhrmat.batch.run import run_batch
from uhrmat.core.lock import STALE
from uhrmat.core.stage import all_or_none

from .helpers import (
    Events,
    FakeExecutor,
    batch_run,
    done,
    files,
    light,
    mask,
    photo,
    write_result,
)


def test_failures_are_named_and_tried_again(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    (tmp_path / "in" / "bad.mov").write_bytes(b"no film")
    photo(tmp_path / "in" / "big.png", size=(60, 40))
    for name in ("p", "bad", "big"):
        mask(tmp_path / "masks" / f"{name}.png", (60, 40) if name == "big" else (48, 32))
    (tmp_path / "in" / "bad.mov").rename(tmp_path / "in" / "film.mov")
    (tmp_path / "masks" / "film").mkdir()
    photo(tmp_path / "in" / "lonely.png")
    summary = done(batch_run(tmp_path, settings=light(max_pixels=2000)))
    named = {item["item"]: item for item in json.loads((tmp_path / "out" / "failures.json").read_text())}
    assert summary.done == 1 and set(named) == {"bad.png", "film.mov", "big.png", "lonely.png"}
    assert "limit is 2000" in named["big.png"]["error"] and "no mask" in named["lonely.png"]["error"]
    assert all(item["hint"] for item in named.values())
    for path in ((tmp_path / "out" / "failures.json"), *(tmp_path / "out" / ".uhrmat").glob("*.jsonl")):
        assert str(tmp_path) not in path.read_text()  # it goes with the results: no folder of this machine
    assert "'bad.png' is a damaged" in named["bad.png"]["error"]
    photo(tmp_path / "in" / "bad.png")
    again = done(batch_run(tmp_path, settings=light(max_pixels=10**6), exclude=["film.mov", "lonely.png"]))
    assert (again.done, again.kept, again.good) == (2, 1, True)
    assert not (tmp_path / "out" / "failures.json").exists()


def test_a_file_that_changes_while_it_is_read_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.batch import worker

    source = photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    inner = worker.load

    def load(*args: Any) -> Any:
        result = inner(*args)
        photo(source, 7, (48, 33))
        return result

    monkeypatch.setattr(worker, "load", load)
    summary = done(batch_run(tmp_path))
    assert "changed while it was read" in summary.failures["p.png"]["error"] and files(tmp_path / "out") == {}


def test_a_file_that_vanishes_fails_alone(tmp_path: Path) -> None:
    for name in ("p", "q"):
        photo(tmp_path / "in" / f"{name}.png")
        mask(tmp_path / "masks" / f"{name}.png")
    wanted = batch_run(tmp_path)

    def vanish(event: dict[str, Any]) -> None:
        if event["event"] == "start":
            (tmp_path / "in" / "p.png").unlink()

    summary = done(wanted, vanish)
    assert summary.done == 1 and "cannot be read" in summary.failures["p.png"]["error"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.image import write

    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")

    def full(path: Path, *rest: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(write._WRITERS, "alpha", full)
    summary = done(batch_run(tmp_path))
    assert "No space left" in summary.failures["p.png"]["error"] and files(tmp_path / "out") == {}


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    old = time.time() - STALE - 30
    for name in (
        ".uhrmat-abcdefgh/p_alpha.png", ".uhrmat-abcdefgh/.uhrmat-lock", ".p_alpha.0123abcd.tmp.png", "mine.tmp",
        ".note.tmp.txt",
    ):  # fmt: skip
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).touch()
        os.utime(tmp_path / "out" / name, (old, old))
    notes: Events = []
    done(batch_run(tmp_path), notes.append)
    assert set(files(tmp_path / "out")) == {"p_alpha.png", "mine.tmp", ".note.tmp.txt"}
    assert [event["text"][:1] for event in notes if event["event"] == "note"] == ["2"]


def test_what_a_live_image_command_writes_there_is_left(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    with all_or_none({"alpha": tmp_path / "out" / "other_alpha.png"}) as staged:
        staged["alpha"].write_text("other")
        done(batch_run(tmp_path))
    assert set(files(tmp_path / "out")) == {"p_alpha.png", "other_alpha.png"}


def test_a_signal_lets_the_file_in_hand_end(tmp_path: Path) -> None:
    for number in range(6):
        photo(tmp_path / "in" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png")
    wanted, events = batch_run(tmp_path), Events()

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "done" and not events:
            events.append(event)
            os.kill(os.getpid(), signal.SIGTERM)

    summary, interrupted = run_batch(wanted, lambda: FakeExecutor(write_result, 2), emit)
    assert interrupted and 1 <= summary.done <= 2 and summary.done + summary.dropped == 6
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert done(wanted).kept == summary.done


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")

    def insist(event: dict[str, Any]) -> None:
        if event["event"] == "begin":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_batch(batch_run(tmp_path), lambda: FakeExecutor(write_result), insist)
    assert not list((tmp_path / "out" / ".uhrmat").glob("lock*"))
