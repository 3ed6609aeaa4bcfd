"""A name that the disk cannot hold is a mistake in what was given: one sentence and exit code 2, whatever meets it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from uhrmat.cli.app import app
from uhrmat.cli.console import Console, session

LONG = "x" * 300
WORDS = {
    "a matte": ["evaluate", LONG, LONG],
    "a folder": ["batch", LONG, "-o", "out"],
    "an output folder": ["batch", ".", "-o", LONG],
    "a pattern of hints": ["batch", ".", "-o", "out", "--masks", LONG],
    "a deep path": ["batch", "/".join(["d" * 200] * 30), "-o", "out"],
}


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses long names in other words")
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_name_that_is_too_long_is_bad_input(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert "too long for this disk" in done.output
    assert "not expected" not in done.output
    assert len(done.output) < 250
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(("number", "code"), [(errno.EIO, 1), (errno.ENOSPC, 1), (errno.ENAMETOOLONG, 2)])
def test_other_failures_of_the_disk_are_still_failures(number: int, code: int) -> None:
    with pytest.raises(typer.Exit) as ended, session(Console()):
        raise OSError(number, os.strerror(number), "x.png")
    assert ended.value.exit_code == code
