"""Whole runs in this process: what is done, what is done again, and that it is the same every time."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.report import Summary
from uhrmat.batch.session import BatchRun, look, run, watch
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.batch.worker import Worker
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.lock import STALE
from uhrmat.core.stage import all_or_none

from .helpers import LIGHT, FakeExecutor, clip, clip_masks, files, job, light, mask, photo, tree, write_result

Events = list[dict[str, Any]]


def done(wanted: BatchRun, tell: Callable[[dict[str, Any]], None] = lambda event: None) -> Summary:
    return run(wanted, lambda: InlineExecutor(wanted.settings), tell)[0]


def begun(events: Events) -> list[str]:
    return [event["item"] for event in events if event["event"] == "begin"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder done once: inputs in in/, results in out/."""
    root = tmp_path_factory.mktemp("whole")
    tree(root)
    assert done(job(root)).good
    return root


def test_stills_and_clips_are_mirrored(whole: Path) -> None:
    assert list(files(whole / "out")) == [
        "a/p1_alpha.png", "a/p3_alpha.png", "b/take_alpha.mkv", "p0_alpha.png", "p2_alpha.png"
    ]  # fmt: skip
    assert not (whole / "out" / "failures.json").exists()


def test_a_second_run_does_nothing(whole: Path) -> None:
    before = files(whole / "out")
    wanted = job(whole)

    def never() -> Any:
        raise AssertionError("nothing is to do, so no worker is needed")

    summary, _ = run(wanted, never, lambda event: None)
    assert (summary.kept, summary.done) == (5, 0) and files(whole / "out") == before


def test_what_is_missing_or_changed_is_done_again(tmp_path: Path) -> None:
    tree(tmp_path)
    done(job(tmp_path))
    first = files(tmp_path / "out")
    (tmp_path / "out" / "p0_alpha.png").unlink()
    mask(tmp_path / "masks" / "a" / "p1.png").touch()
    os.utime(tmp_path / "masks" / "a" / "p1.png", (1, 1))
    photo(tmp_path / "in" / "new.png")
    mask(tmp_path / "masks" / "new.png")
    events: Events = []
    assert done(job(tmp_path), events.append).kept == 3
    assert sorted(begun(events)) == ["a/p1.png", "new.png", "p0.png"]
    assert files(tmp_path / "out") == {**first, "new_alpha.png": files(tmp_path / "out")["new_alpha.png"]}


def test_other_settings_change_only_their_kind(whole: Path) -> None:
    todo = {
        name: [item.key for item in look(job(whole, settings=light(**changed)))[1]]
        for name, changed in {
            "clip": {"interval": 4}, "still": {"alpha_format": "png16"}, "none": {"max_pixels": 10**6},
            "threads": {"model": replace(LIGHT, threads=2)}, "both": {"model": replace(LIGHT, working_size=32)},
        }.items()
    }  # fmt: skip
    assert todo["clip"] == ["b/take.mkv"] and len(todo["still"]) == 4 and len(todo["both"]) == 5
    assert todo["none"] == todo["threads"] == []


def test_what_a_dead_worker_left_is_removed_at_the_end(tmp_path: Path) -> None:
    def answer(task: WorkerTask) -> TaskResult:
        (tmp_path / "out" / ".uhrmat-deadbeef").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / ".uhrmat-deadbeef" / ".uhrmat-lock").touch()
        return write_result(task)

    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    assert run(job(tmp_path), lambda: FakeExecutor(answer), lambda event: None)[0].good
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".uhrmat", "p_alpha.png"]


def test_shards_together_are_the_whole(whole: Path) -> None:
    counts = [done(job(whole, "parts", shard=(number, 2))).done for number in (1, 2)]
    assert sum(counts) == 5 and files(whole / "parts") == files(whole / "out")
    assert len(look(job(whole, "parts"))[1]) == 0


def test_collisions_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    for name in ("p.png", "p.tif"):
        photo(tmp_path / "in" / name)
    mask(tmp_path / "masks" / "p.png")
    with pytest.raises(InputError, match=r"p\.png and p\.tif would give files of the same name"):
        done(job(tmp_path))
    assert files(tmp_path / "out") == {} and done(job(tmp_path, exclude=["*.tif"])).done == 1


@pytest.mark.parametrize("names", [("caf\u00e9.png", "cafe\u0301.png"), ("CAF\u00c9.png", "cafe\u0301.png")])
def test_names_that_read_the_same_collide(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        photo(tmp_path / "in" / name)
        mask(tmp_path / "masks" / name)
    with pytest.raises(InputError, match="would give files of the same name"):
        look(job(tmp_path))


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    mine = photo(tmp_path / "out" / "p_alpha.png")
    before = mine.read_bytes()
    with pytest.raises(OutputError, match="not a result of"):
        done(job(tmp_path))
    assert mine.read_bytes() == before
    assert done(replace(job(tmp_path), overwrite=True)).done == 1 and mine.read_bytes() != before


@pytest.mark.parametrize(("key", "name"), [("p.png", "p_alpha.png"), ("c.mkv", "c_alpha.mkv")])
def test_a_file_that_appears_while_an_item_is_done_is_kept(tmp_path: Path, key: str, name: str) -> None:
    """And the next run does not take it for its own."""
    if key == "p.png":
        photo(tmp_path / "in" / key)
        mask(tmp_path / "masks" / "p.png")
    else:
        clip(tmp_path / "in", key)
        clip_masks(tmp_path / "masks" / "c")

    def appear(event: dict[str, Any]) -> None:
        if event["event"] == "begin":
            (tmp_path / "out" / name).write_text("another's")

    summary = done(job(tmp_path), appear)
    assert list(summary.failures) == [key] and f"{name} " in summary.failures[key]["error"]
    with pytest.raises(OutputError, match="not a result of"):
        done(job(tmp_path))
    assert (tmp_path / "out" / name).read_text() == "another's"
    assert done(replace(job(tmp_path), overwrite=True)).good and len(files(tmp_path / "out")) == 1


def test_results_that_failed_later_are_replaced(tmp_path: Path) -> None:
    source = photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    first = done(job(tmp_path))
    source.write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    assert first.good and not done(job(tmp_path)).good
    photo(source, 9)
    assert done(job(tmp_path)).good


def test_results_of_another_folder_are_not_replaced(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    done(job(tmp_path))
    photo(tmp_path / "other" / "p.png", 9)
    other = replace(job(tmp_path), roots=[tmp_path / "other"])
    with pytest.raises(OutputError, match="not a result of"):
        done(other)
    (tmp_path / "in").rename(tmp_path / "moved")
    moved = replace(job(tmp_path), roots=[tmp_path / "moved"])
    assert done(moved).kept == 1


@pytest.mark.parametrize("out", [".", "in"])
def test_results_do_not_go_among_the_inputs(tmp_path: Path, out: str) -> None:
    photo(tmp_path / "in" / "p.png")
    (tmp_path / "masks").mkdir()
    with pytest.raises(OutputError, match="input folder"):
        done(job(tmp_path, out))


def test_an_output_folder_inside_the_input_is_passed_over(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    assert done(job(tmp_path, "in/out")).done == 1 == done(job(tmp_path, "in/out")).kept


def test_an_empty_folder_says_what_was_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "in" / "a.nef").touch()
    with pytest.raises(InputError, match=r"nothing to matte.*1 \.nef"):
        done(job(tmp_path))


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
    summary = done(job(tmp_path, settings=light(max_pixels=2000)))
    named = {item["item"]: item for item in json.loads((tmp_path / "out" / "failures.json").read_text())}
    assert summary.done == 1 and set(named) == {"bad.png", "film.mov", "big.png", "lonely.png"}
    assert "limit is 2000" in named["big.png"]["error"] and "no mask" in named["lonely.png"]["error"]
    assert all(item["hint"] for item in named.values())
    for path in ((tmp_path / "out" / "failures.json"), *(tmp_path / "out" / ".uhrmat").glob("*.jsonl")):
        assert str(tmp_path) not in path.read_text()  # it goes with the results: no folder of this machine
    assert "'bad.png' is a damaged" in named["bad.png"]["error"]
    photo(tmp_path / "in" / "bad.png")
    again = done(job(tmp_path, settings=light(max_pixels=10**6), exclude=["film.mov", "lonely.png"]))
    assert (again.done, again.kept, again.good) == (2, 1, True)
    assert not (tmp_path / "out" / "failures.json").exists()


def test_a_file_that_changes_while_it_is_read_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.batch import worker

    source = photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    inner = worker.load

    def load(*args: Any) -> Any:
        found = inner(*args)
        photo(source, 7, (48, 33))
        return found

    monkeypatch.setattr(worker, "load", load)
    summary = done(job(tmp_path))
    assert "changed while it was read" in summary.failures["p.png"]["error"] and files(tmp_path / "out") == {}


def test_a_file_that_vanishes_fails_alone(tmp_path: Path) -> None:
    for name in ("p", "q"):
        photo(tmp_path / "in" / f"{name}.png")
        mask(tmp_path / "masks" / f"{name}.png")
    wanted = job(tmp_path)

    def vanish(event: dict[str, Any]) -> None:
        if event["event"] == "start":
            (tmp_path / "in" / "p.png").unlink()

    summary = done(wanted, vanish)
    assert summary.done == 1 and "cannot be read" in summary.failures["p.png"]["error"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.image import deliver

    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")

    def full(path: Path, *rest: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(deliver._WRITERS, "alpha", full)
    summary = done(job(tmp_path))
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
    done(job(tmp_path), notes.append)
    assert set(files(tmp_path / "out")) == {"p_alpha.png", "mine.tmp", ".note.tmp.txt"}
    assert [event["text"][:1] for event in notes if event["event"] == "note"] == ["2"]


def test_what_a_live_image_command_writes_there_is_left(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    with all_or_none({"alpha": tmp_path / "out" / "other_alpha.png"}) as staged:
        staged["alpha"].write_text("other")
        done(job(tmp_path))
    assert set(files(tmp_path / "out")) == {"p_alpha.png", "other_alpha.png"}


def test_a_signal_lets_the_file_in_hand_end(tmp_path: Path) -> None:
    for number in range(6):
        photo(tmp_path / "in" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png")
    wanted, events = job(tmp_path), Events()

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "done" and not events:
            events.append(event)
            os.kill(os.getpid(), signal.SIGTERM)

    summary, asked = run(wanted, lambda: FakeExecutor(write_result, 2), tell)
    assert asked and 1 <= summary.done <= 2 and summary.done + summary.dropped == 6
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
        run(job(tmp_path), lambda: FakeExecutor(write_result), insist)
    assert not list((tmp_path / "out" / ".uhrmat").glob("lock*"))


def test_a_stopped_worker_leaves_a_segment(whole: Path) -> None:
    """Of a clip whose segment is left nothing stays but the segments that were done."""
    wanted, events = job(whole, "stopped", include=["take.mkv"]), Events()

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "segment" and not events:
            events.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    summary, asked = run(wanted, lambda: InlineExecutor(wanted.settings), tell)
    assert asked and summary.done == 0
    work = whole / "stopped" / "b" / ".take_alpha.mkv.uhrmat"
    kept = {path.name: path.stat().st_mtime_ns for path in work.glob("segment-*.mkv")}
    assert kept and done(wanted).done == 1
    assert (whole / "stopped" / "b" / "take_alpha.mkv").read_bytes() == (
        whole / "out" / "b" / "take_alpha.mkv"
    ).read_bytes()


def test_watching_an_inbox(tmp_path: Path) -> None:
    """A file arrives in two halves, then another one with the name of the first; a signal ends it."""
    (tmp_path / "in").mkdir()
    whole = photo(tmp_path / "full.png").read_bytes()
    inbox, events = tmp_path / "in" / "p.png", Events()
    mask(tmp_path / "masks" / "p.png")
    inbox.write_bytes(whole[:10])

    class Slow(FakeExecutor):
        def __init__(self) -> None:
            super().__init__(write_result)

    def tell(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "done":
            photo(tmp_path / "in" / "p.tif")
        if event["event"] == "failed":
            os.kill(os.getpid(), signal.SIGINT)

    def arrive() -> FakeExecutor:
        inbox.write_bytes(whole)
        return Slow()

    summary = watch(job(tmp_path), arrive, tell, settle=0.2, poll=0.1)
    assert (summary.done, list(summary.failures)) == (1, ["p.tif"])
    assert begun(events) == ["p.png"]
    assert json.loads((tmp_path / "out" / "failures.json").read_text())[0]["item"] == "p.tif"


def test_networks_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.batch import worker

    made: list[dict[str, Any]] = []

    class Counted(worker.StillPipeline):
        def __init__(self, **options: Any) -> None:
            made.append(options)
            super().__init__(**options)

    monkeypatch.setattr(worker, "StillPipeline", Counted)
    one = Worker(light())
    assert one.matter() is one.matter() and len(made) == 1


def test_the_command_line(whole: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    def call(*words: Any) -> Any:
        line = ["batch", whole / "in", "--masks", whole / "masks", "--prior", "mask", "--refiner", "bilinear", *words]
        line += ["--precision", "fp32", "--device", "cpu", "--codec", "ffv1", "--outputs", "alpha", "--jobs", "0"]
        return CliRunner().invoke(app, [str(word) for word in [*line, "--keyframe-interval", 3]])

    dry = call("-o", tmp_path / "o", "--dry-run", "--json")
    assert dry.exit_code == 0 and len(json.loads(dry.stdout)["todo"]) == 5 and not (tmp_path / "o").exists()
    result = call("-o", tmp_path / "o", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0, result.output
    assert [events[0]["event"], events[-1]["event"]] == ["start", "summary"] and events[-1]["done"] == 5
    assert files(tmp_path / "o") == files(whole / "out")
    refused = call("-o", whole / "in", "--json")
    assert refused.exit_code == 2 and json.loads(refused.stdout)["event"] == "refused"
    assert "done before  5" in call("-o", tmp_path / "o").stdout
    assert call("-o", tmp_path / "o", "--shard", "3/2").exit_code == 2
    (tmp_path / "o" / "b" / "take_alpha.mkv").unlink()
    (tmp_path / "m").mkdir()
    failed = call("-o", tmp_path / "o", "--masks", tmp_path / "m", "--quiet")
    assert failed.exit_code == 1 and failed.stdout == "" and "has no mask for it" in failed.stderr


def test_a_still_whose_hint_may_be_meant_otherwise_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    from uhrmat.cli.console import Console
    from uhrmat.cli.progress import Lines

    for name in ("plain", "small", "none"):
        photo(tmp_path / "in" / f"{name}.png")
        mask(tmp_path / "masks" / f"{name}.png", (24, 16) if name == "small" else (48, 32))
    Image.new("L", (48, 32), 0).save(tmp_path / "masks" / "none.png")
    mask(tmp_path / "in" / "plain_MASK.png")
    summary = done(job(tmp_path), Lines(Console()))
    told = capsys.readouterr().err
    assert "marks no subject" in summary.failures["none.png"]["error"] and summary.done == 2
    assert "note: small.png: the mask is 24x16 and was scaled to the picture's 48x32" in told
    assert "note: plain.png" not in told and "1 file is passed over" in told
