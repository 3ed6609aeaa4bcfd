"""The second signal ends a process at once, whatever its threads do."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from uhrmat.core.signals import exit_after_grace, stop_on_signal

_STUCK = """
import os, sys, threading, time
from uhrmat.core import signals
from uhrmat.core.startup import run_and_exit
from uhrmat.core.signals import stop_on_signal, install_interrupt_handler
install_interrupt_handler()
def stuck():
    time.sleep(300)
def batch():
    signals._GRACE = 60.0  # until it has cleaned up, however busy the machine is
    threading.Thread(target=stuck).start()
    with stop_on_signal() as stop:
        try:
            print("ready", flush=True)
            while not stop.value:
                time.sleep(0.01)
            print("stopping", flush=True)
            time.sleep(300)
        finally:
            print("cleaned up", flush=True)
            signals._GRACE = 0.2  # for the thread, which never ends
def image():
    threading.Thread(target=stuck).start()
    try:
        print("ready", flush=True)
        time.sleep(300)
    finally:
        print("stopping", flush=True)
        time.sleep(300)
def command():
    try:
        {name}()
    except KeyboardInterrupt:
        sys.exit(130)
run_and_exit(command)
"""


@pytest.mark.parametrize("name", ["batch", "image"])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_it(name: str, first: int, second: int) -> None:
    body = [sys.executable, "-c", _STUCK.format(name=name)]
    with subprocess.Popen(body, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(first)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(second)
        assert process.wait(240) == 130  # its threads sleep for 300 s
        rest = process.stdout.read()
    assert rest == ("cleaned up\n" if name == "batch" else "")


def test_one_signal_that_is_ignored_stays_ignored() -> None:
    body = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "from uhrmat.core.signals import install_interrupt_handler; install_interrupt_handler();"
        "os.kill(os.getpid(), signal.SIGINT); print('going on')"
    )
    done = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=True)
    assert done.stdout == "going on\n"


def test_a_thread_of_another_program_may_run_a_batch() -> None:
    """Only the main thread may set handlers; elsewhere nothing is set, and nothing fails."""
    seen: list[bool] = []

    def run() -> None:
        with stop_on_signal() as calls:
            seen.append(calls.value)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False] and signal.getsignal(signal.SIGTERM) is before


def test_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signal() as calls:
        signal.raise_signal(signal.SIGTERM)
        assert calls.value
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_goes_on_after_the_second_signal_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[threading.Timer] = []

    def noted() -> threading.Timer:
        begun.append(exit_after_grace())
        return begun[-1]

    monkeypatch.setattr("uhrmat.core.signals._GRACE", 600.0)
    monkeypatch.setattr("uhrmat.core.signals.exit_after_grace", noted)
    with pytest.raises(KeyboardInterrupt), stop_on_signal():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert [timer.finished.is_set() for timer in begun] == [True]  # it was cancelled: none has waited for 600 s
