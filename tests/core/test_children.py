"""Processes of our own import nothing from the current folder, and a fork of a used process is told so."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.batch.helpers import clip, mask, photo
from uhrmat.core import children
from uhrmat.core.errors import UhrmatError
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.launch import launch_worker, stopping_worker
from uhrmat.prior.worker import PriorProcess

ROOT = Path(__file__).parents[2]
THIRD = {
    "numpy", "cv2", "torch", "PIL", "pymatting", "numba", "llvmlite", "scipy", "av", "tifffile", "OpenEXR", "rich",
    "safetensors", "huggingface_hub", "typer", "click", "onnxruntime", "transformers", "ray", "spconv", "cumm", "cupy",
    "yaml", "packaging", "requests", "tqdm", "sympy", "filelock", "imagecodecs", "uhrmat", "sitecustomize",
    "usercustomize",
}  # fmt: skip
RUN = "import sys; from uhrmat.cli.start import main; sys.exit(main())"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The current folder has a module of every name that anybody imports; which of them have run."""
    folder, text = tmp_path / "photographs", tmp_path / "ran"
    folder.mkdir()
    for name in {*sys.stdlib_module_names, *THIRD}:
        (folder / f"{name}.py").write_text(f"open({str(text)!r}, 'a').write(__name__ + ' ')\n")
    monkeypatch.chdir(folder)
    return lambda: text.read_text().split() if text.exists() else []


def test_the_trap_works(hostile: Callable[[], list[str]]) -> None:
    subprocess.run([sys.executable, "-c", "import tempfile"], check=False)
    assert "tempfile" in hostile()


def test_the_priors_process_imports_nothing_from_the_current_folder(hostile: Callable[[], list[str]]) -> None:
    process = launch_worker()
    with stopping_worker(process):
        image = np.random.default_rng(0).random((12, 16, 3), dtype=np.float32)
        trimap = np.full((12, 16), 128, np.uint8)
        trimap[:, :4], trimap[:, 12:] = 0, 255
        alpha, _ = PriorProcess(process).solve(image, trimap, "closed-form")
    assert alpha.shape == (12, 16) and not hostile()


def _image(folder: Path) -> list[str]:
    photo(folder / "a.png"), mask(folder / "m.png")
    return ["image", "a.png", "--mask", "m.png", "-o", "out", "--outputs", "alpha"]


def _video(folder: Path) -> list[str]:
    clip(folder, "a.mkv", 2), mask(folder / "m.png")
    return ["video", "a.mkv", "--mask", "m.png", "-o", "out/a.mkv", "--codec", "ffv1"]


def _batch(folder: Path) -> list[str]:
    photo(folder / "in" / "a.png"), mask(folder / "masks" / "a.png")
    return ["batch", "in", "--masks", "masks", "-o", "out", "--outputs", "alpha"]


def _ray(folder: Path) -> list[str]:
    pytest.importorskip("ray")
    return [*_batch(folder), "--runner", "ray"]


slow = pytest.mark.skipif(not os.environ.get("UHRMAT_SLOW"), reason="takes a minute: UHRMAT_SLOW=1")


@pytest.mark.parametrize("words", [_image, _video, _batch, pytest.param(_ray, marks=slow)])
def test_no_command_runs_what_lies_beside_the_photographs(
    hostile: Callable[[], list[str]], tmp_path: Path, words: Callable[[Path], list[str]]
) -> None:
    """The console script's way of starting; with what the children and grandchildren start."""
    text = [*words(tmp_path / "photographs"), "--working-size", "16", "--refiner", "bilinear", "--threads", "1"]
    script = tmp_path / "bin" / "uhrmat"
    script.parent.mkdir()
    script.write_text(RUN)
    done = subprocess.run([sys.executable, script, *text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photographs" / "out").is_dir() and not hostile()


def test_python_m_leaves_the_current_folder_before_it_imports_anything_heavy(tmp_path: Path) -> None:
    """What Python itself imports for -m, and the package's own `__init__`, come before."""
    for name in ("subprocess", "tempfile", "typer", "rich", "click", "signal"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('ran {name}')\n")
    done = subprocess.run([sys.executable, "-m", "uhrmat", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("uhrmat ")


@pytest.mark.parametrize(
    ("path", "kept"),
    [("{sep}/x", "/x"), ("/x{sep}{sep}/y{sep}", "/x{sep}/y"), ("{sep}", ""), ("rel{sep}.", "rel{sep}.")],
)
def test_empty_entries_of_pythonpath_go_and_others_stay(monkeypatch: pytest.MonkeyPatch, path: str, kept: str) -> None:
    monkeypatch.setenv("PYTHONPATH", path.format(sep=os.pathsep))
    assert children.environment()["PYTHONPATH"] == kept.format(sep=os.pathsep)


def _probe(*flags: str, module: str = "probe", path: str | None = None, cwd: Path) -> list[str]:
    """What `main` of a module prints in a process that one with these flags starts."""
    code = (
        "import subprocess; from uhrmat.core.children import command, environment;"
        f"done = subprocess.run(command({module!r}), env=environment(), capture_output=True, text=True);"
        "print(done.stdout, done.stderr)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), path]))}
    line = [sys.executable, *flags, "-c", code]
    return subprocess.run(line, env=environment, cwd=cwd, capture_output=True, text=True, check=True).stdout.split()


def test_checkouts_on_pythonpath_and_options_reach_the_child(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "probe.py").write_text(
        "import sys, uhrmat\n"
        "def main():\n"
        "    print(sys.flags.utf8_mode, sys.warnoptions, sys.flags.dev_mode, sys.prefix, uhrmat.__file__)\n"
    )
    result = _probe("-X", "utf8", "-W", "error::BytesWarning", "-X", "dev", path=str(tmp_path / "mine"), cwd=tmp_path)
    assert result[0] == "1" and "error::BytesWarning" in result[1] + result[2] and "True" in result
    assert result[-2:] == [sys.prefix, str(ROOT / "uhrmat" / "__init__.py")]


def test_a_module_of_the_current_folder_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("def main():\n    print('ran')\n")
    assert "ModuleNotFoundError:" in _probe(cwd=tmp_path)


def test_before_python_3_11_the_first_line_does_what_the_option_does(
    hostile: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    line = children.command("uhrmat.batch.executors.child")
    assert "-P" not in line
    environment = {k: v for k, v in children.environment().items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(line, env=environment, input="{}\n", capture_output=True, text=True)
    assert "KeyError: 'settings'" in done.stderr and not hostile()


def _matte(matter: StillPipeline | None) -> str:
    image, trimap = np.zeros((16, 16, 3), np.uint8), np.full((16, 16), 128, np.uint8)
    trimap[:, :4], trimap[:, 12:] = 0, 255
    try:
        used = matter or StillPipeline("closed-form", "bilinear", threads=1, device="cpu")
        return str(used.matte(image, trimap=trimap, foreground=False).alpha.shape)
    except UhrmatError as error:
        return str(error)


def _in_child(kind: str, matter: StillPipeline | None) -> str:
    context = multiprocessing.get_context(kind)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, matter))
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(240) else "no answer"
    except EOFError:
        return f"ended: {process.exitcode}"
    finally:
        process.join(60)
        process.kill()


def _answer(pipe, matter) -> None:  # type: ignore[no-untyped-def]
    pipe.send(_matte(matter))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_of_a_process_with_a_pipeline_is_refused() -> None:
    matter = StillPipeline("closed-form", "bilinear", threads=1, device="cpu")
    assert _matte(matter) == "(16, 16)"
    for given in (matter, None):
        assert (
            "forked from one that had made a MattingPipeline" in (text := _in_child("fork", given))
            and "'spawn'" in text
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_does_not_touch_its_parents_process() -> None:
    owner = PriorProcess()
    child = os.fork()
    if not child:
        try:
            owner.solve(np.zeros((4, 4, 3), np.float32), np.full((4, 4), 128, np.uint8), "closed-form")
        except UhrmatError as error:
            owner.close()
            os._exit(7 if "forked" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert owner._process.poll() is None
    owner.close()


PROBLEM = np.random.default_rng(0).random((12, 16, 3), dtype=np.float32)


def _trimap(split: int) -> np.ndarray:
    trimap = np.full((12, 16), 128, np.uint8)
    trimap[:, :split], trimap[:, 16 - split :] = 0, 255
    return trimap


def test_a_start_reaches_the_priors_process() -> None:
    last = np.full((12, 16), 0.25, np.float32)
    changed = np.zeros((12, 16), bool)
    changed[:, :8] = True
    owner = PriorProcess()
    try:
        plain, _ = owner.solve(PROBLEM, _trimap(4), "closed-form")
        part, _ = owner.solve(PROBLEM, _trimap(4), "closed-form", Start(last, changed))
    finally:
        owner.close()
    assert (part[:, 8:12] == 0.25).all() and not np.isclose(part[:, 4:8], 0.25).any()
    assert np.array_equal(part, solve(PROBLEM, _trimap(4), "closed-form", Start(last, changed))[0])
    assert np.array_equal(plain, solve(PROBLEM, _trimap(4), "closed-form")[0])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("sent", [signal.SIGKILL if hasattr(signal, "SIGKILL") else 9, signal.SIGTERM])
def test_a_priors_process_that_dies_is_started_again(sent: int) -> None:
    owner = PriorProcess()
    try:
        first, _ = owner.solve(PROBLEM, _trimap(4), "closed-form")
        owner._process.send_signal(sent)
        owner._process.wait()
        assert np.array_equal(owner.solve(PROBLEM, _trimap(4), "closed-form")[0], first)  # remembered
        assert owner.solve(PROBLEM, _trimap(3), "closed-form")[0].shape == (12, 16)
    finally:
        owner.close()


CHILD = """
import sys, os
from uhrmat.prior import worker
while (request := worker._receive(sys.stdin.buffer)) is not None:
    os.path.exists({flag!r}) and (os.remove({flag!r}) if {once} else None, os._exit(9))
    worker._send(sys.stdout.buffer, {{"alpha": request["trimap"] / 255, "notes": worker.np.array([], str)}})
"""


@pytest.mark.parametrize("once", [True, False])
def test_one_problem_may_end_two_processes_and_the_next_one_has_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    """Dying during a call: with the problem sent again where it helps, with a clear error where it does not."""
    flag, begun = tmp_path / "die", []

    def start() -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", CHILD.format(flag=str(flag), once=once)]
        begun.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return begun[-1]

    monkeypatch.setattr("uhrmat.prior.worker.launch_worker", start)
    owner = PriorProcess()
    flag.touch()
    if once:
        assert np.allclose(owner.solve(PROBLEM, _trimap(4), "x")[0], _trimap(4) / 255) and len(begun) == 2
    else:
        with pytest.raises(UhrmatError, match=r"2 times one after another \(exit code 9\)"):
            owner.solve(PROBLEM, _trimap(4), "x")
        flag.unlink()
    assert np.allclose(owner.solve(PROBLEM, _trimap(3), "x")[0], _trimap(3) / 255) and len(begun) == (2 if once else 3)
    owner.close()
    assert all(process.poll() is not None for process in begun)


def test_what_is_still_being_solved_at_the_end_starts_no_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem begun ahead for a command that ends early: its process is ended, and none takes its place."""
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", "import sys, time; sys.stdin.buffer.read(8); print('at work', file=sys.stderr, "
                "flush=True); time.sleep(3600)"]  # fmt: skip
        begun.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return begun[-1]

    monkeypatch.setattr("uhrmat.prior.worker.launch_worker", start)
    owner = PriorProcess()
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(owner.solve, PROBLEM, _trimap(4), "closed-form")
        assert begun[0].stderr is not None and begun[0].stderr.readline() == b"at work\n"
        owner.close()
        with pytest.raises(UhrmatError, match="closed before it had finished"):
            ahead.result(120)
    with pytest.raises(UhrmatError, match="closed before"):
        owner.solve(PROBLEM, _trimap(3), "closed-form")
    assert len(begun) == 1 and begun[0].poll() is not None


def test_what_cannot_be_solved_ends_no_process() -> None:
    owner = PriorProcess()
    try:
        running = owner._process
        with pytest.raises(UhrmatError, match="The prior no-such-prior failed"):
            owner.solve(PROBLEM, _trimap(4), "no-such-prior")
        assert owner.solve(PROBLEM, _trimap(4), "closed-form")[0].shape == (12, 16) and owner._process is running
    finally:
        owner.close()


def test_the_next_photograph_is_matted_after_the_priors_process_was_killed(tmp_path: Path) -> None:
    """By the StillPipeline, whose stage before was the dead process's."""
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(tmp_path / "a.png")
    owner = PriorProcess()
    matter = StillPipeline("closed-form", "bilinear", threads=1, device="cpu", solver=owner.solve)
    try:
        for split in (4, 5):
            trimap = np.full((24, 24), 128, np.uint8)
            trimap[:, :split], trimap[:, 20:] = 0, 255
            alpha = matter.matte(tmp_path / "a.png", trimap=trimap, foreground=False).alpha
            assert alpha.shape == (24, 24)
            owner._process.kill()
    finally:
        owner.close()
