"""`batch --verify`: results against what the manifest remembers of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.manifest import Manifest, digest
from uhrmat.batch.run import run_batch
from uhrmat.cli.app import app
from uhrmat.cli.help import with_optional_values

from .helpers import batch_run, clip, clip_masks, light, tree


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    tree(root)
    clip(root / "in" / "b", "seq.mkv")
    clip_masks(root / "masks" / "b" / "seq")
    assert run_batch(batch_run(root), lambda: InlineExecutor(light()), lambda event: None)[0].good
    sequences = batch_run(root, settings=light(codec="png"), include=["seq.mkv"])
    assert run_batch(sequences, lambda: InlineExecutor(sequences.settings), lambda event: None)[0].good
    return root


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "out", tmp_path / "out"))


def verify(out: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(app, ["batch", "--verify", *words, "-o", str(out), "--json"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_as_it_was(out: Path) -> None:
    code, events = verify(out)
    assert code == 0 and events == [{"event": "verified", "files": 6, "unsummed": 0, "wrong": 0}]


def flip(path: Path) -> None:
    """One bit, with the time of change as it was."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "harm", "state"),
    [
        ("p0_alpha.png", flip, "changed"),
        ("b/take_alpha.mkv", flip, "changed"),
        ("a/p1_alpha.png", Path.unlink, "missing"),
        ("b/seq_alpha", lambda path: flip(next(path.iterdir())), "changed"),
        ("b/seq_alpha", lambda path: next(path.iterdir()).unlink(), "changed"),
        ("b/seq_alpha", shutil.rmtree, "missing"),
        ("a/p3_alpha.png", lambda path: path.write_bytes(path.read_bytes() + b"0"), "changed"),
    ],
)
def test_what_is_missing_or_changed(out: Path, name: str, harm: Any, state: str) -> None:
    harm(out / name)
    code, events = verify(out)
    assert code == 1 and [(event["file"], event["state"]) for event in events[:-1]] == [(name, state)]
    assert events[-1]["wrong"] == 1 and events[-1]["files"] == 6


def test_shares_together_are_all(out: Path) -> None:
    for path in out.rglob("*_alpha.*"):
        flip(path)
    shares = [verify(out, f"{number}/3") for number in (1, 2, 3)]
    assert sum(events[-1]["files"] for _, events in shares) == 6
    assert sum(events[-1]["wrong"] for _, events in shares) == 5


def test_a_link_that_leads_out_is_not_followed(out: Path, tmp_path: Path) -> None:
    (out / "p0_alpha.png").rename(tmp_path / "p0_alpha.png")
    (out / "p0_alpha.png").symlink_to(tmp_path / "p0_alpha.png")
    code, events = verify(out)
    assert code == 1 and events[0]["file"] == "p0_alpha.png"


def test_records_without_sums_are_known_by_size(out: Path) -> None:
    for path in (out / ".uhrmat").glob("manifest-*"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "sha256"}) + "\n" for row in rows))
    flip(out / "p0_alpha.png")
    (out / "p2_alpha.png").write_bytes(b"short")
    code, events = verify(out)
    assert code == 1 and events[-1] == {"event": "verified", "files": 6, "unsummed": 6, "wrong": 1}


def test_without_a_manifest_nothing_is_said_to_be_right(tmp_path: Path) -> None:
    code, events = verify(tmp_path)
    assert code == 2 and "no manifest" in json.dumps(events) and not list(tmp_path.iterdir())


def test_the_manifest_names_no_folder_of_the_source(whole: Path) -> None:
    texts = "".join(path.read_text() for path in (whole / "out" / ".uhrmat").iterdir())
    assert str(whole) not in texts and '"key":"p0.png"' in texts
    sums = Manifest(whole / "out").records["p0.png"].sha256
    assert sums == {"p0_alpha.png": digest(whole / "out" / "p0_alpha.png")}


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (["--verify"], ["--verify=1/1"]), (["--verify", "2/3", "a"], ["--verify", "2/3", "a"]),
        (["--verify", "shoot"], ["--verify=1/1", "shoot"]), (["--verify=2/3"], ["--verify=2/3"]),
        (["a", "--verify", "-o", "b"], ["a", "--verify=1/1", "-o", "b"]),
    ],
)  # fmt: skip
def test_the_share_may_be_left_out(line: list[str], meant: list[str]) -> None:
    assert with_optional_values(line) == meant


def test_a_folder_is_needed_otherwise(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["batch", "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and "No folder" in result.stderr


@pytest.mark.parametrize("made", ["", "file"])
def test_a_folder_that_is_none_leaves_nothing_behind(tmp_path: Path, made: str) -> None:
    if made:
        (tmp_path / "in").write_bytes(b"1")
    result = CliRunner().invoke(app, ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and ("is a file" if made else "does not exist") in result.stderr
    assert not (tmp_path / "out").exists()
