"""When a file of an inbox is taken, and when again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from uhrmat.batch.watch import Inbox

from .helpers import item, photo


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def inbox(now: list[float]) -> Inbox:
    return Inbox(5.0, lambda: now[0])


def test_a_file_is_taken_once_when_it_has_stood_still(inbox: Inbox, now: list[float], tmp_path: Path) -> None:
    there = [item(tmp_path)]
    assert inbox.ready(there) == []
    now[0] = 4
    photo(there[0].source, 1, (50, 40))
    assert inbox.ready(there) == []
    now[0] = 8
    assert inbox.ready(there) == []
    now[0] = 9.5
    assert inbox.ready(there) == there
    now[0] = 100
    assert inbox.ready(there, busy={"a.png"}) == [] and inbox.ready(there) == []
    photo(there[0].source, 2, (60, 40))
    inbox.ready(there)
    now[0] = 106
    assert inbox.ready(there) == there


def test_a_file_that_changes_while_it_is_in_hand_is_taken_again(inbox: Inbox, now: list[float], tmp_path: Path) -> None:
    there = [item(tmp_path)]
    inbox.ready(there)
    now[0] = 6
    assert inbox.ready(there) == there
    photo(there[0].source, 2, (60, 40))
    now[0] = 20
    assert inbox.ready(there, busy={"a.png"}) == [] == inbox.ready(there)
    now[0] = 26
    assert inbox.ready(there) == there


def test_what_cannot_be_opened_or_lacks_its_hint_is_waited_for(inbox: Inbox, now: list[float], tmp_path: Path) -> None:
    whole, lonely = item(tmp_path), replace(item(tmp_path, "b.png"), error=("no trimap", ""))
    data = whole.source.read_bytes()
    whole.source.write_bytes(data[:20])
    inbox.ready([whole, lonely])
    now[0] = 60
    assert inbox.ready([whole, lonely]) == []
    whole.source.write_bytes(data)
    inbox.ready([whole, lonely])
    now[0] = 70
    assert inbox.ready([whole, replace(lonely, error=None)]) == [whole, replace(lonely, error=None)]


def test_a_file_that_has_gone_is_forgotten(inbox: Inbox, now: list[float], tmp_path: Path) -> None:
    there = [item(tmp_path)]
    inbox.ready(there)
    there[0].source.unlink()
    assert inbox.ready(there) == [] == inbox.ready([])
