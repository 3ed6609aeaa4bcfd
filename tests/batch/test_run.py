"""Whole runs in this process: what is done, what is done again, and that it is the same every time."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.run import plan_run, run_batch, watch_folders
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.batch.worker import Worker
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, OutputError

from .helpers import (
    LIGHT,
    Events,
    FakeExecutor,
    batch_run,
    begun,
    clip,
    clip_masks,
    done,
    files,
    light,
    mask,
    photo,
    tree,
    write_result,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder done once: inputs in in/, results in out/."""
    root = tmp_path_factory.mktemp("whole")
    tree(root)
    assert done(batch_run(root)).good
    return root


def test_stills_and_clips_are_mirrored(whole: Path) -> None:
    assert list(files(whole / "out")) == [
        "a/p1_alpha.png", "a/p3_alpha.png", "b/take_alpha.mkv", "p0_alpha.png", "p2_alpha.png"
    ]  # fmt: skip
    assert not (whole / "out" / "failures.json").exists()


def test_a_second_run_does_nothing(whole: Path) -> None:
    before = files(whole / "out")
    wanted = batch_run(whole)

    def never() -> Any:
        raise AssertionError("nothing is to do, so no worker is needed")

    summary, _ = run_batch(wanted, never, lambda event: None)
    assert (summary.kept, summary.done) == (5, 0) and files(whole / "out") == before


def test_what_is_missing_or_changed_is_done_again(tmp_path: Path) -> None:
    tree(tmp_path)
    done(batch_run(tmp_path))
    first = files(tmp_path / "out")
    (tmp_path / "out" / "p0_alpha.png").unlink()
    mask(tmp_path / "masks" / "a" / "p1.png").touch()
    os.utime(tmp_path / "masks" / "a" / "p1.png", (1, 1))
    photo(tmp_path / "in" / "new.png")
    mask(tmp_path / "masks" / "new.png")
    events: Events = []
    assert done(batch_run(tmp_path), events.append).kept == 3
    assert sorted(begun(events)) == ["a/p1.png", "new.png", "p0.png"]
    assert files(tmp_path / "out") == {**first, "new_alpha.png": files(tmp_path / "out")["new_alpha.png"]}


def test_other_settings_change_only_their_kind(whole: Path) -> None:
    todo = {
        name: [item.key for item in plan_run(batch_run(whole, settings=light(**changed)))[1]]
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
    assert run_batch(batch_run(tmp_path), lambda: FakeExecutor(answer), lambda event: None)[0].good
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".uhrmat", "p_alpha.png"]


def test_shards_together_are_the_whole(whole: Path) -> None:
    counts = [done(batch_run(whole, "parts", shard=(number, 2))).done for number in (1, 2)]
    assert sum(counts) == 5 and files(whole / "parts") == files(whole / "out")
    assert len(plan_run(batch_run(whole, "parts"))[1]) == 0


def test_collisions_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    for name in ("p.png", "p.tif"):
        photo(tmp_path / "in" / name)
    mask(tmp_path / "masks" / "p.png")
    with pytest.raises(InputError, match=r"p\.png and p\.tif would give files of the same name"):
        done(batch_run(tmp_path))
    assert files(tmp_path / "out") == {} and done(batch_run(tmp_path, exclude=["*.tif"])).done == 1


@pytest.mark.parametrize("names", [("caf\u00e9.png", "cafe\u0301.png"), ("CAF\u00c9.png", "cafe\u0301.png")])
def test_names_that_read_the_same_collide(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        photo(tmp_path / "in" / name)
        mask(tmp_path / "masks" / name)
    with pytest.raises(InputError, match="would give files of the same name"):
        plan_run(batch_run(tmp_path))


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    mine = photo(tmp_path / "out" / "p_alpha.png")
    before = mine.read_bytes()
    with pytest.raises(OutputError, match="not a result of"):
        done(batch_run(tmp_path))
    assert mine.read_bytes() == before
    assert done(replace(batch_run(tmp_path), overwrite=True)).done == 1 and mine.read_bytes() != before


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

    summary = done(batch_run(tmp_path), appear)
    assert list(summary.failures) == [key] and f"{name} " in summary.failures[key]["error"]
    with pytest.raises(OutputError, match="not a result of"):
        done(batch_run(tmp_path))
    assert (tmp_path / "out" / name).read_text() == "another's"
    assert done(replace(batch_run(tmp_path), overwrite=True)).good and len(files(tmp_path / "out")) == 1


def test_results_that_failed_later_are_replaced(tmp_path: Path) -> None:
    source = photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    first = done(batch_run(tmp_path))
    source.write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    assert first.good and not done(batch_run(tmp_path)).good
    photo(source, 9)
    assert done(batch_run(tmp_path)).good


def test_results_of_another_folder_are_not_replaced(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    done(batch_run(tmp_path))
    photo(tmp_path / "other" / "p.png", 9)
    other = replace(batch_run(tmp_path), roots=[tmp_path / "other"])
    with pytest.raises(OutputError, match="not a result of"):
        done(other)
    (tmp_path / "in").rename(tmp_path / "moved")
    moved = replace(batch_run(tmp_path), roots=[tmp_path / "moved"])
    assert done(moved).kept == 1


@pytest.mark.parametrize("out", [".", "in"])
def test_results_do_not_go_among_the_inputs(tmp_path: Path, out: str) -> None:
    photo(tmp_path / "in" / "p.png")
    (tmp_path / "masks").mkdir()
    with pytest.raises(OutputError, match="input folder"):
        done(batch_run(tmp_path, out))


def test_an_output_folder_inside_the_input_is_passed_over(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "p.png")
    mask(tmp_path / "masks" / "p.png")
    assert done(batch_run(tmp_path, "in/out")).done == 1 == done(batch_run(tmp_path, "in/out")).kept


def test_an_empty_folder_says_what_was_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "in" / "a.nef").touch()
    with pytest.raises(InputError, match=r"nothing to matte.*1 \.nef"):
        done(batch_run(tmp_path))


def test_a_stopped_worker_leaves_a_segment(whole: Path) -> None:
    """Of a clip whose segment is left nothing stays but the segments that were done."""
    wanted, events = batch_run(whole, "stopped", include=["take.mkv"]), Events()

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "segment" and not events:
            events.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    summary, interrupted = run_batch(wanted, lambda: InlineExecutor(wanted.settings), emit)
    assert interrupted and summary.done == 0
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

    def emit(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "done":
            photo(tmp_path / "in" / "p.tif")
        if event["event"] == "failed":
            os.kill(os.getpid(), signal.SIGINT)

    def arrive() -> FakeExecutor:
        inbox.write_bytes(whole)
        return Slow()

    summary = watch_folders(batch_run(tmp_path), arrive, emit, settle=0.2, poll=0.1)
    assert (summary.done, list(summary.failures)) == (1, ["p.tif"])
    assert begun(events) == ["p.png"]
    assert json.loads((tmp_path / "out" / "failures.json").read_text())[0]["item"] == "p.tif"


def test_networks_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.batch import context

    made: list[dict[str, Any]] = []

    class Counted(context.StillPipeline):
        def __init__(self, **options: Any) -> None:
            made.append(options)
            super().__init__(**options)

    monkeypatch.setattr(context, "StillPipeline", Counted)
    one = Worker(light())
    assert one.context.pipeline() is one.context.pipeline() and len(made) == 1


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
    summary = done(batch_run(tmp_path), Lines(Console()))
    text = capsys.readouterr().err
    assert "marks no subject" in summary.failures["none.png"]["error"] and summary.done == 2
    assert "note: small.png: the mask is 24x16 and was scaled to the picture's 48x32" in text
    assert "note: plain.png" not in text and "1 file is passed over" in text
