"""Where things are printed, and how."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer

from uhrmat.cli.console import Console, describe, session
from uhrmat.cli.progress import Lines
from uhrmat.core.errors import InputError
from uhrmat.core.printable import printable
from uhrmat.media import read_picture

from .conftest import Run

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


@pytest.mark.parametrize("debug", [False, True])
def test_what_decoders_print_is_for_debugging(tmp_path: Path, capfd: pytest.CaptureFixture[str], debug: bool) -> None:
    """libjpeg writes to C's stderr; on Linux that is captured, elsewhere it is shown as it is."""
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(1).integers(0, 200, (64, 64), np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    path.write_bytes(data[:-300] + bytes(noise[0]) + data[-236:])
    with session(Console(debug=debug)):
        assert read_picture(path).width == 64
    printed = capfd.readouterr()
    if sys.platform == "linux":
        assert printed.err.startswith("debug: Corrupt JPEG data" if debug else "") and bool(printed.err) == debug
    assert printed.out == ""


def test_errors_end_a_session_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, session(Console()):
        raise InputError("This is wrong.", "Do that.")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: This is wrong. Do that.\n"


def test_a_failing_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, session(Console(as_json=True)):
        raise OSError(5, "Input/output error", "x.png")
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert "Input/output error: 'x.png'" in json.loads(out)["error"] and err.count("\n") == 1


def test_running_out_of_memory_has_a_cure() -> None:
    assert "--max-memory" in describe(MemoryError())


HOSTILE = "a\x1b]0;owned\x07\n\x9b31m[red]\u202egpj.png"
SHOWN = "a\\x1b]0;owned\\x07\\n\\u009b31m[red]\\u202egpj.png"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOSTILE, SHOWN),
        ("caf\udce9.png", "caf\\xe9.png"),  # a name in Latin-1, as Python reads it from the disk
        ("\ud800", "\\ud800"),
        ("a\rb\tc\x7f", "a\\rb\\tc\\x7f"),
        ("\U000e0041", "\\U000e0041"),
        ("Größe 写真 👩‍👧 نمونه‌ها 10.00\u202fPM", "Größe 写真 👩‍👧 نمونه‌ها 10.00\u202fPM"),
    ],
)
def test_what_is_no_visible_character_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode("utf-8")


def test_line_ends_can_be_kept() -> None:
    assert printable("a\n\x1b", keep="\n") == "a\n\\x1b"


def _print_everywhere(console: Console) -> None:
    console.note(HOSTILE)
    console.line(HOSTILE)
    console.table([[(HOSTILE, HOSTILE)]])
    console.error(InputError(HOSTILE, HOSTILE), item=HOSTILE)
    console.error(ValueError(HOSTILE))
    for event in (
        {"event": "note", "text": HOSTILE},
        {"event": "retry", "item": HOSTILE, "reason": HOSTILE},
        {"event": "segment", "item": HOSTILE, "share": 0.5},
        {"event": "failed", "item": HOSTILE, "error": HOSTILE, "hint": HOSTILE},
        {"event": "halt", "reason": HOSTILE},
        {"event": "page", "path": None, "error": HOSTILE, "hint": ""},
        {"event": "page", "path": HOSTILE, "shown": 1, "stills": 1},
    ):
        Lines(console)(event)
    with console.working(HOSTILE), console.progress(HOSTILE, "frames") as progress:
        progress(1, 2)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("debug", [False, True])
def test_no_name_reaches_the_terminal_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool, debug: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
    _print_everywhere(Console(debug=debug))
    for text in capsys.readouterr():
        assert SHOWN in text  # with [red] as it is: no markup
        for hostile in ("\x1b]0;", "\x07", "\x9b", "\u202e"):
            assert hostile not in text


@pytest.mark.parametrize(
    "words", [("image", "--\x1b[31mx"), ("\x1b[31mx",), ("image", "a.png", "--threads", "\x1b[3m")]
)
def test_errors_about_the_command_line_are_escaped(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "\\x1b[3" in result.output and "\x1b[3" not in result.output.replace("\x1b[36m", "")
