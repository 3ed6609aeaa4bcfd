"""What the command loads before it has anything to do, and what it says about itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from uhrmat import __version__

HEAVY = {"torch", "cv2", "pymatting", "numba", "scipy", "PIL", "ray", "onnxruntime", "transformers", "av"}


def loaded_after(code: str) -> set[str]:
    """The top-level modules in a new Python after `code`."""
    script = f"import sys\n{code}\nprint('\\n'.join({{name.split('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import uhrmat") & (HEAVY | {"typer", "rich"})


def test_media_loads_no_codecs() -> None:
    assert not loaded_after("import uhrmat.media, uhrmat.image.plan") & (HEAVY - {"PIL"} | {"typer", "rich"})


def after_command(*words: str) -> set[str]:
    lines = (
        f"sys.argv = ['uhrmat', *{words!r}]",
        "from uhrmat.cli.app import app",
        "try: app()",
        "except SystemExit: pass",
    )
    return loaded_after("\n".join(lines))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["image", "--help"], ["trimap", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    assert not after_command(*words) & (HEAVY | {"numpy"})


def test_a_wrong_path_is_answered_without_torch() -> None:
    assert "torch" not in after_command("image", "nowhere.png")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("OMP_WAIT_POLICY", None, "PASSIVE"),
        ("OMP_WAIT_POLICY", "ACTIVE", "ACTIVE"),
        ("OPENBLAS_NUM_THREADS", None, "1"),
        ("OPENBLAS_NUM_THREADS", "3", "3"),
    ],
)
def test_threads_do_not_wait_in_loops_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str | None, expected: str
) -> None:
    from uhrmat.cli import start

    for each in ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS"):  # so that pytest puts them back
        monkeypatch.setenv(each, given or "")
    if given is None:
        monkeypatch.delenv(name)
    seen: list[str] = []
    monkeypatch.setattr(start, "protect", lambda: None)
    monkeypatch.setattr(start, "install_interrupt_handler", lambda: None)
    monkeypatch.setattr(start, "_run", lambda: seen.append(os.environ[name]))
    start.main()
    assert seen == [expected]


def test_version() -> None:
    done = subprocess.run([sys.executable, "-m", "uhrmat", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"uhrmat {__version__}"


def test_unknown_attributes_of_the_package() -> None:
    import uhrmat

    with pytest.raises(AttributeError, match="no attribute 'Mater'"):
        uhrmat.Mater  # noqa: B018
