"""Where things are printed, and how."""

from __future__ import annotations

import logging
import sys

import pytest
import typer

from uhrmat.cli.console import Console, describe, session
from uhrmat.errors import InputError

SECTIONS = [[("size", "16 × 12"), ("alpha", "/very/long/" + "x" * 200)], [("size", "1 × 1")]]


def test_plain_lines_are_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(SECTIONS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["size   16 × 12", "alpha  /very/long/" + "x" * 200, "", "size   1 × 1"]


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Console().table([[("name", "[red] is no markup")]])
    out = capsys.readouterr().out
    assert "[red] is no markup" in out and "│" in out


@pytest.mark.parametrize("mode", [{"as_json": True}, {"quiet": True}])
def test_other_modes_have_no_table_and_no_notes(capsys: pytest.CaptureFixture[str], mode: dict[str, bool]) -> None:
    console = Console(**mode)
    console.table(SECTIONS)
    console.note("hello")
    assert capsys.readouterr() == ("", "")


def test_the_library_speaks_through_logging(capsys: pytest.CaptureFixture[str]) -> None:
    with session(Console()):
        logging.getLogger("uhrmat.prior").info("compiling, once")
    logging.getLogger("uhrmat.prior").info("after the session")
    assert capsys.readouterr() == ("", "note: compiling, once\n")


def test_errors_end_a_session_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, session(Console()):
        raise InputError("This is\n wrong.", "Do that.")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: This is wrong. Do that.\n"


def test_running_out_of_memory_has_a_cure() -> None:
    assert "--max-memory" in describe(MemoryError())
