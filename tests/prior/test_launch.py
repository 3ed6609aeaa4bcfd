"""The prior's process, started early: it answers, and it never outlives the command."""

import subprocess
import sys

import numpy as np
import pytest

from uhrmat.cli.start import main, needs_prior
from uhrmat.prior.choose import AFFINITY_PRIORS
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.launch import launch_worker, stopping_worker
from uhrmat.prior.worker import PriorProcess


def test_a_process_that_runs_already_answers_and_ends_with_its_block() -> None:
    image = np.random.default_rng(0).random((30, 40, 3), dtype=np.float32)
    trimap = np.full((30, 40), 128, np.uint8)
    trimap[:, :8], trimap[:, 32:] = 0, 255
    process = launch_worker()
    with stopping_worker(process):
        assert process.poll() is None
        worker = PriorProcess(process)
        for name in AFFINITY_PRIORS:
            result, notes = worker.solve(image, trimap, name)
            assert np.allclose(result, solve(image, trimap, name)[0], atol=1e-4) and not notes, name
        assert worker._process is process
    assert process.poll() is not None


def test_a_refused_command_leaves_no_process() -> None:
    process = launch_worker()
    with pytest.raises(ValueError, match="refused"), stopping_worker(process):
        raise ValueError("refused")
    assert process.poll() is not None
    with stopping_worker(None):
        pass


def test_one_that_runs_already_is_taken() -> None:
    early = launch_worker()
    with stopping_worker(early):
        worker = PriorProcess(early)
        assert worker._process is early and early.poll() is None
        worker.close()
        assert early.poll() is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["image", "a.jpg", "--trimap", "t.png"], True),
        (["image", "--mask=m.png", "a.jpg"], True),
        (["image", "a.jpg"], False),
        (["image", "a.jpg", "--trimap", "t.png", "--help"], False),
        (["video", "a.mp4", "--trimap", "t.png"], False),
        ([], False),
    ],
)
def test_the_prior_is_begun_where_the_command_line_asks_for_it(words: list[str], expected: bool) -> None:
    assert needs_prior(words) is expected


def test_a_wrong_command_line_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def noted() -> subprocess.Popen[bytes]:
        begun.append(launch_worker())
        return begun[0]

    monkeypatch.setattr("uhrmat.cli.start.protect", lambda: None)  # pytest's own streams and signals
    monkeypatch.setattr("uhrmat.cli.start.install_interrupt_handler", lambda: None)
    for name in ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS"):  # else they would be set for the tests after this
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("uhrmat.prior.launch.launch_worker", noted)
    monkeypatch.setattr("uhrmat.cli.app.run_and_exit", lambda command: command())
    monkeypatch.setattr(sys, "argv", ["uhrmat", "image", "nowhere.jpg", "--trimap", "t.png", "--no-such-option"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2 and begun[0].poll() is not None
