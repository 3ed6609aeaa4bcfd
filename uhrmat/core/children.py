"""Child processes of uhrmat, started so that they import no file of the current folder.

`python -m module` and `python -c code` put the current folder first on `sys.path`: a `tempfile.py` that lies beside the
photographs would run. Python 3.11 has the option -P against that; before it, the first line of what a child runs does
the same. The user's virtual environment, PYTHONPATH, -X and -W options hold in the child as well.
"""

from __future__ import annotations

import os
import sys

from uhrmat.core.errors import UhrmatError

_RUN = """\
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
import importlib, importlib.util, os
folder, module = sys.argv[1:3]
spec = importlib.util.spec_from_file_location(
    "uhrmat", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
)
sys.modules["uhrmat"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
importlib.import_module(module).main()
"""
_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
FORKED = "Start processes with multiprocessing.get_context('spawn'), or make the first MattingPipeline after the fork."
_first_user: int | None = None
"""The process id at the first call of `refuse_fork`."""


def command(module: str) -> tuple[str, ...]:
    """The command line of a child process that runs `main()` of a module of this same uhrmat.

    uhrmat is loaded from where this process has it from; all else comes from the environment, never from the current
    folder. Use it together with `environment`.

    Args:
        module: Full name, such as "uhrmat.prior.worker".
    """
    import subprocess  # not at the top: `leave_current_folder` comes first

    interpreter_flags = getattr(subprocess, "_args_from_interpreter_flags", list)  # multiprocessing uses it, too
    flags: list[str] = interpreter_flags()
    safe = ("-P",) if sys.version_info >= (3, 11) else ()
    return (sys.executable, *flags, *safe, "-c", _RUN, _PACKAGE, module)


def environment() -> dict[str, str]:
    """Environment variables of a child process, which its own children inherit.

    PYTHONPATH has no empty entries, which would mean the current folder, and PYTHONSAFEPATH is set, which means -P.
    """
    variables = {**os.environ, "PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in variables:
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, variables["PYTHONPATH"].split(os.pathsep)))
    return variables


def protect_children() -> None:
    """Set `environment` in this process, for libraries that start processes in their own way."""
    os.environ.update(environment())


def leave_current_folder() -> None:
    """Take the current folder off `sys.path`, where `python -m` has put it.

    If uhrmat itself lies there (a checkout that is not installed), the folder comes last instead, so that it hides no
    other module.
    """
    if not sys.path or getattr(sys.flags, "safe_path", False):
        return
    first = os.path.realpath(sys.path[0] or os.curdir)
    if first == os.path.realpath(os.curdir):
        del sys.path[0]
        if first == os.path.dirname(_PACKAGE):
            sys.path.append(first)


def refuse_fork() -> None:
    """Check that this process is not a fork of one that used networks or solvers; call it where they are used.

    The threads of torch and numba do not survive a fork: the child would hang or be ended.

    Raises:
        UhrmatError: It is one.
    """
    global _first_user
    if _first_user is None:
        _first_user = os.getpid()
    elif _first_user != os.getpid():
        raise UhrmatError(
            "This process was forked from one that had made a MattingPipeline, whose threads do not live on in it.",
            FORKED,
        )
