"""The coordinator, with a worker's stand-in: order, failures, retries, stopping, halting."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from uhrmat.batch.clips import ClipSteps
from uhrmat.batch.dispatch import TRIES, Dispatcher
from uhrmat.batch.eta import Eta, format_remaining
from uhrmat.batch.find import BatchItem
from uhrmat.batch.manifest import Manifest
from uhrmat.batch.report import Summary
from uhrmat.batch.tasks import TaskResult, WorkerTask, failed_result
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.signals import StopRequest

from .helpers import DIGESTS, FakeExecutor, clip, item, write_result


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "out" / ".uhrmat").mkdir(parents=True)
    return Manifest(tmp_path / "out", "1of1")


def done(batch: Dispatcher, items: Iterable[BatchItem]) -> Summary:
    """As `batch_run.run` does it."""
    batch.add(items)
    return batch.finish(StopRequest())


def batch(manifest: Manifest, respond: Any, **options: Any) -> Dispatcher:
    return Dispatcher(FakeExecutor(respond, **options), manifest, DIGESTS)


def test_items_become_files_and_records(manifest: Manifest, tmp_path: Path) -> None:
    made = batch(manifest, write_result)
    summary = done(made, [item(tmp_path, "a.png"), item(tmp_path, "b/c.png")])
    assert (summary.done, summary.good) == (2, True)
    assert (tmp_path / "out" / "b" / "c_alpha.png").exists()
    assert {key: record.state for key, record in manifest.records.items()} == {"a.png": "done", "b/c.png": "done"}


def test_one_bad_file_stops_nothing(manifest: Manifest, tmp_path: Path) -> None:
    def answer(task: WorkerTask) -> TaskResult:
        return (
            failed_result(task.id, InputError("It is broken.", "Mend it.")) if "b." in task.key else write_result(task)
        )

    items = [item(tmp_path, name) for name in ("a.png", "b.png", "c.png")]
    items[2] = BatchItem(key="gone.png", source=tmp_path / "gone.png", kind="still")
    items.append(BatchItem(key="known.png", source=tmp_path / "x", kind="still", error=("No trimap.", "Add it.")))
    summary = done(batch(manifest, answer), items)
    assert summary.done == 1 and set(summary.failures) == {"b.png", "gone.png", "known.png"}
    assert summary.failures["b.png"] | {"source": ""} == {
        "item": "b.png", "source": "", "error": "It is broken.", "hint": "Mend it."
    }  # fmt: skip
    assert manifest.records["b.png"].state == "failed" and not summary.good


def test_no_more_is_handed_out_than_there_is_room_for(manifest: Manifest, tmp_path: Path) -> None:
    made = batch(manifest, write_result, slots=2)  # the stand-in asserts that there is room
    assert done(made, [item(tmp_path, f"{n}.png") for n in range(7)]).done == 7


def test_what_a_dead_worker_had_is_tried_again_alone(manifest: Manifest, tmp_path: Path) -> None:
    tries: list[bool] = []

    def answer(task: WorkerTask) -> TaskResult:
        tries.append(task.alone)
        return TaskResult(id=task.id, status="lost", error="exit code -9") if len(tries) < TRIES else write_result(task)

    summary = done(batch(manifest, answer), [item(tmp_path)])
    assert (summary.done, summary.retries, tries) == (1, TRIES - 1, [False] + [True] * (TRIES - 1))


def test_what_kills_every_worker_fails(manifest: Manifest, tmp_path: Path) -> None:
    made = batch(manifest, lambda task: TaskResult(id=task.id, status="lost", error="exit code -9"))
    summary = done(made, [item(tmp_path)])
    assert "ended early (exit code -9)" in summary.failures["a.png"]["error"]
    assert len(made.executor.tasks) == TRIES  # type: ignore[attr-defined]


def test_stopping_drops_what_waits_and_keeps_what_ends(manifest: Manifest, tmp_path: Path) -> None:
    made = batch(manifest, write_result, slots=1)
    made.add([item(tmp_path, f"{n}.png") for n in range(4)])
    made.step()
    made.step()
    request = StopRequest()
    request.value = True
    summary = made.finish(request)
    assert (summary.done, summary.dropped) == (2, 2) and made.executor.stopped  # type: ignore[attr-defined]


def test_a_full_disk_ends_the_run(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    error = OutputError("Writing failed (No space left on device).", "Check its space.")
    summary = done(
        batch(manifest, lambda task: failed_result(task.id, error), slots=1),
        [item(tmp_path, f"{n}.png") for n in range(5)],
    )
    assert "is full" in summary.halted and summary.dropped == 4 and len(summary.failures) == 1


def test_a_file_that_cannot_be_written_ends_only_itself(manifest: Manifest, tmp_path: Path) -> None:
    def answer(task: WorkerTask) -> TaskResult:
        bad = task.key == "0.png"
        return failed_result(task.id, OutputError("It is a folder.", "")) if bad else write_result(task)

    summary = done(batch(manifest, answer), [item(tmp_path, f"{n}.png") for n in range(5)])
    assert (summary.done, summary.halted, list(summary.failures)) == (4, "", ["0.png"])


def test_a_lost_manifest_ends_the_run(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(record: Any) -> None:
        raise OutputError("The manifest cannot be kept: Permission denied.", "")

    made = batch(manifest, write_result, slots=2)
    made.add([item(tmp_path, f"{n}.png") for n in range(4)])
    made._fill()
    monkeypatch.setattr(manifest, "write", refuse)
    assert "Permission denied" in made.finish(StopRequest()).halted and made.summary.done == 0


def segments(count: int, done: tuple[int, ...] = (), propagated: bool = False) -> dict[str, Any]:
    rows = [[n, 3 * n, 3 * n + 3, n in done] for n in range(count)]
    return {"settings": "x", "segments": rows, "propagated": propagated}


def steps(result: dict[str, Any]) -> list[str]:
    """The order in which the pieces of a clip become ready, each done at once, first come first served."""
    numbers = iter(range(100))
    clip = ClipSteps(
        lambda kind, body: WorkerTask(id=next(numbers), kind=kind, key="k", source="s", folder="f", hints={}, body=body)
    )
    ready, seen = [clip.first()], []
    while ready:
        task = ready.pop(0)
        seen.append(f"{task.kind}{task.body.get('segment', [''])[0]}")
        ready += clip.after(task, result)
    assert clip.share == 1
    return seen


def test_pieces_of_a_clip() -> None:
    assert steps(segments(2)) == ["clip", "segment0", "segment1", "join"]
    assert steps(segments(3, done=(0, 2))) == ["clip", "segment1", "join"]
    assert steps(segments(2, done=(0, 1))) == ["clip", "join"]


def test_hints_are_carried_in_order_from_the_first_that_is_not_done() -> None:
    assert steps(segments(2, propagated=True)) == ["clip", "propagate0", "segment0", "propagate1", "segment1", "join"]
    assert steps(segments(4, done=(0, 2), propagated=True)) == [
        "clip", "propagate1", "segment1", "propagate2", "propagate3", "segment3", "join"
    ]  # fmt: skip


def test_a_clip_that_fails_takes_its_other_pieces_along(manifest: Manifest, tmp_path: Path) -> None:
    def answer(task: WorkerTask) -> TaskResult:
        if task.kind == "clip":
            return TaskResult(id=task.id, status="done", value=segments(6))
        return failed_result(task.id, InputError("Frame 3 is damaged.", ""))

    made = batch(manifest, answer)
    take = BatchItem(key="take.mkv", source=clip(tmp_path), kind="clip", size=10)
    summary = done(made, [take])
    assert list(summary.failures) == ["take.mkv"] and summary.dropped == 0
    assert len(made.executor.tasks) == 4  # type: ignore[attr-defined]


def test_time_left_is_said_only_when_it_is_known() -> None:
    now = [0.0]
    eta = Eta(lambda: now[0])
    for _ in range(10):
        eta.add("still", 100)
    eta.add("clip", 5000)
    for _ in range(4):
        now[0] += 2
        eta.finish("still", 100)
    assert eta.seconds() is None  # nobody knows what a clip costs
    now[0] += 50
    eta.finish("clip", 5000)
    assert eta.seconds() == pytest.approx(6 * 2)
    now[0] += 1
    eta.finish("still", 100, counts=False)
    assert eta.seconds() == pytest.approx(5 * 2)


def test_time_left_in_words() -> None:
    assert [format_remaining(seconds) for seconds in (None, 0.2, 80, 600, 9000)] == [
        "time left not known yet", "about 1 s left", "about 80 s left", "about 10 min left", "about 2.5 h left"
    ]  # fmt: skip
