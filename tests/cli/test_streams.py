"""Standard streams that are closed, full or no longer read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from uhrmat.hints.files import read_trimap
from uhrmat.media import write_alpha

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
UHRMAT = f"{sys.executable} -m uhrmat"
FULL = "Standard output could not be written: No space left on device."
CLOSED = "Standard output could not be written: it is closed."


def shell(command: str, folder: Path, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    alpha = np.zeros((32, 40), np.float32)
    alpha[8:24, 8:32] = 1
    write_alpha(tmp_path / "m.png", alpha)
    return tmp_path


@pytest.mark.parametrize(
    ("streams", "code", "text", "unbuffered"),
    [
        ("> /dev/full", 1, FULL, ""),
        ("> /dev/full", 1, FULL, "1"),
        (">&-", 1, CLOSED, ""),
        (">&- <&-", 1, CLOSED, "1"),
        ("2>&-", 0, "", ""),
        ("2> /dev/full", 0, "", "1"),
        (">&- 2>&- <&-", 1, "", ""),
        ("> /dev/full 2> /dev/full", 1, "", ""),
        ("--json > /dev/full", 1, FULL, ""),
        ("--quiet >&- 2>&- <&-", 0, "", ""),
    ],
)
def test_the_work_is_done_and_the_exit_code_tells(
    folder: Path, streams: str, code: int, text: str, unbuffered: str
) -> None:
    done = shell(f"{UHRMAT} trimap m.png -o t.png --radius 2 {streams}", folder, unbuffered)
    assert done.returncode == code
    assert done.stderr == (f"error: {text} The work itself is done.\n" if text else "")
    assert set(np.unique(read_trimap(folder / "t.png"))) == {0, 128, 255}  # and nothing printed is in the file


@pytest.mark.parametrize("command", ["--version", "--help", "models list", "evaluate m.png m.png", "image --help"])
@pytest.mark.parametrize(("streams", "text"), [("> /dev/full", FULL), (">&-", CLOSED)])
def test_every_command_tells(folder: Path, command: str, streams: str, text: str) -> None:
    done = shell(f"{UHRMAT} {command} {streams}", folder)
    assert (done.returncode, done.stderr) == (1, f"error: {text} The work itself is done.\n")


@pytest.mark.parametrize("command", ["trimap none.png -o t.png", "image --no-such-option", "no-such-command"])
@pytest.mark.parametrize("streams", ["2>&-", "2> /dev/full", ">&- 2>&-", "> /dev/full 2>&-"])
def test_a_failure_keeps_its_exit_code(folder: Path, command: str, streams: str) -> None:
    done = shell(f"{UHRMAT} {command} {streams}", folder)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_reader_that_has_seen_enough_is_not_told(folder: Path) -> None:
    done = shell(f"set -o pipefail; {UHRMAT} trimap m.png -o t.png | true", folder)
    assert done.stderr == "" and (folder / "t.png").is_file()


def test_a_pipe_that_does_not_block_gets_everything(folder: Path) -> None:
    """As under some terminals and servers: a full pipe answers "later", which is no failure."""
    body = (
        "import os, sys; from uhrmat.core.streams import exit_code, protect; os.set_blocking(1, False); protect();"
        "print('x' * 500_000); os._exit(exit_code(0))"
    )
    with subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"x" * 500_000 + b"\n"
    assert process.returncode == 0


def test_names_that_the_terminal_cannot_encode(folder: Path) -> None:
    done = shell(f"LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {UHRMAT} trimap größe.png -o t.png --json", folder)
    assert done.returncode == 2 and "does not exist" in json.loads(done.stdout)["error"]
    assert done.stderr.isascii() and "gr\\xc3\\xb6\\xc3\\x9fe.png" in done.stderr
