"""What libraries print is kept apart by thread, and `sys.stdout` is afterwards what it was."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from uhrmat.core.printing import capture_output


def test_threads_that_overlap_put_back_the_one_stdout() -> None:
    """The first to begin is the first to end: with one exchange of `sys.stdout` each, the second's would stay."""
    before, begun, ended = sys.stdout, threading.Event(), threading.Event()
    kept: list[str] = []

    def first() -> None:
        with capture_output() as printed:
            print("first")
            begun.set()
            assert ended.wait(120)
            print("later")
        kept.append(printed.getvalue())

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(120)
    with capture_output() as printed:
        print("second")
        ended.set()
        thread.join()
        print("still second")
    assert sys.stdout is before
    assert kept == ["first\nlater\n"] and printed.getvalue() == "second\nstill second\n"


def test_other_threads_print_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    with capture_output() as printed:
        thread = threading.Thread(target=print, args=("of another thread",))
        thread.start()
        thread.join()
        with capture_output() as inner:
            print("inner")
        print("outer")
    assert capsys.readouterr().out == "of another thread\n"
    assert inner.getvalue() == "inner\n" and printed.getvalue() == "outer\n"


def test_an_error_and_a_stdout_set_meanwhile() -> None:
    before, other = sys.stdout, io.StringIO()
    with pytest.raises(ValueError, match="inside"), capture_output():
        raise ValueError("inside")
    assert sys.stdout is before
    try:
        with capture_output():
            sys.stdout = other
        assert sys.stdout is other, "who sets it within the block keeps it"
    finally:
        sys.stdout = before
