"""Only regular files are read; pipes, devices and sockets are refused before anything waits for them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from uhrmat.batch.find import Selection, find_items
from uhrmat.core.errors import InputError, OutputError, UhrmatError
from uhrmat.core.regular import need_regular
from uhrmat.hints.files import read_mask, read_trimap
from uhrmat.hub import resolve
from uhrmat.hub.convert import read_checkpoint
from uhrmat.hub.tensors import read_header
from uhrmat.hub.verify import sha256
from uhrmat.media import atomic_write, check_writable, read_info, read_picture, write_alpha
from uhrmat.media.composite import parse_background
from uhrmat.media.video import open_clip
from uhrmat.train.recipe import load_recipe

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")


@pytest.fixture(params=["pipe", "device", "socket", "link to a pipe", "process substitution"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """What is no regular file, in each of its kinds."""
    path = tmp_path / "f.png"
    if request.param == "pipe":
        os.mkfifo(path)
        yield path
    elif request.param == "device":
        path.symlink_to("/dev/zero")
        yield path
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            before = Path.cwd()
            os.chdir(tmp_path)  # the path of a socket may have 107 bytes
            try:
                server.bind("f.png")
            finally:
                os.chdir(before)
            yield path
    elif request.param == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
        yield path
    else:
        reading, writing = os.pipe()
        os.close(writing)
        yield Path(f"/dev/fd/{reading}")
        os.close(reading)


READERS: list[Callable[[Path], object]] = [
    read_picture,
    read_info,
    read_mask,
    read_trimap,
    open_clip,
    sha256,
    read_header,
    read_checkpoint,
    resolve,
    lambda path: parse_background(str(path)),
]


@pytest.mark.parametrize("reader", READERS)
def test_nothing_waits_for_what_is_no_file(special: Path, reader: Callable[[Path], object]) -> None:
    result: list[BaseException] = []

    def read() -> None:
        try:
            reader(special)
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(120)
    assert not thread.is_alive(), "it waits"
    assert isinstance(result[0], UhrmatError)
    assert any(f"is {kind}, and only files are read" in str(result[0]) for kind in ("a pipe", "a device", "a socket"))


def test_a_recipe_may_not_be_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.toml")
    with pytest.raises(InputError, match="is a pipe"):
        load_recipe(tmp_path / "r.toml")


def test_standard_input_by_its_usual_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'-' is standard input, and only files are read"):
        read_picture("-")
    write_alpha("x.png", np.ones((2, 3), np.float32))
    os.rename("x.png", "-")
    assert read_picture("-").width == 3  # a file of that name is one


def test_a_file_redirected_to_standard_input_is_a_file(tmp_path: Path) -> None:
    write_alpha(tmp_path / "x.png", np.ones((2, 3), np.float32))
    with open(tmp_path / "x.png", "rb") as file:
        assert read_picture(f"/dev/fd/{file.fileno()}").width == 3


@pytest.mark.parametrize("name", ["pipe", "zero", "-"])
def test_nothing_takes_the_place_of_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("/dev/zero", "zero")
    with pytest.raises(OutputError, match="not a file or folder to write to"), atomic_write(name):
        pytest.fail("it was opened")
    with pytest.raises(OutputError, match="not a file or folder to write to"):
        check_writable(name)
    assert sorted(os.listdir()) == ["pipe", "zero"]


def test_a_folder_with_a_pipe_is_matted_without_it(tmp_path: Path) -> None:
    write_alpha(tmp_path / "a.png", np.ones((2, 3), np.float32))
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "c.mov")
    os.mkfifo(tmp_path / "notes.txt")
    items = find_items([tmp_path], Selection()).items
    assert [(item.key, item.error and item.error[0]) for item in items] == [
        ("a.png", None),
        ("b.png", "It is a pipe, and only files are read."),
        ("c.mov", "It is a pipe, and only files are read."),
    ]


def test_what_is_there_or_missing_passes(tmp_path: Path) -> None:
    need_regular(tmp_path)
    need_regular(tmp_path / "missing")
    need_regular("x" * 5000)
