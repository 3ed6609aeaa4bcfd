"""Stages side by side: order, bounds, and what happens when one of them ends early."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from uhrmat.video.stages import DEPTH, run_stages


def test_everything_arrives_in_order() -> None:
    got: list[int] = []
    run_stages(range(50), lambda x: x * x, lambda x: x + 1, got.append)
    assert got == [x * x + 1 for x in range(50)]


def test_an_empty_source() -> None:
    got: list[int] = []
    run_stages([], lambda x: x, lambda x: x, got.append)
    assert got == []


def test_the_source_never_runs_far_ahead() -> None:
    made, done, most = [0], [0], [0]

    def source() -> Iterator[int]:
        for n in range(30):
            made[0] += 1
            most[0] = max(most[0], made[0] - done[0])
            yield n

    def sink(_: int) -> None:
        done[0] += 1

    run_stages(source(), lambda x: x, lambda x: x, sink)
    assert most[0] <= 2 * DEPTH + 6


@pytest.mark.parametrize("where", ["source", "prepare", "work", "sink"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_anywhere_ends_all_and_is_raised(where: str, error: type[BaseException]) -> None:
    before = set(threading.enumerate())  # one of another test may end meanwhile

    def fails(stage: str, value: int) -> int:
        if stage == where and value == 3:
            raise error("here")
        return value

    with pytest.raises(error):
        run_stages(
            (fails("source", n) for n in range(1000)),
            lambda x: fails("prepare", x),
            lambda x: fails("work", x),
            lambda x: fails("sink", x),
        )
    assert set(threading.enumerate()) <= before


def test_one_item_is_prepared_while_the_one_before_is_worked_on() -> None:
    """`prepare` of item 1 ends only when `work` has begun with item 0, and that ends only after it."""
    begun, prepared, got = threading.Event(), threading.Event(), list[int]()

    def prepare(item: int) -> int:
        if item == 1:
            assert begun.wait(120)
            prepared.set()
        return item

    def work(item: int) -> int:
        begun.set()
        assert prepared.wait(120)
        return item

    run_stages(range(3), prepare, work, got.append)
    assert got == [0, 1, 2]
