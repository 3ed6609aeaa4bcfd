"""Start-up and exit shortcuts: exit codes, output and results are the ordinary ones, and each shortcut falls back."""

import functools
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from uhrmat.core.startup import fast_import, import_without_init

_BODY = """
import atexit, sys, threading, time
from uhrmat.core.startup import run_and_exit
printed = threading.Event()
def late():
    printed.wait()
    time.sleep(0.2)
    print("thread")
def command():
    atexit.register(print, "handler")
    threading.Thread(target=late).start()
    try:
        print("command")
    finally:
        printed.set()
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


def test_a_closed_pipe_gives_an_exit_code_other_than_0() -> None:
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


@functools.cache
def _output(lean: bool, start: str) -> list[str]:
    code = _MATTE.format(lean=lean, start=start)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(("start", "left_out"), [("run_and_exit(command)", True), ("command()", False)])
def test_results_are_the_same_without_what_torch_loads_for_its_compiler(start: str, left_out: bool) -> None:
    whole, lean = _output(False, "command()"), _output(True, start)
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


def run(code: str, folder: Path) -> list[str]:
    """The words that a Python process prints, `folder` being first on its path."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def write_package(folder: Path, files: dict[str, str]) -> None:
    """Python files with these contents."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


_LEAN = """
from uhrmat.core.startup import fast_import, run_and_exit
def command():
    with fast_import(lean=True):
        import torch
    print(torch.result())
run_and_exit(command)
"""


@pytest.mark.parametrize(
    ("package", "printed"),
    [
        ({"__init__.py": "def result(): return 'plain'"}, ["plain"]),
        (
            {
                "__init__.py": "import torch._meta_registrations\ndef result(): return 'left-out'",
                "_meta_registrations.py": "print('loaded')",
            },
            ["left-out"],
        ),
        (
            {
                "__init__.py": "from torch._meta_registrations import needed\ndef result(): return needed",
                "_meta_registrations.py": "print('loaded')\nneeded = 'used-at-import'",
            },
            ["loaded", "used-at-import"],
        ),
        (
            {
                "__init__.py": (
                    "import torch._meta_registrations as meta\nimport torch._meta_registrations as again\n"
                    "def result(): return meta.needed + again.needed"
                ),
                "_meta_registrations.py": "print('loaded')\nneeded = 'later'",
            },
            ["loaded", "laterlater"],
        ),
    ],
)
def test_a_torch_of_another_make_is_imported_in_the_plain_way(
    tmp_path: Path, package: dict[str, str], printed: list[str]
) -> None:
    write_package(tmp_path / "torch", package)
    assert run(_LEAN, tmp_path) == printed


def test_import_without_init_runs_an_init_whose_names_are_used(tmp_path: Path) -> None:
    files = {
        "__init__.py": "print('init')\nfrom outer.inner import value\nname = value + 1",
        "inner.py": "value = 1",
        "alone.py": "value = 5",
    }
    write_package(tmp_path / "outer", files)
    code = (
        "from uhrmat.core.startup import import_without_init\n"
        "import_without_init('outer')\n"
        "import outer.alone\n"
        "from outer import alone\n"
        "print(alone.value)\n"
        "from outer import name\n"
        "print(name, outer.name, hasattr(outer, 'no_such_name'))"
    )
    assert run(code, tmp_path) == ["5", "init", "2", "2", "False"]
