"""Leaving quickly loses nothing: exit codes, output, threads and exit handlers are those of an ordinary end."""

import gc
import subprocess
import sys

import pytest

from uhrmat.core.startup import fast_import, import_without_init

_BODY = """
import atexit, sys, threading, time
from uhrmat.core.startup import run_and_exit
def late():
    time.sleep(0.2)
    print("thread")
def command():
    atexit.register(print, "handler")
    threading.Thread(target=late).start()
    print("command")
    {end}
run_and_exit(command)
"""


@pytest.mark.parametrize(
    ("end", "code"), [("pass", 0), ("sys.exit(2)", 2), ("sys.exit()", 0), ("sys.exit('no')", 1), ("1 / 0", 1)]
)
def test_the_end_of_a_process_is_the_ordinary_one(end: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", _BODY.format(end=end)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (code, ["command", "thread", "handler"])
    assert ("ZeroDivisionError" in done.stderr) == ("/" in end) and (done.stderr == "no\n") == ("no" in end)


def test_a_reader_that_has_gone_is_told_by_the_exit_code() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _BODY.format(end="pass")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() != 0


def test_the_collector_and_the_turns_are_as_before_even_after_a_failure() -> None:
    turn = sys.getswitchinterval()
    with pytest.raises(ImportError), fast_import():
        assert not gc.isenabled() and sys.getswitchinterval() < turn
        raise ImportError
    assert gc.isenabled() and sys.getswitchinterval() == turn
    gc.unfreeze()


_MATTE = """
import hashlib, sys
import numpy as np
from uhrmat.core.startup import fast_import, run_and_exit
def command():
    with fast_import(lean={lean}):
        from uhrmat.pipeline import StillPipeline
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    trimap = np.full((40, 48), 128, np.uint8)
    trimap[:, :16], trimap[:, 32:] = 0, 255
    alpha = StillPipeline("closed-form", precision="fp32").matte(image, trimap=trimap).alpha
    print(hashlib.sha256(alpha.tobytes()).hexdigest(), "torch._decomp.decompositions" in sys.modules)
{start}
"""


@pytest.mark.parametrize(("start", "left_out"), [("run_and_exit(command)", True), ("command()", False)])
def test_what_torch_loads_for_its_compiler_is_not_missed(start: str, left_out: bool) -> None:
    def said(lean: bool) -> list[str]:
        code = _MATTE.format(lean=lean, start=start)
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    whole, lean = said(False), said(True)
    assert lean[0] == whole[0]
    assert (lean[1], whole[1]) == (str(not left_out), "True")


def test_import_without_init_loads_only_the_submodules_that_are_imported() -> None:
    code = (
        "import sys; from uhrmat.core.startup import import_without_init\n"
        "[sys.modules.pop(n) for n in list(sys.modules) if n[:4] == 'json']\n"
        "import_without_init('json'); import json.scanner\n"
        "print(callable(json.scanner.make_scanner), 'json.decoder' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
    with pytest.raises(ImportError, match="no_such_package is not installed"):
        import_without_init("no_such_package")
