"""The prior's process, started early: it answers, and it never outlives the command."""

import numpy as np
import pytest

from uhrmat.prior.affinity import METHODS, solve
from uhrmat.prior.launch import launched
from uhrmat.prior.worker import PriorProcess


@pytest.mark.parametrize("name", METHODS)
def test_a_process_that_runs_already_answers_and_ends_with_its_block(name: str) -> None:
    image = np.random.default_rng(0).random((30, 40, 3), dtype=np.float32)
    trimap = np.full((30, 40), 128, np.uint8)
    trimap[:, :8], trimap[:, 32:] = 0, 255
    with launched(True) as process:
        assert process is not None and process.poll() is None
        found, notes = PriorProcess(process).solve(image, trimap, name)
        assert np.allclose(found, solve(image, trimap, name)[0], atol=1e-4) and not notes
    assert process.poll() is not None


def test_a_refused_command_leaves_no_process() -> None:
    try:
        with launched(True) as process:
            raise ValueError
    except ValueError:
        assert process is not None and process.poll() is not None
    with launched(False) as none:
        assert none is None
