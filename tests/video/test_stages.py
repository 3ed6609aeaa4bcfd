"""Three stages side by side: order, bounds, and what happens when one of them ends early."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from uhrmat.video.stages import DEPTH, run_stages


def test_everything_arrives_in_order() -> None:
    got: list[int] = []
    run_stages(range(50), lambda x: x * x, got.append)
    assert got == [x * x for x in range(50)]


def test_an_empty_source() -> None:
    got: list[int] = []
    run_stages([], lambda x: x, got.append)
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

    run_stages(source(), lambda x: x, sink)
    assert most[0] <= 2 * DEPTH + 4


@pytest.mark.parametrize("where", ["source", "work", "sink"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_anywhere_ends_all_and_is_raised(where: str, error: type[BaseException]) -> None:
    before = threading.active_count()

    def fails(stage: str, value: int) -> int:
        if stage == where and value == 3:
            raise error("here")
        return value

    with pytest.raises(error):
        run_stages(
            (fails("source", n) for n in range(1000)),
            lambda x: fails("work", x),
            lambda x: fails("sink", x),
        )
    assert threading.active_count() == before
