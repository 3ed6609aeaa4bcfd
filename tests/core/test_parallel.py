"""Two pieces of work on two threads: results, threads, and what is raised."""

from __future__ import annotations

import threading

import pytest

from uhrmat.core.parallel import side_by_side


def test_both_results_come_back_and_both_run_at_once() -> None:
    met = threading.Barrier(2, timeout=120)
    assert side_by_side(lambda: met.wait() * 0 + 1, lambda: str(met.wait() * 0)) == (1, "0")


def test_without_threads_they_run_one_after_the_other_here() -> None:
    order: list[tuple[int, int]] = []
    here = threading.get_ident()
    side_by_side(
        lambda: order.append((1, threading.get_ident())), lambda: order.append((2, threading.get_ident())),
        threads=False,
    )  # fmt: skip
    assert order == [(1, here), (2, here)]


@pytest.mark.parametrize("threads", [True, False])
def test_what_either_raises_is_raised(threads: bool) -> None:
    def fail(what: str) -> None:
        raise ValueError(what)

    with pytest.raises(ValueError, match="second"):
        side_by_side(lambda: 1, lambda: fail("second"), threads=threads)
    with pytest.raises(ValueError, match="first"):
        side_by_side(lambda: fail("first"), lambda: fail("second"), threads=threads)
