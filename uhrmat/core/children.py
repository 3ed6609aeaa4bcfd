"""Python processes of our own, started so that no file of the current folder is imported in them.

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
_user: int | None = None


def command(module: str) -> tuple[str, ...]:
    """The command line of a process that runs `main()` of a module of this very uhrmat, wherever that was imported
    from: what it imports comes from the environment, and never from the current folder. See also `environment`."""
    import subprocess  # not at the top: `leave_current_folder` comes first

    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    safe = ("-P",) if sys.version_info >= (3, 11) else ()
    return (sys.executable, *flags, *safe, "-c", _RUN, _PACKAGE, module)


def environment() -> dict[str, str]:
    """Environment variables of such a process, and of what that starts in its turn: without empty entries in
    PYTHONPATH, which mean the current folder, and with PYTHONSAFEPATH, which stands for -P."""
    found = {**os.environ, "PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in found:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, found["PYTHONPATH"].split(os.pathsep)))
    return found


def protect_children() -> None:
    """Makes `environment` this process's own: for libraries that start processes in their own way."""
    os.environ.update(environment())


def leave_current_folder() -> None:
    """Takes the current folder off `sys.path`, where `python -m` has put it. Of a checkout that is not installed it is
    the place of uhrmat itself: then it comes last, so that it hides no other module."""
    if not sys.path or getattr(sys.flags, "safe_path", False):
        return
    first = os.path.realpath(sys.path[0] or os.curdir)
    if first == os.path.realpath(os.curdir):
        del sys.path[0]
        if first == os.path.dirname(_PACKAGE):
            sys.path.append(first)


def refuse_fork() -> None:
    """To be called where networks and solvers are made and used. Raises UhrmatError in a fork of a process that has
    used them: the threads of torch and numba do not survive a fork, and the child would hang or be ended."""
    global _user
    if _user is None:
        _user = os.getpid()
    elif _user != os.getpid():
        raise UhrmatError(
            "This process was forked from one that had made a MattingPipeline, whose threads do not live on in it.",
            FORKED,
        )
