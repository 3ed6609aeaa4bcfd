"""Workers in processes of their own: what dies takes nothing along, and a run killed at any moment goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uhrmat.batch.executors import local
from uhrmat.batch.executors.local import LocalExecutor
from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, UhrmatError

from .helpers import files, tree

ROOT = Path(__file__).parents[2]
CHILD = """
import json, os, sys
config = json.loads(sys.stdin.readline())
say = lambda message: print(json.dumps(message), flush=True)
if config["settings"]["key"] == "green":
    say({"refused": ["Green is no colour.", "Choose another."]}); sys.exit()
if config["settings"]["key"] == "blue":
    sys.exit(3)
say({"ready": 1}); say({"note": str(config["index"])})
for line in sys.stdin:
    message = json.loads(line)
    if "stop" in message:
        continue
    task = message["task"]
    if task["key"] == "poison":
        os._exit(9)
    say({"result": {"id": task["id"], "status": "done", "value": {"alone": task["alone"]}}})
"""


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that speak the protocol and load nothing."""
    monkeypatch.setattr(local, "COMMAND", (sys.executable, "-c", CHILD))


def task(number: int, key: str = "k", alone: bool = False) -> WorkerTask:
    return WorkerTask(id=number, kind="still", key=key, source="s", folder="f", alone=alone)


def all_of(executor: LocalExecutor, count: int) -> dict[int, TaskResult]:
    result: dict[int, TaskResult] = {}
    until = time.monotonic() + 300
    while len(result) < count and time.monotonic() < until:
        result |= {outcome.id: outcome for outcome in executor.wait(0.5)}
    return result


@pytest.mark.usefixtures("light")
def test_tasks_come_back_and_room_is_bounded() -> None:
    notes: list[str] = []
    executor = LocalExecutor(Settings(), 2, notes.append)
    assert executor.room == 2 * local.SLOTS
    for number in range(6):
        executor.submit(task(number))
    assert executor.room == 0
    assert {o.status for o in all_of(executor, 6).values()} == {"done"} and executor.room == 6
    executor.close()
    assert sorted(notes) == ["0", "1"]
    assert all(child.process.returncode is not None for child in executor._children)


@pytest.mark.usefixtures("light")
def test_a_worker_that_dies_is_replaced() -> None:
    executor = LocalExecutor(Settings())
    executor.submit(task(1, "poison"))
    assert all_of(executor, 1)[1].status == "lost"
    executor.submit(task(2, alone=True))
    assert all_of(executor, 1)[2].value == {"alone": True}
    executor.kill()


@pytest.mark.usefixtures("light")
def test_a_task_alone_has_its_worker_to_itself() -> None:
    executor = LocalExecutor(Settings())
    executor._children[0].tasks[99] = task(99)
    executor.submit(task(1, alone=True))
    assert list(executor._children[0].tasks) == [99]
    executor._children[0].tasks.clear()
    assert list(all_of(executor, 1)) == [1]
    executor.kill()


@pytest.mark.usefixtures("light")
def test_settings_that_workers_refuse() -> None:
    executor = LocalExecutor(Settings(key="green", given=("key",)))
    with pytest.raises(InputError, match="Green is no colour"):
        all_of(executor, 1)
    executor.kill()


@pytest.mark.usefixtures("light")
def test_workers_that_cannot_start() -> None:
    executor = LocalExecutor(Settings(key="blue", given=("key",)))
    with pytest.raises(UhrmatError, match="exit code 3"):
        all_of(executor, 1)
    executor.kill()


def command(root: Path, out: Path, *more: str) -> list[str]:
    words = ["batch", root / "in", "-o", out, "--masks", root / "masks", "--prior", "mask", "--refiner", "bilinear"]
    words += ["--codec", "ffv1", "--keyframe-interval", 3, "--outputs", "alpha", "--device", "cpu", "--threads", 1]
    return [sys.executable, "-m", "uhrmat", *map(str, words), "--json", *more]


def begun(lines: list[str]) -> list[str]:
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event["item"] for event in events if event["event"] == "begin"]


STOPPED = """
import os, sys
from uhrmat.cli.progress import LinesConsole
from uhrmat.cli.start import main
number, document = [int(sys.argv.pop(1))], LinesConsole.document
def stopping(self, value):
    document(self, value)
    if value.get("event") == "done" and number:
        os.kill(os.getpid(), number.pop())
LinesConsole.document = stopping
sys.exit(main())
"""


def test_a_run_killed_at_any_moment_goes_on_and_gives_the_same(tmp_path: Path) -> None:
    """Killed after the first file, interrupted after the next, then left alone: the bytes of an unbroken run."""
    tree(tmp_path, 8)
    in_hand: list[str] = []
    for last, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        words = [sys.executable, "-c", STOPPED, str(int(last)), *command(tmp_path, tmp_path / "out")[3:]]
        run = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        lines = run.stdout.splitlines(keepends=True)
        assert run.returncode == code and '"event": "done"' in run.stdout, lines
        ended = {json.loads(line)["item"] for line in lines if '"event": "done"' in line and line.endswith("\n")}
        in_hand += [item for item in begun(lines) if item not in ended]
    for out in ("out", "whole"):
        result = CliRunner().invoke(app, command(tmp_path, tmp_path / out, "--jobs", "0")[3:])
        assert result.exit_code == 0, result.output
    assert files(tmp_path / "out") == files(tmp_path / "whole") and len(files(tmp_path / "out")) == 9
    lines = (tmp_path / "out" / ".uhrmat" / "manifest-1of1.jsonl").read_text().splitlines()
    times = [json.loads(line)["key"] for line in lines if json.loads(line)["state"] == "begun"]
    twice = {key for key in times if times.count(key) > 1}
    assert twice <= set(in_hand)
